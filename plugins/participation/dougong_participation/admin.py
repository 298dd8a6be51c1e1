"""The admin's view of notices, complaints, feedback, improvements and questionnaires."""

from dougong.i18n import bilingual
from dougong.web.admin import RecordView, ViewExtension, action, extend_view
from dougong_participation import services
from dougong_participation.models import (
    Answer,
    AnswerSheet,
    Complaint,
    ComplaintReply,
    Feedback,
    Improvement,
    Notice,
    NoticeBuilding,
    Question,
    Questionnaire,
)


class NoticeView(RecordView, model=Notice):
    title = ("Notices", "通知公告")
    icon = "bell"
    columns = ("title", "kind", "audience", "state", "is_pinned", "published_at", "expires_on")
    filters = ("state", "kind", "audience", "published_at")
    search = ("title",)
    form = ("title", "kind", "body", "is_pinned", "expires_on")
    actions = (
        action(services.publish_notice, confirm=True, bulk=True, states=("draft", "withdrawn")),
        action(services.address_notice),
        action(services.withdraw_notice, confirm=True, states=("published",)),
    )
    menu_order = 10


class NoticeBuildingView(RecordView, model=NoticeBuilding):
    title = ("Buildings of notices", "通知楼栋")
    columns = ("notice", "building")
    can_create = can_change = can_delete = can_import = False
    in_menu = False


class ComplaintView(RecordView, model=Complaint):
    title = ("Complaints and suggestions", "投诉建议")
    icon = "message-circle"
    columns = ("number", "title", "kind", "topic", "room", "person", "state", "due_at", "rating")
    filters = (
        "state",
        "kind",
        "topic",
        "source",
        "person",
        "room",
        "filed_at",
        "due_at",
        "closed_at",
        "rating",
    )
    search = ("title", "text")
    actions = (
        action(services.take_complaint, bulk=True, states=("open",)),
        action(services.answer_complaint, states=("open", "in_progress", "answered")),
        action(services.close_complaint, confirm=True, bulk=True, states=("answered",)),
    )
    can_import = False
    menu_order = 20


class ComplaintReplyView(RecordView, model=ComplaintReply):
    title = ("Replies to complaints", "投诉回复")
    columns = ("complaint", "replied_at", "author", "is_staff", "text")
    filters = ("is_staff", "replied_at")
    can_create = can_change = can_delete = can_import = False
    in_menu = False


class FeedbackView(RecordView, model=Feedback):
    title = ("Feedback", "意见反馈")
    icon = "thumbs-up"
    columns = ("given_at", "topic", "text", "person", "page", "acknowledged_at")
    filters = ("topic", "given_at", "acknowledged_at")
    search = ("text",)
    form = ("topic",)
    actions = (action(services.acknowledge_feedback, bulk=True),)
    can_create = can_import = False
    menu_order = 30


class ImprovementView(RecordView, model=Improvement):
    title = ("Improvements", "改进清单")
    icon = "trending-up"
    columns = ("month_on", "topic", "voices", "measure", "due_on", "state", "done_on")
    filters = ("state", "topic", "month_on")
    form = ("month_on", "topic", "voices", "measure", "due_on")
    inline = ("due_on",)
    order = "-month_on"
    actions = (action(services.finish_improvement, states=("open",)),)
    can_import = False
    menu_order = 40


class QuestionnaireView(RecordView, model=Questionnaire):
    title = ("Questionnaires", "问卷")
    icon = "clipboard"
    columns = ("title", "state", "closes_on", "is_nameless")
    filters = ("state", "closes_on")
    search = ("title",)
    actions = (
        action(services.open_questionnaire, confirm=True, states=("draft",)),
        action(services.close_questionnaire, confirm=True, states=("open",)),
    )
    can_import = False
    menu_order = 50


class QuestionView(RecordView, model=Question):
    title = ("Questions", "问卷题目")
    icon = "help-circle"
    columns = ("questionnaire", "position", "kind", "text", "is_needed")
    filters = ("questionnaire", "kind")
    search = ("text",)
    order = "position"
    menu_order = 51


class AnswerSheetView(RecordView, model=AnswerSheet):
    title = ("Answer sheets", "答卷")
    icon = "check-circle"
    columns = ("questionnaire", "person", "answered_on")
    filters = ("questionnaire", "answered_on")
    can_create = can_change = can_delete = can_import = False
    menu_order = 52


class AnswerView(RecordView, model=Answer):
    title = ("Answers", "问卷回答")
    columns = ("answer_sheet", "question", "text")
    filters = ("question",)
    can_create = can_change = can_delete = can_import = False
    in_menu = False


extend_view(
    "participation",
    ViewExtension(
        "participation.notice", "readers", bilingual("Read by", "已读人数"), services.read_counts
    ),
)
