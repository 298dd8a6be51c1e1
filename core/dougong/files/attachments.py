"""Attaching, listing, opening and removing: what pages, the API and plugins call.

A file belongs to a record; who may see the record may open its files, who may change it may attach
and remove. A plugin's own pages, which have checked on their own terms, read without that.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import IO, Any
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import select

from dougong.audit.timeline import model_of
from dougong.capabilities import needs
from dougong.db import Scope
from dougong.db.base import InCommunity
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.files.kinds import checked_name, media_type
from dougong.files.models import Attachment
from dougong.files.store import FileStore
from dougong.i18n import N_
from dougong.services import entered, permission_of, service

LARGEST_MB = 20
MOST = 50
YOUNG = timedelta(days=1)
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


@dataclass(frozen=True)
class Opened:
    """An attachment with its content in clear, and the headers to send it with."""

    attachment: Attachment
    name: str
    content: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Return headers under which a browser shows pictures and saves everything else."""
        how = "inline" if self.attachment.is_inline else "attachment"
        kind = self.attachment.media_type
        return SAFE | {
            "Content-Type": "text/plain; charset=utf-8" if kind == "text/plain" else kind,
            "Content-Disposition": f"{how}; filename*=UTF-8''{quote(self.name, safe='')}",
        }


@needs("files")
def attach(
    scope: Scope, record: Any, name: str, stream: IO[bytes], *, right: str = "change"
) -> Attachment:
    """Attach a file to a record; its bytes are on the disk when this returns.

    Needs the permission to change the record, or that of another verb (``right``) where records are
    not changed by hand, unless a service that was checked calls it. The
    largest file has the setting ``files.largest_mb`` (20). Raises NotAllowed, Invalid for a file
    that is too large, empty or of a kind that is not accepted, Conflict for the 51st.
    """
    with _acting(scope, record, "attach", right):
        name = checked_name(name)
        content = _limited(scope, stream)
        kind = media_type(name, content)
        if len(attachments_of(scope, record)) >= MOST:
            raise Conflict(N_("A record has at most %(count)s files."), count=MOST)
        attachment = Attachment(
            subject_kind=_kind_of(record),
            subject_id=record.id,
            media_type=kind,
            size=len(content),
            digest=_digest(scope, content),
            attached_at=scope.now,
            attached_by=scope.actor.name[:120],
        )
        attachment.name = name
        attachment.stored_as, attachment.secret = _stored(scope, attachment.digest, content)
        scope.session.add(attachment)
        scope.session.flush()
    return attachment


@needs("files")
def attachments_of(scope: Scope, record: Any) -> Sequence[Attachment]:
    """Return the files of a record that the caller has, oldest first."""
    return attachments_of_each(scope, [record])[record.id]


@needs("files")
def attachments_of_each(
    scope: Scope, records: Sequence[Any]
) -> Mapping[UUID, Sequence[Attachment]]:
    """Return the files of records of one model by their ids, oldest first. One statement."""
    found: dict[UUID, list[Attachment]] = {record.id: [] for record in records}
    if found:
        query = select(Attachment).where(
            Attachment.subject_kind == _kind_of(records[0]), Attachment.subject_id.in_(found)
        )
        for attachment in scope.session.scalars(query.order_by(Attachment.id)):
            found[attachment.subject_id].append(attachment)
    return found


@needs("files")
def open_attachment(scope: Scope, id: UUID | str) -> Opened:
    """Return a file that the actor may see, with its content.

    Raises NotFound, NotAllowed without the permission to view its record, TamperedCiphertext and
    FileGone for what happened to it on the disk.
    """
    attachment, record = _with_subject(scope, id)
    scope.require(permission_of(type(record), "view"))
    return read_attachment(scope, attachment)


@needs("files")
def read_attachment(scope: Scope, attachment: Attachment) -> Opened:
    """Return the content of a file whose record the caller has checked on its own terms."""
    secret = attachment.secret
    if secret is None:
        raise NotFound(N_("This file was erased."))
    content = _store(scope).read(attachment.stored_as, attachment.digest, b64decode(secret))
    return Opened(attachment, str(attachment), content)


