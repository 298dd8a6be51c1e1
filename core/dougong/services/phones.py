"""Phone numbers as people here write them: one rule for forms, imports, the API and services."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from dougong.errors import Invalid
from dougong.i18n import N_, gettext

MOST = 40
NOT_A_NUMBER = N_(
    "This is no phone number. Write one such as 13800138000, 010-62345678 or +852 2345 6789."
)
MOBILE = r"1[3-9]\d{9}"
# Area codes have three or four digits with the 0, numbers seven or eight; a local call has none.
LANDLINE = r"(0(10|2\d|[3-9]\d{2}))?[2-9]\d{6,7}"
SERVICE = r"[48]00\d{7}|9\d{4,5}|1[12]\d|12\d{3}"
ABROAD = r"(\+|00)(?!86)[1-9]\d{6,14}"
EXTENSION = r"((转|ext|x|#|-)\d{1,6})?"
SHAPE = re.compile(
    rf"((\+|00)?86)?({MOBILE}|0?{LANDLINE}){EXTENSION}|({SERVICE}){EXTENSION}|{ABROAD}{EXTENSION}"
)
SEPARATORS = re.compile(r"[\s()./·-]")


def phone_number(written: str) -> str:
    """Return a phone number as it was written, wide digits narrow; raises ValueError for no number.

    Mobile and fixed numbers of mainland China with or without +86, area code and extension, service
    numbers (400, 800, 95…), and numbers of other countries that begin with + and their code.
    """
    number = unicodedata.normalize("NFKC", written).strip()
    joined = SEPARATORS.sub("", number).lower()
    head, _, extension = number.lower().rpartition("-")
    apart = f"{SEPARATORS.sub('', head)}-{extension.strip()}"
    if len(number) > MOST or not (SHAPE.fullmatch(joined) or SHAPE.fullmatch(apart)):
        raise ValueError(NOT_A_NUMBER)
    return number


def given_phone(field: str, written: str | None) -> str | None:
    """Return the number that a service was given, None for nothing; raises Invalid for no number.

    field: the name of the input, under which a form shows what is wrong.
    """
    if not (written or "").strip():
        return None
    try:
        return phone_number(str(written))
    except ValueError as error:
        fields = {field: gettext(NOT_A_NUMBER)}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from error


def _checked(value: str) -> str:
    if not value:
        return value
    try:
        return phone_number(value)
    except ValueError as error:
        raise PydanticCustomError("phone_number", NOT_A_NUMBER) from error


PhoneNumber = Annotated[str, Field(max_length=MOST), AfterValidator(_checked)]
