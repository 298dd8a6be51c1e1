"""Finds plugins without importing them: by entry point, and in the plugin directories."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from packaging.version import Version

from dougong.errors import DougongError
from dougong.plugins.manifest import Manifest, ManifestError, read_manifest

ENTRY_POINTS = "dougong.plugins"
NESTED = ("", "*/", "*/*/")


@dataclass(frozen=True)
class Found:
    """A plugin that was found: its manifest and the folder of its package.

    is_on_path: whether Python finds the package by itself; one from a plugin directory does not
    get onto the path before it is loaded.
    """

    manifest: Manifest
    folder: Path
    is_on_path: bool = True

    def content_hash(self) -> str:
        """Return a hash of the package's code, manifest and revisions."""
        digest = sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in (".py", ".toml", ".sql") and path.is_file():
                digest.update(str(path.relative_to(self.folder)).encode())
                digest.update(path.read_bytes())
        return digest.hexdigest()


@dataclass
class Discovered:
    """What is there: versions of each plugin, newest first, and what could not be read."""

    candidates: dict[str, list[Found]]
    errors: dict[str, str]


def discover(folders: tuple[Path, ...]) -> Discovered:
    """Return every plugin found by entry point and in ``folders``.

    An installed distribution wins over a folder that holds the same version.
    """
    found: dict[tuple[str, str], Found] = {}
    errors: dict[str, str] = {}
    for name, path, package, version, is_on_path in [*_installed(), *_in_folders(folders)]:
        try:
            manifest = read_manifest(path / "manifest.toml", package, version)
        except ManifestError as error:
            errors.setdefault(name, str(error))
        else:
            key = (manifest.id, manifest.version)
            found.setdefault(key, Found(manifest, path, is_on_path))
    candidates: dict[str, list[Found]] = {}
    for (plugin, _version), each in sorted(found.items()):
        candidates.setdefault(plugin, []).append(each)
    for versions in candidates.values():
        versions.sort(key=lambda f: Version(f.manifest.version), reverse=True)
    return Discovered(candidates, errors)


def _installed() -> Iterator[tuple[str, Path, str, str | None, bool]]:
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        package = entry.value.partition(":")[0]
        folder = package_folder(package) or Path(package)
        yield entry.name, folder, package, entry.dist.version if entry.dist else None, True


def _in_folders(
    folders: tuple[Path, ...],
) -> Iterator[tuple[str, Path, str, str | None, bool]]:
    for folder in folders:
        for nesting in NESTED:
            for path in sorted(folder.glob(f"{nesting}dougong_*/manifest.toml")):
                package = path.parent.name
                yield package.removeprefix("dougong_"), path.parent, package, None, False


def package_folder(package: str) -> Path | None:
    """Return where a top-level package lies, asking the finders and importing nothing."""
    if "." in package:
        raise DougongError(f"{package} is not a top-level package")
    spec = PathFinder.find_spec(package)
    for finder in () if spec else sys.meta_path:
        spec = finder.find_spec(package, None) if hasattr(finder, "find_spec") else None
        if spec is not None:
            break
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
