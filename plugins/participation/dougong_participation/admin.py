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
    FundAccount,
    FundApplication,
    FundShare,
    Improvement,
    Notice,
    NoticeBuilding,
    PublicRevenue,
    Question,
    Questionnaire,
    Vote,
    VoteProxy,
    VoteRight,
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
        action(services.print_notice),
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
        action(services.print_questionnaire),
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


class VoteView(RecordView, model=Vote):
    title = ("Votes of the owners", "业主表决")
    icon = "check-square"
    columns = ("title", "matter", "is_secret", "state", "opened_at", "closes_on", "closed_at")
    filters = ("state", "matter", "closes_on")
    search = ("title",)
    form = ("title", "text", "matter", "is_secret", "closes_on", "counts_silence")
    actions = (
        action(services.open_vote, confirm=True, states=("draft",)),
        action(services.close_vote, confirm=True, states=("open",)),
        action(services.print_vote, states=("closed",)),
        action(services.cancel_vote, confirm=True, states=("draft", "open")),
    )
    # What people vote on does not change under their hands: a draft is deleted and made again.
    can_change = can_import = False
    menu_order = 55


class VoteRightView(RecordView, model=VoteRight):
    title = ("Rights to vote", "表决权")
    icon = "users"
    columns = ("vote", "room", "person", "area", "way", "cast_at")
    filters = ("vote", "room", "person", "way", "cast_at")
    actions = (action(services.enter_paper),)
    can_create = can_change = can_delete = can_import = False
    attach_with = "enter_paper"
    menu_order = 56


class VoteProxyView(RecordView, model=VoteProxy):
    title = ("Proxies", "委托")
    columns = ("vote", "owner", "proxy")
    filters = ("vote", "owner", "proxy")
    can_create = can_change = can_delete = can_import = False
    in_menu = False


class PublicRevenueView(RecordView, model=PublicRevenue):
    title = ("Public revenue", "公共收益")
    icon = "dollar-sign"
    columns = ("booked_on", "kind", "title", "amount", "vote", "disclosed_at")
    filters = ("kind", "vote", "booked_on", "disclosed_at")
    search = ("title",)
    form = ("kind", "title", "amount", "booked_on", "note", "vote_id")
    actions = (action(services.disclose_revenue, confirm=True, bulk=True),)
    can_change = can_delete = False
    order = "-booked_on"
    menu_order = 57


class FundAccountView(RecordView, model=FundAccount):
    title = ("Accounts of the maintenance fund", "维修资金分户账")
    icon = "archive"
    columns = ("room", "paid_in", "interest", "used", "balance", "as_of_on", "source")
    filters = ("room", "as_of_on", "balance")
    search = ("room",)
    menu_order = 58


class FundApplicationView(RecordView, model=FundApplication):
    title = ("Applications to the maintenance fund", "维修资金使用申请")
    icon = "tool"
    columns = (
        "title",
        "building",
        "budget",
        "state",
        "approved",
        "paid",
        "settled",
        "disclosed_at",
    )
    filters = ("state", "building", "is_urgent", "vote", "submitted_on")
    search = ("title",)
    form = ("title", "text", "building_id", "budget", "contractor", "vote_id")
    form += ("is_urgent", "emergency")
    actions = (
        action(services.share_out_fund, states=("draft", "returned")),
        action(services.submit_fund, states=("draft", "returned")),
        action(services.answer_fund, states=("submitted",)),
        action(services.paid_by_fund, states=("approved",)),
        action(services.settle_fund, states=("approved",)),
        action(services.disclose_fund, confirm=True),
    )
    can_import = False
    menu_order = 59


class FundShareView(RecordView, model=FundShare):
    title = ("Shares of fund works", "维修资金分摊明细")
    columns = ("fund_application", "room", "amount")
    filters = ("fund_application", "room")
    can_create = can_change = can_delete = can_import = False
    in_menu = False


extend_view(
    "participation",
    ViewExtension(
        "participation.notice", "readers", bilingual("Read by", "已读人数"), services.read_counts
    ),
)
