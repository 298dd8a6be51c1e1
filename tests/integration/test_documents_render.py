"""Documents of a real community: letterhead, title, wordings, mass runs."""

from datetime import date

import pytest

from dougong.db.scope import Actor
from dougong.documents import render, render_html, render_many, template_texts, write_text
from dougong.errors import Invalid, NotFound
from dougong.i18n import use_locale
from dougong.tenancy.models import Room

NOTICE = {
    "title": "停水通知",
    "number": None,
    "to": "全体业主",
    "paragraphs": ["明天 9 点停水。<b>"],
    "signed": "物业服务中心",
    "on": date(2026, 11, 24),
}


def test_a_notice_names_its_place_and_its_issuer(scope):
    html = render_html(scope, "dougong:notice", NOTICE)
    assert scope.place.name in html
    assert "物业公司" in html
    assert "2026年11月24日" in html
    assert "&lt;b&gt;" in html
    made = render(scope, "dougong:notice", NOTICE)
    assert made.content.startswith(b"%PDF")
    assert made.filename == f"通知-{scope.today.isoformat()}.pdf"


def test_what_is_printed_on_a_groups_page_is_issued_by_the_community_s_legal_entity(
    installation, place, scope
):
    write_text(scope, "dougong:notice", "closing", "请打 24 小时热线")
    name = scope.place.name
    scope.session.commit()
    with installation.scope(Actor.system(), group=place.group_id) as group:
        about = group.get(Room, place.room_ids[0])
        html = render_html(group, "dougong:notice", NOTICE | {"about": about})
        assert name in html and "物业公司" in html and "24 小时热线" in html
        assert "物业公司" not in render_html(group, "dougong:notice", NOTICE)


def test_a_document_speaks_the_reader_s_language(scope):
    with use_locale("en"):
        html = render_html(scope, "dougong:notice", NOTICE)
    assert '<html lang="en">' in html
    assert "Questions? Please ask at the front desk." in html


def test_a_community_replaces_a_wording_and_takes_it_back(scope):
    assert [t.name for t in template_texts(scope, "dougong:notice")] == ["closing"]
    write_text(scope, "dougong:notice", "closing", "有问题请打 24 小时热线\n{{ signed }}")
    html = render_html(scope, "dougong:notice", NOTICE)
    assert "24 小时热线<br>物业服务中心" in html
    with pytest.raises(Invalid):
        write_text(scope, "dougong:notice", "closing", "{% for x in y %}{% endfor %}")
    with pytest.raises(NotFound):
        write_text(scope, "dougong:notice", "opening", "x")
    assert write_text(scope, "dougong:notice", "closing", " ") is None
    assert "客服前台" in render_html(scope, "dougong:notice", NOTICE)


def test_a_document_of_nobody_is_not_found(scope):
    for name in ("dougong:nothing", "nobody:notice", "notice", "dougong:../base"):
        with pytest.raises(NotFound):
            render_html(scope, name, NOTICE)


def test_a_mass_run_numbers_its_files(scope):
    made = list(
        render_many(scope, "dougong:notice", [NOTICE | {"to": f"业主{n}"} for n in range(3)])
    )
    assert [d.filename[-9:] for d in made] == ["-0001.pdf", "-0002.pdf", "-0003.pdf"]
    assert all(d.content.startswith(b"%PDF") for d in made)
