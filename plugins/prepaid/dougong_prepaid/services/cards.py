"""Top-ups onto meter cards: paid once, written until the card shows them, read back."""

import secrets
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select, update

from dougong.db import Scope
from dougong.devices.interlocks import ARREARS, PROPERTY_FEES
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import Payment
from dougong_prepaid import meter_card as layout
from dougong_prepaid.errors import WrongCard
from dougong_prepaid.models import CardState, CardWrite, EnergyAccount, MeterCard, WriteState
from dougong_prepaid.services.accounts import check_amount, credit

CARD = "prepaid.meter_card"
LOST = N_("This card was reported lost.")


@dataclass(frozen=True)
class CardOrder:
    """What the reader does now. says: for whoever stands at the desk.

    apdus: in hex, to be sent to the card in this order; none when all is done.
    """

    says: str
    apdus: list[str]


@service("meter_card.issue", title=("Issue a card", "发卡"))
def issue_card(scope: Scope, energy_account: EnergyAccount, serial: str, key: str) -> MeterCard:
    """Give a room a card to carry its top-ups; return it.

    serial, key: in hex, as the card's maker delivered them; the key has 16 bytes. Raises Invalid
    for what is neither, Conflict where the room has a card.
    """
    serial, fields = serial.strip().upper(), {}
    if not _is_hex(serial, 8):
        fields["serial"] = gettext("The card's number has 16 hex digits.")
    if not _is_hex(key.strip(), layout.KEY_SIZE):
        fields["key"] = gettext("The card's key has 32 hex digits.")
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    active = select(MeterCard.id).where(
        MeterCard.account_id == energy_account.id, MeterCard.state == CardState.ACTIVE
    )
    if scope.session.scalars(active).first() is not None:
        raise Conflict(N_("The room has a card; report it lost first."))
    card = MeterCard(account_id=energy_account.id, serial=serial, key=key.strip().upper())
    scope.session.add(card)
    scope.session.flush()
    return card


def _is_hex(text: str, size: int) -> bool:
    try:
        return len(bytes.fromhex(text)) == size
    except ValueError:
        return False


@service("meter_card.top_up", title=("Top up onto the card", "写卡充值"))
def top_up_card(
    scope: Scope,
    meter_card: MeterCard,
    amount: Decimal,
    channel: PaymentChannel = PaymentChannel.CASH,
    idempotency_key: str = "",
) -> Payment:
    """Take money at the desk for a card; it is written when the card lies on the reader.

    All of it is energy, whatever else the room owes. Repeated with the same key it happens once.
    Raises Conflict for a card that was lost.
    """
    check_amount(amount)
    if meter_card.state is not CardState.ACTIVE:
        raise Conflict(LOST)
    key = idempotency_key or f"card-{meter_card.id}-{secrets.token_hex(8)}"
    title = gettext("Prepaid energy, card %(serial)s", serial=meter_card.serial)
    item = ledger.OrderItem(CARD, meter_card.id, title, amount)
    order = ledger.open_order(scope, "prepaid", title, [item], key)
    return ledger.record_cash(scope, order, channel)


def order_write(scope: Scope, card_id: UUID, amount: Decimal, payment: Payment) -> None:
    """Put a payment on its account and in line for the card, in the payment's transaction."""
    card = scope.get(MeterCard, card_id)
    account = credit(scope, card.account_id, amount, payment)
    count, _ = _sold(scope, account.id)
    scope.session.add(
        CardWrite(
            account_id=account.id,
            card_id=card.id,
            sequence=count + 1,
            amount=amount,
            payment_id=payment.id,
        )
    )
    scope.session.flush()


def refuse_refund(scope: Scope, payment: Payment) -> None:
    """Raise Conflict for a payment that is on a card or on its way there."""
    query = select(CardWrite.id).where(CardWrite.payment_id == payment.id)
    if scope.session.scalars(query).first() is not None:
        raise Conflict(N_("It may be on the card; the card's account is paid back as a whole."))


