"""Signs what is sent, so that the receiver knows who sent it, when, and that it is whole.

The header is ``Dougong-Signature: t=<unix seconds>,v1=<hex>``, where v1 is HMAC-SHA256 under the
subscription's secret over ``<t>.<body>``.
"""

import hashlib
import hmac

TOLERANCE_S = 300


def sign(secret: str, body: bytes, at: int) -> str:
    """Return the header's value. at: unix seconds."""
    return f"t={at},v1={_mac(secret, body, at)}"


def is_signed(secret: str, body: bytes, header: str, now: int) -> bool:
    """Tell whether a request is genuine and no older than five minutes; what a receiver does."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    at = parts.get("t", "")
    if not at.isdecimal() or abs(now - int(at)) > TOLERANCE_S:
        return False
    return hmac.compare_digest(parts.get("v1", "").encode(), _mac(secret, body, int(at)).encode())


def _mac(secret: str, body: bytes, at: int) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
