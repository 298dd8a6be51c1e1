"""A renovation from the application to the deposit's return, and what must not happen."""

import io
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.files import attach
from dougong.messages.models import Message
from dougong.services import SERVICES
from dougong.tenancy.models import Room
from dougong_ledger.models import Deposit
from dougong_renovation import services
from dougong_renovation.domain.states import ApplicationState
from dougong_renovation.domain.works import DocumentKind
from dougong_renovation.errors import NotYours, Objected, WrongState
from dougong_renovation.models import Application, InspectionKind, RefundWay, ViolationKind
from dougong_repairs.domain.kinds import Category
from dougong_repairs.services import create_work_order, drop_order

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
ID_NUMBER = "11010519491231002X"


def complete(scope, made):
    """Bring a permitted renovation to its acceptance."""
    made.state = ApplicationState.FINISHED
    services.record_inspection(scope, made.id, InspectionKind.COMPLETION)
    return services.accept_work(scope, made)


def test_a_renovation_goes_from_the_application_to_the_deposit_s_return(enter, place, owner):
    days = {"starts_on": str(place_day(enter)), "ends_on": str(place_day(enter, 20))}
    with enter(owner()) as scope:
        made = scope.call(
            "renovation.application.submit",
            room_id=place.room_ids[0],
            works=["surfaces", "waterproofing"],
            contact_phone="13900000001",
            **days,
        ).id
    with enter() as scope:
        found = scope.get(Application, made)
        with pytest.raises(Conflict, match="missing"):
            services.agree_application(scope, found)
        for kind in services.missing_documents(scope, found):
            services.add_document(scope, found, kind, "纸.jpg", io.BytesIO(JPEG))
        services.agree_application(scope, found, terms="使用 2 号电梯")
        assert found.deposit_amount == Decimal(2000)
    with enter(owner()) as scope:
        with pytest.raises(Invalid):
            services.sign_agreement(scope, made)
        scope.call("renovation.application.sign", application_id=made, has_read=True)
    with enter() as scope:
        found = scope.get(Application, made)
        with pytest.raises(WrongState, match="deposit"):
            services.permit_application(scope, found)
        services.take_deposit(scope, found, RefundWay.CASH)
        services.take_deposit(scope, found, RefundWay.CASH)
        services.permit_application(scope, found)
        assert found.permit_number == f"{scope.today:%Y}-0001"
        assert [d.held for d in scope.session.scalars(select(Deposit))] == [Decimal(2000)]
    with enter(owner()) as scope:
        scope.call("renovation.application.report_finished", application_id=made)
    with enter() as scope:
        found = scope.get(Application, made)
        with pytest.raises(WrongState, match="inspection"):
            services.accept_work(scope, found)
        complete(scope, found)
        with pytest.raises(WrongState, match="goes back from"):
            services.settle_application(scope, found, RefundWay.CASH)
        found.refund_from_on = scope.today
        services.settle_application(scope, found, RefundWay.BANK_TRANSFER)
        assert (found.state, found.given_back) == (ApplicationState.SETTLED, Decimal(2000))
        steps = [step.verb for step in services.steps_of(scope, found)]
    assert steps == [
        "submit", "agree", "sign", "take_deposit", "permit", "report_finished", "accept", "settle",
    ]  # fmt: skip


def place_day(enter, days=0):
    with enter() as scope:
        return scope.today + timedelta(days=days)


def test_claims_with_photos_are_deducted_and_the_rest_goes_back(scope, permitted):
    made = permitted(scope)
    damage = services.record_violation(scope, made.id, ViolationKind.DAMAGE, "划伤电梯")
    with pytest.raises(Invalid, match="fields"):
        services.claim_damage(scope, damage, Decimal(350))
    attach(scope, damage, "划痕.jpg", io.BytesIO(JPEG))
    with pytest.raises(Invalid):
        services.claim_damage(scope, damage, Decimal("2000.01"))
    services.claim_damage(scope, damage, Decimal("350.50"))
    made.state = ApplicationState.FINISHED
    services.record_inspection(scope, made.id, InspectionKind.COMPLETION)
    with pytest.raises(WrongState, match="rectified"):
        services.accept_work(scope, made)
    services.rectify_violation(scope, damage)
    services.accept_work(scope, made)
    made.refund_from_on = scope.today
    services.settle_application(scope, made, RefundWay.CASH)
    deposit = scope.get(Deposit, made.deposit_id)
    scope.session.refresh(deposit)
    assert (deposit.deducted, deposit.given_back, deposit.held) == (
        Decimal("350.50"),
        Decimal("1649.50"),
        Decimal(0),
    )
    assert made.claimed + made.given_back == made.deposit_amount


def test_what_the_law_forbids_and_days_that_do_not_fit_are_refused(scope, apply):
    with pytest.raises(Invalid) as refused:
        apply(scope, works=["surfaces", "wet_room_moved"])
    assert "把房间" in refused.value.fields["works"] or "Turning" in refused.value.fields["works"]
    for more in (
        {"starts_on": scope.today - timedelta(days=1)},
        {"ends_on": scope.today - timedelta(days=1)},
        {"ends_on": scope.today + timedelta(days=91)},
    ):
        with pytest.raises(Invalid):
            apply(scope, **more)
    apply(scope)
    with pytest.raises(WrongState, match="not over"):
        apply(scope)


