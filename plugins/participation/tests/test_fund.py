"""The maintenance fund is mirrored and applied for; notices and forms come from presets."""

import io
import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from sqlalchemy import select, text

from dougong.access.operations import link_person
from dougong.db import Actor
from dougong.errors import Conflict, Invalid
from dougong.services import create
from dougong.tenancy.models import Room
from dougong.testing.people import sign_in
from dougong.testing.programs import make_login
from dougong.web.app import create_app
from dougong_participation import services
from dougong_participation.domain.fund import portions
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    FundAccount,
    FundApplication,
    FundShare,
    FundState,
    Notice,
    Questionnaire,
    Vote,
    VoteState,
)

D = Decimal


@given(
    st.integers(0, 10**9).map(lambda fen: D(fen) / 100),
    st.lists(st.integers(1, 10**5).map(lambda area: D(area) / 100), min_size=1, max_size=30),
)
def test_shares_of_a_work_add_up_to_the_fen(total, areas):
    parts = portions(total, areas)
    assert sum(parts) == total
    exact = [total * area / sum(areas) for area in areas]
    assert all(abs(part - wanted) < D("0.01") for part, wanted in zip(parts, exact, strict=True))


@pytest.fixture
def work(scope):
    values = {"title": "屋面防水", "text": "翻修", "budget": D("1000.00")}
    return create(scope, FundApplication, values)


def test_the_fund_pays_only_what_owners_and_its_keeper_agreed_to(scope, work):
    with pytest.raises(Conflict):
        services.submit_fund(scope, work, "房管局")
    services.share_out_fund(scope, work)
    shares = scope.session.scalars(select(FundShare.amount)).all()
    assert sum(shares) == work.budget and len(shares) > 1
    with pytest.raises(Conflict):
        services.submit_fund(scope, work, "房管局")
    values = {"title": "防水", "text": "x", "closes_on": date(2026, 10, 1)}
    vote = create(scope, Vote, values)
    vote.state, vote.result, work.vote_id = VoteState.CLOSED, {"is_passed": False}, vote.id
    scope.session.flush()
    scope.session.expire(work)
    with pytest.raises(Conflict):
        services.submit_fund(scope, work, "房管局")
    vote.result = {"is_passed": True}
    scope.session.flush()
    services.submit_fund(scope, work, "房管局")
    with pytest.raises(Invalid):
        services.answer_fund(scope, work, "同意", D("1000.01"))
    services.answer_fund(scope, work, "同意", D("900.00"))
    services.paid_by_fund(scope, work, D("600.00"))
    with pytest.raises(Invalid):
        services.paid_by_fund(scope, work, D("300.01"))
    with pytest.raises(Invalid):
        services.settle_fund(scope, work, D("900.01"))
    services.settle_fund(scope, work, D("880.00"))
    with pytest.raises(WrongState):
        services.paid_by_fund(scope, work, D("1.00"))
    assert (work.state, work.settled) == (FundState.SETTLED, 880)


def test_a_returned_work_is_shared_out_again_and_an_unknown_area_is_told(scope, work):
    work.is_urgent, work.emergency = True, "外墙脱落，鉴定机构确认"
    services.share_out_fund(scope, work)
    services.submit_fund(scope, work, "房管局")
    assert services.answer_fund(scope, work, "预算偏高").state is FundState.RETURNED
    services.share_out_fund(scope, work)
    scope.session.scalars(select(Room)).first().built_area = None
    scope.session.flush()
    with pytest.raises(Invalid):
        services.share_out_fund(scope, work)


def test_it_is_never_money_of_the_company(scope, work):
    tables = text("select count(*) from information_schema.columns where table_schema = 'ledger'"
                  " and column_name like 'fund%'")  # fmt: skip
    assert scope.session.scalar(tables) == 0
    assert "ledger" not in scope.installation.plugins.manifest("participation").depends


def test_pages_draft_print_and_show_an_owner_his_account(installation, place):
    app = create_app(installation)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        for room in place.room_ids:
            values = {"room_id": room, "paid_in": D(9000), "balance": D("9123.45")}
            create(scope, FundAccount, {**values, "as_of_on": date(2026, 11, 1), "source": "中心"})
        work = create(scope, FundApplication, {"title": "防水", "text": "x", "budget": D("100.01")})
        services.share_out_fund(scope, work)
        services.disclose_fund(scope, work)
    manager = sign_in(app, installation, make_login(installation, place, "community_manager"))
    base = f"/c/{place.community_id}/participation"
    page = manager.get(f"{base}/presets").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    made = manager.post(f"{base}/presets/notice/water_stop", data={"csrf_token": token})
    assert made.status_code == 303 and "停水通知" in manager.get(made.location).text
    form = manager.post(f"{base}/presets/questionnaire/satisfaction", data={"csrf_token": token})
    assert form.status_code == 303
    assert (
        manager.post(f"{base}/presets/notice/none", data={"csrf_token": token}).status_code == 404
    )
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        notice = scope.session.scalars(select(Notice)).one()
        asked = scope.session.scalars(select(Questionnaire)).one()
        papers = services.print_notice(scope, notice), services.print_questionnaire(scope, asked)
        texts = [PdfReader(io.BytesIO(each.content)).pages[0].extract_text() for each in papers]
        assert "储水" in texts[0] and "满意" in texts[1]
        services.open_questionnaire(scope, asked)
    login = make_login(installation, place, "cleaner")
    with installation.access() as session:
        link_person(session, login.user_id, place.community_id, place.person_ids[0])
    owner = sign_in(app, installation, login)
    assert "9,123.45" in owner.get(f"{base}/my/fund").text
