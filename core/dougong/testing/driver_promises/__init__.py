"""What every driver promises; each module holds promises of one kind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from dougong.devices.commands import Command, CommandSpec, Effect, Ground
from dougong.devices.contract import Codec, Driver, PushCodec, Request, SimulatedDevice, Transport
from dougong.devices.profiles import Profile
from dougong.devices.readings import Measured

Promise = Callable[["DriverSubject"], Iterator[str]]
PROMISES: list[Promise] = []
PUSH_PROMISES: list[Promise] = []
DEVICE = UUID(int=1)


def promise(function: Promise) -> Promise:
    """Add a promise; it yields what is broken, and nothing when it is kept."""
    PROMISES.append(function)
    return function


def push_promise(function: Promise) -> Promise:
    """Add a promise of drivers whose devices tell by themselves."""
    PUSH_PROMISES.append(function)
    return function


@dataclass(frozen=True)
class Golden:
    """A captured exchange in hex: reading ``points`` sends ``sent`` and is answered ``answer``.

    values: what the points must say, as text; None for a point that must say nothing. sequence:
    of the exchange on its line, where the protocol writes it into the frame.
    """

    points: tuple[str, ...]
    sent: str
    answer: str
    values: Mapping[str, str | None]
    sequence: int = 1


@dataclass(frozen=True)
class Pushed:
    """A captured message of a device that tells: what it says.

    key: by which a repetition is known; None where the driver makes it up. values: as text, None
    for a point that must say nothing. at: when the device says that it was, None without.
    """

    body: bytes
    values: Mapping[str, str | None]
    key: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class DriverSubject:
    """The driver under test, as its test class describes it.

    lists: for each list of the profile two things to hold, of which the second leaves out some.
    """

    driver: Driver
    profile: Profile
    transport: Transport
    settings: Callable[[int], Mapping[str, Any]]
    golden: Sequence[Golden] = ()
    number: int = 1
    has_checksum: bool = True
    secrets: Mapping[str, str] = field(default_factory=dict)
    messages: Sequence[Pushed] = ()
    lists: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = field(default_factory=dict)

    def codec(self, number: int | None = None) -> Codec:
        """Return the codec of the device with this number, by default of the golden frames."""
        given = self.settings(self.number if number is None else number)
        made = self.driver.open(self.profile.id, given, self.transport)
        assert isinstance(made, Codec), "the kit is for drivers that ask"
        return made

    def push_codec(self, number: int | None = None) -> PushCodec:
        """Return the codec of a device that tells."""
        given = self.settings(self.number if number is None else number)
        made = self.driver.open(self.profile.id, given, self.transport)
        assert isinstance(made, PushCodec), "this promise is for drivers that are told"
        return made

    def simulated(self, number: int, **values: Any) -> SimulatedDevice:
        """Return the device with this number for the driver's simulator."""
        settings = self.driver.settings.model_validate(dict(self.settings(number)))
        return SimulatedDevice(self.profile, settings, f"{number:08d}", **values)

    def request(self, golden: Golden, codec: Codec | None = None) -> Request:
        """Return the one request that reads the points of a golden exchange."""
        points = [self.profile.point(key) for key in golden.points]
        (request,) = (codec or self.codec()).plan_reads(points)
        return request

    def read(self, golden: Golden, answer: bytes) -> dict[str, Measured] | None:
        """Return what ``answer`` says to the golden request; None when it is no answer to it."""
        codec = self.codec()
        request = self.request(golden, codec)
        found = codec.find_answer(answer, request, golden.sequence)
        if found.answer is None:
            return None
        return {m.point: m for m in codec.decode(request, [found.answer])}

    def command(self, name: str, **more: Any) -> Command:
        """Return an order that every interlock of the kernel lets through."""
        given = {
            "ground": Ground.SAFETY,
            "reason": "conformance",
            "approved_by": "second",
            "deadline": datetime.now(UTC) + timedelta(seconds=20),
            **more,
        }
        return Command(uuid4(), DEVICE, name, "first", **given)

    def cut(self) -> CommandSpec | None:
        """Return the command that cuts a supply and is verified, None without one."""
        found = (c for c in self.profile.commands if c.effect is Effect.CUT_SUPPLY and c.verify)
        return next(found, None)


def every_promise() -> list[Promise]:
    """Return what every driver promises."""
    from dougong.testing.driver_promises import (  # noqa: F401
        declarations,
        encryption,
        frames,
        lines,
        lists,
        orders,
        running,
    )

    return PROMISES


def every_push_promise() -> list[Promise]:
    """Return what every driver promises whose devices tell by themselves."""
    from dougong.testing.driver_promises import declarations, frames, pushes

    shared = [
        declarations.a_wrong_setting_is_named_and_its_value_is_not_repeated,
        declarations.secrets_stay_out_of_what_is_logged,
        declarations.an_unknown_field_in_a_profile_is_refused,
        declarations.it_refuses_a_model_and_a_line_that_it_does_not_know,
        frames.a_value_that_means_nothing_is_no_value,
        frames.a_counter_may_roll_over_and_not_fall,
    ]
    return [*shared, *pushes.PUSH_PROMISES]
