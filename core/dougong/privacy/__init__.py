"""Personal data: keys, purposes, reveals, consent, export, erasure, rotation."""

from dougong.privacy.keyring import StoredKeyring, open_keyring

__all__ = ["StoredKeyring", "open_keyring"]
