"""A new building is delivered: many rooms at once, bills split by the day, papers printed."""

import io
import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from dougong.errors import Conflict, Invalid
from dougong.tenancy.models import Ownership, Person, Room, RoomState
from dougong.testing.people import sign_in
from dougong.testing.programs import make_login
from dougong.web.app import create_app
from dougong_fees import services
from dougong_fees.models import (
    Bill,
    Charge,
    DeliveryRoom,
    FeeItem,
    FeeRule,
    RoomDeliveryState,
    RuleKind,
)
from dougong_fees.services import deliveries, presets
from dougong_fees.services.deliveries import Expected

OCTOBER, NOVEMBER, DAY = date(2026, 10, 1), date(2026, 11, 1), date(2026, 10, 11)
D = Decimal


@pytest.fixture
def codes(scope, place):
    return [scope.get(Room, id).code for id in place.room_ids]


def planned(scope, codes, **values):
    names = (("张三", "李四"), ("王五",), ("赵六",))
    expected = [Expected(c, n, "13800000001") for c, n in zip(codes, names, strict=False)]
    return services.plan_delivery(scope, "5 号楼首批", (OCTOBER, DAY), expected, **values)


def rooms(scope, batch):
    return {r.buyers: r for r in deliveries.rooms_of(scope, batch)}


def test_many_rooms_are_delivered_and_what_fails_keeps_no_other_from_it(scope, place, item, codes):
    run = services.create_run(scope, "2026年10月", OCTOBER, NOVEMBER, date(2026, 11, 20))
    services.publish_run(scope, run)
    scope.session.expire_all()
    batch = planned(scope, codes)
    found = rooms(scope, batch)
    done = found["赵六"]
    services.deliver(scope, done, DAY, {}, keys=4, defects="阳台门划痕")
    problems = services.deliver_many(scope, batch, [r.id for r in found.values()], DAY)
    assert list(problems) == [done.room_id]
    assert {r.state for r in rooms(scope, batch).values()} == {RoomDeliveryState.DELIVERED}
    assert scope.get(Room, done.room_id).state is RoomState.DELIVERED
    shares = scope.session.execute(
        select(Person.name, Ownership.share)
        .join(Ownership, Ownership.person_id == Person.id)
        .where(Ownership.room_id == found["张三、李四"].room_id, Ownership.from_on == DAY)
    ).all()
    assert dict(tuple(row) for row in shares) == {"张三": D("0.5"), "李四": D("0.5")}
    bills = scope.session.scalars(
        select(Bill).where(Bill.room_id == done.room_id, Bill.state != "withdrawn")
    )
    assert {(b.from_on, b.to_on) for b in bills} == {(OCTOBER, DAY), (DAY, NOVEMBER)}
    (progress,) = deliveries.deliveries(scope)
    assert (progress.rooms, progress.done) == (3, 3)
    with pytest.raises(Conflict):
        services.print_delivery(scope, batch)
    pdf = services.print_delivery_room(scope, done).content
    assert "阳台门划痕" in "".join(p.extract_text() for p in PdfReader(io.BytesIO(pdf)).pages)


def test_a_list_with_wrong_lines_makes_nothing(scope, codes):
    wrong = [Expected(codes[0], ("张三",)), Expected("9-9-9", ("李四",)), Expected(codes[1], ())]
    with pytest.raises(Invalid) as raised:
        services.plan_delivery(scope, "首批", (OCTOBER, DAY), wrong)
    assert "9-9-9" in raised.value.fields["lines"] and codes[1] in raised.value.fields["lines"]
    with pytest.raises(Invalid):
        planned(scope, codes, deemed_on=NOVEMBER)
    assert scope.session.scalars(select(DeliveryRoom)).first() is None


def test_who_did_not_come_takes_over_on_the_agreed_day_and_a_refused_room_does_not(scope, codes):
    last = scope.today - timedelta(days=5)
    names = [Expected(code, (f"买受人{n}",)) for n, code in enumerate(codes[:2])]
    on, basis = last + timedelta(days=2), "买卖合同第十一条"
    batch = services.plan_delivery(scope, "首批", (last, last), names, on, basis)
    first, second = deliveries.rooms_of(scope, batch)
    services.refuse_delivery(scope, first, "卫生间渗水")
    services.deem_delivered(scope, batch)
    assert (first.state, second.state) == (RoomDeliveryState.REFUSED, RoomDeliveryState.DEEMED)
    assert second.taken_over_on == on
    assert len(PdfReader(io.BytesIO(services.print_delivery(scope, batch).content)).pages) == 1
    services.deliver(scope, first, scope.today, {})
    assert first.state is RoomDeliveryState.DELIVERED


