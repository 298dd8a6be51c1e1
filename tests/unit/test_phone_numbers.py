import pytest
from pydantic import ValidationError

from dougong.errors import Invalid
from dougong.i18n import use_locale
from dougong.services.inputs import invalid_from, record_input
from dougong.services.phones import given_phone, phone_number
from dougong.tenancy.models import Person

GOOD = (
    "13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000", "0086-13800138000",
    "010-62345678", "(010)62345678", "0755-8234567", "0571-87654321-803", "0571-87654321转803",
    "82345678", "400-800-1234", "95598", "110", "+85223456789", "+1 (212) 555-0100",
    "0044 20 7946 0958",
)  # fmt: skip
BAD = (
    "坏号码", "1380013800", "138001380000", "12800138000", "abc", "00000000", "1", "+8612",
    "13800138000/13900139000", "+86", "0000-1234567", "电话13800138000", "13800138000张三", "--",
    "010", "1" * 60,
)  # fmt: skip


@pytest.mark.parametrize("written", GOOD)
def test_numbers_are_kept_as_people_write_them(written):
    assert phone_number(f" {written} ") == written


def test_wide_digits_become_narrow_so_that_search_finds_them():
    assert phone_number("１３８００１３８０００") == "13800138000"


@pytest.mark.parametrize("written", BAD)
def test_what_nobody_can_call_is_refused(written):
    with pytest.raises(ValueError, match="phone number"):
        phone_number(written)


@pytest.mark.parametrize("mode", ["create", "change"])
def test_forms_imports_and_the_api_say_what_a_number_looks_like(mode):
    given = {"name": "张三", "phone": "坏号码"}
    with pytest.raises(ValidationError) as refused:
        record_input(Person, mode).model_validate(given)
    with use_locale("zh_Hans_CN"):
        assert "13800138000" in invalid_from(refused.value).fields["phone"]
    for phone in (None, "", "138 0013 8000"):
        record_input(Person, mode).model_validate(given | {"phone": phone})


def test_a_service_names_the_field_that_holds_no_number():
    assert given_phone("contact_phone", " ") is None
    with pytest.raises(Invalid) as refused:
        given_phone("contact_phone", "坏号码")
    assert list(refused.value.fields) == ["contact_phone"]
