"""What people call the steps of a renovation."""

from dougong.i18n import bilingual

VERBS = {
    "submit": bilingual("Applied", "提交申报"),
    "submit_again": bilingual("Handed in again", "重新提交"),
    "send_back": bilingual("Sent back for papers", "退回补充资料"),
    "agree": bilingual("Agreed", "审核通过"),
    "refuse": bilingual("Refused", "不予许可"),
    "sign": bilingual("Agreement signed", "签署协议"),
    "take_deposit": bilingual("Deposit taken", "收取押金"),
    "permit": bilingual("Permit issued", "核发许可证"),
    "extend": bilingual("Permit extended", "许可延期"),
    "stop": bilingual("Work stopped", "责令停工"),
    "go_on": bilingual("Work goes on", "恢复施工"),
    "report_finished": bilingual("Reported as finished", "申请验收"),
    "find_defects": bilingual("Not accepted", "验收不合格"),
    "accept": bilingual("Accepted", "验收合格"),
    "settle": bilingual("Settled", "结清退押"),
    "withdraw": bilingual("Withdrawn", "撤回申报"),
}


def verb_words(verb: str) -> str:
    """Return what people call a step, in the locale in force."""
    return str(VERBS.get(verb, verb))
