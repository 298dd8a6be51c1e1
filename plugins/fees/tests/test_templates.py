"""A group's fee items: previewed with numbers, inherited, kept where allowed, taken back."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.db.scope import Actor
from dougong_fees import services
from dougong_fees.models import (
    ChargeMethod,
    FeeItem,
    FeePrice,
    FeeRule,
    FeeTemplate,
    FeeTemplateRule,
    FeeTemplateTier,
    PriceTier,
    RuleKind,
)
from dougong_fees.services.templates import Standing

from .conftest import add_item

D = Decimal
DAY = date(2027, 1, 1)


@pytest.fixture
def template(installation, place):
    def made(price="3.10", **more):
        with installation.scope(Actor.system(), group=place.group_id, group_write=True) as scope:
            values = {"code": "property", "name": "物业服务费", "method": ChargeMethod.AREA}
            found = FeeTemplate(unit_price=D(price), **{"from_on": DAY, **values, **more})
            scope.session.add(found)
            scope.session.flush()
            return found.id

    return made


def act(installation, place, step, template_id):
    with installation.scope(Actor.system(), group=place.group_id) as scope:
        outcome = step(scope, scope.get(FeeTemplate, template_id))
        return {each.community_id: each for each in outcome}


def prices(scope):
    query = select(FeePrice.unit_price, FeePrice.to_on).order_by(FeePrice.from_on)
    return [tuple(row) for row in scope.session.execute(query)]


def test_a_version_is_seen_rolled_out_and_taken_back(installation, scope, place, template):
    add_item(scope, place)
    scope.session.commit()
    version, here, there = template(), place.community_id, place.other_community_id
    seen = act(installation, place, services.preview_template, version)
    assert (seen[here].standing, seen[there].standing) == (Standing.DIFFERS, Standing.NEW)
    assert (seen[here].rooms, seen[there].rooms) == (len(place.room_ids), 0)
    assert seen[here].monthly_then * D("2.80") == seen[here].monthly * D("3.10")
    for _ in range(2):
        done = act(installation, place, services.roll_out_template, version)
        assert {each.standing for each in done.values()} == {Standing.FOLLOWS}
    assert prices(scope) == [(D("2.80"), DAY), (D("3.10"), None)]
    scope.session.commit()
    back = act(installation, place, services.undo_template, version)
    assert (back[here].standing, back[there].standing) == (Standing.DIFFERS, Standing.NEW)
    assert prices(scope) == [(D("2.80"), None)]
    assert len(scope.session.scalars(select(FeeItem)).all()) == 1


WATER = (("0", "180", "5"), ("180", "260", "7"), ("260", None, "9"))


def extended(installation, place, **values):
    """Return a version with tiers, head counts and two rules."""
    with installation.scope(Actor.system(), group=place.group_id, group_write=True) as scope:
        found = FeeTemplate(
            code="water",
            name="水费",
            from_on=DAY,
            unit_price=D(0),
            method=ChargeMethod.USAGE,
            commodity="water",
            head_count_from=6,
            head_count_extra=D(30),
            **values,
        )
        scope.session.add(found)
        scope.session.flush()
        for above, up_to, price in WATER:
            step = {"above": D(above), "up_to": up_to and D(up_to), "unit_price": D(price)}
            scope.session.add(FeeTemplateTier(template_id=found.id, **step))
        rules = (
            {"kind": RuleKind.PROMPT, "share": D("0.02"), "days_before": 3},
            {"kind": RuleKind.VACANCY, "share": D("0.3"), "wait_months": 6},
        )
        for rule in rules:
            scope.session.add(FeeTemplateRule(template_id=found.id, basis="集团规定", **rule))
        scope.session.flush()
        return found.id


def test_tiers_head_counts_and_rules_come_with_a_version_and_go_with_it(installation, scope, place):
    item = add_item(scope, place, "water", "4.00", method=ChargeMethod.USAGE, commodity="water")
    own = FeeRule(
        fee_item_id=item.id,
        kind=RuleKind.PROMPT,
        from_on=date(2020, 1, 1),
        share=D("0.1"),
        days_before=1,
        basis="小区规定",
    )
    scope.session.add(own)
    scope.session.commit()
    version, here = extended(installation, place), place.community_id
    assert act(installation, place, services.preview_template, version)[here].drift
    for _ in range(2):
        done = act(installation, place, services.roll_out_template, version)
        assert {(e.standing, e.problem) for e in done.values()} == {(Standing.FOLLOWS, "")}
    price = scope.session.scalars(select(FeePrice).where(FeePrice.from_on == DAY)).one()
    assert (price.head_count_from, price.head_count_extra) == (6, 30)
    steps = select(PriceTier.above, PriceTier.up_to, PriceTier.unit_price)
    tiers = scope.session.execute(steps.order_by(PriceTier.above)).all()
    wanted = [(D(a), u and D(u), D(p)) for a, u, p in WATER]
    assert [tuple(row) for row in tiers] == wanted
    rules = select(FeeRule.kind, FeeRule.share, FeeRule.from_on, FeeRule.to_on)
    found = scope.session.execute(rules.order_by(FeeRule.from_on, FeeRule.kind)).all()
    assert [tuple(row) for row in found] == [
        (RuleKind.PROMPT, D("0.1"), date(2020, 1, 1), DAY),
        (RuleKind.PROMPT, D("0.02"), DAY, None),
        (RuleKind.VACANCY, D("0.3"), DAY, None),
    ]
    scope.session.commit()
    back = act(installation, place, services.undo_template, version)
    assert not any(each.problem for each in back.values())
    left = scope.session.execute(rules).all()
    assert [tuple(row) for row in left] == [(RuleKind.PROMPT, D("0.1"), date(2020, 1, 1), None)]
    assert scope.session.scalars(select(PriceTier)).all() == []
    with installation.scope(Actor.system(), group=place.group_id, group_write=True) as group:
        tier = group.session.scalars(select(FeeTemplateTier).limit(1)).first()
        tier.unit_price = D("5.5")
    seen = act(installation, place, services.preview_template, version)
    assert {each.standing for each in seen.values()} == {Standing.DIFFERS, Standing.NEW}


def test_a_formula_comes_with_a_version_and_is_tried_in_each_community(
    installation, scope, place, template
):
    add_item(scope, place)
    scope.session.commit()
    formula = {"formula": "max(area * price[yuan/m2], 30)"}
    with installation.scope(Actor.system(), group=place.group_id, group_write=True) as group:
        version = group.get(FeeTemplate, template())
        version.method, version.formula = ChargeMethod.FORMULA, formula["formula"]
        version_id = version.id
    act(installation, place, services.roll_out_template, version_id)
    item = scope.session.scalars(select(FeeItem)).one()
    assert (item.method, item.formula) == (ChargeMethod.FORMULA, formula["formula"])


def test_a_price_of_its_own_is_kept_where_the_group_allows_it(installation, scope, place, template):
    add_item(scope, place)
    scope.session.commit()
    done = act(installation, place, services.roll_out_template, template(may_differ=True))
    assert done[place.community_id].standing is Standing.OWN
    assert done[place.other_community_id].standing is Standing.FOLLOWS
    assert prices(scope) == [(D("2.80"), None)]
    later = template("3.40", from_on=date(2027, 7, 1), may_differ=True)
    done = act(installation, place, services.roll_out_template, later)
    assert done[place.community_id].standing is Standing.OWN
    # Whoever has the group's price has none of its own, and takes the next one.
    assert done[place.other_community_id].price == D("3.40")


def test_rules_of_its_own_are_kept_where_the_group_allows_it(installation, scope, place):
    item = add_item(scope, place, "water", "4.00", method=ChargeMethod.USAGE, commodity="water")
    values = {"kind": RuleKind.PROMPT, "from_on": date(2020, 1, 1), "basis": "小区规定"}
    scope.session.add(FeeRule(fee_item_id=item.id, share=D("0.1"), days_before=1, **values))
    scope.session.commit()
    version = extended(installation, place, may_differ=True)
    for _ in range(2):
        done = act(installation, place, services.roll_out_template, version)
        assert done[place.community_id].standing is Standing.OWN
    rules = select(FeeRule.kind, FeeRule.share, FeeRule.to_on).order_by(FeeRule.kind)
    found = [tuple(row) for row in scope.session.execute(rules)]
    assert found == [(RuleKind.PROMPT, D("0.1"), None), (RuleKind.VACANCY, D("0.3"), None)]
    seen = act(installation, place, services.preview_template, version)
    assert not seen[place.community_id].drift
    scope.session.commit()
    act(installation, place, services.undo_template, version)
    assert [row.kind for row in scope.session.execute(rules)] == [RuleKind.PROMPT]


def test_what_goes_wrong_in_one_community_is_told_and_drift_is_shown(
    installation, scope, place, template
):
    item = add_item(scope, place)
    services.add_price(scope, item, D("9.00"), date(2027, 6, 1))
    scope.session.commit()
    done = act(installation, place, services.roll_out_template, template())
    assert done[place.community_id].problem
    assert done[place.other_community_id].standing is Standing.FOLLOWS
    with installation.scope(Actor.system(), community=place.other_community_id) as other:
        other.session.scalars(select(FeeItem)).one().name = "改了名"
    version = act(installation, place, services.preview_template, _last(installation, place))
    assert version[place.other_community_id].drift == ("费用项",)


def _last(installation, place):
    with installation.scope(Actor.system(), group=place.group_id) as scope:
        return scope.session.scalars(select(FeeTemplate.id)).one()


def test_the_group_rolls_out_and_back_in_the_browser(installation, scope, place, template):
    import re

    from dougong.access.operations import create_user, grant_role
    from dougong.access.roles import ship_roles
    from dougong.testing.people import sign_in
    from dougong.web.app import create_app

    add_item(scope, place)
    scope.session.commit()
    version = template()
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"t{place.group_id.hex[-12:]}", "集团经理")
        grant_role(session, Actor.system(), user.id, "group_manager", group_id=place.group_id)
        actor = Actor(user.id, user.name)
    browser = sign_in(create_app(installation), installation, actor)
    address = f"/g/{place.group_id}/fees/templates/{version}"
    page = browser.get(address).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    assert "有偏差" in page and "尚未设置" in page
    done = browser.post(address, data={"csrf_token": token, "do": "roll-out"})
    assert done.status_code == 200 and done.text.count("一致") == 2
    back = browser.post(address, data={"csrf_token": token, "do": "undo"})
    assert "尚未设置" in back.text
    assert browser.get(f"/g/{place.group_id}/admin/fees/fee_template/{version}/").status_code == 200
    assert browser.get(f"/g/{place.group_id}/admin/fees/fee_template/").status_code == 200
