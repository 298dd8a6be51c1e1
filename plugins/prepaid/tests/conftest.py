"""A dormitory room with a meter whose relay is reached over a real socket."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from dougong.db.scope import Actor
from dougong.devices.models import Device, DevicePoint, Gateway
from dougong.tenancy.models import Occupancy
from dougong_meters.models import Meter
from dougong_prepaid.models import EnergyAccount, Tariff
from dougong_prepaid.services import open_accounts

POINTS = ("energy_import", "power", "is_cut")


@dataclass(frozen=True)
class Dormitory:
    """The room's ids; two people live in it."""

    community_id: UUID
    room_id: UUID
    meter_id: UUID
    device_id: UUID
    gateway_id: UUID
    account_id: UUID
    address: str
    person_ids: tuple[UUID, ...]


@pytest.fixture
def dormitory(installation, place):
    """Return a room with account, meter and device; 1 kWh costs 0.56, nothing is free."""
    address = f"{uuid4().int % 10**12:012d}"
    with installation.scope(Actor.system("test"), community=place.community_id) as scope:
        gateway = Gateway(name=f"g{address}", transport="rtu_tcp", host="127.0.0.1", port=1)
        scope.session.add(gateway)
        scope.session.flush()
        device = Device(
            gateway_id=gateway.id, name=f"d{address}", driver="dlt645",
            profile="single_phase_meter", serial=address, poll_s=1,
            settings={"address": address}, secrets='{"password": "123456"}',
            simulation={"load_kw": 0.1, "start": 150.0, "since": scope.now.timestamp()},
        )  # fmt: skip
        room = place.room_ids[0]
        meter = Meter(
            serial=address, commodity="electricity", room_id=room,
            building_id=place.building_ids[0], installed_on=date(2026, 1, 1), digits=6,
            last_value=Decimal(100), last_read_at=scope.now - timedelta(minutes=5),
        )  # fmt: skip
        scope.session.add_all([device, meter])
        scope.session.add(
            Tariff(commodity="electricity", from_on=date(2026, 1, 1), price=Decimal("0.56"),
                   grid_price=Decimal("0.56"))
        )  # fmt: skip
        scope.session.flush()
        for point in POINTS:
            scope.session.add(
                DevicePoint(device_id=device.id, point=point, subject_kind="meters.meter",
                            subject_id=meter.id)
            )  # fmt: skip
        people = place.person_ids[:2]
        for person in people:
            scope.session.add(
                Occupancy(room_id=room, person_id=person, kind="bed", from_on=date(2026, 1, 1))
            )
        open_accounts(scope, [room])
        scope.session.flush()
        account = scope.session.query(EnergyAccount).one()
        return Dormitory(place.community_id, room, meter.id, device.id, gateway.id, account.id,
                         address, tuple(people))  # fmt: skip
