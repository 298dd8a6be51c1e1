"""Card readers of the front desk: APDUs in, answers out.

A reader that is plugged in speaks PC/SC (extra ``pcsc``). The other one is a socket to which a
virtual card connects, by the messages of the vpcd driver of PC/SC: two bytes of length, then the
APDU; a single byte switches the card off (0), on (1), resets it (2) or asks for its ATR (4).
"""

import socket
from typing import Protocol

OK = b"\x90\x00"
OFF, ON = b"\x00", b"\x01"
TIMEOUT_S = 10.0


class CardError(Exception):
    """The card is gone, or does not answer as it should."""


class Reader(Protocol):
    """What exchanges one APDU with the card on it."""

    def insert(self) -> None:
        """Switch the card on it on; raises CardError without one."""

    def transmit(self, apdu: bytes) -> bytes:
        """Return the card's answer with its two status bytes; raises CardError without one."""


def ask(reader: Reader, apdu: bytes) -> bytes:
    """Return what a card answers; raises CardError for any status but 90 00."""
    answer = reader.transmit(apdu)
    if answer[-2:] != OK:
        raise CardError(f"the card answered {answer[-2:].hex()} to {apdu[:4].hex()}")
    return answer[:-2]


class SocketReader:
    """A reader on a loopback port; the card that connects lies on it until it goes."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self._server = socket.create_server((host, port))
        self._server.settimeout(TIMEOUT_S)
        self.port = self._server.getsockname()[1]
        self._card: socket.socket | None = None

    def __enter__(self) -> "SocketReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()
        self._server.close()

    def insert(self) -> None:
        """Wait until a card connects, and switch it on; raises CardError when none comes."""
        self.remove()
        try:
            self._card, _ = self._server.accept()
        except TimeoutError as error:
            raise CardError("no card was put on the reader") from error
        self._card.settimeout(TIMEOUT_S)
        self._send(ON)

    def remove(self) -> None:
        """Let the card go."""
        if self._card is not None:
            self._card.close()
            self._card = None

    def transmit(self, apdu: bytes) -> bytes:
        self._send(apdu)
        try:
            assert self._card is not None
            return receive(self._card)
        except (OSError, EOFError) as error:
            raise CardError("the card was taken off the reader") from error

    def _send(self, message: bytes) -> None:
        if self._card is None:
            raise CardError("there is no card on the reader")
        try:
            send(self._card, message)
        except OSError as error:
            raise CardError("the card was taken off the reader") from error


def send(link: socket.socket, message: bytes) -> None:
    """Send one message."""
    link.sendall(len(message).to_bytes(2, "big") + message)


def receive(link: socket.socket) -> bytes:
    """Return one message; raises EOFError at the end of the connection."""
    return _exactly(link, int.from_bytes(_exactly(link, 2), "big"))


def _exactly(link: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = link.recv(count - len(found))
        if not piece:
            raise EOFError("the other side has gone")
        found += piece
    return found


class PcscReader:
    """The first reader that PC/SC knows; needs the extra ``pcsc``, on Linux a running pcscd."""

    def __init__(self) -> None:
        from smartcard.System import readers  # type: ignore[import-not-found]

        known = readers()
        if not known:
            raise CardError("there is no card reader")
        self._connection = known[0].createConnection()

    def insert(self) -> None:
        """Connect to the card on the reader; raises CardError without one."""
        from smartcard.Exceptions import CardConnectionException, NoCardException

        try:
            self._connection.connect()
        except (CardConnectionException, NoCardException) as error:
            raise CardError("there is no card on the reader") from error

    def remove(self) -> None:
        """Let the card go."""
        self._connection.disconnect()

    def transmit(self, apdu: bytes) -> bytes:
        from smartcard.Exceptions import CardConnectionException

        try:
            data, first, second = self._connection.transmit(list(apdu))
        except CardConnectionException as error:
            raise CardError("the card was taken off the reader") from error
        return bytes([*data, first, second])