@needs("files")
def remove_attachment(scope: Scope, id: UUID | str) -> None:
    """Take a file off its record; a day later its bytes are swept when no other row names them.

    Raises NotFound, NotAllowed without the permission to change its record.
    """
    attachment, record = _with_subject(scope, id)
    with _acting(scope, record, "detach", "change"):
        scope.session.delete(attachment)
        scope.session.flush()


@service("attachment.sweep", title=("Sweep files", "清理无主文件"), is_public=False)
def sweep(scope: Scope, older_than_hours: int = int(YOUNG.total_seconds() // 3600)) -> int:
    """Delete the community's files that no attachment names; return how many. Runs daily."""

    def is_named(names: Iterable[str]) -> set[str]:
        query = select(Attachment.stored_as).where(
            Attachment.stored_as.in_(list(names)),
            Attachment.secret_sealed.is_not(None),  # type: ignore[attr-defined]
        )
        return set(scope.session.scalars(query))

    return _store(scope).sweep(is_named, older_than_hours * 3600)


def verify(scope: Scope) -> dict[UUID, str]:
    """Return what is wrong with which attachment of the community, by id; empty when all opens."""
    wrong: dict[UUID, str] = {}
    for attachment in scope.session.scalars(select(Attachment).order_by(Attachment.id)):
        try:
            if attachment.secret is not None:
                read_attachment(scope, attachment)
        except DougongError as error:
            wrong[attachment.id] = error.code
    return wrong


# --- parts ------------------------------------------------------------------------------------


@contextmanager
def _acting(scope: Scope, record: Any, verb: str, needs: str) -> Iterator[None]:
    if not isinstance(record, InCommunity):
        raise Invalid(N_("Files can be attached to records of a community only."))
    model = type(record)
    with entered(scope, permission_of(model, verb), permission_of(model, needs)):
        yield


def _with_subject(scope: Scope, id: UUID | str) -> tuple[Attachment, Any]:
    """Return an attachment and its record, as the actor's buildings and plugins let him see it."""
    attachment = scope.get(Attachment, id)
    model = model_of(attachment.subject_kind)
    if model is None or permission_of(model, "view").partition(".")[0] not in scope.enabled:
        raise NotFound(N_("There is no such record here (%(kind)s)."), kind="attachment")
    return attachment, scope.get(model, attachment.subject_id)


def _kind_of(record: Any) -> str:
    return f"{record.__schema__}.{record.__tablename__}"


def _limited(scope: Scope, stream: IO[bytes]) -> bytes:
    limit = int(scope.setting("files.largest_mb", LARGEST_MB))
    content = stream.read(limit * 1024 * 1024 + 1)
    if len(content) > limit * 1024 * 1024:
        raise Invalid(N_("The file is larger than %(limit)s MB."), limit=limit)
    if not content:
        raise Invalid(N_("The file is empty."))
    return content


def _digest(scope: Scope, content: bytes) -> str:
    """Return the keyed digest of a content: the same only within one community.

    After the index key was rotated the same content gets another one, and is stored once more.
    """
    owner: Any = scope.community_id
    key = scope.installation.keyring.index_keys([owner])[owner][0]
    return key.digest(b"dougong.attachment.v1|" + sha256(content).digest()).hex()


def _stored(scope: Scope, digest: str, content: bytes) -> tuple[str, str]:
    """Return name and key of the stored content; the same content is stored once."""
    store = _store(scope)
    query = select(Attachment).where(Attachment.digest == digest).order_by(Attachment.id)
    for known in scope.session.scalars(query):
        if known.secret is not None and store.keep(known.stored_as):
            return known.stored_as, known.secret
    suite = scope.installation.keyring.current(scope.community_id).suite
    stored_as, key = store.write(digest, content, suite)
    return stored_as, b64encode(key).decode()


def _store(scope: Scope) -> FileStore:
    if scope.community_id is None:
        raise Conflict(N_("Choose a community first; a group page writes no rows."))
    return FileStore(scope.installation.settings.paths.files, scope.community_id)
