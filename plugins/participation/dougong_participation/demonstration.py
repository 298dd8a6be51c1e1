"""The demonstration's notices, complaints, feedback and questionnaire, as the trade knows them."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.tenancy.models import Building, Ownership, Room
from dougong_participation import demonstration_votes
from dougong_participation.domain import ComplaintState
from dougong_participation.models import (
    Answer,
    AnswerSheet,
    Complaint,
    ComplaintReply,
    Feedback,
    Improvement,
    Notice,
    NoticeBuilding,
    NoticeRead,
    Question,
    Questionnaire,
    Respondent,
)

DESK = "客服中心 周敏"
SHEETS = 60
TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


@dataclass
class Ground:
    """Who lives here: rooms with an owner each, and the first two buildings."""

    people: Sequence[tuple[UUID, UUID]]
    buildings: Sequence[UUID]


def load(scope: Scope, chance: Random) -> None:
    """Write notices, complaints, feedback and a questionnaire, a few statements a table."""
    ground = _ground(scope, chance)
    _notices(scope, chance, ground)
    demonstration_votes.load(scope)
    if not ground.people:
        return
    _complaints(scope, chance, ground)
    _feedback(scope, chance, ground)
    _questionnaire(scope, chance, ground)


def _ground(scope: Scope, chance: Random) -> Ground:
    owners = scope.session.execute(
        select(Ownership.room_id, Ownership.person_id)
        .join(Room, Room.id == Ownership.room_id)
        .where(Ownership.to_on.is_(None), Room.state == "occupied")
        .order_by(Room.sort_key, Ownership.id)
        .limit(400)
    ).all()
    people = [(room, person) for room, person in owners]
    chance.shuffle(people)
    buildings = scope.session.scalars(select(Building.id).order_by(Building.sort_key).limit(2))
    return Ground(people, buildings.all())


def _at(scope: Scope, days_ago: int, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(scope.today - timedelta(days=days_ago), time(hour, minute), scope.zone)


def _notices(scope: Scope, chance: Random, ground: Ground) -> None:
    notices = TEXTS["notice"]
    ids = [uuid7() for _ in notices]
    audiences = {True: "buildings", False: "everybody"}
    insert_rows(
        scope,
        Notice,
        {
            "id": ids,
            **{name: [n[name] for n in notices] for name in ("kind", "title", "body", "is_pinned")},
            "published_at": [_at(scope, n["days_ago"], 9, 30) for n in notices],
            "audience": [audiences[n["is_for_two_buildings"]] for n in notices],
            "state": ["published"] * len(notices),
            "publisher": [DESK] * len(notices),
        },
    )
    addressed = [
        (id, building)
        for id, notice in zip(ids, notices, strict=True)
        if notice["is_for_two_buildings"]
        for building in ground.buildings
    ]
    insert_rows(
        scope,
        NoticeBuilding,
        {"notice_id": [n for n, _ in addressed], "building_id": [b for _, b in addressed]},
    )
    people = dict.fromkeys(person for _, person in ground.people[:80])
    read = [
        (id, person, _at(scope, notice["days_ago"] - 1, 20))
        for id, notice in zip(ids, notices, strict=True)
        if not notice["is_for_two_buildings"]
        for person in people
        if chance.random() < 0.6
    ]
    insert_rows(
        scope,
        NoticeRead,
        {
            "notice_id": [n for n, _, _ in read],
            "person_id": [p for _, p, _ in read],
            "read_at": [at for _, _, at in read],
        },
    )


def _complaints(scope: Scope, chance: Random, ground: Ground) -> None:
    rows: dict[str, list[Any]] = {}
    said: dict[str, list[Any]] = {}
    for number, complaint in enumerate(TEXTS["complaint"], 1):
        room, person = ground.people[number % len(ground.people)]
        days = 3 + (len(TEXTS["complaint"]) - number) * 3 + chance.randrange(3)
        filed = _at(scope, days, 8 + chance.randrange(12), chance.randrange(60))
        answer, rating = complaint.get("answer"), complaint.get("rating")
        answered = filed + timedelta(hours=4 + chance.randrange(40)) if answer else None
        id = uuid7(filed)
        values = {name: complaint[name] for name in ("kind", "topic", "title", "text")} | {
            "id": id,
            "number": number,
            "person_id": person,
            "room_id": room,
            "source": chance.choice(("portal", "portal", "phone", "desk")),
            "state": _state(answer, rating),
            "filed_at": filed,
            "due_at": filed + timedelta(hours=48),
            "handler": DESK if answer else None,
            "answered_at": answered,
            "rating": rating,
            "closed_at": answered + timedelta(hours=2) if answered and rating else None,
        }
        _add(rows, values)
        if answer:
            reply = {"complaint_id": id, "replied_at": answered, "author": DESK, "text": answer}
            _add(said, {**reply, "is_staff": True})
    insert_rows(scope, Complaint, rows)
    insert_rows(scope, ComplaintReply, said)


def _state(answer: str | None, rating: int | None) -> str:
    if answer is None:
        return ComplaintState.OPEN.value
    return ComplaintState.CLOSED.value if rating else ComplaintState.ANSWERED.value


def _add(columns: dict[str, list[Any]], values: dict[str, Any]) -> None:
    for name, value in values.items():
        columns.setdefault(name, []).append(value)


def _feedback(scope: Scope, chance: Random, ground: Ground) -> None:
    rows: dict[str, list[Any]] = {}
    last_month = (scope.today.replace(day=1) - timedelta(days=1)).replace(day=1)
    for number, feedback in enumerate(TEXTS["feedback"]):
        day = last_month + timedelta(days=chance.randrange(27))
        given = datetime.combine(day, time(19, number), scope.zone)
        person = ground.people[(number * 7 + 3) % len(ground.people)][1]
        _add(rows, {**feedback, "id": uuid7(given), "person_id": person, "given_at": given})
    insert_rows(scope, Feedback, rows)
    insert_rows(
        scope,
        Improvement,
        {
            "month_on": [last_month] * 2,
            "topic": ["cleaning", "parking"],
            "voices": [3, 3],
            "measure": ["地下车库冲洗由每月一次改为每周一次", None],
            "due_on": [scope.today + timedelta(days=14)] * 2,
            "state": ["open", "open"],
        },
    )


def _questionnaire(scope: Scope, chance: Random, ground: Ground) -> None:
    asked = TEXTS["question"]
    questionnaire, questions = uuid7(), [uuid7() for _ in asked]
    insert_rows(
        scope,
        Questionnaire,
        {
            "id": [questionnaire],
            "title": [f"{scope.today.year} 年度物业服务满意度调查"],
            "introduction": ["共 6 题，约需两分钟。您的意见将用于改进明年的服务。"],
            "closes_on": [date(scope.today.year + 1, 1, 1)],
            "is_nameless": [True],
            "state": ["open"],
        },
    )
    insert_rows(
        scope,
        Question,
        {
            "id": questions,
            "questionnaire_id": [questionnaire] * len(asked),
            "position": list(range(1, len(asked) + 1)),
            "kind": [q["kind"] for q in asked],
            "text": [q["text"] for q in asked],
            "choices": ["\n".join(q["choices"]) for q in asked],
            "is_needed": [q["is_needed"] for q in asked],
        },
    )
    people = list(dict.fromkeys(person for _, person in ground.people))[20 : 20 + SHEETS]
    _sheets(scope, chance, questionnaire, questions, people)


def _sheets(
    scope: Scope, chance: Random, questionnaire: UUID, questions: list[UUID], people: list[UUID]
) -> None:
    """Write what people answered: who took part is known, whose sheet is whose is not."""
    sheets = [uuid7() for _ in people]
    insert_rows(
        scope,
        Respondent,
        {"questionnaire_id": [questionnaire] * len(people), "person_id": people},
    )
    insert_rows(
        scope,
        AnswerSheet,
        {
            "id": sheets,
            "questionnaire_id": [questionnaire] * len(people),
            "person_id": [None] * len(people),
            "answered_on": [scope.today - timedelta(days=chance.randrange(1, 9)) for _ in people],
        },
    )
    answers = [
        (sheet, question, text)
        for sheet in sheets
        for question, facts in zip(questions, TEXTS["question"], strict=True)
        for text in _answers(chance, facts)
    ]
    insert_rows(
        scope,
        Answer,
        {
            "answer_sheet_id": [a[0] for a in answers],
            "question_id": [a[1] for a in answers],
            "text": [a[2] for a in answers],
        },
    )


def _answers(chance: Random, question: dict[str, Any]) -> list[str]:
    options = question["choices"]
    if question["kind"] == "score":
        return chance.choices("54321", (38, 34, 18, 7, 3))
    if question["kind"] == "one":
        return [chance.choice(options)]
    if question["kind"] == "several":
        return sorted(chance.sample(options, chance.randrange(1, 4)), key=options.index)
    words = chance.choice(("希望加快电梯维修", "绿化可以再好一些", "整体不错，继续保持"))
    return [words] if chance.random() < 0.3 else []
