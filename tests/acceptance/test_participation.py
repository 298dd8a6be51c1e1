"""Participation, as owners live it: notices without network, feedback from every home page."""

import re
from uuid import UUID

import pytest
from sqlalchemy import func, select

from dougong.installation import Installation
from dougong.settings import Settings


@pytest.fixture
def community(product):
    """Return a function that opens a community as the system, beside the product that runs."""
    from dougong.db.scope import Actor

    installation = Installation.open(Settings.from_environment(product.environment))
    yield lambda place: installation.scope(Actor.system("test"), community=UUID(place))
    installation.close()


def test_notices_are_read_without_network_and_marked_when_it_is_back(visit, community):
    from dougong.services import create
    from dougong_participation.models import Notice, NoticeRead
    from dougong_participation.services import publish_notice

    owner = visit("owner", phone=True)
    place = re.search(r"/c/([0-9a-f-]{36})", owner.open("/").url).group(1)
    with community(place) as scope:
        values = {
            "title": "周五停水检修",
            "body": "上午九点至十一点，\n请提前储水。",
            "is_pinned": True,
        }
        notice = publish_notice(scope, create(scope, Notice, values)).id
    page = owner.open(f"/c/{place}/participation/my/notices/")
    assert owner.check() == []
    owner.picture("owner-notices")
    page.evaluate("navigator.serviceWorker.ready")
    page.reload()
    # A page that is loaded without network may have one for a moment, until the browser is told.
    owner.context.route("**/read", lambda asked: asked.abort())
    owner.context.set_offline(True)
    page.reload()
    page.click(f"[data-notice='{notice}'] summary")
    page.wait_for_selector("text=请提前储水")
    assert page.locator(f"[data-notice='{notice}'] [data-new]").count() == 0
    page.reload()
    assert page.locator(f"[data-notice='{notice}'] [data-new]").count() == 0
    with community(place) as scope:
        marks = select(func.count()).where(NoticeRead.notice_id == notice)
        assert scope.session.scalar(marks) == 0
    owner.context.unroute("**/read")
    owner.context.set_offline(False)
    page.wait_for_function(
        "() => !(localStorage['participation read ' + location.pathname] || '').includes('-')"
    )
    with community(place) as scope:
        assert scope.session.scalar(marks) == 1
