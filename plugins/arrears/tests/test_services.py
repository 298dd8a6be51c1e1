"""Reminders go out once and stop in time; agreements rest late fees; notices name nobody."""

import io
import re
import zipfile
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.messages.models import Message
from dougong.tenancy.models import Person, Room
from dougong_arrears import services
from dougong_arrears.domain import (
    AgreementState,
    ContactKind,
    Interruption,
    NoticeKind,
    Outcome,
    PromiseState,
    limitation_on,
)
from dougong_arrears.errors import AgreementEnded, NothingOwed
from dougong_arrears.models import (
    Agreement,
    Letter,
    PaymentPromise,
    Reminder,
    ReminderChoice,
    ReminderLevel,
)
from dougong_arrears.services import agreements, desk, notices
from dougong_fees import services as fees
from dougong_fees.models import Bill
from dougong_fees.services.bills import open_bills_order
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel

from .conftest import publish

D = Decimal


def about(scope, bill):
    return scope.get(Room, bill.room_id), scope.get(Person, bill.payer_id)


def reminded(scope):
    return {bill.bill_id for each in services.due_reminders(scope) for bill in each.bills}


# --- reminders --------------------------------------------------------------------------------


def test_everybody_is_told_once_by_the_highest_level_reached(scope, place, bill):
    due = services.due_reminders(scope)
    assert {each.level.days for each in due} == {15}
    assert len(due) == len(place.room_ids) == services.send_due(scope)
    assert services.send_due(scope) == services.send_due(scope, is_asked=True) == 0
    assert scope.session.scalar(select(func.count()).select_from(Reminder)) == len(due)
    message = scope.session.scalars(select(Message).where(Message.person_id == bill.payer_id)).one()
    assert f"{bill.amount:,.2f}" in message.subject and "上月" in message.body
    sent = scope.session.scalars(select(Reminder).where(Reminder.bill_id == bill.id)).one()
    assert (sent.message_id, sent.amount, sent.payer_id) == (message.id, bill.amount, bill.payer_id)


def test_the_next_level_tells_again(scope, bill):
    services.send_due(scope)
    scope.session.add(ReminderLevel(name="三次", days=18, wording="overdue_again"))
    scope.session.flush()
    assert {each.level.name for each in services.due_reminders(scope)} == {"三次"}


def test_bills_of_one_payer_come_in_one_message(scope, place, bill):
    publish(scope, place, "再上月", bill.due_on - timedelta(days=70))
    by_payer = [e for e in services.due_reminders(scope) if e.payer_id == bill.payer_id]
    assert sorted(each.level.days for each in by_payer) == [15, 45]
    assert all(len(each.bills) == 1 for each in by_payer)


def test_nobody_is_reminded_of_what_is_paid_disputed_agreed_or_being_paid(scope, place, bill):
    others = scope.session.scalars(select(Bill).where(Bill.id != bill.id)).all()
    paid, flying, agreed = others
    fees.pay_bills(scope, paid, PaymentChannel.CASH, "desk-0001")
    open_bills_order(scope, [flying], flying.payer_id, "flying-0001")
    services.sign_agreement(scope, *about(scope, agreed), 2, scope.today)
    assert reminded(scope) == {bill.id}
    dispute = services.open_dispute(scope, bill, "漏水未修")
    assert services.open_dispute(scope, bill, "again").id == dispute.id
    assert reminded(scope) == set()
    services.settle_dispute(scope, dispute, "已维修")
    assert reminded(scope) == {bill.id}
    with pytest.raises(Conflict):
        services.settle_dispute(scope, dispute, "twice")


def test_an_early_reminder_can_be_declined_an_overdue_one_cannot(scope, place):
    soon = publish(scope, place, "本月", scope.today + timedelta(days=2))
    bill = soon[place.room_ids[0]]
    assert bill.id in reminded(scope)
    scope.session.add(ReminderChoice(person_id=bill.payer_id, wants_due_soon=False))
    scope.session.flush()
    assert reminded(scope) == {each.id for each in soon.values()} - {bill.id}
    bill.due_on = scope.today - timedelta(days=4)
    scope.session.flush()
    assert bill.id in reminded(scope)


# --- the desk ---------------------------------------------------------------------------------


