"""PDFs as they come out: type, size, pages, codes. Measured with poppler and zxing."""

import io
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from dougong.documents import Label, Letterhead, Sheet, label_pages, missing_characters, rendering
from dougong.documents.fonts import font_files
from dougong.documents.printing import to_pdf, to_pdfs

RARE = "䶮喆瑨㛃犇㸚頔玥璟㬎龑赟翀祎堃旸昉淼甯頫冇〇𬭚𬬻"
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
<table><thead><tr><th>费用项</th><th class="number">金额</th></tr></thead>
<tbody>{% for n in range(rows) %}<tr><td>物业服务费{{ n }}</td>
<td class="number">{{ amount|money }}</td></tr>{% endfor %}</tbody></table>
<div class="amount"><span>合计（大写）{{ amount|capital }}</span></div>
<p class="note">{{ text("closing", "谢谢") }}</p>
{% endblock %}"""


class Installed:
    """Stands for an installation with one plugin folder."""

    def __init__(self, **plugins: Path) -> None:
        self.plugins = self
        self.found = {name: Folder(folder) for name, folder in plugins.items()}


class Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.fixture
def demo(tmp_path):
    folder = tmp_path / "templates/documents"
    folder.mkdir(parents=True)
    (folder / "receipt.html").write_text(RECEIPT, encoding="utf-8")
    return rendering._environment(Installed(demo=tmp_path))


@pytest.fixture
def poppler():
    if shutil.which("pdftoppm") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("poppler-utils is missing; CI must have it")
        pytest.skip("poppler-utils is not installed")

    def run(tool: str, pdf: bytes, *options: str) -> bytes:
        command = [tool, *options, "-", *(["-"] if tool == "pdftotext" else [])]
        return subprocess.run(command, input=pdf, capture_output=True, check=True).stdout

    return run


def notice(paragraphs: int) -> str:
    environment = rendering._environment(Installed())
    return environment.get_template("dougong:notice").render(
        FACTS,
        document_title="通知",
        title="停水通知",
        number="TZ-015",
        to="全体业主",
        paragraphs=[PARAGRAPH * 4] * paragraphs,
        signed="翠湖花园物业服务中心",
        on=date(2026, 11, 24),
    )


def test_a_notice_of_three_pages_is_small_and_quick(poppler, record_property):
    to_pdf(notice(1))
    began = time.perf_counter()
    pdf = to_pdf(notice(16))
    seconds = time.perf_counter() - began
    record_property("notice_seconds", seconds)
    record_property("notice_bytes", len(pdf))
    assert b"Pages:           3" in poppler("pdfinfo", pdf)
    assert len(pdf) <= 50_000
    assert seconds <= 1.5


def test_every_page_says_which_of_how_many_it_is(poppler):
    text = poppler("pdftotext", to_pdf(notice(16))).decode()
    said = re.findall(r"第\s*(\d)\s*页\s*/\s*共\s*(\d)\s*页", text)
    assert said == [("1", "3"), ("2", "3"), ("3", "3")]


def test_rare_characters_of_names_are_in_both_weights():
    from fontTools.ttLib import TTFont

    for path in font_files().values():
        with TTFont(path) as font:
            characters = font.getBestCmap()
            outlines = font["glyf"]
            for character in RARE:
                glyph = outlines[characters[ord(character)]]
                assert glyph.numberOfContours > 0, character
    assert missing_characters(f"张{RARE}") == ""
    assert missing_characters("𠮷野家𠮷") == "𠮷"


def test_bold_is_drawn_bold_and_not_smeared():
    from fontTools.pens.areaPen import AreaPen
    from fontTools.ttLib import TTFont

    ink, advance = {}, {}
    for weight, path in font_files().items():
        with TTFont(path) as font:
            name, glyphs = font.getBestCmap()[ord("物")], font.getGlyphSet()
            pen = AreaPen(glyphs)
            glyphs[name].draw(pen)
            ink[weight], advance[weight] = abs(pen.value), glyphs[name].width
            assert font["OS/2"].usWeightClass == {"Regular": 400, "Bold": 700}[weight]
    assert 1.25 < ink["Bold"] / ink["Regular"] < 2
    assert advance["Bold"] == advance["Regular"]


def test_documents_need_no_fonts_of_the_system(poppler, tmp_path):
    (tmp_path / "fonts.conf").write_text(
        f"<?xml version='1.0'?><fontconfig><cachedir>{tmp_path}</cachedir></fontconfig>"
    )
    html = f"<p>{RARE}</p><p><b>加粗 Bold</b></p>"
    program = (
        "import sys; from dougong.documents.printing import to_pdf;"
        f"sys.stdout.buffer.write(to_pdf({html!r}))"
    )
    pdf = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FONTCONFIG_FILE": str(tmp_path / "fonts.conf")},
        capture_output=True,
        check=True,
    ).stdout
    fonts = poppler("pdffonts", pdf).decode().splitlines()[2:]
    assert sorted(re.sub(r"^\w+\+|\s.*", "", line) for line in fonts) == [
        "Dougong-Sans",
        "Dougong-Sans-Bold",
    ]
    assert not unknown_glyphs(pdf)
    text = poppler("pdftotext", pdf).decode()
    assert RARE in text
    assert "加粗 Bold" in text


def test_a_character_that_is_not_in_the_fonts_would_be_noticed(tmp_path):
    (tmp_path / "fonts.conf").write_text(
        f"<?xml version='1.0'?><fontconfig><cachedir>{tmp_path}</cachedir></fontconfig>"
    )
    program = (
        "import sys; from dougong.documents.printing import to_pdf;"
        "sys.stdout.buffer.write(to_pdf('<p>王𠮷</p>'))"
    )
    pdf = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FONTCONFIG_FILE": str(tmp_path / "fonts.conf")},
        capture_output=True,
        check=True,
    ).stdout
    assert unknown_glyphs(pdf)


def unknown_glyphs(pdf: bytes) -> set[int]:
    """Return the glyph numbers on the pages that the fonts do not have: .notdef and beyond."""
    from fontTools.ttLib import TTFont
    from pypdf import PdfReader

    with TTFont(font_files()["Regular"], lazy=True) as font:
        known = font["maxp"].numGlyphs
    glyphs: set[int] = set()
    for page in PdfReader(io.BytesIO(pdf)).pages:
        for shown in re.findall(rb"<([0-9a-fA-F]+)>", page.get_contents().get_data()):
            glyphs |= {int(shown[i : i + 4], 16) for i in range(0, len(shown), 4)}
    assert glyphs
    return {glyph for glyph in glyphs if glyph == 0 or glyph >= known}


def test_a_receipt_is_a5_with_the_amount_in_capitals(demo, poppler):
    html = demo.get_template("demo:receipt").render(
        FACTS, document_title="收款收据", rows=3, amount=Decimal("107000.53")
    )
    pdf = to_pdf(html)
    assert b"595.276 x 419.528 pts" in poppler("pdfinfo", pdf)
    text = poppler("pdftotext", pdf).decode()
    assert "壹拾万柒仟元伍角叁分" in text
    assert "¥107,000.53" in text


def test_the_head_of_a_table_is_repeated_and_no_row_is_lost(demo, poppler):
    html = demo.get_template("demo:receipt").render(
        FACTS, document_title="明细", rows=60, amount=Decimal(1)
    )
    pages = poppler("pdftotext", to_pdf(html)).decode().split("\f")[:-1]
    with_rows = [page for page in pages if "物业服务费" in page]
    assert len(with_rows) >= 3
    assert all("费用项" in page for page in with_rows)
    rows = re.findall(r"物业服务费(\d+)", "".join(pages))
    assert [int(n) for n in rows] == list(range(60))


def test_a_community_may_write_its_own_wording(demo):
    facts = FACTS | {
        "_texts": {"closing": "{{ who }}，慢走\n{{ who }}"},
        "_values": {"who": "<李四>"},
    }
    html = demo.get_template("demo:receipt").render(
        facts, document_title="收据", rows=0, amount=Decimal(1)
    )
    assert "&lt;李四&gt;，慢走<br>&lt;李四&gt;" in html
    assert "谢谢" not in html


def test_a_mass_run_on_two_processes_keeps_the_order(poppler):
    htmls = [f"<title>{n}</title><p>第{n}号</p>" for n in range(33)]
    made = list(to_pdfs(htmls, processes=2))
    assert len(made) == 33
    for n in (0, 15, 16, 32):
        assert f"第{n}号" in poppler("pdftotext", made[n]).decode()


@pytest.mark.parametrize("scheme", ["file:///etc/hostname", "http://127.0.0.1:9/x", "ftp://h/x"])
def test_a_document_fetches_nothing_but_what_it_carries(scheme, monkeypatch):
    to_pdf("<p>甲</p>")  # the fonts are read once, and not by the document
    opened = []
    monkeypatch.setattr("socket.create_connection", lambda *a, **k: opened.append(a))
    monkeypatch.setattr("urllib.request.FileHandler.file_open", lambda *a: opened.append(a))
    pdf = to_pdf(
        f"<style>@import '{scheme}'; p {{ background: url({scheme}) }}</style>"
        f"<link rel=stylesheet href='{scheme}'><p>甲<img src='{scheme}'></p>"
    )
    assert pdf.startswith(b"%PDF")
    assert opened == []


@pytest.mark.parametrize("name", ["demo:../receipt", "demo:none", "other:receipt", "receipt"])
def test_a_template_is_found_only_in_its_plugins_folder(demo, name):
    from jinja2 import TemplateNotFound

    with pytest.raises(TemplateNotFound):
        demo.get_template(name)


def test_all_codes_of_a_label_sheet_are_read_at_150_dpi(poppler):
    zxingcpp = pytest.importorskip("zxingcpp")
    from PIL import Image

    urls = [f"https://dg.example.cn/q/EQ{n:06d}" for n in range(24)]
    labels = [Label(url, url[-8:], "1号楼 客梯", "检验合格至 2026-11") for url in urls]
    sheet = Sheet()
    html = (
        rendering._environment(Installed())
        .get_template("dougong:labels")
        .render(FACTS, document_title="标签", pages=label_pages(labels, sheet), sheet=sheet)
    )
    pdf = to_pdf(html)
    assert b"Pages:           1" in poppler("pdfinfo", pdf)
    page = Image.open(io.BytesIO(poppler("pdftoppm", pdf, "-r", "150", "-png", "-f", "1")))
    read = {code.text for code in zxingcpp.read_barcodes(page)}
    assert read == set(urls)


def test_labels_keep_their_place_on_the_page():
    pages = label_pages([Label("u", "c", "t")] * 25)
    assert [len(page) for page in pages] == [24, 1]
    last = pages[0][23]
    assert (last.left_mm, last.top_mm) == (140, 256.5)
    assert last.top_mm + Sheet().height_mm <= 297
    assert (pages[1][0].left_mm, pages[1][0].top_mm) == (0, 4.5)