def test_neighbours_are_told_once_and_report_noise_that_staff_confirm(
    enter, place, owner, permitted
):
    with enter() as scope:
        rooms = scope.session.scalars(select(Room).order_by(Room.sort_key)).all()
        for room in rooms:
            room.floor = 1
        scope.session.flush()
        made = permitted(scope, deposit=Decimal(0)).id
        told = scope.session.scalars(
            select(Message).where(Message.template == "renovation:neighbour_told")
        ).all()
        assert {message.person_id for message in told} == {
            person.id for person in services.neighbours_of(scope, rooms[0], place.person_ids[0])
        }
        assert len(told) == scope.get(Application, made).neighbours_told > 0
        neighbour = place.person_ids.index(told[0].person_id)
    with enter(owner(neighbour)) as scope:
        assert [a.id for a in services.near_me(scope)] == [made]
        scope.call(
            "renovation.violation.report", application_id=made, kind="noise", text="周六电钻"
        )
        assert services.violations_of(scope, scope.get(Application, made)) == []
    with enter() as scope:
        found = scope.get(Application, made)
        (reported,) = scope.session.scalars(text_of_violations())
        services.confirm_violation(scope, reported)
        assert [v.id for v in services.violations_of(scope, found)] == [reported.id]
        assert [v.text for v in services.story_of(scope, found).violations] == ["周六电钻"]
    with enter(owner()) as scope, pytest.raises(NotFound):
        services.report_violation(scope, made, ViolationKind.NOISE, "自己")


def text_of_violations():
    from dougong_renovation.models import Violation

    return select(Violation)


def test_a_pass_is_valid_while_the_work_is_permitted(scope, permitted):
    made = permitted(scope)
    issued = services.issue_pass(scope, made.id, "王建国", ID_NUMBER.lower(), "泥瓦工")
    assert services.refusal(scope, services.pass_of(scope, issued.code)) == ""
    with pytest.raises(Invalid):
        services.issue_pass(scope, made.id, "王建国", ID_NUMBER)
    with pytest.raises(Invalid):
        services.issue_pass(scope, made.id, "别人", "110105194912310021")
    services.stop_work(scope, made, "拆改承重墙")
    assert services.refusal(scope, issued)
    services.let_go_on(scope, made)
    made.valid_until_on = scope.today - timedelta(days=1)
    assert services.refusal(scope, issued)
    services.extend_permit(scope, made, scope.today + timedelta(days=9))
    assert services.refusal(scope, issued) == ""
    services.revoke_pass(scope, issued)
    assert services.refusal(scope, issued)
    sealed = scope.session.scalar(text("select id_number::text from renovation.worker_pass"))
    assert "19491231" not in sealed


def test_nobody_acts_for_another_and_money_needs_its_own_right(enter, owner, staff, apply):
    with enter() as scope:
        made = apply(scope)
        services.agree_application(scope, made)
        made = made.id
    with enter(owner(1)) as scope, pytest.raises(NotFound):
        services.sign_agreement(scope, made, has_read=True)
    with enter(staff("renovation.application.sign_paper")) as scope, pytest.raises(NotYours):
        services.sign_on_paper(scope, scope.get(Application, made))
    with enter(staff("renovation.*")) as scope:
        found = scope.get(Application, made)
        scope.call("renovation.application.sign_paper", application=found.id)
        with pytest.raises(NotAllowed):
            scope.call("renovation.application.take_deposit", application=made, channel="cash")
    with enter(staff("renovation.*", "ledger.*")) as scope:
        scope.call("renovation.application.take_deposit", application=made, channel="cash")
    assert SERVICES["renovation.application.settle"].step_up


def test_a_withdrawn_application_gives_its_deposit_back(enter, owner, apply):
    with enter() as scope:
        made = apply(scope)
        services.agree_application(scope, made)
        services.sign_on_paper(scope, made)
        services.take_deposit(scope, made, RefundWay.CASH)
        made = made.id
    with enter(owner()) as scope:
        services.withdraw_application(scope, made)
    with enter() as scope:
        found = scope.get(Application, made)
        services.settle_application(scope, found, RefundWay.CASH)
        assert scope.get(Deposit, found.deposit_id).held == 0


def test_applicants_are_reminded_three_days_before_the_end(scope, permitted):
    made = permitted(scope)
    assert services.remind_ending(scope) == 0
    made.valid_until_on = scope.today + timedelta(days=3)
    assert services.remind_ending(scope) == 1


def test_the_desk_applies_in_an_owner_s_name_and_for_nobody_else(enter, place, owner, staff):
    given = {"works": ["surfaces"], "contact_phone": "13900000001"}
    given |= {"starts_on": str(place_day(enter)), "ends_on": str(place_day(enter, 9))}
    room, person = place.room_ids[0], place.person_ids[0]
    with enter(staff("renovation.*")) as scope:
        stranger = {"room_id": room, "person_id": place.person_ids[1]}
        with pytest.raises(Invalid) as refused:
            scope.call("renovation.application.create", **given, **stranger)
        assert set(refused.value.fields) == {"person_id"}
        made = scope.call("renovation.application.create", **given, room_id=room, person_id=person)
        services.take_in(scope, made, DocumentKind.PLAN, "图.jpg", io.BytesIO(JPEG))
        made = made.id
    with enter(owner()) as scope:
        assert [a.id for a in services.my_applications(scope)] == [made]
        with pytest.raises(NotAllowed):
            scope.call("renovation.application.create", **given, room_id=room, person_id=person)


def test_a_deposit_waits_while_a_leak_near_the_room_is_open(scope, permitted):
    made = permitted(scope)
    complete(scope, made)
    made.refund_from_on = scope.today
    leak = create_work_order(scope, "楼上漏水", Category.PLUMBING, room_id=made.room_id)
    with pytest.raises(Objected) as refused:
        services.settle_application(scope, made, RefundWay.CASH)
    assert made.room.code in refused.value.parameters["reason"]
    drop_order(scope, leak, "已查明与装修无关")
    services.settle_application(scope, made, RefundWay.CASH)
    assert made.state is ApplicationState.SETTLED