def test_the_desk_shows_arrears_by_age_with_what_was_said_last(scope, place, bill):
    room, payer = about(scope, bill)
    promise = {"promised": D("100"), "promised_by": scope.today + timedelta(days=3)}
    services.record_contact(scope, room, payer, ContactKind.CALL, Outcome.PROMISED, **promise)
    services.plan_next(scope, room, payer, "visit")
    found = desk.lines(scope, desk.Wish())
    assert [line.owed for line in found] == sorted((line.owed for line in found), reverse=True)
    (line,) = [each for each in found if each.room_id == room.id]
    assert (line.contact["outcome"], line.promise["amount"]) == (Outcome.PROMISED, D(100))
    assert line.limit_on == limitation_on(bill.due_on)
    sums = desk.totals(scope, desk.Wish())
    assert sums.owed == sum(sums.ages) == sum(each.owed for each in found)
    first = desk.lines(scope, desk.Wish(), limit=2)
    after = (first[-1].owed, first[-1].room_id, first[-1].payer_id)
    rest = desk.lines(scope, desk.Wish(after=after))
    assert [each.room_id for each in first + rest] == [each.room_id for each in found]


def test_a_demand_that_arrived_and_a_part_payment_begin_the_limitation_anew(scope, place, bill):
    old = publish(scope, place, "旧账", scope.today - timedelta(days=1100))[bill.room_id]
    room, payer = about(scope, bill)

    def last_day():
        rows = desk.bills_of(scope, room.id, payer.id)
        return {each.id: limit_on for each, limit_on, _ in rows}[old.id]

    assert last_day() == limitation_on(old.due_on) < scope.today
    (line,) = [each for each in desk.lines(scope, desk.Wish()) if each.room_id == room.id]
    assert line.limit == "past"
    on = scope.today - timedelta(days=300)
    with pytest.raises(Invalid):
        services.record_contact(
            scope,
            room,
            payer,
            ContactKind.VISIT,
            Outcome.NOT_REACHED,
            interrupts=Interruption.DEMAND,
        )
    values = {"happened_on": on, "interrupts": Interruption.DEMAND}
    services.record_contact(scope, room, payer, ContactKind.LETTER, Outcome.REACHED, **values)
    assert last_day() == limitation_on(on)
    ledger.top_up(scope, payer, D(10), "part-0001")
    fees.pay_from_wallet(scope, old, "part-0002")
    assert last_day() == limitation_on(scope.today)


def test_a_phone_number_is_shown_for_the_task_and_only_for_it(installation, scope, place, bill):
    scope.session.commit()
    collector = place.actor("arrears.*", "dougong.personal.reveal")
    with installation.scope(collector, community=place.community_id) as own:
        assert services.reveal_phone(own, *about(own, bill)) == "13800130000"
    with (
        pytest.raises(NotAllowed),
        installation.scope(place.actor("arrears.*"), community=place.community_id) as own,
    ):
        services.reveal_phone(own, *about(own, bill))
    with installation.scope(Actor.system(), community=place.community_id) as own:
        fees.pay_bills(own, own.get(Bill, bill.id), PaymentChannel.CASH, "desk-0001")
    with (
        pytest.raises(NothingOwed),
        installation.scope(collector, community=place.community_id) as own,
    ):
        services.reveal_phone(own, *about(own, bill))


def test_promises_are_kept_by_payments_and_broken_by_time(scope, bill):
    room, payer = about(scope, bill)
    for amount, days in ((bill.amount, 5), (bill.amount * 2, -2)):
        promise = PaymentPromise(
            room_id=room.id,
            payer_id=payer.id,
            amount=amount,
            by_on=scope.today + timedelta(days=days),
        )
        scope.session.add(promise)
    scope.session.flush()
    fees.pay_bills(scope, bill, PaymentChannel.CASH, "desk-0001")
    services.watch_agreements(scope)
    states = scope.session.scalars(select(PaymentPromise.state).order_by(PaymentPromise.amount))
    assert states.all() == [PromiseState.KEPT, PromiseState.BROKEN]


# --- agreements -------------------------------------------------------------------------------


