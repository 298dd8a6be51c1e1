"""Notices, complaints, feedback, improvements and questionnaires."""

from dougong_participation.models.complaints import Complaint, ComplaintReply, Feedback, Improvement
from dougong_participation.models.fund import FundAccount, FundApplication, FundShare, FundState
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
from dougong_participation.models.votes import (
    BallotWay,
    PublicRevenue,
    RevenueKind,
    Vote,
    VoteProxy,
    VoteRight,
    VoteState,
)

__all__ = [
    "FundAccount",
    "FundApplication",
    "FundShare",
    "FundState",
    "Answer",
    "AnswerSheet",
    "Audience",
    "BallotWay",
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
    "PublicRevenue",
    "Question",
    "QuestionKind",
    "Questionnaire",
    "QuestionnaireState",
    "Respondent",
    "RevenueKind",
    "Topic",
    "Vote",
    "VoteProxy",
    "VoteRight",
    "VoteState",
]
