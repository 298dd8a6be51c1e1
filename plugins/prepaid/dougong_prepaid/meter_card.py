"""What stands on a meter card (购电卡), byte by byte, and the APDUs that put it there. Pure.

The card is an ISO 7816-4 processor card with one application and two transparent files: its serial
number, and its content of three blocks of 24 bytes. The head says whose card it is; two slots are
written in turn, so that a card that is drawn out in the middle of a write still holds the top-up
before. A slot carries the sum of all top-ups and their count: writing it again, or the meter
reading it again, adds nothing. Every block is sealed with the card's own key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

HEAD, SLOTS = 0, (1, 2)
SIZE, SEAL = 24, 8
LENGTH = SIZE * 3
MAGIC = b"DG1\0"
BLANK = bytes(SIZE)
SERIAL_FILE, CONTENT_FILE = 1, 2
KEY_SIZE, CHALLENGE_SIZE = 16, 8


@dataclass(frozen=True)
class Slot:
    """The state after ``sequence`` top-ups: ``total`` yuan since the account was opened."""

    sequence: int
    total: Decimal

    @property
    def block(self) -> int:
        return SLOTS[self.sequence % 2]


@dataclass(frozen=True)
class Content:
    """What was read from a card. has_head: it is whole and this account's.

    is_foreign: it is whole and another account's. slot: the newest whole one.
    """

    has_head: bool
    is_foreign: bool
    slot: Slot | None


def head(key: bytes, account_id: UUID) -> bytes:
    """Return the head block of an account's card."""
    return _sealed(key, HEAD, MAGIC + account_id.bytes[-12:])


def slot(key: bytes, content: Slot) -> bytes:
    """Return the block of a slot; raises OverflowError above 184 million billion yuan."""
    number = content.sequence.to_bytes(8, "big")
    return _sealed(key, content.block, number + int(content.total * 100).to_bytes(8, "big"))


def read(key: bytes, account_id: UUID, content: bytes) -> Content:
    """Return what a card's content means to an account; blocks that are torn count as empty."""
    first, *slots = (_opened(key, n, content[n * SIZE : (n + 1) * SIZE]) for n in (HEAD, *SLOTS))
    found = [
        Slot(int.from_bytes(each[:8], "big"), Decimal(int.from_bytes(each[8:], "big")) / 100)
        for each in slots
        if each
    ]
    newest = max(found, key=lambda each: each.sequence, default=None)
    has_head = first == MAGIC + account_id.bytes[-12:]
    return Content(has_head, first is not None and not has_head, newest)


def writes(key: bytes, challenge: bytes, blocks: Mapping[int, bytes]) -> list[bytes]:
    """Return the APDUs that write blocks: the server proves itself, then one update per block.

    challenge: what this card asked, good for one answer. The head comes first.
    """
    proof = mac(key, b"\0" + challenge)
    prove = bytes([0x00, 0x82, 0x00, 0x01, len(proof)]) + proof
    updates = [_update(number, blocks[number]) for number in sorted(blocks)]
    return [prove, *updates]


def mac(key: bytes, content: bytes) -> bytes:
    """Return the first eight bytes of an AES-CMAC. Source: NIST SP 800-38B."""
    code = CMAC(AES(key))
    code.update(content)
    return code.finalize()[:SEAL]


def _update(number: int, block: bytes) -> bytes:
    """Return UPDATE BINARY of the content file, by its short identifier at offset 0 onwards.

    Source: ISO/IEC 7816-4, 11.3: with a short identifier the offset is P2, so 24 × 2 fits.
    """
    return bytes([0x00, 0xD6, 0x80 | CONTENT_FILE, number * SIZE, SIZE]) + block


def _sealed(key: bytes, number: int, content: bytes) -> bytes:
    return content + mac(key, bytes([1 + number]) + content)


def _opened(key: bytes, number: int, block: bytes) -> bytes | None:
    """Return the content of a block, None when it is blank, torn or sealed with another key."""
    content = block[:-SEAL]
    is_whole = len(block) == SIZE and block != BLANK and _sealed(key, number, content) == block
    return content if is_whole else None
