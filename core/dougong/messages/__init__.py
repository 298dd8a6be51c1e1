"""Messages: to people and logins, in the inbox and by e-mail, in words a community may choose."""

from dougong.messages.channels import Attachment, Outcome, Outgoing, add_channel, channels
from dougong.messages.delivery import deliver, deliver_due
from dougong.messages.inbox import inbox, mark_all_read, mark_read, unread_count, unread_query
from dougong.messages.privacy_due import remind
from dougong.messages.sending import notify
from dougong.messages.services import write_message, write_template

__all__ = [
    "Attachment",
    "Outcome",
    "Outgoing",
    "add_channel",
    "channels",
    "deliver",
    "deliver_due",
    "inbox",
    "mark_all_read",
    "mark_read",
    "notify",
    "remind",
    "unread_count",
    "unread_query",
    "write_message",
    "write_template",
]
