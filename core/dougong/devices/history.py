"""What a point of a device was in the past hours, and forgetting what is too old."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select

from dougong.db import Scope
from dougong.devices.models import DeviceHour
from dougong.services import service

KEPT_DAYS = 400


def hours_of(scope: Scope, device_id: UUID, point: str, since: datetime) -> Sequence[DeviceHour]:
    """Return the hours of a point since an instant that have a value, oldest first."""
    query = (
        select(DeviceHour)
        .where(
            DeviceHour.device_id == device_id,
            DeviceHour.point == point,
            DeviceHour.hour_at >= since,
        )
        .order_by(DeviceHour.hour_at)
    )
    return scope.session.scalars(query).all()


@service("device.forget_hours", title=("Forget old values", "清理历史数据"), is_public=False)
def forget_hours(scope: Scope) -> int:
    """Delete the hours older than ``devices.history_days`` (400); return how many. Runs daily."""
    days = int(scope.setting("devices.history_days", KEPT_DAYS))
    before = scope.now - timedelta(days=days)
    done = scope.session.execute(delete(DeviceHour).where(DeviceHour.hour_at < before))
    return done.rowcount  # type: ignore[attr-defined,no-any-return]
