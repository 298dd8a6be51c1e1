"""What the Chinese standards for meters share: frames between 68 and 16, a sum, reversed digits.

``FramedCodec`` is the codec of a meter but for what is in a frame: it asks by data identifier,
finds the answer behind noise, strangers and pieces, and refuses what a wildcard must not do. A
protocol brings its frame (`Framing`) and says what answers what and what the bytes mean.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dougong.devices import Codec, Found, Measured, Point, Quality, Request, Verdict
from dougong.devices.readings import bad

START, END, PREAMBLE = 0x68, 0x16, b"\xfe"
REPLY, ERROR = 0x80, 0x40
ANY, ANY_BYTE = "A", 0xAA
Frame = TypeVar("Frame", bound=Any)


class FramedSettings(BaseModel):
    """What every meter of this kind needs. address: its digits as printed, in a protocol's length.

    ``AA`` pairs stand for any, when one meter is alone on the wire. preamble: wake-up bytes FE.
    zone: what the meter's clock shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    preamble: int = Field(default=4, ge=0, le=16)
    zone: str = "Asia/Shanghai"

    @field_validator("address")
    @classmethod
    def _digits(cls, value: str) -> str:
        count = cls.address_digits()
        pairs = [value[i : i + 2] for i in range(0, len(value), 2)]
        if len(value) != count or not all(pair.isdecimal() or pair == "AA" for pair in pairs):
            raise ValueError(f"a meter's address has {count} digits")
        return value

    @classmethod
    def address_digits(cls) -> int:
        """Return how many digits an address has."""
        raise NotImplementedError


def wrapped(body: bytes, preamble: int) -> bytes:
    """Return a frame for the wire: wake-up bytes, body, the sum of the body, end."""
    return PREAMBLE * preamble + body + bytes([sum(body) & 0xFF, END])


def on_the_wire(address: str) -> bytes:
    """Return an address as it travels: the lowest pair of digits first."""
    return bytes.fromhex(address)[::-1]


def is_addressed(asked: bytes, said: bytes) -> bool:
    """Tell whether an address fits; AA stands for any digits."""
    return all(ours in (ANY_BYTE, theirs) for ours, theirs in zip(asked, said, strict=True))


@dataclass(frozen=True)
class Framing(Generic[Frame]):
    """How frames of a protocol are told from noise.

    size: returns how long the frame at a position is or may become, None when it is none. parse:
    makes a frame of a body whose start, end and sum are right, sum and end left out.
    """

    size: Callable[[bytes, int], int | None]
    parse: Callable[[bytes], Frame]

    def scan(self, buffer: bytes, start: int = 0) -> tuple[int, int, Frame | None]:
        """Return where the first frame from ``start`` begins and ends, and the frame.

        Without a complete frame: the first position where one may still be growing, twice, and
        None.
        """
        growing = len(buffer)
        at = buffer.find(START, start)
        while at >= 0:
            size = self.size(buffer, at)
            if size is not None and at + size > len(buffer):
                growing = min(growing, at)
            elif size is not None:
                body, (total, end) = buffer[at : at + size - 2], buffer[at + size - 2 : at + size]
                if end == END and sum(body) & 0xFF == total:
                    return at, at + size, self.parse(body)
            at = buffer.find(START, at + 1)
        return growing, growing, None

    def only(self, answer: bytes) -> Frame:
        """Return the frame in bytes that are one."""
        frame = self.scan(answer)[2]
        assert frame is not None, "an answer is a frame that find_answer returned"
        return frame


class FramedCodec(Codec, Generic[Frame]):
    """The bytes of one meter, but for what is inside of a frame."""

    framing: Framing[Frame]

    def __init__(self, settings: FramedSettings) -> None:
        self.settings = settings
        self.address = on_the_wire(settings.address)
        self.zone = ZoneInfo(settings.zone)

    @abstractmethod
    def reading(self, di: str) -> Frame:
        """Return the frame that reads a data identifier, as printed."""

    @abstractmethod
    def answers(self, frame: Frame, asked: Frame, sequence: int) -> bool:
        """Tell whether a frame with our meter's address answers what was asked."""

    @abstractmethod
    def refusal(self, frame: Frame) -> str:
        """Return in English what an error frame says."""

    def plan_reads(self, points: Sequence[Point]) -> list[Request]:
        blocks: dict[str, list[Point]] = {}
        for point in points:
            blocks.setdefault(point.address.di, []).append(point)
        return [Request(tuple(block), self.reading(di)) for di, block in blocks.items()]

    def encode(self, request: Request, sequence: int) -> bytes:
        return request.payload.encoded(self.settings.preamble)

    def find_answer(self, buffer: bytes, request: Request, sequence: int) -> Found:
        at = 0
        while True:
            start, end, frame = self.framing.scan(buffer, at)
            if frame is None:
                return Found(start, None)
            is_ours = is_addressed(self.address, frame.address)
            if is_ours and self.answers(frame, request.payload, sequence):
                return Found(end, buffer[start:end])
            at = end

    def frames(self, request: Request, answers: Sequence[bytes]) -> list[Frame] | list[Measured]:
        """Return the frames of answers, or why the points have no value when one is an error."""
        frames = [self.framing.only(answer) for answer in answers]
        failed = next((frame for frame in frames if frame.control & ERROR), None)
        if failed is not None:
            return bad(request.points, Quality.BAD_CONFIG, self.refusal(failed))
        return frames

    def judge(self, request: Request, answer: bytes) -> Verdict:
        frame = self.framing.only(answer)
        return Verdict(False, self.refusal(frame)) if frame.control & ERROR else Verdict(True)

    def needs_one_meter(self) -> None:
        """Raise ValueError when a write would reach any meter on the wire."""
        if ANY in self.settings.address:
            raise ValueError("a command needs a meter's full address")

    def clock(self, point: Point, digits: str, form: str) -> Measured:
        """Return the meter's local time in ``digits``, and the instant that it is."""
        try:
            local = datetime.strptime(digits, form).replace(tzinfo=self.zone)
        except ValueError:
            return nothing(point, f"{digits} is no time")
        return Measured(point.key, local.isoformat(), device_time=local.astimezone(UTC))


def nothing(point: Point, why: str) -> Measured:
    """Return that a point has no value, and why."""
    return Measured(point.key, None, Quality.BAD_DATA, None, why)
