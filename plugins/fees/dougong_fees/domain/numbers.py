"""What stands on a paper bill so that a scanner, a clerk or a bank can name it again."""

import re
from base64 import b32decode, b32encode
from uuid import UUID

NUMBER = re.compile(r"^ZD([A-Z2-7]{26})$")
ADDRESS = re.compile(
    r"/c/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/fees/my/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/?$"
)


def bill_number(bill_id: UUID) -> str:
    """Return a bill's number (账单号): ``ZD`` and 26 letters and digits that no ear confuses."""
    return f"ZD{b32encode(bill_id.bytes).decode().rstrip('=')}"


def bill_named(text: str, community_id: UUID) -> UUID | None:
    """Return the bill that a scanner typed by its number or its address, None for other words.

    The address of a bill of another community names nothing.
    """
    found = ADDRESS.search(text.strip().lower())
    if found:
        return UUID(found[2]) if UUID(found[1]) == community_id else None
    number = NUMBER.match(re.sub(r"[\s-]", "", text).upper())
    return UUID(bytes=b32decode(f"{number[1]}======")) if number else None
