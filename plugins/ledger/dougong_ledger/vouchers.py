"""Vouchers as files, in the common layout of Chinese accounting packages (通用凭证导入格式)."""

import csv
import io
from collections.abc import Iterable

import xlsxwriter
from flask import Response

from dougong.errors import NotFound
from dougong.i18n import N_
from dougong_ledger.services.closing import VoucherLine

HEAD = (
    "日期",
    "凭证字",
    "凭证号",
    "分录号",
    "摘要",
    "科目编码",
    "科目名称",
    "借方金额",
    "贷方金额",
)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def download(kind: str, name: str, lines: Iterable[VoucherLine]) -> Response:
    """Return vouchers as ``xlsx`` or ``csv``; raises NotFound for another kind of file."""
    if kind == "xlsx":
        content, media_type = workbook(lines), XLSX
    elif kind == "csv":
        content, media_type = table(lines), "text/csv; charset=utf-8"
    else:
        raise NotFound(N_("There is no such file."))
    disposition = f'attachment; filename="vouchers-{name}.{kind}"'
    return Response(content, content_type=media_type, headers={"Content-Disposition": disposition})


def workbook(lines: Iterable[VoucherLine]) -> bytes:
    """Return an XLSX file: days as days, amounts as numbers, codes and words as text."""
    made = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(made, options) as book:
        sheet = book.add_worksheet("凭证")
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        yuan = book.add_format({"num_format": "#,##0.00"})
        sheet.write_row(0, 0, HEAD, book.add_format({"bold": True}))
        for number, line in enumerate(lines, 1):
            sheet.write_datetime(number, 0, line.posted_on, day)
            sheet.write_string(number, 1, "记")
            sheet.write_number(number, 2, line.voucher)
            sheet.write_number(number, 3, line.line)
            for column, words in enumerate((line.memo, line.account, line.account_name), 4):
                sheet.write_string(number, column, words)
            sheet.write_number(number, 7, line.debit, yuan)
            sheet.write_number(number, 8, line.credit, yuan)
        sheet.set_column(0, 8, 14)
        sheet.freeze_panes(1, 0)
    return made.getvalue()


def table(lines: Iterable[VoucherLine]) -> bytes:
    """Return a CSV file with a byte order mark, so that Excel reads it as UTF-8."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(HEAD)
    for line in lines:
        words = [_plain(text) for text in (line.memo, line.account, line.account_name)]
        amounts = (f"{line.debit:.2f}", f"{line.credit:.2f}")
        writer.writerow((line.posted_on, "记", line.voucher, line.line, *words, *amounts))
    return ("\ufeff" + made.getvalue()).encode()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
