"""Notices, complaints, feedback and questionnaires on a real PostgreSQL."""

import threading
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import select, text

from dougong.db.scope import Actor, Grant
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.messages import inbox
from dougong.services import create, delete
from dougong_participation import cards, demonstration, services
from dougong_participation.domain import ComplaintState
from dougong_participation.errors import NotYours, WrongState
from dougong_participation.models import (
    Answer,
    AnswerSheet,
    Audience,
    Complaint,
    Feedback,
    Improvement,
    Notice,
    NoticeRead,
    Question,
    Questionnaire,
    Respondent,
    Topic,
)

PORTAL = frozenset({"participation.portal"})


@pytest.fixture
def owner(place):
    """Return a function that gives the n-th person of the place as an actor of the portal."""

    def made(number=0):
        grant = Grant(PORTAL, group_id=place.group_id, communities=frozenset({place.community_id}))
        persons = {place.community_id: place.person_ids[number]}
        return Actor(None, f"业主{number}", grants=(grant,), persons=persons)

    return made


@pytest.fixture
def enter(installation, place):
    """Return a function that opens a scope of the community for an actor, the system's unsaid."""

    def made(actor=None):
        return installation.scope(actor or Actor.system("test"), community=place.community_id)

    return made


def publish(scope, title="停水通知", codes="", **values):
    notice = create(scope, Notice, {"title": title, "body": "明天停水。", **values})
    services.address_notice(scope, notice, codes)
    return services.publish_notice(scope, notice)


# --- notices ----------------------------------------------------------------------------------


def unread(scope, person_id):
    return scope.session.scalar(services.unread_query(scope, person_id))


def test_a_notice_is_seen_once_it_is_published_and_until_it_is_withdrawn(enter, owner):
    with enter() as scope:
        notice = create(scope, Notice, {"title": "停水", "body": "x"})
    with enter(owner()) as scope:
        assert services.my_notices(scope) == []
        with pytest.raises(NotFound):
            services.read_notice(scope, notice.id)
    with enter() as scope:
        services.publish_notice(scope, scope.get(Notice, notice.id))
    with enter(owner()) as scope:
        assert [(n.title, is_read) for n, is_read in services.my_notices(scope)] == [
            ("停水", False)
        ]
    with enter() as scope:
        services.withdraw_notice(scope, scope.get(Notice, notice.id))
        with pytest.raises(WrongState):
            services.withdraw_notice(scope, scope.get(Notice, notice.id))
    with enter(owner()) as scope:
        assert services.my_notices(scope) == []


def test_a_notice_for_a_building_is_for_its_people_only(enter, owner, place):
    with enter() as scope:
        notice = publish(scope, codes="1")
        assert notice.audience is Audience.BUILDINGS
    with enter(owner(0)) as scope:
        assert unread(scope, place.person_ids[0]) == 1
    with enter(owner(1)) as scope:
        assert services.my_notices(scope) == []
        with pytest.raises(NotFound):
            services.read_notice(scope, notice.id)


def test_reading_twice_leaves_one_mark(enter, owner, place):
    with enter() as scope:
        notice = publish(scope)
    for _ in range(2):
        with enter(owner()) as scope:
            services.read_notice(scope, notice.id)
    with enter() as scope:
        assert len(scope.session.scalars(select(NoticeRead)).all()) == 1
        assert services.read_counts(scope, [notice]) == {notice.id: "1"}
        assert unread(scope, place.person_ids[0]) == 0
        assert unread(scope, place.person_ids[1]) == 1


def test_an_unknown_building_is_named(enter):
    with enter() as scope:
        notice = create(scope, Notice, {"title": "x", "body": "y"})
        with pytest.raises(Invalid) as error:
            services.address_notice(scope, notice, "1、7，九")
        assert error.value.fields["building_codes"].endswith("7、九")


def test_an_expired_notice_is_neither_published_nor_shown(enter, owner, place):
    with enter() as scope:
        with pytest.raises(Invalid):
            publish(scope, expires_on=scope.today)
        notice = publish(scope, expires_on=scope.today + timedelta(days=1))
        notice.expires_on = scope.today
    with enter(owner()) as scope:
        assert unread(scope, place.person_ids[0]) == 0