@service("meter_card.report_lost", title=("Report lost", "挂失补卡"))
def report_lost(
    scope: Scope, meter_card: MeterCard, reason: str, new_serial: str, new_key: str
) -> MeterCard:
    """Replace a lost card; the new one carries all that was bought, and the old one nothing more.

    The meter adds nothing twice: it knows the sum that it has taken. Raises Conflict when it is
    lost already, and for a reason that speaks of debts: no card is taken to collect fees.
    """
    if meter_card.state is not CardState.ACTIVE:
        raise Conflict(LOST)
    if PROPERTY_FEES.search(reason) or ARREARS.search(reason):
        raise Conflict(
            N_("No card is blocked to collect property fees; the law forbids such pressure.")
        )
    meter_card.state, meter_card.lost_because = CardState.LOST, reason.strip()[:200]
    scope.session.flush()
    return issue_card(scope, meter_card.account, new_serial, new_key)


@service("meter_card.present", title=("Show a card to the server", "读写卡"))
def present(scope: Scope, serial: str, content: str, challenge: str) -> CardOrder:
    """Say what is to be sent to the card on the reader, by what was read from it.

    content, challenge: in hex. Called again after writing: only what was read back counts as
    written, and a card that was drawn out goes on where it stopped. Raises NotFound for a card that
    nobody in this community was given, WrongCard for one that was lost, that holds another room's
    content or more than was sold.
    """
    query = select(MeterCard).where(MeterCard.serial == serial.strip().upper())
    card = scope.session.scalars(query).one_or_none()
    if card is None:
        raise NotFound(
            N_("No room of this community was given the card %(serial)s."), serial=serial
        )
    if card.state is not CardState.ACTIVE:
        raise WrongCard(LOST)
    shown, asked = _bytes(content, layout.LENGTH), _bytes(challenge, layout.CHALLENGE_SIZE)
    account = scope.get(EnergyAccount, card.account_id, lock=True)
    key = bytes.fromhex(card.key)
    found = layout.read(key, account.id, shown)
    count, total = _sold(scope, account.id)
    if found.is_foreign:
        raise WrongCard(N_("This card holds the top-ups of another room."))
    if found.slot is not None and (found.slot.sequence > count or found.slot.total > total):
        raise WrongCard(N_("This card holds more than was sold."))
    wanted = layout.Slot(count, total)
    if found.has_head and (found.slot == wanted or not count):
        _confirm(scope, account.id, shown)
        told = {"room": account.room.code, "total": f"{total:,.2f}"}
        return CardOrder(gettext("%(room)s: ¥%(total)s in all are on the card.", **told), [])
    blocks = {wanted.block: layout.slot(key, wanted)} if count else {}
    if not found.has_head:
        blocks[layout.HEAD] = layout.head(key, account.id)
    _count_try(scope, account.id)
    apdus = [apdu.hex() for apdu in layout.writes(key, asked, blocks)]
    return CardOrder(gettext("Leave the card on the reader."), apdus)


def _count_try(scope: Scope, account_id: UUID) -> None:
    scope.session.execute(_waiting(account_id).values(tries=CardWrite.tries + 1))


def _confirm(scope: Scope, account_id: UUID, shown: bytes) -> None:
    """Count everything of the account as written: the newest slot carries the sum of it."""
    done = {"state": WriteState.WRITTEN, "written_at": scope.now, "content": shown.hex()}
    scope.session.execute(_waiting(account_id).values(**done))


def _waiting(account_id: UUID):
    query = update(CardWrite).where(
        CardWrite.account_id == account_id, CardWrite.state == WriteState.WAITING
    )
    return query.execution_options(synchronize_session=False)


def _sold(scope: Scope, account_id: UUID) -> tuple[int, Decimal]:
    """Return how many top-ups were sold for an account's cards, and their sum in yuan."""
    query = select(func.count(), func.sum(CardWrite.amount)).where(
        CardWrite.account_id == account_id
    )
    count, total = scope.session.execute(query).one()
    return count, total or Decimal(0)


def _bytes(text: str, size: int) -> bytes:
    if not _is_hex(text, size):
        raise Invalid(N_("What the reader sent is no content of a meter card."))
    return bytes.fromhex(text)
