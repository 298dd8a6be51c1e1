"""Puts a package into the plugin directory, and tells what lies there: whose it is, and whether it
is what its maker signed.

A package lies in ``plugins/<plugin>/<version>/`` with ``package.json``, the signed description.
Whoever may write there may write the kernel as well: the check at the start finds damage and
packages that nobody signed, not an intruder.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

import dougong
from dougong.errors import Conflict, DougongError, NotFound
from dougong.i18n import N_
from dougong.paths import Paths
from dougong.plugins.manifest import in_range
from dougong.plugins.packages.index import accepted, fetch
from dougong.plugins.packages.signing import NotSigned, opened, trusted
from dougong.plugins.packages.wheels import (
    Wheel,
    content_of_folder,
    look_through,
    refuse,
    unpack,
)

DESCRIPTION = "package.json"


@dataclass(frozen=True)
class Origin:
    """Where a plugin's code comes from.

    kind: ``signed``, ``unsigned`` (a package that nobody signed), ``altered`` (not what was
    signed) or ``local`` (installed by the operator with other means). maker: who signed it.
    """

    kind: str
    maker: str = ""


def origin_of(paths: Paths, package: Path) -> Origin:
    """Tell where the package that lies at ``package`` comes from."""
    if not package.resolve().is_relative_to(paths.plugins.resolve()):
        return Origin("local")
    try:
        document = json.loads((package.parent / DESCRIPTION).read_text("utf-8"))
        said, key = opened(document, trusted(paths), "package")
    except (OSError, ValueError, NotSigned):
        return Origin("unsigned")
    is_same = said.get("content") == content_of_folder(package)
    return Origin("signed" if is_same else "altered", key.owner)


def place_wheel(paths: Paths, wheel_file: Path, *, unsigned: bool = False) -> Wheel:
    """Check a wheel and put it into the plugin directory; return it.

    Its signed description is expected beside it. unsigned: let it in without (developers only).
    Raises PackageRefused, NotSigned or Conflict.
    """
    if not wheel_file.is_file():
        raise NotFound(N_("There is no %(file)s."), file=str(wheel_file))
    wheel = look_through(wheel_file)
    beside = wheel_file.with_name(f"{wheel_file.name}.json")
    document = None
    if beside.is_file() or not unsigned:
        document = _description(wheel, beside, paths)
    _check_revoked(paths, wheel)
    if not in_range(dougong.__version__, wheel.kernel):
        raise refuse(
            wheel_file, N_("it needs another version of Dougong (%(range)s)"), range=wheel.kernel
        )
    _put(paths, wheel, document)
    return wheel


def _description(wheel: Wheel, beside: Path, paths: Paths) -> Any:
    try:
        document = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NotSigned(N_("%(file)s is not signed."), file=wheel.path.name) from error
    said, _key = opened(document, trusted(paths), "package")
    if said.get("sha256") != wheel.sha256 or said.get("file") != wheel.path.name:
        raise NotSigned(N_("%(file)s is not what was signed."), file=wheel.path.name)
    return document


def _check_revoked(paths: Paths, wheel: Wheel) -> None:
    index = accepted(paths)
    reason = index.reason_against(wheel.plugin, wheel.version) if index else None
    if reason is not None:
        raise refuse(wheel.path, N_("it is revoked: %(reason)s"), reason=reason)


def _put(paths: Paths, wheel: Wheel, document: Any) -> None:
    """Unpack beside the place and rename, so that a package is there whole or not at all."""
    target = paths.plugins / wheel.plugin / wheel.version
    target.parent.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        unpack(wheel, temporary)
        if document is not None:
            (temporary / DESCRIPTION).write_text(
                json.dumps(document, ensure_ascii=False, indent=1), "utf-8"
            )
        temporary.chmod(0o750)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=".", dir=target.parent)) / "old"
            os.rename(target, old)
            shutil.rmtree(old.parent)
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fetch_plugin(paths: Paths, source: str, plugin: str, version: str | None = None) -> Wheel:
    """Fetch a plugin's newest version that fits from the accepted index; put it in its place.

    Raises NotFound when the index has none, Conflict when it has expired.
    """
    index = accepted(paths)
    if index is None:
        raise NotFound(N_("No index is known; run “dougong plugin index update”."))
    if index.is_expired:
        raise Conflict(N_("The index has expired; ask its maker for a new one."))
    said = _newest(index.packages, plugin, _usable(paths, index, version))
    if said is None:
        raise NotFound(N_("The index has no %(plugin)s that fits."), plugin=plugin)
    with tempfile.TemporaryDirectory() as folder:
        name = said["signed"]["file"]
        wheel_file = Path(folder) / Path(name).name
        wheel_file.write_bytes(fetch(source, name))
        beside = wheel_file.with_name(f"{wheel_file.name}.json")
        beside.write_text(json.dumps(said), "utf-8")
        return place_wheel(paths, wheel_file)


def _usable(paths: Paths, index: Any, version: str | None) -> Callable[[Any], bool]:
    keys = trusted(paths)

    def is_usable(document: Any) -> bool:
        try:
            said, _key = opened(document, keys, "package")
        except DougongError:
            return False
        return (
            index.reason_against(said["plugin"], said["version"]) is None
            and in_range(dougong.__version__, said["kernel"])
            and version in (None, said["version"])
        )

    return is_usable


def _newest(packages: Any, plugin: str, is_usable: Callable[[Any], bool]) -> Any:
    found = [p for p in packages if is_usable(p) and p["signed"]["plugin"] == plugin]
    return max(found, key=lambda p: Version(p["signed"]["version"]), default=None)