def test_notices_are_paged_by_the_last_one_seen(enter, owner):
    with enter() as scope:
        for number in range(5):
            publish(scope, f"通知{number}")
    with enter(owner()) as scope:
        first = services.my_notices(scope, limit=3)
        rest = services.my_notices(scope, limit=3, before=first[-1][0].id)
        assert [n.title for n, _ in [*first, *rest]] == [f"通知{n}" for n in (4, 3, 2, 1, 0)]


def test_a_published_notice_can_be_deleted_with_its_marks(enter, owner):
    with enter() as scope:
        notice = publish(scope, codes="1")
    with enter(owner()) as scope:
        services.read_notice(scope, notice.id)
    with enter() as scope:
        delete(scope, scope.get(Notice, notice.id))


# --- complaints -------------------------------------------------------------------------------


def file(scope, **values):
    return services.file_complaint(scope, **{"title": "太吵", "text": "半夜施工", **values})


def test_a_complaint_goes_from_filing_to_a_rating(enter, owner):
    with enter(owner()) as scope:
        filed = file(scope, topic=Topic.NOISE)
        assert filed.number == 1
        assert filed.due_at - filed.filed_at == timedelta(hours=48)
        assert filed.room.code == "1-1-101"
        with pytest.raises(WrongState):
            services.rate_complaint(scope, filed.id, 5)
    with enter() as scope:
        there = scope.get(Complaint, filed.id)
        services.take_complaint(scope, there)
        with pytest.raises(WrongState):
            services.take_complaint(scope, there)
        services.answer_complaint(scope, there, "已制止。")
        assert there.handler == "test"
    with enter(owner()) as scope:
        with pytest.raises(Invalid):
            services.rate_complaint(scope, filed.id, 6)
        rated = services.rate_complaint(scope, filed.id, 4, "还行")
        assert (rated.state, rated.rating) == (ComplaintState.CLOSED, 4)
        assert [r.text for r in services.replies(scope, rated)] == ["已制止。"]
        (message,) = inbox(scope)
        assert message.subject == "您的投诉已答复：太吵"
        assert message.link == f"participation/my/complaints/{filed.id}"
        assert [c.id for c in services.my_complaints(scope)] == [filed.id]


def test_what_is_not_solved_is_reopened_within_a_week(enter, owner):
    with enter(owner()) as scope:
        filed = file(scope)
    with enter() as scope:
        services.answer_complaint(scope, scope.get(Complaint, filed.id), "好的")
    with enter(owner()) as scope:
        again = services.reopen_complaint(scope, filed.id, "还是很吵")
        assert (again.state, again.times_reopened) == (ComplaintState.IN_PROGRESS, 1)
    with enter() as scope:
        there = scope.get(Complaint, filed.id)
        services.answer_complaint(scope, there, "再次制止")
        there.answered_at = scope.now - timedelta(days=8)
    with enter(owner()) as scope, pytest.raises(WrongState):
        services.reopen_complaint(scope, filed.id, "又来了")
    with enter() as scope:
        assert services.close_answered(scope) == 1
        assert services.close_answered(scope) == 0


def test_another_s_complaint_is_not_there(enter, owner):
    with enter(owner(0)) as scope:
        filed = file(scope)
    with enter(owner(1)) as scope:
        assert services.my_complaints(scope) == []
        for verb, arguments in (("rate", (5,)), ("reopen", ("x",)), ("reply_to", ("x",))):
            with pytest.raises(NotFound):
                getattr(services, f"{verb}_complaint")(scope, filed.id, *arguments)


def test_a_complaint_about_another_s_room_is_refused(enter, owner, place):
    with enter(owner(0)) as scope, pytest.raises(Invalid) as error:
        file(scope, room_id=place.room_ids[1])
    assert "room_id" in error.value.fields


@pytest.mark.parametrize("values", [{"title": " "}, {"text": ""}])
def test_an_empty_complaint_is_refused(enter, owner, values):
    with enter(owner()) as scope, pytest.raises(Invalid):
        file(scope, **values)


def test_an_owner_may_not_answer_and_staff_without_a_person_may_not_file(enter, owner):
    with enter(owner()) as scope:
        filed = file(scope)
        with pytest.raises(NotAllowed):
            services.answer_complaint(scope, filed, "我自己答")
    with enter() as scope, pytest.raises(NotYours):
        file(scope)


