"""The catalogue linter: proves from the database, not by review, that tenancy holds everywhere.

It compares what PostgreSQL's catalogue says with what the kernel would have made (protection.py):
policies by what they say, grants privilege by privilege, triggers, functions, keys. Each finding
names the place, what is wrong there and what to do.
"""

from sqlalchemy import Connection

from dougong.db.catalogue import read_catalogue
from dougong.db.linter.findings import Finding
from dougong.db.linter.functions import lint_functions
from dougong.db.linter.keys import allow_references
from dougong.db.linter.server import lint_server
from dougong.db.linter.tables import lint_relations

__all__ = ["Finding", "allow_references", "lint"]


def lint(connection: Connection, *schemas: str) -> list[Finding]:
    """Return every fault in ``schemas`` and in roles and rights, empty when all is well."""
    catalogue = read_catalogue(connection, *schemas)
    return [
        *lint_relations(catalogue),
        *lint_functions(connection, schemas),
        *lint_server(connection, catalogue),
    ]
