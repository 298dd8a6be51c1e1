"""A process to be killed: keeps readings and says which ones it was told are safe.

Usage: devices_child.py <device id> <first number> (readings until killed) or <device id> drain
"""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from dougong.devices import PointKind, Quality, Reading
from dougong.devices.configuration import drivers_of
from dougong.devices.spool import Spool
from dougong.devices.store import DatabaseStore
from dougong.installation import Installation

EVENT = text(
    "insert into dougong.device_event (community_id, id, device_id, type, key, server_at, data)"
    " values (:community, uuidv7(), :device, 'stored', :key, now(), '{}')"
)


def main():
    device = UUID(sys.argv[1])
    installation = Installation.open()
    ask = installation.plugins.hooks.ask

    def count(scope, name, /, **arguments):
        """Write down each reading that is passed on; twice would break the unique key."""
        for reading in arguments.get("readings", ()):
            values = {"community": scope.community_id, "device": device, "key": reading.sequence}
            scope.session.execute(EVENT, {**values, "key": str(reading.sequence)})
        return ask(scope, name, **arguments)

    installation.plugins.hooks.ask = count
    spool = Spool(installation.settings.paths.home / f"spool-{device}")
    store = DatabaseStore(installation, drivers_of(installation)[1], spool)
    if sys.argv[2] == "drain":
        store._load()
        sys.exit(0 if spool.is_empty else 1)
    number = int(sys.argv[2])
    while True:
        batch = [reading(device, number + i) for i in range(5)]
        store.keep(batch)
        where = "spool" if store.is_away else "database"
        sys.stdout.write(json.dumps([where, [r.sequence for r in batch]]) + "\n")
        sys.stdout.flush()
        number += 5


def reading(device, number):
    return Reading(
        device, "energy_import", Decimal(number), Quality.GOOD, None, datetime.now(UTC), number,
        "kW.h", PointKind.COUNTER,
    )  # fmt: skip


if __name__ == "__main__":
    main()
