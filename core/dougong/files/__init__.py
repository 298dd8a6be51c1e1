"""Files that people attach to records: checked, encrypted, on the disk before the commit."""

from dougong.files.attachments import (
    Opened,
    attach,
    attachments_of,
    attachments_of_each,
    open_attachment,
    read_attachment,
    remove_attachment,
    sweep,
    verify,
)
from dougong.files.kinds import ACCEPTED
from dougong.files.models import Attachment

__all__ = [
    "ACCEPTED",
    "Attachment",
    "Opened",
    "attach",
    "attachments_of",
    "attachments_of_each",
    "open_attachment",
    "read_attachment",
    "remove_attachment",
    "sweep",
    "verify",
]
