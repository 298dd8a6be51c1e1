"""Rewrite the one initial revision of a distribution from its models (until 0.1).

Usage: python tools/initial_revision.py dougong | <plugin id> [--check]
"""

import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from dougong.db.base import METADATA
from dougong.db.migrator import KERNEL, import_kernel_models
from dougong.db.partitions import rest_of

REVISION = '''"""The initial schema; the statements stand in the SQL file of the same name."""

from pathlib import Path

from alembic import op

from dougong.db.migrator import split_statements

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in split_statements(Path(__file__).with_suffix(".sql").read_text()):
        op.execute(statement.replace(":", "\\\\:"))
'''
FIRST, NEVER = "scope.sql", {"scope.sql", "roles.sql"}


def tables(schema: str) -> str:
    """Return CREATE TABLE and CREATE INDEX for every table of a schema."""
    dialect = postgresql.dialect(paramstyle="named")
    parts: list[str] = []
    for table in METADATA.sorted_tables:
        if table.schema != schema:
            continue
        parts.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        if table.info.get("monthly_by"):
            name = f"{table.schema}.{table.name}"
            parts.append(f"CREATE TABLE {rest_of(table)} PARTITION OF {name} DEFAULT")
        parts += [
            str(CreateIndex(index).compile(dialect=dialect)).strip()
            for index in sorted(table.indexes, key=lambda i: str(i.name))
        ]
        extra = table.info.get("sql")
        parts += [extra.strip().removesuffix(";")] if extra else []
    return "".join(f"{part};\n\n" for part in parts)


def script(distribution: str) -> tuple[Path, str]:
    """Return where the revision belongs and its SQL."""
    if distribution == KERNEL.id:
        import_kernel_models()
        sources = Path(str(files("dougong.db"))) / "sql"
        rest = sorted(p for p in sources.glob("*.sql") if p.name not in NEVER)
        text = (sources / FIRST).read_text() + "\n" + tables(KERNEL.schema)
        return KERNEL.revisions, text + "\n".join(p.read_text() for p in rest)
    import_kernel_models()
    package = import_module(f"dougong_{distribution}")
    import_module(f"dougong_{distribution}.models")
    folder = Path(str(files(package))) / "migrations" / "versions"
    after = folder.parent / "after.sql"
    return folder, tables(distribution) + (after.read_text() if after.exists() else "")


def main() -> int:
    folder, text = script(sys.argv[1])
    target = folder / "0001_initial.sql"
    if "--check" in sys.argv:
        return 0 if target.exists() and target.read_text() == text else 1
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    (folder / "0001_initial.py").write_text(REVISION)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
