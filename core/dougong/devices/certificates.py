"""Whom a line trusts when it speaks TLS: an authority and a name, or one certificate.

Nothing here can be told to accept whatever comes: a certificate that is over, of a stranger, or of
another name is refused before the first byte of a request, and one that ends soon is told.
"""

import hashlib
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dougong.i18n import N_, bilingual

WARN_BEFORE = timedelta(days=30)
LIFETIME = timedelta(days=3650)
HEX = re.compile(r"[^0-9a-f]")


class Trust(StrEnum):
    """How a gateway proves who it is."""

    NONE = "none"
    AUTHORITY = "authority"
    PINNED = "pinned"

    __labels__ = {
        "NONE": bilingual("Not encrypted", "不加密"),
        "AUTHORITY": bilingual("Certificate of an authority", "由机构签发的证书"),
        "PINNED": bilingual("This one certificate", "指定证书"),
    }


class Distrust(OSError):
    """The peer's certificate is not one that this line trusts, or our own settings cannot be."""


@dataclass(frozen=True)
class Tls:
    """Whom to trust. name: what the certificate must be made out to, by default the address.

    authorities: certificates in PEM that may sign it; empty for those of the operating system.
    fingerprint: SHA-256 of the one certificate, in hexadecimal; colons do not matter. identity:
    our own certificate and key in PEM, for devices that want to know who calls.
    """

    trust: Trust
    name: str = ""
    authorities: str = ""
    fingerprint: str = ""
    identity: str | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """Return the settings of a connection; raises Distrust for certificates that are none."""
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.trust is Trust.PINNED:
                # The pin is compared below, before a byte is sent; it stands above any signature.
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif self.authorities:
                context = ssl.create_default_context(cadata=self.authorities)
                context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.identity:
                with _as_file(self.identity) as path:
                    context.load_cert_chain(path)
        except (ssl.SSLError, ValueError) as error:
            raise Distrust(f"the certificates of this gateway cannot be read: {error}") from error
        return context

    def admit(self, certificate: bytes | None, now: datetime) -> datetime:
        """Return when the peer's certificate ends; raises Distrust unless it may be trusted.

        certificate: as it came, DER. Name and signature of one that an authority signed were
        checked by the handshake already.
        """
        if not certificate:
            raise Distrust(N_("it shows no certificate"))
        if self.trust is Trust.PINNED:
            shown = hashlib.sha256(certificate).hexdigest()
            if HEX.sub("", self.fingerprint.lower()) != shown:
                raise Distrust(f"its certificate is another one; SHA-256 {readable(shown)}")
        ends_at = x509.load_der_x509_certificate(certificate).not_valid_after_utc
        if ends_at <= now:
            raise Distrust(f"its certificate ended on {ends_at:%Y-%m-%d}")
        return ends_at


def readable(fingerprint: str) -> str:
    """Return a fingerprint in pairs, as people compare it."""
    return ":".join(fingerprint[i : i + 2] for i in range(0, len(fingerprint), 2)).upper()


def ends_soon(ends_at: datetime | None, now: datetime) -> bool:
    """Tell whether somebody must see to a new certificate."""
    return ends_at is not None and ends_at <= now + WARN_BEFORE


# --- making them: for simulators and tests --------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, both in PEM; ``key`` is never shown."""

    certificate: str
    key: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the certificate, as people compare it."""
        made = x509.load_pem_x509_certificate(self.certificate.encode())
        return readable(made.fingerprint(hashes.SHA256()).hex())

    @property
    def pem(self) -> str:
        """Return both in one text."""
        return self.certificate + self.key

    @classmethod
    def read(cls, pem: str) -> "Identity":
        """Return what ``pem`` gave."""
        at = pem.index("-----BEGIN PRIVATE KEY")
        return cls(pem[:at], pem[at:])

    def serving(self, callers: str = "") -> ssl.SSLContext:
        """Return the settings of a server. callers: authorities in PEM that sign who may call."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with _as_file(self.pem) as path:
            context.load_cert_chain(path)
        if callers:
            context.load_verify_locations(cadata=callers)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_identity(
    name: str, issuer: Identity | None = None, ends_at: datetime | None = None
) -> Identity:
    """Return a certificate for a host name or address, signed by ``issuer`` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signed_by = key, subject
    if issuer is not None:
        loaded = serialization.load_pem_private_key(issuer.key.encode(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
        signed_by = x509.load_pem_x509_certificate(issuer.certificate.encode()).subject
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends_at or now) - timedelta(days=1))
        .not_valid_after(ends_at or now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return Identity(
        made.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def _general_name(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ip_address(name))
    return x509.DNSName(name)


@contextmanager
def _as_file(pem: str) -> Iterator[str]:
    """Give a path to read a key from: OpenSSL takes none from memory. Nothing reaches a disk."""
    if not hasattr(os, "memfd_create"):  # pragma: no cover - other systems than Linux
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(pem)
            file.flush()
            yield file.name
        return
    number = os.memfd_create("identity")
    try:
        with os.fdopen(os.dup(number), "w") as file:
            file.write(pem)
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)