def test_staff_takes_down_a_call_through_the_generic_form(enter, place):
    with enter() as scope:
        values = {"title": "路灯不亮", "text": "2 栋前", "source": "phone"}
        made = create(scope, Complaint, {**values, "person_id": place.person_ids[0]})
        assert (made.number, made.source.value) == (1, "phone")


def test_numbers_have_no_gap_and_no_double_when_many_file_at_once(enter, owner):
    def work(number):
        with enter(owner(number)) as scope:
            file(scope)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with enter() as scope:
        assert sorted(scope.session.scalars(select(Complaint.number))) == [1, 2, 3, 4]


# --- feedback ---------------------------------------------------------------------------------


def test_frequent_problems_of_last_month_open_improvements_once(enter, owner):
    with enter(owner()) as scope:
        for topic in (Topic.CLEANING, Topic.CLEANING, Topic.CLEANING, Topic.NOISE):
            services.give_feedback(scope, "请改进", topic, "home")
        given = services.give_feedback(scope, "匿名", is_nameless=True)
        assert given.person_id is None
    with enter() as scope:
        feedback = scope.session.scalars(select(Feedback)).all()
        for each in feedback:
            each.given_at = datetime(2026, 10, 31, 15, 59, tzinfo=UTC)
        scope.session.flush()
        november = date(2026, 11, 1)
        assert services.analyse_month(scope, november) == 1
        assert services.analyse_month(scope, november) == 1
        (improvement,) = scope.session.scalars(select(Improvement)).all()
        assert (improvement.topic, improvement.voices) == (Topic.CLEANING, 3)
        assert services.analyse_month(scope, date(2026, 12, 1)) == 0
        services.finish_improvement(scope, improvement, "增加一次保洁")
        with pytest.raises(WrongState):
            services.finish_improvement(scope, improvement, "再增加")
        first = services.acknowledge_feedback(scope, feedback[0]).acknowledged_at
        assert services.acknowledge_feedback(scope, feedback[0]).acknowledged_at == first


# --- questionnaires ---------------------------------------------------------------------------


@pytest.fixture
def asked(enter):
    """Return an open questionnaire and its four questions."""
    with enter() as scope:
        made = create(scope, Questionnaire, {"title": "满意度", "is_nameless": True})
        with pytest.raises(Invalid):
            services.open_questionnaire(scope, made)
        rows = (
            ("score", "总体", "", True),
            ("one", "先改什么", "电梯\n绿化", True),
            ("several", "怎样通知", "短信\n微信\n公告栏", False),
            ("text", "还有什么", "", False),
        )
        questions = [
            create(
                scope,
                Question,
                {
                    "questionnaire_id": made.id,
                    "position": number,
                    "kind": kind,
                    "text": words,
                    "choices": choices,
                    "is_needed": is_needed,
                },
            )
            for number, (kind, words, choices, is_needed) in enumerate(rows, 1)
        ]
        services.open_questionnaire(scope, made)
        return made.id, [str(q.id) for q in questions]


def test_answers_are_counted_and_nobody_answers_twice(enter, owner, asked):
    questionnaire, (score, one, several, words) = asked
    sheets = (
        {score: ["5"], one: ["电梯"], several: ["短信", "微信"], words: ["谢谢"]},
        {score: ["4"], one: ["电梯"], several: [], words: [" "]},
        {score: ["5"], one: ["绿化"]},
    )
    for number, answers in enumerate(sheets):
        with enter(owner(number)) as scope:
            services.answer_questionnaire(scope, questionnaire, answers)
    with enter(owner(0)) as scope, pytest.raises(Conflict):
        services.answer_questionnaire(scope, questionnaire, sheets[0])
    with enter() as scope:
        count, results = services.results(scope, scope.get(Questionnaire, questionnaire))
        assert count == 3
        assert results[0].counts == {"1": 0, "2": 0, "3": 0, "4": 1, "5": 2}
        assert results[1].percents == {"电梯": 67, "绿化": 33}
        assert results[2].counts == {"短信": 1, "微信": 1, "公告栏": 0}
        assert results[3].texts == ["谢谢"]
        assert len(scope.session.scalars(select(Respondent)).all()) == 3
        assert set(scope.session.scalars(select(AnswerSheet.person_id))) == {None}


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ({}, {0, 1}),
        ({0: ["6"], 1: ["电梯"]}, {0}),
        ({0: ["5"], 1: ["电梯", "绿化"]}, {1}),
        ({0: ["5"], 1: ["<b>"]}, {1}),
        ({0: ["5"], 1: ["电梯"], 3: ["字" * 2001]}, {3}),
    ],
    ids=["nothing", "no such score", "two of one", "not offered", "too long"],
)
def test_a_wrong_answer_is_named_and_nothing_is_kept(enter, owner, asked, answers, wrong):
    questionnaire, questions = asked
    with enter(owner()) as scope:
        given = {questions[n]: chosen for n, chosen in answers.items()}
        with pytest.raises(Invalid) as error:
            services.answer_questionnaire(scope, questionnaire, given)
        assert set(error.value.fields) == {f"q_{questions[n]}" for n in wrong}
        assert scope.session.scalar(select(Answer.id)) is None


