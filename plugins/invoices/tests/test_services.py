"""An invoice is issued once, credited once, signed, and what is unknown is asked about."""

import io
import re
import subprocess
from datetime import date
from decimal import Decimal
from shutil import which
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from dougong.access.operations import create_user, link_person, start_session
from dougong.db.scope import Actor, Grant
from dougong.errors import Invalid, NotFound
from dougong.events.delivery import deliver
from dougong.tenancy.models import Person
from dougong.web.app import SESSION_COOKIE, create_app
from dougong_fees import services as fees
from dougong_fees.models import Bill, Charge, ChargeMethod, FeeItem, FeePrice
from dougong_invoices import offline, services
from dougong_invoices.domain import InvoiceState, red, tax_number, taxed
from dougong_invoices.errors import NotInvoiceable, WrongState
from dougong_invoices.models import Invoice, OfflineIssue
from dougong_invoices.provider import Answer, InvoiceAnswer
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import Payment

D = Decimal
COMPANY = "91350100M000100Y43"


# --- rules ------------------------------------------------------------------------------------


@given(st.decimals(min_value=0, max_value=10**7, places=2), st.sampled_from([D(0), D("0.06")]))
def test_net_and_tax_add_up_and_red_takes_all_back(total, rate):
    line = taxed("x", "1", rate, total)
    assert line.total == total and line.tax >= 0
    assert abs(line.tax - line.net * rate) <= D("0.01")
    assert red([line])[0].total == -total


def test_a_tax_number_is_known_by_its_check_sign():
    assert tax_number(" 91350100m000100y43 ") == COMPANY
    wrong = [COMPANY[:-1] + "4", COMPANY[:-1], "I" * 18, ""]
    swapped = COMPANY[1] + COMPANY[0] + COMPANY[2:]
    assert [tax_number(each) for each in (*wrong, swapped)] == [None] * 5


# --- the life of an invoice -------------------------------------------------------------------


@pytest.fixture
def enter(installation, place):
    return lambda actor=None: installation.scope(
        actor or Actor.system("test"), community=place.community_id
    )


@pytest.fixture
def payment(enter, place):
    """A payment of a bill with two fee items, the second taxed otherwise."""
    with enter() as scope:
        services.ensure_rule(scope)
        for code, price in (("property", "2.80"), ("parking", "1.00")):
            item = FeeItem(
                code=code, name=code, method=ChargeMethod.AREA, account_code=f"6001.{code}"
            )
            scope.session.add(item)
            scope.session.flush()
            since = date(2020, 1, 1)
            scope.session.add(FeePrice(fee_item_id=item.id, from_on=since, unit_price=D(price)))
            room = place.room_ids[0]
            scope.session.add(Charge(room_id=room, fee_item_id=item.id, from_on=since))
        scope.session.add(
            services.TaxRule(
                fee_item_id=item.id,
                from_on=date(2020, 1, 1),
                tax_code="3040502020200000000",
                short_name="经营租赁",
                rate=D("0.09"),
            )
        )
        scope.session.flush()
        run = fees.create_run(
            scope, "10月", date(2026, 10, 1), date(2026, 11, 1), date(2026, 11, 9)
        )
        fees.publish_run(scope, run)
        bill = scope.session.scalars(select(Bill)).one()
        return fees.pay_bills(scope, bill, PaymentChannel.CASH, "desk-0001")


@pytest.fixture
def invoice(enter, payment):
    with enter() as scope:
        return services.request_invoice(scope, scope.get(Payment, payment.id), "江州公司", COMPANY)


def run(enter, work, *arguments):
    with enter() as scope:
        return work(scope, *arguments)


def state_of(enter, invoice):
    with enter() as scope:
        return scope.get(Invoice, invoice.id).state


def test_it_is_issued_once_signed_and_carries_its_data(enter, payment, invoice, tmp_path):
    assert [run(enter, services.issue, invoice.id) for _ in range(2)] == ["issued", "issued"]
    with enter() as scope:
        done = scope.get(Invoice, invoice.id)
        assert done.number.startswith("00") and len(done.number) == 20
        assert scope.session.scalar(select(func.count()).select_from(OfflineIssue)) == 1
        content = services.document_of(scope, done).content
        rates = {line["rate"] for line in done.lines}
    assert (done.amount, done.net + done.tax) == (payment.amount, payment.amount)
    assert rates == {"0.0600", "0.0900"}
    _assert_signed(content)
    _assert_archive(content, done)
    if which("pdfsig"):
        path = tmp_path / "invoice.pdf"
        path.write_bytes(content)
        said = subprocess.run(
            ["pdfsig", "-nocert", str(path)], capture_output=True, text=True, check=False
        ).stdout
        assert "Signature is Valid." in said and "Total document signed" in said, said


