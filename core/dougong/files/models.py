"""What is attached to a record."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, encrypted, label
from dougong.files.kinds import INLINE


class Attachment(InCommunity, KernelBase):
    """A file attached to a record (附件); its bytes lie encrypted in the community's folder.

    subject_kind: ``schema.table`` of the record. digest: keyed, so that whoever holds a dump
    cannot try whether a file he has is among them. secret: the file's own key; emptying it when a
    person is erased shreds the file, and rotating keys never touches the bytes.
    """

    __tablename__ = "attachment"
    __table_args__ = (
        Index("ix_attachment_subject", "community_id", "subject_kind", "subject_id"),
        Index("ix_attachment_digest", "community_id", "digest"),
        Index("ix_attachment_stored_as", "community_id", "stored_as"),
        {"info": {"about": ("subject_kind", "subject_id")}},
    )

    subject_kind: Mapped[str] = mapped_column(String(80), info={"api": "read"})
    subject_id: Mapped[UUID] = mapped_column(info={"api": "read"})
    name: Mapped[str | None] = encrypted(info={**label("File", "文件名"), "api": "read"})
    media_type: Mapped[str] = mapped_column(
        String(100), info={**label("Kind", "类型"), "api": "read"}
    )
    size: Mapped[int] = mapped_column(
        BigInteger, info={**label("Size (bytes)", "大小（字节）"), "api": "read"}
    )
    digest: Mapped[str] = mapped_column(String(64), info={"api": "hidden"})
    stored_as: Mapped[str] = mapped_column(String(80), info={"api": "hidden"})
    secret: Mapped[str | None] = encrypted(info={"api": "hidden"})
    attached_at: Mapped[datetime] = mapped_column(
        info={**label("Attached at", "上传时间"), "api": "read"}
    )
    attached_by: Mapped[str] = mapped_column(
        String(120), info={**label("Attached by", "上传人"), "personal": "name", "api": "read"}
    )

    @property
    def is_inline(self) -> bool:
        """Tell whether a browser may show it in a page; everything else is a download."""
        return self.media_type in INLINE

    def __str__(self) -> str:
        return self.name or "—"
