"""When the sun sets and rises at a place, and when a control schedule is due.

The sun's times come from the library astral, right to about a minute below 60° of latitude.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from astral import Observer
from astral.sun import sunrise, sunset

from dougong_equipment.domain.kinds import Moment


@dataclass(frozen=True)
class Place:
    """Where a community lies. latitude, longitude: degrees, north and east positive."""

    latitude: float
    longitude: float
    zone: tzinfo


def sun_at(moment: Moment, on: date, place: Place) -> datetime | None:
    """Return when the sun sets or rises on a local day, None where it does not."""
    find = sunset if moment is Moment.SUNSET else sunrise
    observer = Observer(place.latitude, place.longitude)
    try:
        return find(observer, date=on, tzinfo=place.zone).astimezone(UTC)
    except ValueError:
        return None


def due_at(
    moment: Moment, at: time | None, offset_minutes: int, on: date, place: Place
) -> datetime | None:
    """Return the instant at which a schedule is due on a local day, None when there is none."""
    if moment is Moment.CLOCK:
        return None if at is None else datetime.combine(on, at, place.zone).astimezone(UTC)
    found = sun_at(moment, on, place)
    return None if found is None else found + timedelta(minutes=offset_minutes)
