"""The demonstration's meters: sixty-eight are collected over simulated lines, the rest by hand.

Collected meters count by one formula, in the readings written here and in the simulator: so the
counter that is read today goes on from the history.
"""

import json
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.devices.contract import Transport
from dougong.devices.models import Device, DeviceHour, DevicePoint, Gateway
from dougong.devices.simulators import FIRST_PORT, LOOPBACK, FarmGateway, FarmMeter, farm
from dougong.tenancy.models import CommunityKind, Room, RoomKind, RoomState
from dougong_meters.drivers import cjt188, dlt645, modbus
from dougong_meters.models import Meter, Reading
from dougong_meters.services.balance import reckon_balances

MONTHS = 7
DAILY = 10
POLL_S = 30
# Its simulator makes a certificate and enters it as the one to trust.
ENCRYPTED = "Modbus TCP 4"
ORDER = (Meter, Reading, Gateway, Device, DevicePoint, DeviceHour)
CHARTED_HOURS = 72
DRIVERS = {"modbus": modbus.driver, "dlt645": dlt645.driver, "cjt188": cjt188.driver}
# What a model counts, and by which of its points.
COUNTED = {
    "three_phase_meter": ("electricity", "energy_import"),
    "single_phase_meter": ("electricity", "energy_import"),
    "water_valve_meter": ("water", "volume"),
    "heat_meter": ("heat", "heat"),
}
CENT = Decimal("0.01")
# Behind the ports of the farm.
CJT_PORT = FIRST_PORT + 20
# Of every hundred rooms read by hand: what people of the trade look for first.
REPLACED, FORGOTTEN, SUSPECT = 11, 37, 53


@dataclass(frozen=True)
class Counting:
    """How a meter counts: evenly, from ``start`` at ``since``, ``per_hour`` in its unit."""

    start: Decimal
    since: datetime
    per_hour: Decimal

    def at(self, instant: datetime) -> Decimal:
        """Return what the counter shows."""
        hours = Decimal((instant - self.since).total_seconds()) / 3600
        return (self.start + self.per_hour * hours).quantize(CENT)


