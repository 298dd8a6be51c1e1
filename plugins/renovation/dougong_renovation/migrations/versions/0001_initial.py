"""The initial schema; the statements stand in the SQL file of the same name."""

from pathlib import Path

from alembic import op

from dougong.db.migrator import split_statements

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in split_statements(Path(__file__).with_suffix(".sql").read_text()):
        op.execute(statement.replace(":", "\\:"))
