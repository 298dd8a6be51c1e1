"""Questionnaires: opened, answered once by each person, closed, counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, exists, func, or_, select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_participation.domain import shares
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    Answer,
    AnswerSheet,
    Question,
    QuestionKind,
    Questionnaire,
    QuestionnaireState,
    Respondent,
)
from dougong_participation.services.people import me

LONGEST_ANSWER = 2000


@dataclass(frozen=True)
class Result:
    """What was answered to a question: votes and percents by option, or the texts."""

    question: Question
    counts: Mapping[str, int]
    percents: Mapping[str, int]
    texts: Sequence[str]


@service("questionnaire.open", title=("Open", "开始"))
def open_questionnaire(scope: Scope, questionnaire: Questionnaire) -> Questionnaire:
    """Let people answer. Raises WrongState when it is open, Invalid without proper questions."""
    if questionnaire.state is not QuestionnaireState.DRAFT:
        raise WrongState(N_("Only a draft can be opened."))
    asked = questions(scope, questionnaire)
    bare = [
        q.position
        for q in asked
        if q.kind in (QuestionKind.ONE, QuestionKind.SEVERAL) and len(q.options) < 2
    ]
    if not asked or bare:
        raise Invalid(
            N_("It needs questions, and each choice at least two options (question %(numbers)s)."),
            numbers="、".join(map(str, bare)) or "1",
        )
    questionnaire.state = QuestionnaireState.OPEN
    return questionnaire


@service("questionnaire.close", title=("Close", "结束"))
def close_questionnaire(scope: Scope, questionnaire: Questionnaire) -> Questionnaire:
    """Take no more answers. Raises WrongState unless it is open."""
    if questionnaire.state is not QuestionnaireState.OPEN:
        raise WrongState(N_("Only an open questionnaire can be closed."))
    questionnaire.state = QuestionnaireState.CLOSED
    return questionnaire


def questionnaires_query(scope: Scope, person_id: UUID) -> Select[Questionnaire, bool]:
    """Return the query of the open questionnaires, each with whether the person answered it."""
    answered = exists().where(
        Respondent.community_id == Questionnaire.community_id,
        Respondent.questionnaire_id == Questionnaire.id,
        Respondent.person_id == person_id,
    )
    query = select(Questionnaire, answered).where(*_takes_answers(scope))
    return query.order_by(Questionnaire.id.desc())


def my_questionnaires(scope: Scope, person_id: UUID) -> Sequence[tuple[Questionnaire, bool]]:
    """Return the open questionnaires, each with whether the person has answered it."""
    rows = scope.session.execute(questionnaires_query(scope, person_id))
    return [(questionnaire, is_answered) for questionnaire, is_answered in rows]


def _takes_answers(scope: Scope) -> tuple:
    return (
        Questionnaire.state == QuestionnaireState.OPEN,
        or_(Questionnaire.closes_on.is_(None), Questionnaire.closes_on > scope.today),
    )


def open_one(scope: Scope, questionnaire_id: UUID) -> Questionnaire:
    """Return a questionnaire that takes answers; raises NotFound."""
    query = select(Questionnaire).where(
        Questionnaire.id == questionnaire_id, *_takes_answers(scope)
    )
    found = scope.session.scalars(query).first()
    if found is None:
        raise NotFound(N_("This questionnaire is closed."))
    return found


def questions(scope: Scope, questionnaire: Questionnaire) -> Sequence[Question]:
    """Return the questions in order."""
    query = select(Question).where(Question.questionnaire_id == questionnaire.id)
    return scope.session.scalars(query.order_by(Question.position)).all()


@service("questionnaire.answer", title=("Answer", "提交问卷"), permission="participation.portal")
def answer_questionnaire(
    scope: Scope, questionnaire_id: UUID, answers: dict[str, list[str]]
) -> AnswerSheet:
    """Keep the actor's answers, once. answers: question id → what was chosen or written.

    Raises NotFound when it takes no answers, Conflict for a second sheet, Invalid naming the
    questions that are not answered rightly.
    """
    person = me(scope)
    questionnaire = open_one(scope, questionnaire_id)
    asked = questions(scope, questionnaire)
    given = {q.id: [a.strip() for a in answers.get(str(q.id), ()) if a.strip()] for q in asked}
    wrong = {f"q_{q.id}": why for q in asked if (why := _fault(q, given[q.id]))}
    if wrong:
        raise Invalid(N_("Some answers are not right yet."), fields=wrong)
    known = select(Respondent.id).filter_by(questionnaire_id=questionnaire.id, person_id=person)
    if scope.session.scalar(known) is not None:
        raise Conflict(N_("You have answered this questionnaire. Thank you."))
    sheet = AnswerSheet(
        questionnaire_id=questionnaire.id,
        person_id=None if questionnaire.is_nameless else person,
        answered_on=scope.today,
    )
    scope.session.add_all([Respondent(questionnaire_id=questionnaire.id, person_id=person), sheet])
    scope.session.flush()
    scope.session.add_all(
        Answer(answer_sheet_id=sheet.id, question_id=question, text=text)
        for question, chosen in given.items()
        for text in chosen
    )
    scope.session.flush()
    return sheet


def _fault(question: Question, chosen: Sequence[str]) -> str | None:
    """Return what is wrong with an answer, None when it may be kept."""
    if not chosen:
        return gettext("This is needed.") if question.is_needed else None
    if question.kind is QuestionKind.TEXT:
        too_long = len(chosen) > 1 or len(chosen[0]) > LONGEST_ANSWER
        return gettext("This is too long.") if too_long else None
    is_single = question.kind is not QuestionKind.SEVERAL
    if not set(chosen) <= set(question.options) or len(set(chosen)) != len(chosen):
        return gettext("Choose from the list.")
    return gettext("Choose one.") if is_single and len(chosen) > 1 else None


def results(scope: Scope, questionnaire: Questionnaire) -> tuple[int, list[Result]]:
    """Return how many took part, and what was answered to each question. Three statements."""
    sheets = scope.session.scalar(
        select(func.count()).where(AnswerSheet.questionnaire_id == questionnaire.id)
    )
    rows = scope.session.execute(
        select(Answer.question_id, Answer.text, func.count())
        .join(AnswerSheet, AnswerSheet.id == Answer.answer_sheet_id)
        .where(AnswerSheet.questionnaire_id == questionnaire.id)
        .group_by(Answer.question_id, Answer.text)
        .order_by(func.count().desc(), Answer.text)
    )
    counted: dict[UUID, dict[str, int]] = {}
    for question_id, text, count in rows:
        counted.setdefault(question_id, {})[text] = count
    return sheets or 0, [_result(q, counted.get(q.id, {})) for q in questions(scope, questionnaire)]


def _result(question: Question, counted: Mapping[str, int]) -> Result:
    if question.kind is QuestionKind.TEXT:
        return Result(question, {}, {}, list(counted))
    counts = {option: counted.get(option, 0) for option in question.options}
    return Result(question, counts, shares(counts), [])
