"""Top-ups onto meter cards: a virtual ISO 7816 card on a socket, the real API, nothing twice."""

import secrets
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from card_desk.agent import CHALLENGE, CONTENT, SELECT, SERIAL, Desk
from card_desk.readers import CardError, SocketReader
from card_desk.virtual_card import VirtualCard
from dougong.access import issue_token
from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.testing.people import make_login
from dougong.web.app import create_app
from dougong_ledger import services as ledger
from dougong_ledger.models import Payment
from dougong_prepaid import meter_card as layout
from dougong_prepaid import services
from dougong_prepaid.models import CardWrite, EnergyAccount, MeterCard
from dougong_prepaid.testing import CardMeter

KEY, ACCOUNT, OTHER = bytes(range(16)), uuid4(), uuid4()


# --- what stands on the card ----------------------------------------------------------------------


@given(st.integers(1, 10**6), st.integers(0, 2**32 - 1), st.integers(0, layout.SIZE))
def test_a_slot_is_read_as_it_was_written_and_never_when_it_is_torn(sequence, fen, torn):
    wanted = layout.Slot(sequence, Decimal(fen) / 100)
    after = layout.Slot(sequence + 2, wanted.total + 1)
    old, new = layout.slot(KEY, wanted), layout.slot(KEY, after)
    half = content({layout.HEAD: layout.head(KEY, ACCOUNT), wanted.block: new[:torn] + old[torn:]})
    found = layout.read(KEY, ACCOUNT, half)
    assert found.has_head and found.slot in (wanted, after, None)
    assert layout.read(KEY, OTHER, half).is_foreign
    assert layout.read(bytes(16), ACCOUNT, half) == layout.Content(False, False, None)


def content(blocks):
    found = bytearray(layout.LENGTH)
    for number, block in blocks.items():
        found[number * layout.SIZE : (number + 1) * layout.SIZE] = block
    return bytes(found)


def test_the_card_keeps_its_states():
    card = VirtualCard(bytes(8), KEY)
    write = layout.writes(KEY, bytes(8), {0: layout.head(KEY, ACCOUNT)})
    assert card.answer(SERIAL) == b"\x6a\x82" and card.answer(CHALLENGE) == b"\x69\x85"
    assert card.answer(b"\x80" + SELECT[1:]) == b"\x6e\x00"
    assert card.answer(b"\x00\x20\x00\x00\x00") == b"\x6d\x00"
    assert card.answer(SELECT) == b"\x90\x00" and card.answer(SERIAL) == bytes(8) + b"\x90\x00"
    assert card.answer(write[0]) == b"\x69\x85" and card.answer(write[1]) == b"\x69\x82"
    for left in (2, 1, 0):
        card.answer(CHALLENGE)
        assert card.answer(write[0]) == bytes([0x63, 0xC0 | left])
    card.answer(CHALLENGE)
    assert card.answer(write[0]) == b"\x69\x83" and card.updates == 0


def test_a_proof_that_was_heard_is_good_for_nothing_afterwards():
    card = VirtualCard(bytes(8), KEY)
    card.answer(SELECT)
    asked = card.answer(CHALLENGE)[:-2]
    prove, write = layout.writes(KEY, asked, {0: layout.head(KEY, ACCOUNT)})
    assert card.answer(prove) == card.answer(write) == b"\x90\x00"
    card.reset()
    card.answer(SELECT)
    assert card.answer(prove) == b"\x69\x85"
    card.answer(CHALLENGE)
    assert card.answer(prove)[:1] == b"\x63" and card.answer(write) == b"\x69\x82"


# --- at the desk ----------------------------------------------------------------------------------


@pytest.fixture
def desk(installation, place, dormitory):
    """Return the agent of a front desk with a token of its own, and what it said."""
    actor = make_login(installation, place, "community_manager")
    token, _ = issue_token(installation, actor, "desk", ("prepaid.meter_card.present",))
    said = []

    def at(community_id):
        client = httpx.Client(
            transport=httpx.WSGITransport(app=create_app(installation)),
            base_url=f"http://127.0.0.1/c/{community_id}/api/v1/prepaid/",
            headers={"Authorization": f"Bearer {token}"},
        )
        return Desk(client, said.append)

    return at(place.community_id), said, at


@pytest.fixture
def card(installation, dormitory):
    """Return a new card that was given to the room."""
    found = VirtualCard(secrets.token_bytes(8), secrets.token_bytes(16))
    with opened(installation, dormitory) as scope:
        account = scope.get(EnergyAccount, dormitory.account_id)
        services.issue_card(scope, account, found.serial.hex(), found.key.hex())
    return found


def opened(installation, dormitory):
    return installation.scope(Actor.system("test"), community=dormitory.community_id)


def sell(installation, dormitory, amount, key):
    with opened(installation, dormitory) as scope:
        card = scope.session.scalars(select(MeterCard).where(MeterCard.state == "active")).one()
        return services.top_up_card(scope, card, Decimal(amount), idempotency_key=key).id


