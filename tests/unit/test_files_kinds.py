import io
import zipfile

import pytest

from dougong.errors import Invalid
from dougong.files.kinds import SHEET, WORD, checked_name, media_type

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
JPEG = b"\xff\xd8\xff\xe0" + bytes(16)


def archive(*names):
    """Return an archive without an hour: the names of tests must not change by the second."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for name in names:
            target.writestr(zipfile.ZipInfo(name), "x")
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("漏水.JPG", JPEG, "image/jpeg"),
        ("a.png", PNG, "image/png"),
        ("a.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ("a.heic", b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
        ("收据.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("a.docx", archive("[Content_Types].xml", "word/document.xml"), WORD),
        ("a.xlsx", archive("[Content_Types].xml", "xl/workbook.xml"), SHEET),
        ("旧表.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(8), "application/x-ole-storage"),
        ("a.mp4", b"\x00\x00\x00\x18ftypisom\x00\x00", "video/mp4"),
        ("a.csv", "房号,姓名\n1-1-101,张三".encode("gb18030"), "text/plain"),
        ("a.txt", "\ufeff你好".encode(), "text/plain"),
    ],
)
def test_the_kind_is_told_from_the_bytes(name, content, kind):
    assert media_type(name, content) == kind


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("a.html", b"<!doctype html><script>alert(1)</script>"),
        ("a.png", b"<svg/>"),
        ("a.jpg", PNG),
        ("a.pdf.exe", b"%PDF-1.7"),
        ("a.exe", b"MZ\x90\x00"),
        ("a", PNG),
        ("a.zip", archive("x.txt")),
        ("a.docx", archive("x.txt")),
        ("a.docx", b"PK\x03\x04 broken"),
        ("a.xlsx", archive("[Content_Types].xml", "xl/workbook.xml", "xl/vbaProject.bin")),
        ("a.xlsx", archive("[Content_Types].xml", "word/document.xml")),
        ("a.txt", b"\x7fELF\x02\x01"),
        ("a.txt", b"a\x00b"),
        ("a.mp4", b"\x00\x00\x00\x18ftypqt  \x00\x00"),
        ("a.js", b"alert(1)"),
        ("a.webp", b"RIFF\x00\x00\x00\x00AVI "),
    ],
)
def test_what_runs_or_lies_about_itself_is_refused(name, content):
    with pytest.raises(Invalid):
        media_type(name, content)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\王\\漏水.jpg", "漏水.jpg"),
        ("a\r\nX-Evil: 1.png", "aX-Evil: 1.png"),
        ("照片\u202egnp.exe", "照片gnp.exe"),
        ("字" * 300 + ".jpg", "字" * 188 + ".jpg"),
    ],
)
def test_a_name_loses_folders_and_what_cannot_be_seen(given, kept):
    assert checked_name(given) == kept


@pytest.mark.parametrize("name", ["", "..", "/", "\u200b"])
def test_a_file_without_a_name_is_refused(name):
    with pytest.raises(Invalid):
        checked_name(name)
