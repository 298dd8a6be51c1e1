"""Questionnaires, their questions, and what was answered."""

from datetime import date
from uuid import UUID

from sqlalchemy import Boolean, Integer, String, Text, UniqueConstraint, false, true
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, ref, state, to_one
from dougong.tenancy.models import Person
from dougong_participation.models.kinds import Base, QuestionKind, QuestionnaireState, read_only


class Questionnaire(InCommunity, Base):
    """A questionnaire (问卷) that people answer once each.

    Without names the answers carry no person: staff see who took part and what was answered, and
    not who answered what. The audit log, which staff do not read, still knows the login.
    """

    __tablename__ = "questionnaire"

    title: Mapped[str] = mapped_column(String(120), info=label("Title", "标题"))
    introduction: Mapped[str | None] = mapped_column(Text, info=label("Introduction", "说明"))
    closes_on: Mapped[date | None] = mapped_column(info=label("Open before", "截止日期"))
    is_nameless: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=label("Without names", "不记名")
    )
    state: Mapped[QuestionnaireState] = state(
        QuestionnaireState, default=QuestionnaireState.DRAFT, info=read_only("State", "状态")
    )

    def __str__(self) -> str:
        return self.title


class Question(InCommunity, Base):
    """A question of a questionnaire; choices stand one to a line."""

    __tablename__ = "question"
    __table_args__ = (UniqueConstraint("community_id", "questionnaire_id", "position"),)

    questionnaire_id: Mapped[UUID] = ref(
        "participation.questionnaire",
        ondelete="CASCADE",
        index=False,
        info=label("Questionnaire", "问卷"),
    )
    questionnaire: Mapped[Questionnaire] = to_one(questionnaire_id, Questionnaire)
    position: Mapped[int] = mapped_column(Integer, info=label("Position", "序号"))
    kind: Mapped[QuestionKind] = state(
        QuestionKind, default=QuestionKind.ONE, info=label("Kind", "题型")
    )
    text: Mapped[str] = mapped_column(String(300), info=label("Question", "问题"))
    choices: Mapped[str | None] = mapped_column(
        Text, info=label("Choices, one to a line", "选项（每行一个）")
    )
    is_needed: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("Needed", "必答")
    )

    @property
    def options(self) -> list[str]:
        """Return what may be chosen; for a score the figures 1 to 5."""
        if self.kind is QuestionKind.SCORE:
            return ["1", "2", "3", "4", "5"]
        return [line.strip() for line in (self.choices or "").splitlines() if line.strip()]

    def __str__(self) -> str:
        return self.text


class Respondent(InCommunity, Base):
    """That a person has answered a questionnaire, whatever the answer."""

    __tablename__ = "respondent"
    __table_args__ = (UniqueConstraint("community_id", "questionnaire_id", "person_id"),)

    questionnaire_id: Mapped[UUID] = ref(
        "participation.questionnaire",
        ondelete="CASCADE",
        index=False,
        info=label("Questionnaire", "问卷"),
    )
    questionnaire: Mapped[Questionnaire] = to_one(questionnaire_id, Questionnaire)
    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person] = to_one(person_id, Person)


class AnswerSheet(InCommunity, Base):
    """One answered questionnaire; of a nameless one nobody's."""

    __tablename__ = "answer_sheet"
    __named_by__ = ("questionnaire",)

    questionnaire_id: Mapped[UUID] = ref(
        "participation.questionnaire", ondelete="CASCADE", info=label("Questionnaire", "问卷")
    )
    questionnaire: Mapped[Questionnaire] = to_one(questionnaire_id, Questionnaire)
    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    answered_on: Mapped[date] = mapped_column(info=label("Answered on", "填写日期"))

    def __str__(self) -> str:
        return f"{self.questionnaire} {self.answered_on}"


class Answer(InCommunity, Base):
    """One answer; a question with several choices has one row per choice."""

    __tablename__ = "answer"

    answer_sheet_id: Mapped[UUID] = ref(
        "participation.answer_sheet", ondelete="CASCADE", info=label("Answer sheet", "答卷")
    )
    answer_sheet: Mapped[AnswerSheet] = to_one(answer_sheet_id, AnswerSheet)
    question_id: Mapped[UUID] = ref("participation.question", info=label("Question", "问题"))
    question: Mapped[Question] = to_one(question_id, Question)
    text: Mapped[str] = mapped_column(Text, info={**label("Answer", "回答"), "free_text": True})

    def __str__(self) -> str:
        return self.text[:40]
