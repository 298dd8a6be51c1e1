"""What people call the steps of an order."""

from dougong.i18n import bilingual

VERBS = {
    "report": bilingual("Reported", "提交报修"),
    "dispatch": bilingual("Given to a technician", "派单"),
    "grab": bilingual("Taken by a technician", "师傅抢单"),
    "accept": bilingual("Accepted", "师傅接单"),
    "start": bilingual("Work begun", "开始处理"),
    "pause": bilingual("Paused", "暂停处理"),
    "resume": bilingual("Work goes on", "继续处理"),
    "finish": bilingual("Repaired", "维修完成"),
    "give_back": bilingual("Given back", "退回调度"),
    "transfer": bilingual("Given to a colleague", "转单"),
    "hand_over": bilingual("Given to a contractor", "转外委单位"),
    "urge": bilingual("Urged on", "催单"),
    "rate": bilingual("Rated", "业主评价"),
    "close": bilingual("Closed", "办结"),
    "reopen": bilingual("Reopened", "重新打开"),
    "cancel": bilingual("Cancelled", "取消"),
    "quote": bilingual("Quotation sent", "发送报价"),
    "accept_quote": bilingual("Quotation accepted", "业主接受报价"),
    "decline_quote": bilingual("Quotation declined", "业主拒绝报价"),
    "appoint": bilingual("Appointment", "预约上门"),
    "add_helper": bilingual("A colleague helps", "添加协助师傅"),
    "help": bilingual("Help wanted", "师傅求助"),
    "answer_help": bilingual("Help is on its way", "已安排支援"),
    "drop": bilingual("Cancelled by the desk", "作废"),
}


def verb_words(verb: str) -> str:
    """Return what people call a step, in the locale in force."""
    return str(VERBS.get(verb, verb))
