"""Personal data: keys, purposes, reveals, consent, export, erasure, rotation."""

from dougong.privacy.keyring import StoredKeyring, open_keyring

# These declare services: whoever knows the area knows its verbs.
from dougong.privacy import erasure, retention, reveals, subjects  # isort: skip

__all__ = ["StoredKeyring", "erasure", "open_keyring", "retention", "reveals", "subjects"]
