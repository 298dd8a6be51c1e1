"""Readings as they really come in, against COPY of the same rows into the same table.

Usage: python bench/ingestion.py [--meters N] [--rounds N] [--messages N]. Ours, each as the
application's role under row-level security: what the device host hands over, in batches of 2,000,
to its store (``DatabaseStore.keep``: known or new, latest value, value by the hour, the meter's
reading with its verdict, the meter's last value); readings taken over in bulk (``collect``: the
verdict, the reading, the last value); and messages of devices that push, as the MQTT listener takes
them: 200 at a time when they wait, one by one when they do not. Against: a superuser's COPY of the
rows that ours wrote in the same round, into ``meters.reading`` with its keys, indexes, checks and
audit trigger. One server with fsync on; each round is one more hour of every meter.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from _measure import tell
from bill_run import settle_down

from dougong.db import insert_rows, uuid7
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.devices import PointKind, Quality, Reading, Transport
from dougong.devices.configuration import drivers_of
from dougong.devices.host import BATCH
from dougong.devices.models import Device, DevicePoint, Gateway
from dougong.devices.mqtt import MOST_TOGETHER
from dougong.devices.receiving import Receiver
from dougong.devices.spool import Spool
from dougong.devices.store import DatabaseStore
from dougong.installation import Installation
from dougong.testing.factories import make_place
from dougong.testing.throwaway import throwaway_installation
from dougong_meters import services
from dougong_meters.models import Meter

SYSTEM = Actor.system("bench")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "community_id, id, meter_id, read_at, value, kind, source, state, reason"


class Ground:
    """A community with meters, each bound to the counter of a device of its own; hour: the last."""

    def __init__(self, installation: Installation, count: int) -> None:
        self.installation, self.hour = installation, 0
        self.community = make_place(installation, rooms=0).community_id
        self.names = [f"nb{number:07}" for number in range(count)]
        self.devices, self.meters = [[uuid7() for _ in range(count)] for _ in range(2)]
        with installation.scope(SYSTEM, community=self.community) as scope:
            gateway = Gateway(name="operator", transport=Transport.MQTT_PUSH)
            scope.session.add(gateway)
            scope.session.flush()
            for model, columns in self._columns(gateway.id):
                insert_rows(scope, model, columns)

    def _columns(self, gateway: UUID) -> Sequence[tuple[Any, dict[str, Any]]]:
        same = {
            Meter: {
                "commodity": "water",
                "installed_on": date(2025, 1, 1),
                "multiplier": Decimal(1),
                "digits": 5,
                "install_value": Decimal(0),
                "role": "own",
                "state": "installed",
            },
            Device: {
                "gateway_id": gateway,
                "driver": "json_push",
                "profile": "nb_water_meter",
                "poll_s": 3600,
            },
            DevicePoint: {"point": "volume", "subject_kind": "meters.meter"},
        }
        own = {
            Meter: {"id": self.meters, "serial": self.names},
            Device: {"id": self.devices, "name": self.names, "push_key": self.names},
            DevicePoint: {"device_id": self.devices, "subject_id": self.meters},
        }
        length = len(self.names)
        return [(m, own[m] | {k: [v] * length for k, v in same[m].items()}) for m in own]

    def written(self, server: EmbeddedPostgres, since: datetime) -> list[tuple[Any, ...]]:
        """Return the meter readings from an instant on, and take them away again."""
        with psycopg.connect(server.dsn(), autocommit=True) as link:
            rows = link.execute(
                f"with gone as (delete from meters.reading where community_id = %s"
                f" and read_at >= %s returning {COLUMNS}) select * from gone order by read_at, id",
                (self.community, since),
            ).fetchall()
            link.execute("checkpoint")
        return rows


def copied(server: EmbeddedPostgres, rows: Sequence[tuple[Any, ...]]) -> float:
    """Return the seconds in which COPY writes the rows."""
    with psycopg.connect(server.dsn()) as link:
        began = time.perf_counter()
        with link.cursor().copy(f"copy meters.reading ({COLUMNS}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        link.commit()
        return time.perf_counter() - began


def polled(ground: Ground, store: DatabaseStore, hour: int) -> float:
    """Return the seconds in which the host's store takes a reading of every meter."""
    at = FIRST + timedelta(hours=hour)
    readings = [
        Reading(
            device, "volume", Decimal(number % 90 + hour), Quality.GOOD, at, at, hour,
            "m3", PointKind.COUNTER,
        )
        for number, device in enumerate(ground.devices)
    ]  # fmt: skip
    began = time.perf_counter()
    for first in range(0, len(readings), BATCH):
        store.keep(readings[first : first + BATCH])
    return time.perf_counter() - began


def collected(ground: Ground, hour: int) -> float:
    """Return the seconds in which readings of every meter are taken over at once."""
    at = FIRST + timedelta(hours=hour)
    values = [(m, Decimal(n % 90 + hour), at) for n, m in enumerate(ground.meters)]
    began = time.perf_counter()
    with ground.installation.scope(SYSTEM, community=ground.community) as scope:
        assert services.collect(scope, values) == len(values)
    return time.perf_counter() - began


def pushed(ground: Ground, receiver: Receiver, hour: int, count: int, together: int) -> float:
    """Return the seconds in which messages of as many devices are taken in."""
    at = (FIRST + timedelta(hours=hour)).isoformat()
    bodies = [
        json.dumps({"id": f"h{hour}", "at": at, "values": {"litres": 1000 * (hour + 90)}}).encode()
    ] * count
    messages = list(zip(ground.names, bodies, strict=False))
    began = time.perf_counter()
    for first in range(0, count, together):
        receiver.receive_together(ground.community, messages[first : first + together])
    return time.perf_counter() - began


def compare(installation: Installation, server: EmbeddedPostgres, given: Any) -> None:
    """Take readings in and copy the same rows, turn by turn; print the figures."""
    ground = Ground(installation, given.meters)
    settle_down(server)
    _, owners = drivers_of(installation)
    receiver = Receiver(installation)
    with tempfile.TemporaryDirectory() as folder:
        store = DatabaseStore(installation, owners, Spool(Path(folder)))
        ways = {
            "host": lambda hour: polled(ground, store, hour),
            "bulk": lambda hour: collected(ground, hour),
            "push": lambda hour: pushed(ground, receiver, hour, given.messages, MOST_TOGETHER),
            "push_alone": lambda hour: pushed(ground, receiver, hour, given.messages, 1),
        }
        for way, take in ways.items():
            measure(ground, server, way, take, given.rounds)


def measure(
    ground: Ground,
    server: EmbeddedPostgres,
    way: str,
    take: Callable[[int], float],
    rounds: int,
) -> None:
    """Print readings per second of one way, beside COPY of what it wrote in the same round.

    Copied rows stay, so that the table grows as in life; the first round warms up.
    """
    ours, against = [], []
    for number in range(rounds + 1):
        ground.hour += 1
        took = take(ground.hour)
        rows = ground.written(server, FIRST + timedelta(hours=ground.hour))
        if number:
            ours.append(len(rows) / took)
            against.append(len(rows) / copied(server, rows))
            settle_down(server)
    tell(f"readings_{way}_per_s", "readings/s", ours, against, readings=len(rows))


def main() -> int:
    """Run the comparison on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with throwaway_installation(fast=False) as (installation, server):
        compare(installation, server, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
