"""Spare parts: received, used, given back, counted; exact, and never less than nothing."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong.services import service
from dougong_equipment.domain.kinds import CostKind, MoveKind
from dougong_equipment.errors import NotEnough
from dougong_equipment.models import Equipment, SparePart, StockMove, Watcher
from dougong_equipment.services.ledger import add_cost, wrong

STEP = Decimal("0.001")
LOW_LEVEL = 2


@dataclass(frozen=True)
class Because:
    """Why a part moves: for which equipment, what is said, and the id that makes it one move."""

    kind: MoveKind
    equipment_id: UUID | None = None
    note: str = ""
    client_id: UUID | None = None


@service("spare_part.receive", title=("Receive", "入库"))
def receive_part(
    scope: Scope, part: SparePart, quantity: Decimal, note: str = "", client_id: UUID | None = None
) -> StockMove:
    """Put parts on the shelf. client_id: the same again returns the first move."""
    because = Because(MoveKind.RECEIPT, None, note, client_id)
    return _move(scope, part, _positive(quantity), because)


@service("spare_part.use", title=("Use", "领用"))
def use_part(
    scope: Scope,
    part: SparePart,
    quantity: Decimal,
    equipment_id: UUID | None = None,
    note: str = "",
    client_id: UUID | None = None,
) -> StockMove:
    """Take parts from the shelf, for a piece of equipment, whose cost they become.

    Raises NotEnough when there are fewer.
    """
    because = Because(MoveKind.USE, equipment_id, note, client_id)
    move = _move(scope, part, -_positive(quantity), because)
    if equipment_id is not None and part.unit_price:
        equipment = scope.get(Equipment, equipment_id)
        amount = (part.unit_price * -move.quantity).quantize(Decimal("0.01"))
        add_cost(scope, equipment.id, CostKind.PARTS, amount, note=str(part), key=f"move {move.id}")
    return move


@service("spare_part.give_back", title=("Give back", "退库"))
def give_back_part(
    scope: Scope, part: SparePart, quantity: Decimal, note: str = "", client_id: UUID | None = None
) -> StockMove:
    """Put back what was taken and not used."""
    because = Because(MoveKind.GIVEN_BACK, None, note, client_id)
    return _move(scope, part, _positive(quantity), because)


@service("spare_part.count", title=("Count", "盘点"))
def count_part(scope: Scope, part: SparePart, counted: Decimal, note: str = "") -> SparePart:
    """Say what lies on the shelf; a difference becomes a move of its own."""
    if counted < 0 or counted != counted.quantize(STEP):
        raise wrong("counted", gettext("Zero or more, to a thousandth."))
    part = scope.get(SparePart, part.id, lock=True)
    if counted != part.stock:
        _move(scope, part, counted - part.stock, Because(MoveKind.COUNT, None, note))
    return part


def _positive(quantity: Decimal) -> Decimal:
    if not quantity.is_finite() or quantity <= 0 or quantity != quantity.quantize(STEP):
        raise wrong("quantity", gettext("More than zero, to a thousandth."))
    return quantity


def _move(scope: Scope, part: SparePart, quantity: Decimal, because: Because) -> StockMove:
    """Move a part and write it down; the shelf's row is locked, so that two never take the same."""
    part = scope.get(SparePart, part.id, lock=True)
    if because.client_id is not None:
        known = select(StockMove).where(StockMove.client_id == because.client_id)
        if (found := scope.session.scalars(known).first()) is not None:
            return found
    if part.stock + quantity < 0:
        raise NotEnough(N_("There are only %(count)s."), count=f"{part.stock.normalize():f}")
    part.stock += quantity
    was_low, part.is_low = part.is_low, part.stock < part.minimum
    move = StockMove(
        part_id=part.id,
        kind=because.kind,
        quantity=quantity,
        balance=part.stock,
        equipment_id=because.equipment_id,
        moved_at=scope.now,
        moved_by=scope.actor.name[:80],
        note=because.note.strip()[:200] or None,
        client_id=because.client_id,
    )
    scope.session.add(move)
    scope.session.flush()
    if part.is_low and not was_low:
        scope.emit("stock_low", part_id=part.id)
        _tell(scope, part, move)
    return move


def _tell(scope: Scope, part: SparePart, move: StockMove) -> None:
    """Tell the watchers that a part fell below its minimum; once for each time it does."""
    values = {
        "part": str(part),
        "stock": f"{part.stock.normalize():f}",
        "minimum": f"{part.minimum.normalize():f}",
        "uom": part.uom,
    }
    query = select(Watcher.user_id).where(Watcher.level <= LOW_LEVEL)
    for user_id in scope.session.scalars(query).all():
        key = f"equipment low {move.id} {user_id}"
        link = f"admin/equipment/spare_part/{part.id}/"
        notify(scope, user_id, "equipment:stock_low", values, key=key, link=link)
