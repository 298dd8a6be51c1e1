"""SQL scripts taken apart."""


def split_statements(script: str) -> list[str]:
    """Return the statements of an SQL script.

    A statement ends with a semicolon at the end of a line outside of ``$$ … $$``.
    """
    statements: list[str] = []
    lines: list[str] = []
    quoted = False
    for line in script.splitlines():
        if not lines and (not line.strip() or line.lstrip().startswith("--")):
            continue
        lines.append(line)
        if line.count("$$") % 2:
            quoted = not quoted
        if not quoted and line.rstrip().endswith(";"):
            statements.append("\n".join(lines).strip().removesuffix(";").strip())
            lines = []
    if any(line.strip() for line in lines):
        statements.append("\n".join(lines).strip())
    return [s for s in statements if s and s.upper() not in ("BEGIN", "COMMIT")]