def test_an_agreement_is_paid_in_parts_and_lets_late_fees_rest(scope, place, bill):
    publish(scope, place, "再上月", bill.due_on - timedelta(days=40))
    before = fees.late_fee_due(scope, bill)
    assert before > 0
    made = services.sign_agreement(scope, *about(scope, bill), 3, scope.today)
    later = scope.today + timedelta(days=90)
    assert fees.late_fee_due(scope, bill, later) == before
    with pytest.raises(NothingOwed):
        services.sign_agreement(scope, *about(scope, bill), 3, scope.today)
    parts = agreements.parts_of(scope, [made.id])[made.id]
    first = services.take_instalment(scope, made, PaymentChannel.CASH, "instalment-1")
    again = services.take_instalment(scope, made, PaymentChannel.CASH, "instalment-1")
    assert first.id == again.id and first.amount == parts[0].amount
    for number in (2, 3):
        services.take_instalment(scope, made, PaymentChannel.CASH, f"instalment-{number}")
    with pytest.raises(AgreementEnded):
        services.take_instalment(scope, made, PaymentChannel.CASH, "instalment-4")
    assert services.watch_agreements(scope) == 1
    assert (made.state, made.ended_on) == (AgreementState.KEPT, scope.today)
    assert ledger.trial_balance(scope).is_balanced


def test_a_broken_agreement_falls_due_and_late_fees_grow_again(scope, bill):
    before = fees.late_fee_due(scope, bill)
    assert before == (bill.amount * D("0.0005") * 20).quantize(D("0.01"))
    made = services.sign_agreement(scope, *about(scope, bill), 2, scope.today)
    made.signed_on -= timedelta(days=10)
    for part in scope.session.scalars(select(agreements.Instalment)):
        part.due_on -= timedelta(days=10)
    scope.session.flush()
    assert bill.id not in reminded(scope)
    assert services.watch_agreements(scope) == 1
    assert made.state is AgreementState.DEFAULTED and bill.id in reminded(scope)
    unrested = bill.amount * D("0.0005") * 10
    assert fees.late_fee_due(scope, bill) == unrested.quantize(D("0.01"))
    assert fees.late_fee_due(scope, bill, scope.today + timedelta(days=30)) > before


def test_an_agreement_prints_and_ends_with_a_reason(scope, bill):
    made = services.sign_agreement(scope, *about(scope, bill), 2, scope.today)
    assert services.print_agreement(scope, made).content.startswith(b"%PDF")
    with pytest.raises(Invalid):
        services.cancel_agreement(scope, made, " ")
    services.cancel_agreement(scope, made, "业主要求")
    with pytest.raises(AgreementEnded):
        services.cancel_agreement(scope, made, "twice")
    assert scope.get(Agreement, made.id).state is AgreementState.CANCELLED


# --- notices ----------------------------------------------------------------------------------


def printed(scope, kind, **values):
    run = services.start_notices(scope, kind, scope.today + timedelta(days=15), **values)
    services.print_notices(scope, run)
    return run, b"".join(notices.file_of(scope, run))


def test_every_payer_gets_a_demand_of_less_than_50_kb(scope, place, bill):
    run, content = printed(scope, NoticeKind.DEMANDS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = [entry.file_size for entry in archive.infolist()]
    assert len(sizes) == run.count == len(place.room_ids)
    assert max(sizes) <= 50 * 1024
    letters = scope.session.scalars(select(Letter).order_by(Letter.number)).all()
    assert [each.number[-4:] for each in letters] == ["0001", "0002", "0003", "0004"]
    assert services.print_notices(scope, run) == 4
    services.deliver_letter(scope, letters[0])
    assert desk.story_of(scope, letters[0].room_id, letters[0].payer_id).contacts[0].interrupts
    with pytest.raises(Conflict):
        services.deliver_letter(scope, letters[0])


def test_the_public_notice_names_neither_people_nor_rooms(scope, place, bill):
    from pypdf import PdfReader

    _, content = printed(scope, NoticeKind.PUBLIC)
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert notices.code_of(scope, bill.room_id, bill.payer_id) in text
    rooms = scope.session.execute(select(Room.code)).scalars().all()
    names = scope.session.execute(select(Person.name)).scalars().all()
    assert not [word for word in [*rooms, *names] if word in text]
    assert not re.search(r"\d+-\d+-\d+01", text)


def test_old_files_are_forgotten_and_letters_stay(scope, bill):
    run, _ = printed(scope, NoticeKind.DEMANDS)
    run.expires_at = scope.now - timedelta(hours=1)
    scope.session.flush()
    services.watch_agreements(scope)
    assert (run.size, b"".join(notices.file_of(scope, run))) == (0, b"")
    assert scope.session.scalar(select(func.count()).select_from(Letter)) == 4
