"""Signatures, envelopes and bills: published vectors, and two well-known clients as oracles."""

import base64
import json
import os
import subprocess
import time
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from dougong.testing.gateways import (
    AlipayGateway,
    Member,
    Trade,
    WechatPayGateway,
    new_key,
    public_pem,
)
from dougong.testing.gateways.trades import private_pem, signature
from dougong_online_payment.domain import alipay, keys, wechat_pay

HERE = Path(__file__).parent
PEERS = HERE.parents[2] / ".peers"
KEY = new_key()
NOTICE_KEY = "0123456789abcdef0123456789abcdef"
TRADE = Trade("a" * 32, "1600000001", "物业费 10 月", 123456, "http://a.example", state="paid",
              transaction_id="4200001", paid_at=1_790_000_000.0)  # fmt: skip


def wechat():
    return WechatPayGateway(
        [Member("1600000001", "wxapp1", public_pem(KEY), "ABCDEF", NOTICE_KEY)], KEY
    )


def ali():
    member = Member("1600000001", "2026000000000001", public_pem(KEY))
    return AlipayGateway([member], KEY)


# Short strings of the test suites of wechatpay-go and wechatpay-java.
@pytest.mark.parametrize(
    "key, nonce, associated, ciphertext, plain",
    [
        ("testAPIv3Key0000", "wCq51qZv4Yfg", "Dl56FrqWQJF1t9LtC3vEUsniZKvbqdR8",
         "FsdXzxryWfKwvLJKf8LG/ToRPTRh8RN9wROC", "Hello World"),
    ],
)  # fmt: skip
def test_published_vectors_are_unsealed(key, nonce, associated, ciphertext, plain):
    assert wechat_pay.unseal(key.encode(), nonce, associated, ciphertext).decode() == plain
    changed = base64.b64encode(bytes([base64.b64decode(ciphertext)[0] ^ 1])).decode()
    for wrong in ((key, nonce, "other", ciphertext), (key, nonce, associated, changed)):
        with pytest.raises(wechat_pay.NotGenuine):
            wechat_pay.unseal(wrong[0].encode(), *wrong[1:])


def test_openssl_verifies_what_we_sign(tmp_path):
    message = 'POST\n/v3/pay\n1\nn\n{"描述":"物业费"}\n'.encode()
    (tmp_path / "public.pem").write_text(public_pem(KEY))
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "signature").write_bytes(base64.b64decode(keys.sign(KEY, message)))
    command = ["openssl", "dgst", "-sha256", "-verify", tmp_path / "public.pem", "-signature",
               tmp_path / "signature", tmp_path / "message"]  # fmt: skip
    assert b"Verified OK" in subprocess.run(command, capture_output=True, check=True).stdout