def _assert_signed(content):
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    def judged(data):
        (signature,) = PdfFileReader(io.BytesIO(data)).embedded_signatures
        trust = ValidationContext(trust_roots=[signature.signer_cert])
        return validate_pdf_signature(signature, trust)

    good = judged(content)
    assert good.intact and good.valid and good.trusted
    assert good.coverage.name == "ENTIRE_FILE"
    at = content.index(b"OutputIntent")
    broken = judged(content[:at] + b"0" + content[at + 1 :])
    assert not broken.intact


def _assert_archive(content, done):
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    (xml,) = reader.attachments[f"{done.number}.xml"]
    root = ElementTree.fromstring(xml)
    assert root.findtext("Header/EIid") == root.findtext("TaxSupervisionInfo/InvoiceNumber")
    basic = root.find("EInvoiceData/BasicInformation")
    assert D(basic.findtext("TotalTax-includedAmount")) == done.amount
    lines = root.findall("EInvoiceData/IssuItemInformation")
    assert sum(D(line.findtext("ComTaxAm")) for line in lines) == done.tax
    assert root.findtext("EInvoiceData/BuyerInformation/BuyerIdNum") == COMPANY
    assert b"pdfaid" in reader.xmp_metadata.stream.get_data()
    assert reader.trailer["/Root"]["/AF"] and reader.trailer["/Root"]["/OutputIntents"]
    assert "非税务凭证" in reader.pages[0].extract_text()


class Silent(offline.OfflineProvider):
    """Issues, and its answer is lost on the way."""

    def issue(self, *arguments):
        super().issue(*arguments)
        raise TimeoutError


class Deaf(offline.OfflineProvider):
    """The request is lost on the way."""

    def issue(self, *arguments):
        raise TimeoutError


def later(enter):
    with enter() as scope:
        for each in scope.session.scalars(select(Invoice)):
            each.requested_at -= services.STALE * 2


@pytest.mark.parametrize("provider", [Silent, Deaf], ids=["issued", "never heard of"])
def test_an_answer_that_did_not_come_is_asked_for(enter, invoice, monkeypatch, provider):
    with monkeypatch.context() as patched:
        patched.setattr(services, "OfflineProvider", provider)
        assert run(enter, services.issue, invoice.id) == "unknown"
        assert run(enter, services.issue, invoice.id) == "unknown"
    later(enter)
    assert run(enter, services.resolve) == 1
    assert state_of(enter, invoice) is InvoiceState.ISSUED
    with enter() as scope:
        assert scope.session.scalar(select(func.count()).select_from(OfflineIssue)) == 1
        assert len(services.attachments_of(scope, scope.get(Invoice, invoice.id))) == 1


def test_what_a_killed_process_left_behind_is_asked_for(enter, invoice):
    with enter() as scope:
        scope.get(Invoice, invoice.id).state = InvoiceState.ISSUING
    assert run(enter, services.issue, invoice.id) == "issuing"
    later(enter)
    run(enter, services.resolve)
    assert state_of(enter, invoice) is InvoiceState.ISSUED


class Refusing:
    def issue(self, *arguments):
        return InvoiceAnswer(Answer.REFUSED, message="税号与名称不符")


