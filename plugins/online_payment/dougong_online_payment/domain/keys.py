"""RSA keys as people paste them, and the signatures made with them."""

import base64
import binascii
import re
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_der_x509_certificate

NO_KEY = "this is no RSA key in PEM form"
FRAME = re.compile(r"-----[A-Z0-9 ]+-----")


def _der(text: str) -> bytes:
    """Return the bytes of a PEM block, whatever became of its frame and line breaks."""
    plain = re.sub(r"\s+", "", FRAME.sub("", text))
    try:
        return base64.b64decode(plain, validate=True)
    except binascii.Error as error:
        raise ValueError(NO_KEY) from error


def private_key(text: str) -> rsa.RSAPrivateKey:
    """Return an RSA private key (PKCS#1 or PKCS#8). Raises ValueError for anything else."""
    try:
        found = serialization.load_der_private_key(_der(text), password=None)
    except TypeError as error:
        raise ValueError("the key is protected by a password") from error
    except ValueError as error:
        raise ValueError(NO_KEY) from error
    if not isinstance(found, rsa.RSAPrivateKey) or found.key_size < 2048:
        raise ValueError("an RSA key of at least 2048 bits is needed")
    return found


def public_key(text: str) -> rsa.RSAPublicKey:
    """Return an RSA public key, from itself or from a certificate. Raises ValueError."""
    der = _der(text)
    try:
        found = _read_public(der, "CERTIFICATE" in text)
    except ValueError as error:
        raise ValueError(NO_KEY) from error
    if not isinstance(found, rsa.RSAPublicKey):
        raise ValueError("an RSA key is needed")
    return found


def _read_public(der: bytes, is_certificate: bool) -> object:
    if is_certificate:
        return load_der_x509_certificate(der).public_key()
    return serialization.load_der_public_key(der)


def certificate_serial(text: str) -> str | None:
    """Return a certificate's serial number in upper-case hex, None for a bare key."""
    if "CERTIFICATE" not in text:
        return None
    return f"{load_der_x509_certificate(_der(text)).serial_number:X}"


def certificate_ends_at(text: str) -> datetime | None:
    """Return when a certificate ends, None for a bare key or what cannot be read."""
    if "CERTIFICATE" not in text:
        return None
    try:
        return load_der_x509_certificate(_der(text)).not_valid_after_utc
    except ValueError:
        return None


def sign(key: rsa.RSAPrivateKey, message: bytes) -> str:
    """Return the RSA-SHA256 (PKCS#1 v1.5) signature in Base64."""
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode()


def is_signed(key: rsa.RSAPublicKey, message: bytes, signature: str) -> bool:
    """Tell whether a Base64 signature is the key's for this message."""
    try:
        raw = base64.b64decode(signature, validate=True)
        key.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