def put_on(desk, card):
    with SocketReader() as reader:
        thread = card.put_on(reader.port)
        reader.insert()
        try:
            return desk.serve(reader)
        finally:
            reader.remove()
            thread.join(10)


def held(dormitory, card):
    return layout.read(card.key, dormitory.account_id, bytes(card.content)).slot


def states(installation, dormitory):
    with opened(installation, dormitory) as scope:
        rows = scope.session.scalars(select(CardWrite).order_by(CardWrite.sequence))
        return [(row.amount, row.state.value) for row in rows]


def test_a_top_up_is_paid_once_written_once_and_read_back(installation, dormitory, desk, card):
    for _ in range(2):
        sell(installation, dormitory, "50", "card-key-1")
    assert put_on(desk[0], card) and put_on(desk[0], card)
    assert held(dormitory, card) == layout.Slot(1, Decimal(50))
    assert card.updates == 2  # the head and one slot; put on again, nothing
    assert states(installation, dormitory) == [(Decimal(50), "written")]
    with opened(installation, dormitory) as scope:
        assert scope.get(EnergyAccount, dormitory.account_id).balance == Decimal(50)
    meter = CardMeter(dormitory.account_id, {card.serial: card.key})
    old = bytearray(card.content)
    assert (meter.take(card), meter.take(card)) == (Decimal(50), 0)
    payment_id = sell(installation, dormitory, "20", "card-key-2")
    sell(installation, dormitory, "5.50", "card-key-3")
    assert put_on(desk[0], card) and "75.50" in desk[1][-1]
    assert (meter.take(card), meter.take(card)) == (Decimal("25.50"), 0)
    # A copy of what it held before brings nothing, and is brought up to date at the desk.
    card.content = old
    assert meter.take(card) == 0 and put_on(desk[0], card) and meter.take(card) == 0
    with opened(installation, dormitory) as scope, pytest.raises(Conflict):
        ledger.refund_payment(scope, scope.get(Payment, payment_id), Decimal(20), "退", "refund-01")


@pytest.mark.parametrize("torn_at", [0, 9, layout.SIZE - 1, layout.SIZE])
def test_a_card_that_is_drawn_out_keeps_the_old_sum_and_is_brought_to_the_end(
    installation, dormitory, desk, card, torn_at
):
    sell(installation, dormitory, "50", "card-key-1")
    assert put_on(desk[0], card)
    sell(installation, dormitory, "30", "card-key-2")
    card.torn_at = torn_at
    with pytest.raises(CardError):
        put_on(desk[0], card)
    assert held(dormitory, card).total == Decimal(80 if torn_at == layout.SIZE else 50)
    assert states(installation, dormitory)[1] == (Decimal(30), "waiting")
    assert put_on(desk[0], card)
    assert held(dormitory, card) == layout.Slot(2, Decimal(80))
    assert states(installation, dormitory)[1] == (Decimal(30), "written")


def test_cards_of_others_unknown_lost_and_inflated_ones_are_refused(
    installation, place, dormitory, desk, card
):
    sell(installation, dormitory, "50", "card-key-1")
    stranger = VirtualCard(bytes(8), KEY)
    foreign = VirtualCard(card.serial, card.key)
    foreign.content[:24] = layout.head(card.key, OTHER)
    more = VirtualCard(card.serial, card.key)
    more.content[48:] = layout.slot(card.key, layout.Slot(1, Decimal(900)))
    locked = VirtualCard(card.serial, KEY)
    for wrong in (stranger, foreign, more):
        assert not put_on(desk[0], wrong) and wrong.updates == 0
    with pytest.raises(CardError):
        put_on(desk[0], locked)
    # The same card at the desk of another community.
    assert not put_on(desk[2](place.other_community_id), card)
    assert locked.updates == card.updates == 0 and put_on(desk[0], card)
    fresh = VirtualCard(secrets.token_bytes(8), secrets.token_bytes(16))
    with opened(installation, dormitory) as scope:
        old = scope.session.scalars(select(MeterCard)).one()
        numbers = (fresh.serial.hex(), fresh.key.hex())
        for reason in ("欠物业费，停卡", "Property fees overdue", "欠费"):
            with pytest.raises(Conflict):
                services.report_lost(scope, old, reason, *numbers)
        services.report_lost(scope, old, "掉在食堂了", *numbers)
    assert not put_on(desk[0], card) and put_on(desk[0], fresh)
    assert held(dormitory, fresh) == layout.Slot(1, Decimal(50))
    keys = {each.serial: each.key for each in (card, fresh)}
    meter = CardMeter(dormitory.account_id, keys)
    assert (meter.take(card), meter.take(fresh)) == (Decimal(50), 0)
    assert CONTENT[2] == 0x80 | layout.CONTENT_FILE and CONTENT[4] == layout.LENGTH
