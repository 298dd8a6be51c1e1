"""What people and jobs do with notices, complaints, feedback and questionnaires."""

from dougong_participation.services.complaints import (
    answer_complaint,
    close_answered,
    close_complaint,
    create_complaint,
    file_complaint,
    my_complaints,
    rate_complaint,
    reopen_complaint,
    replies,
    reply_to_complaint,
    take_complaint,
)
from dougong_participation.services.feedback import (
    acknowledge_feedback,
    analyse_month,
    finish_improvement,
    give_feedback,
)
from dougong_participation.services.notices import (
    address_notice,
    is_for,
    my_notices,
    publish_notice,
    read_counts,
    read_notice,
    unread_notices,
    withdraw_notice,
)
from dougong_participation.services.people import me, my_rooms
from dougong_participation.services.photos import add_file, open_file
from dougong_participation.services.questionnaires import (
    answer_questionnaire,
    close_questionnaire,
    my_questionnaires,
    open_questionnaire,
    questions,
    results,
)

__all__ = [
    "acknowledge_feedback",
    "add_file",
    "address_notice",
    "analyse_month",
    "answer_complaint",
    "answer_questionnaire",
    "close_answered",
    "close_complaint",
    "close_questionnaire",
    "create_complaint",
    "file_complaint",
    "finish_improvement",
    "give_feedback",
    "is_for",
    "me",
    "my_complaints",
    "my_notices",
    "my_questionnaires",
    "my_rooms",
    "open_file",
    "open_questionnaire",
    "publish_notice",
    "questions",
    "rate_complaint",
    "read_counts",
    "read_notice",
    "reopen_complaint",
    "replies",
    "reply_to_complaint",
    "results",
    "take_complaint",
    "unread_notices",
    "withdraw_notice",
]
