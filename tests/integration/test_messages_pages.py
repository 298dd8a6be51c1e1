"""The desk of messages: what failed and why, sending again, quiet hours, wordings."""

from uuid import uuid4

import pytest
from sqlalchemy import select

from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.messages.models import (
    ContactPoint,
    DeliveryState,
    Message,
    MessageDelivery,
    MessageTemplate,
)
from dougong.messages.services import resend_delivery
from dougong.messages.wording import template_names, variables
from dougong.tenancy.models import Person
from dougong.testing.people import make_login, sign_in

WORDING = "participation:complaint_answered"


@pytest.fixture
def boss(installation, place, app):
    return sign_in(app, installation, make_login(installation, place, "community_manager"))


@pytest.fixture
def bounced(installation, community):
    """Return the id of a delivery that the other side refused for good."""
    with installation.scope(Actor.system(), community=community) as scope:
        person = scope.session.scalars(select(Person).limit(1)).one()
        message = Message(person_id=person.id, template="dougong:free", locale="zh_Hans_CN",
                          created_at=scope.now)  # fmt: skip
        message.subject, message.body = "停水", "明天停水"
        point = ContactPoint(person_id=person.id, channel="email")
        point.address = "right@example.cn"
        scope.session.add_all([message, point])
        scope.session.flush()
        delivery = MessageDelivery(message_id=message.id, channel="email", rank=1, attempts=1,
                                   state=DeliveryState.FAILED, due_at=scope.now,
                                   detail="550 no such user")  # fmt: skip
        delivery.address = "wrong@example.cn"
        scope.session.add(delivery)
        scope.session.flush()
        return delivery.id


def form(page, **values):
    token = page.get_data(as_text=True).split('name="csrf_token" value="')[1].split('"')[0]
    return {"csrf_token": token, **values}


def desk(community):
    return f"/c/{community}/messages"


def test_a_bounce_is_seen_and_sent_again_to_the_mended_address(
    installation, community, boss, bounced
):
    page = boss.get(f"{desk(community)}/")
    assert "550 no such user" in page.get_data(as_text=True)
    sent = boss.post(f"{desk(community)}/{bounced}/resend", data=form(page))
    assert sent.status_code == 303
    with installation.scope(Actor.system(), community=community) as scope:
        delivery = scope.get(MessageDelivery, bounced)
        assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 0)
        assert delivery.address == "right@example.cn"


def test_only_what_failed_is_sent_again(installation, community, bounced):
    with installation.scope(Actor.system(), community=community) as scope:
        delivery = scope.get(MessageDelivery, bounced)
        resend_delivery(scope, delivery)
        with pytest.raises(Conflict):
            resend_delivery(scope, delivery)


def test_quiet_hours_are_set_on_the_page_and_nonsense_is_refused(installation, community, boss):
    page = boss.get(f"{desk(community)}/")
    saved = boss.post(f"{desk(community)}/configure",
                      data=form(page, quiet_hours="21:30-08:00", channels="email"))  # fmt: skip
    assert saved.status_code == 303
    with installation.scope(Actor.system(), community=community) as scope:
        assert scope.setting("messages.quiet_hours") == "21:30-08:00"
        assert scope.setting("messages.channels") == ["in_app", "email"]
    refused = boss.post(f"{desk(community)}/configure", data=form(page, quiet_hours="night"))
    assert refused.status_code == 422
    assert "22:00-07:00" in refused.get_data(as_text=True)


def test_every_template_is_listed_and_its_variables_are_explained(installation, community, boss):
    page = boss.get(f"{desk(community)}/wordings/").get_data(as_text=True)
    with installation.scope(Actor.system(), community=community) as scope:
        names = template_names(scope)
        for name in names:
            for locale in ("zh_Hans_CN", "en"):
                assert all(v.meaning for v in variables(scope, name, locale)), name
    assert {WORDING, "dougong:free"} <= set(names)
    assert all(name in page for name in names)


def test_a_wording_is_tried_saved_and_taken_back(installation, community, boss):
    address = f"{desk(community)}/wordings/{WORDING}/zh_Hans_CN"
    page = boss.get(address)
    assert "楼道灯不亮" in page.get_data(as_text=True)
    words = {"subject": "{{ number }} 有答复", "body": "{{ answer }}"}
    tried = boss.post(address, data=form(page, act="preview", **words)).get_data(as_text=True)
    assert "TS-20261128-003 有答复" in tried
    assert own(installation, community) == []
    assert boss.post(address, data=form(page, act="save", **words)).status_code == 303
    assert own(installation, community) == ["{{ number }} 有答复"]
    assert boss.post(address, data=form(page, act="restore", **words)).status_code == 303
    assert own(installation, community) == []


def own(installation, community):
    with installation.scope(Actor.system(), community=community) as scope:
        return list(scope.session.scalars(select(MessageTemplate.subject)))


@pytest.mark.parametrize(
    "body",
    ["{{ nobody_knows }}", "{% for x in y %}{% endfor %}", "{{ answer", "{{ answer.__class__ }}"],
    ids=["unknown", "loop", "broken", "inside"],
)
def test_a_wording_that_would_fail_when_sent_is_refused(installation, community, boss, body):
    address = f"{desk(community)}/wordings/{WORDING}/zh_Hans_CN"
    words = {"act": "save", "subject": "x", "body": body}
    refused = boss.post(address, data=form(boss.get(address), **words))
    assert refused.status_code == 422
    assert 'role="alert"' in refused.get_data(as_text=True)
    assert own(installation, community) == []


def test_strangers_and_unknown_wordings(installation, place, app, boss, bounced):
    address = desk(place.community_id)
    assert boss.get(f"{address}/wordings/no:such/zh_Hans_CN").status_code == 404
    assert (
        boss.post(f"{address}/{uuid4()}/resend", data=form(boss.get(f"{address}/"))).status_code
        == 404
    )
    guard = sign_in(app, installation, make_login(installation, place, "guard"))
    assert guard.get(f"{address}/").status_code == 403
