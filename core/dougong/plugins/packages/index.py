"""The signed index: which packages there are, and which versions must not run.

An index has a number that only rises and a day on which it expires, so that an old one cannot be
served again to hide a revocation. The last one accepted lies in the plugin directory; what it
revokes holds even after it has expired.
"""

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_
from dougong.later import Later
from dougong.paths import Paths
from dougong.plugins.manifest import in_range
from dougong.plugins.packages.signing import NotSigned, Trusted, opened, signed, trusted
from dougong.plugins.packages.wheels import SUFFIX, Wheel, look_through

if TYPE_CHECKING:
    import httpx
else:
    httpx = Later("httpx")


FILE = "index.json"
REVOKED = ("plugin", "versions", "reason")
REVOKED = ("plugin", "versions", "reason")
KEPT_DAYS = 90
MOST_BYTES = 60_000_000


@dataclass(frozen=True)
class Revoked:
    """Versions of a plugin that must not run. versions: a range such as ``<0.2.1``."""

    plugin: str
    versions: str
    reason: str


@dataclass(frozen=True)
class Index:
    """An index whose signature was checked. packages: signed documents, not checked yet."""

    number: int
    expires_at: datetime
    packages: tuple[Mapping[str, Any], ...]
    revoked: tuple[Revoked, ...]

    @property
    def is_expired(self) -> bool:
        return datetime.now(UTC) > self.expires_at

    def reason_against(self, plugin: str, version: str) -> str | None:
        """Return why a version must not run, None when it may."""
        for entry in self.revoked:
            if entry.plugin == plugin and in_range(version, entry.versions):
                return entry.reason
        return None


# --- making ---------------------------------------------------------------------------------------


def sign_wheel(wheel: Wheel, private: Ed25519PrivateKey) -> Path:
    """Write the signed description of a wheel beside it; return that file."""
    said = {
        "kind": "package",
        "plugin": wheel.plugin,
        "version": wheel.version,
        "kernel": wheel.kernel,
        "file": wheel.path.name,
        "sha256": wheel.sha256,
        "content": wheel.content,
    }
    target = wheel.path.with_name(f"{wheel.path.name}.json")
    _write(target, signed(said, private))
    return target


def build_index(folder: Path, private: Ed25519PrivateKey, days: int = KEPT_DAYS) -> Path:
    """Write ``index.json`` of the signed wheels in ``folder``; return it.

    ``revoked.toml`` beside it holds tables ``[[revoked]]`` with plugin, versions and reason.
    """
    packages = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        look_through(path)
        packages.append(json.loads(path.with_name(f"{path.name}.json").read_text("utf-8")))
    listed = folder / "revoked.toml"
    revoked = tomllib.loads(listed.read_text("utf-8"))["revoked"] if listed.exists() else []
    target = folder / FILE
    before = json.loads(target.read_text("utf-8"))["signed"]["number"] if target.exists() else 0
    said = {
        "kind": "index",
        "number": before + 1,
        "expires_at": (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds"),
        "packages": packages,
        "revoked": [{name: str(entry[name]) for name in REVOKED} for entry in revoked],
    }
    _write(target, signed(said, private))
    return target


def _write(target: Path, document: Mapping[str, Any]) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
    temporary.write_text(f"{text}\n", "utf-8")
    temporary.replace(target)


# --- reading --------------------------------------------------------------------------------------


def read_index(document: Any, keys: Trusted) -> Index:
    """Return a checked index; raises NotSigned or Invalid."""
    said, _key = opened(document, keys, "index")
    try:
        return Index(
            int(said["number"]),
            datetime.fromisoformat(said["expires_at"]),
            tuple(said["packages"]),
            tuple(Revoked(e["plugin"], e["versions"], e["reason"]) for e in said["revoked"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(N_("The index is damaged.")) from error


def accepted(paths: Paths) -> Index | None:
    """Return the index that was accepted last; None when there is none that is trusted now."""
    try:
        document = json.loads((paths.plugins / FILE).read_text("utf-8"))
        return read_index(document, trusted(paths))
    except (OSError, ValueError, NotSigned, Invalid):
        return None


def accept(paths: Paths, source: str) -> Index:
    """Fetch the index of a source, check and keep it; raises Conflict when it is old or expired.

    source: a folder, or an https address of one.
    """
    try:
        document = json.loads(fetch(source, FILE))
    except ValueError as error:
        raise Invalid(N_("The index is damaged.")) from error
    index, known = read_index(document, trusted(paths)), accepted(paths)
    if index.is_expired:
        raise Conflict(N_("The index has expired; ask its maker for a new one."))
    if known is not None and index.number < known.number:
        raise Conflict(
            N_("The index is older than the one that is known (%(number)s, not %(known)s)."),
            number=index.number,
            known=known.number,
        )
    _write(paths.plugins / FILE, document)
    return index


def fetch(source: str, name: str) -> bytes:
    """Return a file of a source; raises NotFound, and Invalid for one that is too large."""
    if urlsplit(source).scheme not in ("https", "http"):
        path = Path(source) / name
        if Path(name).name != name or not path.is_file():
            raise NotFound(N_("There is no %(file)s."), file=str(path))
        return path.read_bytes()
    try:
        with httpx.stream("GET", urljoin(f"{source.rstrip('/')}/", name), timeout=20) as response:
            response.raise_for_status()
            return _limited(response.iter_bytes())
    except httpx.HTTPError as error:
        raise NotFound(N_("There is no %(file)s."), file=f"{source}/{name} ({error})") from error


def _limited(pieces: Iterable[bytes]) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > MOST_BYTES:
            raise Invalid(N_("The answer is too large."))
    return bytes(data)
