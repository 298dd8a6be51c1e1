"""The provider that works offline, for trying out: signed PDF/A-3 with the structured file inside.

It is a system of its own to the rest of the plugin: it commits what it issued by itself, answers a
repeated request with the first invoice, and can be asked what became of one.
"""

import base64
import io
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.db.scope import Actor
from dougong.documents import EmbeddedFile, render_html, to_archive_pdf
from dougong.i18n import use_locale
from dougong.installation import Installation
from dougong_invoices.models import OfflineIssue, SigningKey
from dougong_invoices.provider import Answer, InvoiceAnswer, InvoiceRequest
from dougong_invoices.structure import einvoice

YEARS = 5
# A real number begins with the year: no tax bureau has ever issued one that begins with 00.
IMPOSSIBLE = "00"


def number_of(request_id: str) -> str:
    """Return the trial number of a request: twenty digits that no tax bureau can have issued."""
    digits = int.from_bytes(sha256(request_id.encode()).digest()[:8]) % 10**18
    return f"{IMPOSSIBLE}{digits:018}"


class OfflineProvider:
    """Issues trial invoices. Refused in production."""

    def issue(
        self, installation: Installation, community: UUID, request: InvoiceRequest
    ) -> InvoiceAnswer:
        """Issue a trial invoice once; repeated, return the first one with the same number."""
        if installation.settings.production:
            message = "The offline provider is for trying out and issues nothing in production."
            return InvoiceAnswer(Answer.REFUSED, message=message)
        with installation.scope(Actor.system("invoices"), community=community) as scope:
            values = {
                "community_id": community,
                "id": uuid7(),
                "request_id": UUID(request.request_id),
                "number": number_of(request.request_id),
                "issued_at": scope.now,
            }
            scope.session.execute(insert(OfflineIssue).values(values).on_conflict_do_nothing())
        return self.query(installation, community, request)

    def query(
        self, installation: Installation, community: UUID, request: InvoiceRequest
    ) -> InvoiceAnswer:
        """Return what was issued for a request, with its document; unheard of when nothing was."""
        with installation.scope(Actor.system("invoices"), community=community) as scope:
            wanted = OfflineIssue.request_id == UUID(request.request_id)
            known = scope.session.scalars(select(OfflineIssue).where(wanted)).one_or_none()
            if known is None:
                return InvoiceAnswer(Answer.UNHEARD_OF)
            document = print_signed(scope, request, known.number, known.issued_at)
            return InvoiceAnswer(Answer.ISSUED, known.number, known.issued_at, document)


def print_signed(scope: Scope, request: InvoiceRequest, number: str, issued_at: datetime) -> bytes:
    """Return an invoice as PDF/A-3 with the structured file embedded, signed (PAdES)."""
    local = issued_at.astimezone(scope.zone)
    xml = einvoice(request, number, local)
    with use_locale("zh_Hans_CN"):
        context = {"request": request, "number": number, "issued_at": issued_at}
        html = render_html(scope, "invoices:invoice", context)
    files = [EmbeddedFile(f"{number}.xml", xml, "数电票结构化文件")]
    return sign(to_archive_pdf(html, files), _key(scope))


def sign(pdf: bytes, secret: tuple[bytes, bytes]) -> bytes:
    """Return a PDF with a PAdES signature over all of it. secret: PKCS #12 and its passphrase."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import signers
    from pyhanko.sign.fields import SigSeedSubFilter

    signer = signers.SimpleSigner.load_pkcs12_data(secret[0], other_certs=[], passphrase=secret[1])
    about = signers.PdfSignatureMetadata(
        field_name="Issuer", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    return signers.sign_pdf(writer, about, signer=signer).getvalue()


def _key(scope: Scope) -> tuple[bytes, bytes]:
    """Return the community's key for trial invoices, made when it has none."""
    query = select(SigningKey).order_by(SigningKey.id).limit(1)
    known = scope.session.scalars(query).one_or_none()
    if known is None:
        known = SigningKey()
        scope.session.add(known)
        known.secret = _made_secret(scope.place.name)
        scope.session.flush()
    passphrase, _, bundle = known.secret.partition(":")
    return base64.b64decode(bundle), passphrase.encode()


def _made_secret(name: str) -> str:
    """Return passphrase and PKCS #12 of a new key with a certificate that it signed itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import pkcs12

    key = ec.generate_private_key(ec.SECP256R1())
    common = f"{name[:40]}（测试）"
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    now = datetime.now(UTC)
    usage: dict[str, Any] = dict.fromkeys(
        (
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(
            x509.KeyUsage(digital_signature=True, content_commitment=True, **usage), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    passphrase = token_urlsafe(18)
    sealing = serialization.BestAvailableEncryption(passphrase.encode())
    bundle = pkcs12.serialize_key_and_certificates(b"invoices", key, certificate, None, sealing)
    return f"{passphrase}:{base64.b64encode(bundle).decode()}"
