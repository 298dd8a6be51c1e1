"""A fault that the linter found, and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One fault: the table (or role, schema, function), what is wrong and what to do."""

    where: str
    fault: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.fault}; {self.remedy}"


def put_back(where: str) -> str:
    """Say how what the kernel makes by itself is made again for the owner of ``where``."""
    schema = where.partition(".")[0]
    if schema == "dougong":
        return "restart the product: it puts this back"
    return f"`dougong plugin upgrade {schema}` puts it back"


def take_away(statement: str) -> str:
    """Tell to undo something by hand, or not to make it in the first place."""
    return f"remove it from the plugin's revision, or run `{statement}`"
