"""Carries out one command: at most once on the wire, and its outcome found out by reading back."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from dougong.devices.commands import Command, CommandResult, CommandSpec, CommandState, Verification
from dougong.devices.contract import (
    Clock,
    Codec,
    DeviceConfig,
    DeviceStore,
    LineError,
    LineLate,
    Request,
    utc_now,
)
from dougong.devices.interlocks import Interlock, refusal
from dougong.devices.profiles import Profile
from dougong.devices.readings import Measured, Value
from dougong.devices.transports import Line

READBACK_PAUSE_S = 0.5
# How long a frame may still be on its way. Source: RFC 9293, 3.4.2, maximum segment lifetime.
LONGEST_ON_ITS_WAY = timedelta(seconds=120)


@dataclass
class Executor:
    """Executes commands on the line of one gateway.

    The order of things is what makes "at most once" true: interlocks, connection, the durable
    mark that it was sent, the deadline once more, and only then the bytes. Whoever
    finds the mark after a crash reads back and never sends again.
    """

    line: Line
    store: DeviceStore
    timeout_s: float
    interlocks: Mapping[str, Interlock] = field(default_factory=dict)
    clock: Clock = utc_now

    async def execute(
        self, command: Command, device: DeviceConfig, profile: Profile, codec: Codec
    ) -> CommandResult:
        """Return how the command stands after everything that can be done now.

        A queued result means that the gateway could not be reached and the deadline is not over.
        """
        stands = await self.store.result(command.id)
        if stands is not None and not stands.state.is_open:
            return stands
        result = stands or CommandResult(command.id, CommandState.QUEUED, self.clock())
        spec = profile.command(command.name)
        if spec is None:
            return await self._end(result, CommandState.REJECTED, "the device has no such command")
        if result.state is not CommandState.QUEUED:
            return await self._find_out(result, command, spec, profile, codec, is_again=True)
        reason = refusal(command, spec, device, self.interlocks) or await self._objection(command)
        if reason is not None:
            return await self._end(result, CommandState.REJECTED, reason)
        try:
            request = codec.plan_command(_checked(command, spec), spec)
        except (ValueError, ArithmeticError) as error:
            return await self._end(result, CommandState.REJECTED, str(error))
        if command.is_expired(self.clock()):
            return await self._end(result, CommandState.EXPIRED, "its deadline was over")
        if command.dry_run:
            return result.moved(CommandState.QUEUED, self.clock(), "dry run: nothing was sent")
        return await self._send(result, command, spec, profile, codec, request)

    async def _send(
        self,
        result: CommandResult,
        command: Command,
        spec: CommandSpec,
        profile: Profile,
        codec: Codec,
        request: Request,
    ) -> CommandResult:
        try:
            await self.line.prepare()
        except LineError as error:
            return result.moved(CommandState.QUEUED, self.clock(), str(error))
        now = self.clock()
        if command.is_expired(now):
            return await self._end(result, CommandState.EXPIRED, "its deadline was over")
        reason = await self._objection(command)
        if reason is not None:
            return await self._end(result, CommandState.REJECTED, reason)
        if not await self.store.mark_sent(command.id, now):
            return await self.store.result(command.id) or result
        result = result.moved(CommandState.SENT, now, sent_at=now)
        try:
            answers = await self.line.ask(
                codec, request, self.timeout_s, lambda: command.is_expired(self.clock())
            )
        except LineLate:
            return await self._end(result, CommandState.EXPIRED, "its deadline was over")
        except LineError as error:
            result = await self._end(result, CommandState.UNKNOWN, str(error))
            return await self._find_out(result, command, spec, profile, codec)
        answer = answers[-1]
        verdict = codec.judge(request, answer)
        result = result.moved(result.state, self.clock(), raw=answer.hex())
        if not verdict.is_accepted:
            return await self._end(result, CommandState.REJECTED, verdict.detail)
        result = await self._end(result, CommandState.ACKED)
        return await self._find_out(result, command, spec, profile, codec)

    async def _objection(self, command: Command) -> str | None:
        """Return why an interlock that only the store knows refuses, asked anew each time."""
        names = tuple(name for name in command.requires if name not in self.interlocks)
        return await self.store.objection(command.id, names) if names else None

    async def _find_out(
        self,
        result: CommandResult,
        command: Command,
        spec: CommandSpec,
        profile: Profile,
        codec: Codec,
        is_again: bool = False,
    ) -> CommandResult:
        """Read back until the point shows the effect or its time is over; once, if again.

        Only what the device acknowledged, or what cannot be on its way any more, can have failed:
        of a write without an answer, another value shows no more than that it was not there yet.
        """
        if spec.verify is None:
            if result.state is CommandState.ACKED:
                return result
            return await self._end(result, CommandState.UNKNOWN, "nothing to read back")
        want = _wanted(spec.verify, command)
        is_acked = result.state is CommandState.ACKED
        is_settled = is_acked or self._is_settled(result)
        within_s = 0 if is_again else spec.verify.within_s
        seen = await self._watch(profile, codec, spec.verify.point, want, within_s)
        if seen is not None and seen.value is not None and seen.value == want:
            return await self._end(result, CommandState.CONFIRMED, readback=seen.value)
        if seen is None or seen.value is None:
            detail = "the read-back failed" if seen is None else seen.detail
            state = CommandState.ACKED if is_acked else CommandState.UNKNOWN
            return await self._end(result, state, detail)
        state = CommandState.FAILED if is_settled else CommandState.UNKNOWN
        detail = f"it reads {seen.value}" + ("" if is_settled else " so far")
        return await self._end(result, state, detail, readback=seen.value)

    def _is_settled(self, result: CommandResult) -> bool:
        """Tell whether what was sent has arrived by now or never will."""
        sent_at = result.sent_at
        return sent_at is not None and self.clock() - sent_at >= LONGEST_ON_ITS_WAY

    async def _watch(
        self, profile: Profile, codec: Codec, point: str, want: Value | None, within_s: float
    ) -> Measured | None:
        """Return the wanted value as soon as it is read, else what is read when time is over.

        A value from before says nothing: only a reading that began when time was over counts.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while True:
            begun = loop.time()
            seen = await self._read(profile, codec, point)
            if seen is not None and seen.value is not None and seen.value == want:
                return seen
            if begun >= until:
                return seen
            await asyncio.sleep(min(READBACK_PAUSE_S, max(0.0, until - loop.time())))

    async def _read(self, profile: Profile, codec: Codec, key: str) -> Measured | None:
        (request,) = codec.plan_reads((profile.point(key),))
        try:
            answers = await self.line.ask(codec, request, self.timeout_s)
        except LineError:
            return None
        return codec.decode(request, answers)[0]

    async def _end(
        self,
        result: CommandResult,
        state: CommandState,
        detail: str = "",
        readback: Value | None = None,
    ) -> CommandResult:
        shown = (result.state, result.detail, str(result.readback))
        is_new = (state, detail, str(readback)) != shown
        result = result.moved(state, self.clock(), detail, readback=readback)
        if is_new:  # what stays unknown is asked again and again, and written down once
            await self.store.save_result(result)
        return result


def _checked(command: Command, spec: CommandSpec) -> Command:
    """Return the command; raises ValueError when its value is missing or out of limits."""
    unknown = set(command.arguments) - {"value"}
    if unknown or (command.arguments and not spec.takes_value):
        raise ValueError(f"{command.name} does not take {', '.join(sorted(command.arguments))}")
    if spec.takes_value:
        value = command.value
        assert spec.lowest is not None and spec.highest is not None
        if value is None or not spec.lowest <= value <= spec.highest:
            raise ValueError(f"value is between {spec.lowest} and {spec.highest}")
    return command


def _wanted(verify: Verification, command: Command) -> Value | None:
    return command.value if verify.equals is None else verify.equals
