"""Texts that every service centre writes again: drafts of notices and forms to be filled in."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dougong.db import Scope
from dougong.documents import Document, render
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.services import service
from dougong_participation.models import (
    Notice,
    NoticeKind,
    Question,
    QuestionKind,
    Questionnaire,
)
from dougong_participation.services.questionnaires import questions

FILE = Path(__file__).parents[1] / "presets.toml"


@cache
def presets() -> Mapping[str, list[dict[str, Any]]]:
    """Return the presets: lists of ``notice`` and ``questionnaire``."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _named(kind: str, id: str) -> dict[str, Any]:
    found = next((each for each in presets()[kind] if each["id"] == id), None)
    if found is None:
        raise NotFound(N_("There is no such preset."))
    return found


@service("notice.draft", title=("Draft from a preset", "按范本起草"), is_public=False)
def draft_notice(scope: Scope, preset: str) -> Notice:
    """Make a draft of a notice from a preset; what stands in 【】 is filled in."""
    told = _named("notice", preset)
    made = Notice(title=told["title"], kind=NoticeKind(told["kind"]), body=told["body"].strip())
    scope.session.add(made)
    scope.session.flush()
    return made


@service("questionnaire.draft", title=("Draft from a preset", "按范本起草"), is_public=False)
def draft_questionnaire(scope: Scope, preset: str) -> Questionnaire:
    """Make a draft of a questionnaire with its questions from a preset."""
    told = _named("questionnaire", preset)
    made = Questionnaire(
        title=told["title"], introduction=told["introduction"], is_nameless=told["is_nameless"]
    )
    scope.session.add(made)
    scope.session.flush()
    scope.session.add_all(
        Question(
            questionnaire_id=made.id,
            position=position,
            kind=QuestionKind(each["kind"]),
            text=each["text"],
            choices="\n".join(each.get("choices", ())) or None,
            is_needed=each.get("is_needed", True),
        )
        for position, each in enumerate(told["questions"], 1)
    )
    scope.session.flush()
    return made


@service("notice.print", title=("Print to put up", "打印张贴"))
def print_notice(scope: Scope, notice: Notice) -> Document:
    """Return a notice as PDF, to be put up in the stairs."""
    on = notice.published_at.astimezone(scope.zone).date() if notice.published_at else scope.today
    lines = [line for line in notice.body.splitlines() if line.strip()]
    facts = {"notice": notice, "paragraphs": lines, "on": on}
    return render(scope, "participation:notice", facts, filename=f"{notice.title}.pdf")


@service("questionnaire.print", title=("Print the form", "打印问卷"))
def print_questionnaire(scope: Scope, questionnaire: Questionnaire) -> Document:
    """Return a questionnaire as a form on paper, for those who do not use a phone."""
    facts = {"questionnaire": questionnaire, "questions": questions(scope, questionnaire)}
    name = f"{questionnaire.title}.pdf"
    return render(scope, "participation:questionnaire", facts, filename=name)
