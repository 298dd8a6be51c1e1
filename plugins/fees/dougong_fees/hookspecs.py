"""What fees asks the plugins that collect what is owed."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from dougong.hookspecs import hookspec

if TYPE_CHECKING:
    from dougong.db.scope import Scope


@hookspec
def late_fee_pauses(
    scope: "Scope", bill_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[tuple[date, date | None]]]:
    """Say on which days no late fee grows on bills, because it was agreed so.

    scope: the community. bill_ids: the bills whose late fees are reckoned.
    Asked whenever a late fee is looked at or demanded. Result: half-open periods by bill, None for
    one that has not ended; bills on which it grows as ever are left out.
    """
