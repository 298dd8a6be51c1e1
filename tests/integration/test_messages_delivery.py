"""Messages: the inbox, and e-mail to a real SMTP server on a socket."""

import socket
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select, text

from dougong.db.scope import Actor
from dougong.errors import Invalid, NotFound
from dougong.installation import Installation
from dougong.jobs import Job, JobState
from dougong.jobs.running import run_job
from dougong.messages import (
    Attachment,
    deliver,
    deliver_due,
    inbox,
    mark_all_read,
    mark_read,
    notify,
    sending,
    unread_count,
    write_message,
    write_template,
)
from dougong.messages.models import (
    ContactPoint,
    DeliveryState,
    MessageDelivery,
    MessageTemplate,
)
from dougong.services import change, create
from dougong.tenancy.models import Person
from dougong.tenancy.operations import set_setting
from dougong.testing.pytest_plugin import with_settings

FREE = "dougong:free"


class Mailbox:
    """A mail server that keeps what it accepts; an address may have an answer of its own."""

    def __init__(self):
        self.received, self.answers = [], {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.answers.get(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 accepted"


@pytest.fixture
def mailbox():
    handler = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        handler.port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


def with_mail(settings, mailbox):
    url = f"smtp://127.0.0.1:{mailbox.port}?starttls=never"
    return with_settings(settings, smtp_url=url, mail_from="翠湖花园 <wuye@example.cn>")


class House(Installation):
    """An installation that remembers what it hands to the workers; none runs in these tests."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.handed_over = []

    def enqueue(self, scope, service, arguments):
        self.handed_over.append((service, arguments["delivery"]))


@pytest.fixture
def house(installation, settings, mailbox):
    """Return the installation with the mail server configured."""
    return House(with_mail(settings, mailbox), installation.databases, installation.plugins)


@pytest.fixture
def awake(house, community):
    with house.access() as session:
        set_setting(session, community, "messages.quiet_hours", "")


@pytest.fixture
def here(house, awake, community):
    with house.scope(Actor.system("test"), community=community) as opened:
        yield opened


def person_with_mail(scope, address="zhang@example.cn"):
    person = scope.session.scalars(select(Person).limit(1)).one()
    scope.session.add(ContactPoint(person_id=person.id, address=address))
    scope.session.flush()
    return person


def deliveries(scope, message):
    query = select(MessageDelivery).filter_by(message_id=message.id)
    return {d.channel: d for d in scope.session.scalars(query.order_by(MessageDelivery.rank))}


def test_a_message_lies_in_the_person_s_inbox_and_nobody_else_s(house, place):
    with house.scope(Actor.system(), community=place.community_id) as scope:
        person = scope.get(Person, place.person_ids[0])
        write_message(scope, person, "停水通知", "明天 9 点停水。")
    mine = Actor(None, "张三", persons={place.community_id: place.person_ids[0]})
    other = Actor(None, "李四", persons={place.community_id: place.person_ids[1]})
    with house.scope(mine, community=place.community_id) as scope:
        assert unread_count(scope) == 1
        (message,) = inbox(scope)
        assert (message.subject, message.body) == ("停水通知", "明天 9 点停水。")
    with house.scope(other, community=place.community_id) as scope:
        assert (unread_count(scope), list(inbox(scope))) == (0, [])
        with pytest.raises(NotFound):
            mark_read(scope, message.id)
    with house.scope(mine, community=place.community_id) as scope:
        first = mark_read(scope, message.id).read_at
        assert first is not None
        assert mark_read(scope, message.id).read_at == first
        assert (unread_count(scope), mark_all_read(scope)) == (0, 0)


def test_the_database_holds_no_plain_text(here):
    person = person_with_mail(here)
    write_message(here, person, "催费", "您欠费 107.53 元")
    held = here.session.execute(text("select subject, body from dougong.message")).one()
    assert all("欠费".encode() not in bytes(value) for value in held)


def test_an_e_mail_arrives_once_with_its_text_link_and_file(here, mailbox):
    person = person_with_mail(here)
    receipt = Attachment("收据.pdf", "application/pdf", b"%PDF-1.7 x")
    message = notify(
        here,
        person,
        FREE,
        {"subject": "收据\n", "body": "您好"},
        link="fees/my/",
        attachments=[receipt],
    )
    waiting = deliveries(here, message)["email"]
    assert here.installation.handed_over == [("dougong.message_delivery.deliver", waiting.id)]
    assert deliver(here, waiting).state is DeliveryState.SENT
    assert deliver(here, waiting).attempts == 1
    (mail,) = mailbox.received
    assert mail["to"] == "zhang@example.cn"
    assert mail["subject"] == "收据"
    assert mail["from"] == "翠湖花园 <wuye@example.cn>"
    assert mail["message-id"] == waiting.provider_id
    body = mail.get_body().get_content()
    assert body.startswith("您好")
    assert f"http://127.0.0.1/c/{here.community_id}/fees/my/" in body
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("收据.pdf", b"%PDF-1.7 x")


def test_a_subject_cannot_smuggle_in_a_header(here, mailbox):
    person = person_with_mail(here)
    message = notify(here, person, FREE, {"subject": "x\r\nBcc: eve@evil.cn", "body": "y"})
    deliver(here, deliveries(here, message)["email"])
    assert mailbox.received[0]["bcc"] is None


def test_the_same_key_writes_one_message(here):
    person = person_with_mail(here)
    context = {"subject": "账单", "body": "11 月"}
    first = notify(here, person, FREE, context, key="bill-1")
    assert notify(here, person, FREE, context, key="bill-1") is first


def test_a_busy_server_is_tried_again_and_a_refusal_is_not(here, mailbox):
    person = person_with_mail(here)
    mailbox.answers["zhang@example.cn"] = "451 try later"
    message = write_message(here, person, "x", "y")
    waiting = deliver(here, deliveries(here, message)["email"])
    assert (waiting.state, waiting.attempts) == (DeliveryState.WAITING, 1)
    assert waiting.due_at > here.now + timedelta(seconds=50)
    mailbox.answers["zhang@example.cn"] = "550 no such person"
    waiting.due_at = here.now
    here.session.flush()
    assert deliver(here, waiting).state is DeliveryState.FAILED
    assert "no such person" in waiting.detail


def test_a_mute_server_counts_as_a_hiccup(here, settings, place):
    house = House(
        with_settings(settings, smtp_url="smtp://127.0.0.1:1"),
        here.installation.databases,
        here.installation.plugins,
    )
    here.session.commit()
    with house.scope(Actor.system(), community=place.community_id) as scope:
        message = write_message(scope, person_with_mail(scope), "x", "y")
        waiting = deliver(scope, deliveries(scope, message)["email"])
        assert waiting.state is DeliveryState.WAITING
        assert "refused" in waiting.detail


def test_at_night_only_the_inbox_is_filled_and_urgent_mail_goes_out(
    house, community, mailbox, monkeypatch
):
    midnight = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
    with house.scope(Actor.system(), community=community) as scope:
        monkeypatch.setattr(type(scope), "now", property(lambda self: midnight))
        person = person_with_mail(scope)
        calm = deliveries(scope, write_message(scope, person, "x", "y"))
        assert calm["in_app"].state is DeliveryState.SENT
        assert calm["email"].due_at == datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
        assert deliver(scope, calm["email"]).state is DeliveryState.WAITING
        assert deliver_due(scope) == 0
        urgent = deliveries(scope, write_message(scope, person, "!", "水管爆裂", is_urgent=True))
        assert deliver(scope, urgent["email"]).state is DeliveryState.SENT
        assert len(mailbox.received) == 1


def test_the_next_channel_takes_over_when_one_refuses(here, mailbox):
    person = person_with_mail(here)
    mailbox.answers["zhang@example.cn"] = "550 gone"
    message = write_message(here, person, "x", "y")
    standby = MessageDelivery(
        message_id=message.id,
        channel="sms",
        rank=9,
        state=DeliveryState.STANDBY,
        due_at=here.now,
    )
    here.session.add(standby)
    here.session.flush()
    deliver(here, deliveries(here, message)["email"])
    assert standby.state is DeliveryState.WAITING


def test_two_workers_send_a_delivery_once(house, awake, place, mailbox):
    with house.scope(Actor.system(), community=place.community_id) as scope:
        message = write_message(scope, person_with_mail(scope), "x", "y")
        wanted = deliveries(scope, message)["email"].id

    def work():
        with house.scope(Actor.system(), community=place.community_id) as scope:
            scope.call("dougong.message_delivery.deliver", delivery=wanted)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(mailbox.received) == 1


def test_a_job_sends_what_was_handed_over_in_the_same_transaction(
    installation, settings, mailbox, awake, community
):
    real = Installation(with_mail(settings, mailbox), installation.databases, installation.plugins)
    with pytest.raises(RuntimeError), real.scope(Actor.system(), community=community) as scope:
        write_message(scope, person_with_mail(scope), "停水", "撤回的消息")
        raise RuntimeError
    with real.scope(Actor.system(), community=community) as scope:
        write_message(scope, person_with_mail(scope), "停水", "明天")
    with real.scope(Actor.system(), community=community) as scope:
        (job,) = scope.session.scalars(select(Job)).all()
    run_job(real, community, job.id, job.mac.hex())
    assert [mail["subject"] for mail in mailbox.received] == ["停水"]
    with real.scope(Actor.system(), community=community) as scope:
        assert scope.get(Job, job.id).state is JobState.DONE


def test_a_community_s_own_wording_is_used_and_an_empty_one_restores_the_default(here):
    person = person_with_mail(here)
    write_template(here, FREE, "【翠湖】{{ subject }}", "{{ body }}\n物业服务中心")
    assert write_message(here, person, "停水", "明天").subject == "【翠湖】停水"
    with pytest.raises(Invalid):
        write_template(here, FREE, "x", "{% for a in b %}{% endfor %}")
    with pytest.raises(NotFound):
        write_template(here, "dougong:nothing", "x", "y")
    assert write_template(here, FREE, "", "") is None
    assert write_message(here, person, "停水", "明天").subject == "停水"


def test_a_wording_is_checked_in_the_admin_s_forms_as_well(here):
    values = {"template": FREE, "subject": "{{ subject }}！", "body": "{{ body }}"}
    made = create(here, MessageTemplate, values)
    assert write_message(here, person_with_mail(here), "停水", "x").subject == "停水！"
    with pytest.raises(Invalid) as error:
        change(here, made, {"body": "{% set x = 1 %}"})
    assert set(error.value.fields) == {"body"}
    with pytest.raises(NotFound):
        create(here, MessageTemplate, {**values, "template": "dougong:nothing"})


def test_too_large_a_file_is_refused(here, monkeypatch):
    person = person_with_mail(here)
    monkeypatch.setattr(sending, "LARGEST", 10)
    with pytest.raises(Invalid):
        notify(
            here,
            person,
            FREE,
            {"subject": "x", "body": "y"},
            attachments=[Attachment("a.pdf", "application/pdf", b"x" * 11)],
        )