@pytest.mark.parametrize("name", sorted(presets.presets()))
def test_a_preset_is_set_up_once_and_its_formulas_hold(scope, place, name):
    preset = presets.preset_named(name)
    prices = {each.code: each.unit_price for each in preset.items}
    made = presets.set_up(scope, name, OCTOBER, prices, charges_rooms=True)
    assert [each.code for each in made] == [each.code for each in preset.items]
    assert presets.set_up(scope, name, OCTOBER, prices) == []
    assert all(each.source for each in preset.items)
    charged = select(FeeItem.code).join(Charge, Charge.fee_item_id == FeeItem.id).distinct()
    kinds = {each.code for each in preset.items if "flat" in each.rooms}
    assert set(scope.session.scalars(charged)) == kinds
    lines = presets.fee_sheet(scope, scope.today)
    assert {line.item.code for line in lines if line.price} == set(prices)


def test_published_tariffs_of_presets_are_those_of_the_page(scope):
    water = next(i for i in presets.preset_named("high_rise").items if i.code == "water")
    assert [(a, b, p) for a, b, p in water.tiers] == [
        (0, 180, 5),
        (180, 260, 7),
        (260, None, 9),
    ]
    assert (water.from_on, water.head_count["head_count_from"]) == (date(2014, 5, 1), 6)


def test_pages_plan_deliver_and_set_up(installation, place, scope, codes):
    scope.session.commit()
    browser = sign_in(
        create_app(installation), installation, make_login(installation, place, "cashier")
    )
    base = f"/c/{place.community_id}/fees"
    page = browser.get(f"{base}/presets?preset=high_rise").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    form = {"csrf_token": token, "preset": "high_rise", "from_on": "2026-10-01"}
    assert browser.post(f"{base}/presets", data={**form, "item": "waste", "price-waste": "x"}
                        ).status_code == 422  # fmt: skip
    sent = browser.post(f"{base}/presets", data={**form, "item": "waste", "price-waste": "9.5"})
    assert sent.status_code == 303 and "9.5" in browser.get(sent.location).text
    assert browser.get(f"{base}/sheet.pdf").data.startswith(b"%PDF")
    batch = {"csrf_token": token, "name": "首批", "from_on": "2026-10-01", "until_on": "2026-10-31"}
    lines = f"{codes[0]} 张三、李四 13800000001\n{codes[1]},王五"
    assert browser.post(f"{base}/deliveries", data={**batch, "lines": "1-1"}).status_code == 422
    made = browser.post(f"{base}/deliveries", data={**batch, "lines": lines})
    page = browser.get(made.location).text
    assert "张三、李四" in page and "13800000001" not in page
    assert browser.get(f"{made.location}.pdf").data.startswith(b"%PDF")
    ids = re.findall(r'name="room" value="([0-9a-f-]+)"', page)
    room = re.search(r'href="([^"]+/deliveries/room/[^"]+)"', page)[1]
    assert "2026" in browser.get(room).text
    one = {"csrf_token": token, "on": "2026-10-12", "keys": "many"}
    assert browser.post(room, data=one).status_code == 422
    refused = {**one, "do": "refuse", "defects": "墙面空鼓"}
    assert browser.post(room, data=refused).status_code == 303
    done = browser.post(made.location, data={"csrf_token": token, "on": "2026-10-12", "room": ids})
    assert done.status_code == 303
    scope.session.expire_all()
    assert {r.state for r in scope.session.scalars(select(DeliveryRoom))} == {
        RoomDeliveryState.DELIVERED
    }


def test_rules_are_said_in_words_on_the_sheet_for_the_wall():
    prompt = FeeRule(kind=RuleKind.PROMPT, share=Decimal("0.020000"), days_before=10)
    assert str(prompt) == "提前 10 天缴清减 2%"
    assert str(FeeRule(kind=RuleKind.VACANCY, share=Decimal("0.300000"))) == "减收 30%"
    assert (
        str(FeeRule(kind=RuleKind.PREPAID, pay_months=11, get_months=12))
        == "预缴 11 个月享 12 个月"
    )
