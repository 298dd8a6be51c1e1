"""Lists that devices keep: cards at a door, holidays in a meter; brought to what is wanted.

What the device itself says it holds is the truth: the difference is made anew from it each time, so
that nothing has to be remembered between two tries. Writing an entry twice does no harm; after a
lost answer, a crash or a power cut the next try writes what is still missing and takes out what is
too much. The writes of a list may therefore be repeated, which those of commands never are.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from dougong.devices.commands import Effect

if TYPE_CHECKING:
    from dougong.devices.contract import Clock, Codec
    from dougong.devices.transports import Line

Entries = Mapping[str, str]

LOOK_AGAIN = timedelta(hours=1)
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=15), timedelta(hours=1)


class ListSpec(BaseModel):
    """One list that a model of device keeps.

    address: where it lies; opaque to the kernel, checked by the driver's own model. capacity: how
    many entries fit. removal: what it means for people when an entry is taken out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    address: Any
    capacity: int = Field(ge=1)
    removal: Effect = Effect.NONE
    title: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class WantedList:
    """What a device shall hold: key → content. failures: tries in a row that did not succeed."""

    device_id: UUID
    name: str
    version: int
    entries: Entries
    failures: int = 0


@dataclass(frozen=True, slots=True)
class ListState:
    """How a device's list stands. held: how many entries it has, None when it did not say."""

    device_id: UUID
    name: str
    version: int
    is_same: bool
    at: datetime
    next_try_at: datetime
    held: int | None = None
    failures: int = 0
    detail: str = ""


@dataclass(frozen=True)
class ListKeeper:
    """Brings the lists of the devices on one line to what is wanted."""

    line: "Line"
    timeout_s: float
    clock: "Clock"

    async def keep(
        self,
        wanted: WantedList,
        spec: ListSpec,
        codec: "Codec",
        between: Callable[[], Awaitable[None]],
    ) -> ListState:
        """Return how the list stands after one try. between: awaited before each write.

        Raises LineError when the device did not answer; what was written until then counts.
        """
        if len(wanted.entries) > spec.capacity:
            return self.failed(wanted, None, f"it holds {spec.capacity} entries at most")
        try:
            held = await self._held(spec, codec)
            changes = codec.plan_changes(spec, held, wanted.entries)
        except (ValueError, ArithmeticError) as error:
            return self.failed(wanted, None, str(error))
        for change in changes:
            await between()
            verdict = codec.judge(change, (await self.line.ask(codec, change, self.timeout_s))[-1])
            if not verdict.is_accepted:
                return self.failed(wanted, len(held), verdict.detail)
        if changes:
            try:
                held = await self._held(spec, codec)
            except (ValueError, ArithmeticError) as error:
                return self.failed(wanted, None, str(error))
        if dict(held) != dict(wanted.entries):
            return self.failed(wanted, len(held), "it holds something else than was written")
        return self._kept(wanted, len(held))

    async def _held(self, spec: ListSpec, codec: "Codec") -> Entries:
        request = codec.plan_list(spec)
        return codec.decode_list(request, await self.line.ask(codec, request, self.timeout_s))

    def _kept(self, wanted: WantedList, held: int) -> ListState:
        now = self.clock()
        return ListState(
            wanted.device_id, wanted.name, wanted.version, True, now, now + LOOK_AGAIN, held
        )

    def failed(self, wanted: WantedList, held: int | None, detail: str) -> ListState:
        """Return the state after a try that did not succeed."""
        now, failures = self.clock(), wanted.failures + 1
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 16))
        return ListState(
            wanted.device_id, wanted.name, wanted.version, False, now, now + wait, held,
            failures, detail,
        )  # fmt: skip