def test_a_refused_one_says_why_and_is_tried_again(enter, payment, invoice, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(services, "OfflineProvider", Refusing)
        assert run(enter, services.issue, invoice.id) == "failed"
    with enter() as scope:
        failed = scope.get(Invoice, invoice.id)
        assert failed.reason == "税号与名称不符"
        services.try_again(scope, failed)
    assert run(enter, services.issue, invoice.id) == "issued"


def test_a_second_invoice_a_wrong_title_and_prepaid_money_are_refused(enter, payment, invoice):
    with enter() as scope:
        again = scope.get(Payment, payment.id)
        with pytest.raises(NotInvoiceable):
            services.request_invoice(scope, again, "江州公司")
        with pytest.raises(Invalid) as refused:
            services.request_invoice(scope, again, " ", COMPANY[:-1] + "4")
        assert set(refused.value.fields) == {"buyer_name", "buyer_tax_number"}
        topped = ledger.top_up(scope, scope.get(Person, payment.payer_id), D(10), "top-up-0001")
        with pytest.raises(NotInvoiceable):
            services.request_invoice(scope, topped, "江州公司")


def test_a_red_letter_takes_all_back_once_and_a_refund_asks_for_it(enter, payment, invoice):
    run(enter, services.issue, invoice.id)
    with enter() as scope:
        ledger.refund_payment(scope, scope.get(Payment, payment.id), D(10), "多收", "refund-0001")
        services.credit_refunded(scope, payment.id)
        original = scope.get(Invoice, invoice.id)
        credit = services.credit(scope, original, "again")
        assert (credit.amount, credit.credits_id) == (-original.amount, original.id)
        assert credit.reason in ("Refund", "退款")
    assert run(enter, services.issue, credit.id) == "issued"
    assert state_of(enter, invoice) is InvoiceState.RED
    with enter() as scope:
        with pytest.raises(WrongState):
            services.credit(scope, scope.get(Invoice, credit.id), "red of red")
        left = services.request_invoice(scope, scope.get(Payment, payment.id), "江州公司")
        assert left.amount == payment.amount - 10


def test_a_refund_before_the_invoice_is_issued_credits_it_once_it_is(
    installation, enter, place, payment, invoice
):
    with enter() as scope:
        ledger.refund_payment(scope, scope.get(Payment, payment.id), D(10), "多收", "refund-0002")
    deliver(installation, place.community_id)
    assert run(enter, services.issue, invoice.id) == "issued"
    deliver(installation, place.community_id)
    with enter() as scope:
        query = select(Invoice).where(Invoice.credits_id == invoice.id)
        credit = scope.session.scalars(query).one()
        assert (credit.amount, credit.state) == (-payment.amount, InvoiceState.REQUESTED)
    assert run(enter, services.issue, credit.id) == "issued"
    assert state_of(enter, invoice) is InvoiceState.RED
    with enter() as scope:
        left = services.request_invoice(scope, scope.get(Payment, payment.id), "江州公司")
    assert run(enter, services.issue, left.id) == "issued"
    deliver(installation, place.community_id)
    assert state_of(enter, left) is InvoiceState.ISSUED


def test_production_refuses_trial_invoices(place):
    from types import SimpleNamespace

    real = SimpleNamespace(settings=SimpleNamespace(production=True))
    answer = offline.OfflineProvider().issue(real, place.community_id, None)
    assert answer.answer is Answer.REFUSED


def test_an_owner_requests_for_his_own_payment_only(enter, place, payment):
    def owner(number):
        person = place.person_ids[number]
        where = {"group_id": place.group_id, "communities": frozenset({place.community_id})}
        grant = Grant(frozenset({"invoices.portal"}), **where)
        return Actor(person, "业主", grants=(grant,), persons={place.community_id: person})

    with enter(owner(1)) as scope, pytest.raises(NotFound):
        services.request_mine(scope, payment.id, "别人")
    with enter(owner(0)) as scope:
        assert [each.id for each in services.my_payments(scope)] == [payment.id]
        made = services.request_mine(scope, payment.id, "业主0")
        assert services.my_invoices(scope, services.my_payments(scope)) == {payment.id: made}


def test_the_pages_show_refuse_and_download(installation, place, enter, payment):
    app, my = create_app(installation), f"/c/{place.community_id}/invoices/my/"
    with installation.access() as session:
        user = create_user(session, f"i{place.group_id.hex[-12:]}", "i")
        link_person(session, user.id, place.community_id, place.person_ids[0])
        token = start_session(session, user)
    owner = app.test_client()
    owner.set_cookie(SESSION_COOKIE, token)
    assert f"{my}{payment.id}" in owner.get(my).get_data(as_text=True)
    page = owner.get(f"{my}{payment.id}").get_data(as_text=True)
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    form = {"csrf_token": csrf, "buyer_name": "江州公司", "buyer_tax_number": "1"}
    assert 'id="wrong"' in owner.post(f"{my}{payment.id}", data=form).get_data(as_text=True)
    form["buyer_tax_number"] = COMPANY
    assert owner.post(f"{my}{payment.id}", data=form).status_code == 303
    with enter() as scope:
        invoice = scope.session.scalars(select(Invoice)).one()
    run(enter, services.issue, invoice.id)
    link = f"{my}file/{invoice.id}"
    assert link in owner.get(my).get_data(as_text=True)
    assert owner.get(link).data.startswith(b"%PDF")
    archive = f"/c/{place.community_id}/invoices/file/{invoice.id}"
    assert owner.get(archive).status_code in (403, 404)
