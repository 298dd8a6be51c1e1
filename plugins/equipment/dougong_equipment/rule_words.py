"""Recurrence rules in words, for lists; a rule with parts that have no words stays as it is."""

from dougong.i18n import N_, gettext, ngettext


def _every(frequency: str, number: int) -> str:
    """Return how often in words, nothing for a frequency that has none."""
    words = {
        "HOURLY": ngettext("Every hour", "Every %(num)s hours", number),
        "DAILY": ngettext("Every day", "Every %(num)s days", number),
        "WEEKLY": ngettext("Every week", "Every %(num)s weeks", number),
        "MONTHLY": ngettext("Every month", "Every %(num)s months", number),
        "YEARLY": ngettext("Every year", "Every %(num)s years", number),
    }
    return words.get(frequency, "")


def rule_words(rule: str | None) -> str:
    """Return what people read for a rule such as ``FREQ=MONTHLY;BYMONTHDAY=15``."""
    parts = dict(part.partition("=")[::2] for part in (rule or "").split(";") if part)
    frequency, interval = parts.pop("FREQ", ""), parts.pop("INTERVAL", "1")
    words = [_every(frequency, int(interval))] if interval.isdigit() else [""]
    if days := parts.pop("BYMONTHDAY", ""):
        words.append(gettext(N_("on day %(days)s"), days=days))
    if hours := parts.pop("BYHOUR", ""):
        times = ", ".join(f"{int(hour):02}:00" for hour in hours.split(",") if hour.isdigit())
        words.append(gettext(N_("at %(times)s"), times=times))
    return " ".join(words) if words[0] and not parts else rule or ""
