"""Notices, complaints, feedback, improvements and questionnaires."""

from dougong_participation.models.complaints import Complaint, ComplaintReply, Feedback, Improvement
from dougong_participation.models.kinds import (
    Audience,
    ComplaintKind,
    ComplaintSource,
    ImprovementState,
    NoticeKind,
    NoticeState,
    QuestionKind,
    QuestionnaireState,
    Topic,
)
from dougong_participation.models.notices import Notice, NoticeBuilding, NoticeRead
from dougong_participation.models.questionnaires import (
    Answer,
    AnswerSheet,
    Question,
    Questionnaire,
    Respondent,
)

__all__ = [
    "Answer",
    "AnswerSheet",
    "Audience",
    "Complaint",
    "ComplaintKind",
    "ComplaintReply",
    "ComplaintSource",
    "Feedback",
    "Improvement",
    "ImprovementState",
    "Notice",
    "NoticeBuilding",
    "NoticeKind",
    "NoticeRead",
    "NoticeState",
    "Question",
    "QuestionKind",
    "Questionnaire",
    "QuestionnaireState",
    "Respondent",
    "Topic",
]
