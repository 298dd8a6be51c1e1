"""Photos and other files that the one who complains hands in."""

from typing import IO
from uuid import UUID

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.files import Attachment, Opened, attach, attachments_of, read_attachment
from dougong.i18n import N_
from dougong.services import entered
from dougong_participation.services.complaints import my_complaint


def add_file(scope: Scope, complaint_id: UUID, name: str, stream: IO[bytes]) -> Attachment:
    """Attach a file to a complaint of the actor's own; raises what `dougong.files.attach` does."""
    with entered(scope, "participation.complaint.attach", "participation.portal"):
        return attach(scope, my_complaint(scope, complaint_id), name, stream)


def open_file(scope: Scope, complaint_id: UUID, attachment_id: UUID) -> Opened:
    """Return a file of a complaint of the actor's own; raises NotFound."""
    for attachment in attachments_of(scope, my_complaint(scope, complaint_id)):
        if attachment.id == attachment_id:
            return read_attachment(scope, attachment)
    raise NotFound(N_("There is no such record here (%(kind)s)."), kind="attachment")
