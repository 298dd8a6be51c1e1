"""How fast documents are printed, beside WeasyPrint used plainly on the same HTML.

Usage: python bench/documents.py [--receipts N]. Prints one JSON line per figure: name, value, unit,
against (the peer's value), ratio (peer / ours for times, so more than 1 is better), spread (largest
less smallest, in the same unit). The peer reads fonts and style sheet anew for each document, as
its handbook shows; the fonts are the same.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

from jinja2 import ChoiceLoader, DictLoader

from dougong.documents import Letterhead, rendering
from dougong.documents.fonts import FAMILY, WEIGHTS, font_files
from dougong.documents.printing import STYLE, to_pdf, to_pdfs

PARAGRAPH = (
    "因市政供水管道检修，定于 2026 年 11 月 28 日 9:00 至 17:00 停水，请提前储水并关好水龙头。"
)
FACTS = {
    "letterhead": Letterhead("锦绣物业集团", "翠湖花园", "文三路 1 号"),
    "printed_at": datetime(2026, 11, 24, 7, 30, tzinfo=UTC),
    "zone": "Asia/Shanghai",
    "locale": "zh_Hans_CN",
    "_texts": {},
    "_values": {},
}
RECEIPT = """{% extends "dougong:a5" %}{% block content %}
<dl class="pairs"><div><dt>交款人</dt><dd>{{ payer }}</dd></div></dl>
<table><thead><tr><th>费用项</th><th class="number">金额</th></tr></thead>
<tbody>{% for name in ("物业服务费", "公摊电费", "生活垃圾费") %}<tr><td>{{ name }}</td>
<td class="number">{{ amount|money }}</td></tr>{% endfor %}</tbody></table>
<div class="amount"><span>合计（大写）{{ (amount * 3)|capital }}</span></div>{% endblock %}"""


class Installed:
    """Stands for an installation without plugins."""

    def __init__(self) -> None:
        self.plugins = self
        self.found: dict[str, object] = {}


def templates(count: int) -> tuple[str, list[str]]:
    """Return the HTML of a notice of three pages, and of ``count`` receipts."""
    environment = rendering._environment(Installed())
    receipts = environment.overlay(
        loader=ChoiceLoader([environment.loader, DictLoader({"bench:receipt": RECEIPT})])
    ).get_template("bench:receipt")
    notice = environment.get_template("dougong:notice").render(
        FACTS,
        document_title="通知",
        title="停水通知",
        number="TZ-015",
        to="全体业主",
        paragraphs=[PARAGRAPH * 4] * 16,
        signed="翠湖花园物业服务中心",
        on=date(2026, 11, 24),
    )
    made = [
        receipts.render(
            FACTS, document_title="收据", payer=f"业主{n}", amount=Decimal(n) + Decimal("107.53")
        )
        for n in range(count)
    ]
    return notice, made


def plainly(html: str) -> bytes:
    """Print with WeasyPrint as its handbook shows: fonts and style sheet anew each time."""
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    faces = "".join(
        f"@font-face {{ font-family: '{FAMILY}'; font-weight: {WEIGHTS[name]};"
        f" src: url('{path.as_uri()}'); }}\n"
        for name, path in font_files().items()
    )
    style = CSS(string=faces + STYLE.read_text(encoding="utf-8"), font_config=fonts)
    return HTML(string=html).write_pdf(stylesheets=[style], font_config=fonts, pdf_tags=True)


def seconds(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the median and the spread of ``times`` runs, in seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), max(taken) - min(taken)


def say(name: str, value: float, unit: str, against: float | None, spread: float) -> None:
    """Print one figure; times are better when smaller, rates when larger."""
    ratio = None
    if against is not None:
        ratio = round(against / value if unit in ("s", "bytes") else value / against, 2)
    figure = {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "against": None if against is None else round(against, 4),
        "ratio": ratio,
        "spread": round(spread, 4),
    }
    print(json.dumps(figure), flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=500)
    notice, receipts = templates(parser.parse_args().receipts)
    first, _ = seconds(lambda: to_pdf(notice), 1)
    say("documents.notice_first", first, "s", None, 0)
    ours, spread = seconds(lambda: to_pdf(notice), 7)
    plain, _ = seconds(lambda: plainly(notice), 5)
    say("documents.notice", ours, "s", plain, spread)
    say("documents.notice_size", len(to_pdf(notice)), "bytes", len(plainly(notice)), 0)
    ours, spread = seconds(lambda: to_pdf(receipts[0]), 15)
    plain, _ = seconds(lambda: plainly(receipts[0]), 7)
    say("documents.receipt", ours, "s", plain, spread)
    began = time.perf_counter()
    count = sum(content.startswith(b"%PDF") for content in to_pdfs(receipts))
    taken = time.perf_counter() - began
    cores = os.cpu_count() or 1
    say(f"documents.{count}_receipts_on_{cores}_cores", taken, "s", plain * count, 0)
    say("documents.receipts_per_second", count / taken, "1/s", 1 / plain, 0)
    return 0 if count == len(receipts) else 1


if __name__ == "__main__":
    sys.exit(main())