def test_a_closed_questionnaire_takes_no_answers(enter, owner, asked, place):
    questionnaire, _ = asked
    with enter() as scope:
        services.close_questionnaire(scope, scope.get(Questionnaire, questionnaire))
    with enter(owner()) as scope:
        assert services.my_questionnaires(scope, place.person_ids[0]) == []
        with pytest.raises(NotFound):
            services.answer_questionnaire(scope, questionnaire, {})


# --- what others are shown --------------------------------------------------------------------


def test_cards_and_hits_show_what_the_actor_may_see(enter, owner, place):
    with enter(owner()) as scope:
        filed = file(scope, title="电梯异响")
        room = filed.room
        assert scope.answer(cards.dashboard(scope)) == []
        assert cards.search(scope, "电梯", 5) == []
    with enter() as scope:
        publish(scope, "电梯年检通知")
        waiting, rating, feedback, _button = scope.answer(cards.dashboard(scope))
        assert (waiting.value, rating.value, feedback.value) == ("1", "–", "0")
        kinds = [hit.url.split("/")[2] for hit in cards.search(scope, "电梯", 5)]
        assert kinds == ["complaint", "notice"]
        assert [hit.url for hit in cards.search(scope, "01", 5)] == [
            f"admin/participation/complaint/{filed.id}/"
        ]
        assert cards.search(scope, "100%", 5) == []
        (panel,) = scope.answer(cards.panels(scope, room))
        assert panel.rows == [("1 电梯异响", "待受理")]
    with enter(owner()) as scope:
        found = scope.answer(cards.portal(scope, place.person_ids[0]))
        assert [card.value for card in found] == ["1 条新通知", "1 件处理中", "我要反馈"]


def test_another_community_sees_nothing_of_it(installation, enter, owner, place):
    with enter(owner()) as scope:
        file(scope)
    with installation.scope(Actor.system(), community=place.other_community_id) as scope:
        assert (
            scope.session.execute(text("select count(*) from participation.complaint")).scalar()
            == 0
        )


def test_the_demonstration_is_the_same_each_time_and_complete(enter, place):
    with enter() as scope:
        demonstration.load(scope, Random(1))
        services_count, results = services.results(
            scope, scope.session.scalars(select(Questionnaire)).one()
        )
        complaints = scope.session.scalars(select(Complaint).order_by(Complaint.number)).all()
        assert len(complaints) == 10
        assert {c.state for c in complaints} == {ComplaintState.OPEN, ComplaintState.CLOSED}
        assert all(c.filed_at <= scope.now for c in complaints)
        assert all(c.closed_at is None or c.closed_at <= scope.now for c in complaints)
        assert len(scope.session.scalars(select(Notice)).all()) == 7
        assert len(results) == 6


def test_an_improvement_says_what_many_said_and_forgets_what_was_erased(scope):
    month = scope.now - timedelta(days=scope.today.day + 3)
    made = [Feedback(topic=Topic.OTHER, text=f"{n} 号楼电梯总停", given_at=month) for n in range(3)]
    scope.session.add_all(made)
    scope.session.flush()
    services.analyse_month(scope)
    improvement = scope.session.scalars(
        select(Improvement).where(Improvement.topic == Topic.OTHER)
    ).one()
    [(words, texts), *_] = services.examples_of(scope, improvement)
    assert words == "号楼电梯总停 × 3"
    assert "号楼电梯总停" in texts
    assert "电梯" not in str([f["feedback"] for f in improvement.findings])
    for each in made:
        scope.session.delete(each)
    scope.session.flush()
    assert services.examples_of(scope, improvement)[0][1] == ""