def oracle(peer, script, told):
    """Return what another client makes of the same bytes; in CI it must be there."""
    python = PEERS / peer / "bin" / "python"
    if not python.exists():
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(f"the oracle {peer} is not installed")
    done = subprocess.run([python, HERE / script], input=json.dumps(told), text=True,
                          capture_output=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_wechatpayv3_signs_verifies_and_decrypts_the_same():
    gateway = wechat()
    headers, body = gateway.notice(TRADE)
    seal = wechat_pay.Seal.of(headers)
    resource = json.loads(body)["resource"]
    sealed = {"timestamp": seal.timestamp, "nonce": seal.nonce, "body": body.decode(),
              "signature": seal.signature}  # fmt: skip
    message, path = "GET\n/v3/x?a=1\n1\nn\n\n", "/v3/pay/transactions/native"
    said = oracle("wechatpayv3", "oracle_wechatpayv3.py", {
        "private": private_pem(KEY), "public": public_pem(KEY), "notice_key": NOTICE_KEY,
        "message": message, "path": path, "body": '{"a":"物业"}',
        "sealed": [sealed, {**sealed, "nonce": "x"}], "resources": [resource],
    })  # fmt: skip
    assert said["signature"] == keys.sign(KEY, message.encode())
    assert said["verified"] == [True, False]
    event_id, kind, ours = wechat_pay.read_notice(body, NOTICE_KEY.encode())
    assert json.loads(said["decrypted"][0]) == ours and kind == "TRANSACTION.SUCCESS"
    assert wechat_pay.outcome(ours).amount == Decimal("1234.56") and event_id
    told = dict(part.split("=", 1) for part in said["authorization"].split(" ", 1)[1].split(","))
    told = {name: value.strip('"') for name, value in told.items()}
    signed = wechat_pay.request_message(
        "POST", path, told["timestamp"], told["nonce_str"], '{"a":"物业"}'
    )
    assert keys.is_signed(KEY.public_key(), signed, told["signature"])
    ours = wechat_pay.authorization("1600000001", "ABCDEF", told["timestamp"], told["nonce_str"],
                                    keys.sign(KEY, signed))  # fmt: skip
    assert ours == said["authorization"]


def test_python_alipay_sdk_signs_and_verifies_the_same():
    _, body = ali().notice(TRADE)
    fields = {k: v for k, v in alipay.notice_fields(body).items() if v and k != "sign_type"}
    sign = fields.pop("sign")
    content = {"out_trade_no": "1", "total_amount": "0.01", "subject": "物业费 &=+"}
    said = oracle("alipay", "oracle_alipay.py", {
        "private": private_pem(KEY), "public": public_pem(KEY),
        "content": content,
        "notices": [{"fields": fields, "signature": sign},
                    {"fields": {**fields, "total_amount": "1.00"}, "signature": sign}],
    })  # fmt: skip
    assert said["verified"] == [True, False]
    request = dict(parse_qsl(said["request"], keep_blank_values=True))
    theirs = request.pop("sign")
    assert keys.is_signed(KEY.public_key(), alipay.signed_text(request), theirs)
    assert keys.sign(KEY, alipay.signed_text(request)) == theirs


# --- what is refused ------------------------------------------------------------------------------


def sealed(now=None, **changes):
    headers, body = wechat().notice(TRADE)
    seal = wechat_pay.Seal.of({**headers, **changes})
    wechat_pay.check_seal(seal, body, KEY.public_key(), WechatPayGateway.key_id, now)


@pytest.mark.parametrize("late_s, is_fine", [(0, True), (290, True), (-290, True), (310, False),
                                             (-310, False), (3 * 86_400, False)])  # fmt: skip
def test_a_notice_counts_for_five_minutes(late_s, is_fine):
    if is_fine:
        sealed(time.time() + late_s)
        return
    with pytest.raises(wechat_pay.NotGenuine, match="old"):
        sealed(time.time() + late_s)


@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Signature", "Serial"])
@pytest.mark.parametrize("value", ["", "x", "９" * 10, "9" * 400])
def test_a_seal_that_is_none_is_refused(name, value):
    with pytest.raises(wechat_pay.NotGenuine):
        sealed(**{f"Wechatpay-{name}": value})


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_without_an_error_of_ours(body):
    with pytest.raises(wechat_pay.NotGenuine):
        wechat_pay.read_notice(body, NOTICE_KEY.encode())


def test_the_signed_part_of_an_answer_is_taken_to_the_letter():
    raw = '{"code":"10000","msg":"a } \\" b","n":{"x":[1, 2]} }'
    body = f'{{"alipay_trade_query_response" : {raw},"sign":"abc"}}'
    text, told, sign = alipay.answer_parts(body, "alipay.trade.query")
    assert (text, told["n"], sign) == (raw, {"x": [1, 2]}, "abc")
    for wrong in ("", "{}", "[]", '{"alipay_trade_query_response":', "x" * 50):
        with pytest.raises((ValueError, IndexError)):
            alipay.answer_parts(wrong, "alipay.trade.query")


def test_keys_are_read_however_they_were_pasted():
    pem = private_pem(KEY)
    for text in (
        pem,
        pem.replace("\n", ""),
        pem.replace("\n", " "),
        "".join(pem.split("\n")[1:-2]),
    ):
        assert keys.private_key(text).private_numbers() == KEY.private_numbers()
    assert keys.public_key(public_pem(KEY).replace("\n", " ")).public_numbers()
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for wrong in ("", "nonsense", public_pem(KEY), private_pem(small)):
        with pytest.raises(ValueError):
            keys.private_key(wrong)


def test_a_platform_certificate_serves_like_a_public_key():
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "platform")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
        .serial_number(0xABC123).not_valid_before(now).not_valid_after(now + timedelta(1))
        .sign(KEY, hashes.SHA256())
    )  # fmt: skip
    pem = built.public_bytes(serialization.Encoding.PEM).decode()
    assert keys.certificate_serial(pem) == "ABC123"
    assert keys.certificate_ends_at(pem) == built.not_valid_after_utc
    assert keys.is_signed(keys.public_key(pem), b"m", signature(KEY, b"m"))
