"""A virtual meter card that connects to a reader over a socket, as to the vpcd driver of PC/SC.

It keeps the states of ISO/IEC 7816-4: nothing is read before the application is selected, nothing
written before whoever writes has answered the card's own challenge, each challenge is good for one
answer, three wrong ones block it, and drawn out it forgets who proved himself.
"""

import os
import socket
import threading
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from card_desk.readers import receive, send

NAME = b"DOUGONG1"
ASKS_ATR, ATR = b"\x04", bytes.fromhex("3B6800000073C84013009000")
SERIAL_FILE, CONTENT_FILE = 0x81, 0x82
LENGTH, CHALLENGE_SIZE, PROOF_SIZE, TRIES = 72, 8, 8, 3
OK, WRONG_LENGTH, LOCKED, FORBIDDEN = b"\x90\x00", b"\x67\x00", b"\x69\x82", b"\x69\x85"
BLOCKED, NO_FILE, BEYOND = b"\x69\x83", b"\x6a\x82", b"\x6b\x00"
NO_COMMAND, NO_CLASS = b"\x6d\x00", b"\x6e\x00"


@dataclass
class VirtualCard:
    """One card. key: as the server issued it. torn_at: bytes of the next block that is written
    after which it is drawn out, None for never. updates: blocks that were written so far."""

    serial: bytes
    key: bytes
    content: bytearray = field(default_factory=lambda: bytearray(LENGTH))
    torn_at: int | None = None
    updates: int = 0
    tries: int = TRIES
    is_selected: bool = False
    is_trusting: bool = False
    challenge: bytes | None = None

    def put_on(self, port: int, host: str = "127.0.0.1") -> threading.Thread:
        """Connect to a reader and answer it until it lets go; in a thread that is returned."""
        link = socket.create_connection((host, port))
        thread = threading.Thread(target=self._serve, args=(link,), daemon=True)
        thread.start()
        return thread

    def _serve(self, link: socket.socket) -> None:
        with link:
            while self._serve_one(link):
                pass
        self.reset()

    def _serve_one(self, link: socket.socket) -> bool:
        """Answer one message; return whether the card is still on the reader."""
        try:
            asked = receive(link)
        except (EOFError, OSError):
            return False
        if asked == ASKS_ATR:
            send(link, ATR)
        elif len(asked) == 1:
            self.reset()
        elif (answer := self.answer(asked)) is not None:
            send(link, answer)
        else:
            return False
        return True

    def reset(self) -> None:
        """Forget what was selected and who proved himself, as without current."""
        self.is_selected = self.is_trusting = False
        self.challenge = None

    def answer(self, apdu: bytes) -> bytes | None:
        """Return the answer to one APDU; None when the card is drawn out in the middle of it."""
        if apdu[0] != 0x00:
            return NO_CLASS
        known = {0xA4: self._select, 0xB0: self._read, 0x84: self._challenge, 0x82: self._prove,
                 0xD6: self._update}  # fmt: skip
        if apdu[1] not in known:
            return NO_COMMAND
        if len(apdu) < 5:
            return WRONG_LENGTH
        return known[apdu[1]](apdu)

    def _select(self, apdu: bytes) -> bytes:
        self.reset()
        self.is_selected = apdu[2] == 0x04 and apdu[5 : 5 + apdu[4]] == NAME
        return OK if self.is_selected else NO_FILE

    def _file(self, apdu: bytes) -> bytes | bytearray | None:
        files = {SERIAL_FILE: self.serial, CONTENT_FILE: self.content}
        return files.get(apdu[2]) if self.is_selected else None

    def _read(self, apdu: bytes) -> bytes:
        found, offset, length = self._file(apdu), apdu[3], apdu[4]
        if found is None:
            return NO_FILE
        return bytes(found[offset : offset + length]) + OK if offset < len(found) else BEYOND

    def _challenge(self, apdu: bytes) -> bytes:
        if not self.is_selected:
            return FORBIDDEN
        if apdu[4] != CHALLENGE_SIZE:
            return WRONG_LENGTH
        self.challenge = os.urandom(CHALLENGE_SIZE)
        return self.challenge + OK

    def _prove(self, apdu: bytes) -> bytes:
        if self.challenge is None:
            return FORBIDDEN
        if self.tries == 0:
            return BLOCKED
        wanted, self.challenge = self._proof(self.challenge), None
        self.is_trusting = apdu[5:] == wanted
        self.tries = TRIES if self.is_trusting else self.tries - 1
        return OK if self.is_trusting else bytes([0x63, 0xC0 | self.tries])

    def _proof(self, challenge: bytes) -> bytes:
        code = CMAC(AES(self.key))
        code.update(b"\0" + challenge)
        return code.finalize()[:PROOF_SIZE]

    def _update(self, apdu: bytes) -> bytes | None:
        offset, data = apdu[3], apdu[5:]
        if apdu[2] != CONTENT_FILE or not self.is_selected:
            return NO_FILE
        if not self.is_trusting:
            return LOCKED
        if len(data) != apdu[4]:
            return WRONG_LENGTH
        if offset + len(data) > LENGTH:
            return BEYOND
        torn, self.torn_at = self.torn_at, None
        kept = data[:torn]
        self.content[offset : offset + len(kept)] = kept
        self.updates += 1
        return OK if torn is None else None
