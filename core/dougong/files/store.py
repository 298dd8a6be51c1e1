"""Encrypted files on the disk: each written once, whole and synced, or not at all.

A file is a head (``DGF``, version, suite), a nonce, and one ciphertext. It is bound to its
community and to the digest of its content, and has a key of its own that lies in its row.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag

from dougong.db.ciphers import NONCE, TAG, DataKey, Suite, TamperedCiphertext
from dougong.errors import DougongError
from dougong.i18n import N_

MAGIC = b"DGF\x01"
HEAD = len(MAGIC) + 1
TEMPORARY = ".tmp"
SECRET_BYTES = {Suite.AES_256_GCM: 32, Suite.SM4_GCM: 16}


class FileGone(DougongError):
    """The row is there and the file is not: restored without its files, or deleted by hand."""

    status = 500
    code = "file_gone"


class FileStore:
    """The files of one community; ``folder`` is made when something is written."""

    def __init__(self, folder: Path, community_id: UUID) -> None:
        self.folder = folder / str(community_id)
        self.community_id = community_id

    def path(self, stored_as: str) -> Path:
        """Return where a file lies; two letters of the digest make the folder."""
        if not stored_as.replace(".", "").isalnum():
            raise ValueError(f"{stored_as!r} names no file")
        return self.folder / stored_as[:2] / stored_as

    def write(self, digest: str, content: bytes, suite: Suite) -> tuple[str, bytes]:
        """Store ``content``; return its name and its key once it is safely on the disk."""
        key = secrets.token_bytes(SECRET_BYTES[suite])
        stored_as = f"{digest}.{secrets.token_hex(4)}"
        path = self.path(stored_as)
        with self._locked(fcntl.LOCK_SH):
            _make_durable(path.parent)
            temporary = path.with_name(stored_as + TEMPORARY)
            nonce = os.urandom(NONCE)
            sealed = DataKey(0, suite, key).aead.encrypt(nonce, content, self._bound(digest))
            try:
                with open(temporary, "xb", opener=_private) as target:
                    target.write(MAGIC + bytes([suite]) + nonce)
                    target.write(sealed)
                    target.flush()
                    os.fsync(target.fileno())
                os.replace(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)
        return stored_as, key

    def keep(self, stored_as: str) -> bool:
        """Save a file that is there from the next sweep; False when it is gone."""
        with self._locked(fcntl.LOCK_SH):
            try:
                os.utime(self.path(stored_as))
            except FileNotFoundError:
                return False
        return True

    def read(self, stored_as: str, digest: str, key: bytes) -> bytes:
        """Return the content; raises FileGone, TamperedCiphertext when it was changed or moved."""
        try:
            raw = self.path(stored_as).read_bytes()
        except FileNotFoundError as error:
            raise FileGone(N_("The file is no longer in the store.")) from error
        try:
            if len(raw) < HEAD + NONCE + TAG or not raw.startswith(MAGIC):
                raise InvalidTag
            cipher = DataKey(0, Suite(raw[HEAD - 1]), key).aead
            nonce, sealed = raw[HEAD : HEAD + NONCE], raw[HEAD + NONCE :]
            return cipher.decrypt(nonce, sealed, self._bound(digest))
        except (InvalidTag, ValueError) as error:
            raise TamperedCiphertext(N_("The file in the store was changed or damaged.")) from error

    def sweep(self, is_named: Callable[[Iterable[str]], set[str]], older_than_s: float) -> int:
        """Delete files that no row names and that are older; return how many.

        is_named: returns which of some names have a row. A transaction that is about to name a
        file has just written or kept it, so it is too young.
        """
        deleted = 0
        for folder in sorted(p for p in self.folder.glob("??") if p.is_dir()):
            old = [p for p in sorted(folder.iterdir()) if _age_s(p) > older_than_s]
            named = is_named(p.name for p in old if p.suffix != TEMPORARY)
            unnamed = (p for p in old if p.name not in named)
            deleted += sum(self._delete_old(path, older_than_s) for path in unnamed)
        return deleted

    def _delete_old(self, path: Path, older_than_s: float) -> bool:
        """Delete a file unless somebody has just named it again; tell whether it went."""
        with self._locked(fcntl.LOCK_EX):
            is_old = _age_s(path) > older_than_s
            if is_old:
                path.unlink(missing_ok=True)
            return is_old

    def _bound(self, digest: str) -> bytes:
        return b"file|" + self.community_id.bytes + bytes.fromhex(digest)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        with (self.folder / ".lock").open("a") as lock:
            fcntl.flock(lock, how)
            yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _make_durable(folder: Path) -> None:
    """Make a folder so that it survives a power cut: its parents are synced as well."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    for parent in (folder.parent, folder.parent.parent):
        _sync_folder(parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