@dataclass
class Rows:
    """Rows of several tables, column by column."""

    tables: dict[type, dict[str, list[Any]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, model: type, **values: Any) -> UUID:
        """Add a row; every row of a model names the same columns. Return its id."""
        values.setdefault("id", uuid7())
        for name, value in values.items():
            self.tables[model][name].append(value)
        return values["id"]

    def write(self, scope: Scope) -> None:
        for model in ORDER:
            if model in self.tables:
                insert_rows(scope, model, self.tables[model])


def load(scope: Scope, chance: Random) -> None:
    """Write meters, months of readings and devices into a demonstration community."""
    demonstration = Demonstration(scope, chance)
    rooms = demonstration.rooms()
    if scope.place.kind == CommunityKind.CAMPUS:
        collected = demonstration.collect(rooms, [g for g in farm() if g.driver == "dlt645"])
        for gateway in water_and_heat():
            demonstration.collect(rooms, [gateway])
        demonstration.read_by_hand(rooms[collected:], "electricity")
    else:
        demonstration.collect(rooms, [g for g in farm() if g.driver == "modbus"])
        demonstration.read_by_hand(rooms, "water")
    demonstration.rows.write(scope)
    reckon_balances(scope)


def water_and_heat() -> list[FarmGateway]:
    """Return two lines of CJ/T 188 meters: six of cold water with a valve, two of heat."""
    lines = (("water_valve_meter", 6, 0.009, 40.0), ("heat_meter", 2, 0.6, 900.0))
    found = []
    for number, (profile, count, hourly, start) in enumerate(lines):
        addresses = [f"1188{number:04d}{n:06d}" for n in range(1, count + 1)]
        meters = tuple(
            FarmMeter(address, {"address": address}, hourly * (1 + n % 4 / 4), start + 11 * n)
            for n, address in enumerate(addresses)
        )
        name, port = f"CJ/T 188 {number + 1}", CJT_PORT + number
        found.append(FarmGateway(name, Transport.RTU_TCP, "cjt188", profile, port, meters))
    return found


@dataclass
class Demonstration:
    """Makes the rows of one community."""

    scope: Scope
    chance: Random
    rows: Rows = field(default_factory=Rows)
    collected: list[tuple[UUID, Counting]] = field(default_factory=list)

    def rooms(self) -> Sequence[Any]:
        """Return the rooms that have meters, where the plugin is on, in order."""
        query = (
            select(Room.id, Room.building_id, Room.code)
            .where(
                Room.state != RoomState.UNSOLD,
                Room.room_kind.in_((RoomKind.FLAT, RoomKind.SHOP, RoomKind.DORMITORY)),
            )
            .order_by(Room.sort_key)
        )
        only = self.scope.enablement.get("meters")
        if only is not None:
            query = query.where(Room.building_id.in_(only))
        return self.scope.session.execute(query).all()

    @cached_property
    def month_ends(self) -> list[date]:
        """Return the last days of the past months, oldest first."""
        today = self.scope.today
        months = [divmod(today.year * 12 + today.month - 1 - n, 12) for n in range(MONTHS, 0, -1)]
        return [date(y, m + 1, monthrange(y, m + 1)[1]) for y, m in months]

    @cached_property
    def installed_on(self) -> date:
        return self.month_ends[0] - timedelta(days=200)

    def _at(self, on: date, hour: int = 0, minute: int = 0) -> datetime:
        return datetime.combine(on, time(hour, minute), self.scope.zone)

    # --- by hand ----------------------------------------------------------------------------

    def read_by_hand(self, rooms: Sequence[Any], commodity: str) -> None:
        """Give each room a meter that somebody reads at the end of each month."""
        usual = Decimal("0.014") if commodity == "water" else Decimal("0.12")
        main: dict[tuple[UUID, datetime], Decimal] = defaultdict(Decimal)
        for building_id, counting in self.collected if commodity == "electricity" else ():
            for on in self.month_ends:
                main[building_id, self._at(on, 18)] += (
                    counting.at(self._at(on, 18)) - counting.start
                )
        for number, room in enumerate(rooms):
            per_hour = usual * Decimal(self.chance.randrange(40, 220)) / 100
            start = Decimal(self.chance.randrange(20, 900))
            counting = Counting(start, self._at(self.installed_on), per_hour)
            for on in self.month_ends:
                main[room.building_id, self._at(on, 18)] += counting.at(self._at(on, 9)) - start
            prefix = "W" if commodity == "water" else "E"
            serial = f"{prefix}{2019 + number % 5}{number + 1:06d}"
            if number % 100 == REPLACED:
                self._replaced(room, commodity, serial, counting)
                continue
            readings = list(self._monthly(number, counting))
            self._meter(room, commodity, serial, counting, readings)
        self._main_meters(main, commodity)

    def _monthly(self, number: int, counting: Counting) -> Iterator[tuple[date, Decimal, str]]:
        """Yield day, value and state of a room's readings; some are forgotten, some suspect."""
        for on in self.month_ends:
            is_last = on == self.month_ends[-1]
            if is_last and number % 100 == FORGOTTEN:
                continue
            value = counting.at(self._at(on, 9)).quantize(Decimal(1))
            is_suspect = is_last and number % 100 == SUSPECT
            yield on, value + (4000 if is_suspect else 0), "suspect" if is_suspect else "accepted"

    def _meter(
        self,
        room: Any,
        commodity: str,
        serial: str,
        counting: Counting,
        readings: Sequence[tuple[date, Decimal, str]],
        **more: Any,
    ) -> UUID:
        accepted = [r for r in readings if r[2] == "accepted"]
        last = accepted[-1] if accepted else None
        meter = self._add_meter(
            serial=serial,
            commodity=commodity,
            building_id=room.building_id,
            room_id=room.id,
            installed_on=self.installed_on,
            install_value=counting.start,
            last_value=last[1] if last else None,
            last_read_at=self._at(last[0], 9) if last else None,
            **more,
        )
        for on, value, state in readings:
            self._add_reading(meter, self._at(on, 9), value, state=state)
        return meter

    def _replaced(self, room: Any, commodity: str, serial: str, counting: Counting) -> None:
        """Hang another meter in the middle of last month."""
        on = self.month_ends[-1].replace(day=14)
        ends = [e for e in self.month_ends if e < on]
        readings = [(e, counting.at(self._at(e, 9)).quantize(Decimal(1)), "accepted") for e in ends]
        removal = counting.at(self._at(on, 12)).quantize(Decimal(1))
        old = self._meter(
            room, commodity, serial, counting, readings,
            removed_on=on, removal_value=removal, state="removed",
        )  # fmt: skip
        self._add_reading(old, self._at(on, 12), removal, kind="replacement")
        fresh = Counting(Decimal(0), self._at(on, 12), counting.per_hour)
        value = fresh.at(self._at(self.month_ends[-1], 9)).quantize(Decimal(1))
        new = self._add_meter(
            serial=f"{serial}B", commodity=commodity, building_id=room.building_id,
            room_id=room.id, installed_on=on, install_value=Decimal(0), replaces_id=old,
            last_value=value, last_read_at=self._at(self.month_ends[-1], 9),
        )  # fmt: skip
        self._add_reading(new, self._at(self.month_ends[-1], 9), value)

    def _main_meters(self, sums: dict[tuple[UUID, datetime], Decimal], commodity: str) -> None:
        """Give each building a main meter: 3 % is lost behind it, 12 % in the first building."""
        buildings = list(dict.fromkeys(building for building, _ in sums))
        for number, building in enumerate(buildings):
            kept = Decimal("0.88") if number == 0 else Decimal("0.97")
            read = sorted((at, value) for (b, at), value in sums.items() if b == building)
            values = [(at, (value / kept).quantize(Decimal(1))) for at, value in read]
            meter = self._add_meter(
                serial=f"MAIN-{commodity[:1].upper()}{number + 1:02d}", commodity=commodity,
                building_id=building, room_id=None, installed_on=self.installed_on, role="main",
                verification_ends_on=self.scope.today + timedelta(days=40 if number == 0 else 1400),
                install_value=Decimal(0), last_value=values[-1][1], last_read_at=values[-1][0],
            )  # fmt: skip
            for at, value in values:
                self._add_reading(meter, at, value)

    # --- collected --------------------------------------------------------------------------

    def collect(self, rooms: Sequence[Any], gateways: Sequence[FarmGateway]) -> int:
        """Give the first rooms meters that are read over lines; return how many."""
        waiting = iter(rooms)
        done = 0
        for gateway in gateways:
            pairs = list(zip(gateway.meters, waiting, strict=False))
            if not pairs:
                break
            gateway_id = self.rows.add(
                Gateway, name=gateway.name, transport=gateway.transport, host=LOOPBACK,
                port=gateway.port, timeout_s=Decimal(2), settle_s=Decimal(1),
                trust="pinned" if gateway.name == ENCRYPTED else "none",
            )  # fmt: skip
            for meter, room in pairs:
                self._device(gateway, gateway_id, meter, room)
            done += len(pairs)
        return done

    def _device(self, gateway: FarmGateway, gateway_id: UUID, meter: FarmMeter, room: Any) -> None:
        since = self._at(self.installed_on)
        commodity, point = COUNTED[gateway.profile]
        is_electric = commodity == "electricity"
        hourly = round(0.12 + meter.load_kw / 6 if is_electric else meter.load_kw, 5)
        counting = Counting(Decimal(int(meter.start_kwh)), since, Decimal(str(hourly)))
        if is_electric:
            self.collected.append((room.building_id, counting))
        secrets = {k: v for k, v in meter.settings.items() if k in DRIVERS[gateway.driver].secrets}
        device_id = self.rows.add(
            Device, gateway_id=gateway_id, building_id=room.building_id,
            name=f"{gateway.name} · {room.code}", driver=gateway.driver, profile=gateway.profile,
            settings={k: v for k, v in meter.settings.items() if k not in secrets},
            secrets=json.dumps(secrets) if secrets else None, serial=meter.serial, poll_s=POLL_S,
            simulation={"load_kw": hourly, "start": float(counting.start),
                        "since": since.timestamp()},
        )  # fmt: skip
        instants = self._collected_at()
        meter_id = self._add_meter(
            serial=meter.serial, commodity=commodity, building_id=room.building_id,
            room_id=room.id, installed_on=self.installed_on, install_value=counting.start,
            last_value=counting.at(instants[-1]), last_read_at=instants[-1],
        )  # fmt: skip
        for at in instants:
            self._add_reading(meter_id, at, counting.at(at), source="collector")
        self.rows.add(
            DevicePoint, device_id=device_id, point=point, subject_kind="meters.meter",
            subject_id=meter_id,
        )  # fmt: skip
        self._hours(device_id, point, counting)

    def _hours(self, device_id: UUID, point: str, counting: Counting) -> None:
        """Give the meter's counter a past, so that its page has a line to show."""
        now = self.scope.now.replace(minute=0, second=0, microsecond=0)
        for back in range(CHARTED_HOURS, 0, -1):
            at = now - timedelta(hours=back)
            first, last = counting.at(at), counting.at(at + timedelta(minutes=59))
            self.rows.add(
                DeviceHour, id=uuid7(at), device_id=device_id, point=point,
                hour_at=at, lowest=first, highest=last, last=last,
            )  # fmt: skip

    def _collected_at(self) -> list[datetime]:
        """Return midnights: the first of each month, and the last days."""
        today = self.scope.today
        firsts = {on + timedelta(days=1) for on in self.month_ends}
        days = firsts | {today - timedelta(days=n) for n in range(DAILY)}
        return [self._at(on) for on in sorted(days)]

    # --- rows -------------------------------------------------------------------------------

    def _add_meter(self, **values: Any) -> UUID:
        return self.rows.add(
            Meter,
            **{
                "role": "own",
                "verification_ends_on": None,
                "multiplier": Decimal(1),
                "digits": 6,
                "state": "installed",
                "removed_on": None,
                "removal_value": None,
                "replaces_id": None,
                **values,
            },
        )

    def _add_reading(
        self,
        meter: UUID,
        at: datetime,
        value: Decimal,
        *,
        kind: str = "normal",
        source: str = "manual",
        state: str = "accepted",
    ) -> None:
        from dougong_meters.services import too_high

        self.rows.add(
            Reading, id=uuid7(at), meter_id=meter, read_at=at, value=value, kind=kind,
            source=source, state=state, reason=too_high() if state == "suspect" else None,
        )  # fmt: skip
