"""The manifest: what a plugin is and needs, read without running any of its code."""

import re
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dougong.errors import Invalid
from dougong.i18n import N_

ENTRY_POINTS = "dougong.plugins"
ID = r"^[a-z][a-z0-9_]{1,30}$"
DURATION = re.compile(r"^P(\d+Y)?(\d+M)?(\d+D)?$")

PluginId = Annotated[str, Field(pattern=ID)]


class ManifestError(Invalid):
    """A manifest that cannot be used; the message names the file and the field."""

    code = "manifest"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Strict):
    """A text in both languages."""

    en: str
    zh_Hans_CN: str


class PersonalData(_Strict):
    """Why a personal column is kept, on what legal basis, and how long (ISO 8601 duration)."""

    purpose: str
    basis: Literal["consent", "contract", "statutory_duty", "vital_interest", "public_interest"]
    retention: str
    is_sensitive: bool = False

    @field_validator("retention")
    @classmethod
    def _duration(cls, value: str) -> str:
        if value == "P" or not DURATION.match(value):
            raise ValueError("retention is a duration such as P3Y or P180D")
        return value


class JobEntry(_Strict):
    """A service that runs by schedule, once per community that has the plugin enabled."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    schedule: str
    service: str | None = None
    queue: str = "default"

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str) -> str:
        if len(value.split()) != 5:
            raise ValueError("schedule has five fields: minute hour day month weekday")
        return value


class DriverEntry(_Strict):
    """A driver that the plugin brings: ``module:attribute`` of its declaration."""

    id: str
    path: str


class DocumentEntry(_Strict):
    """A document that the plugin can print, from ``templates/documents/<id>.html``."""

    id: str
    name: Text


class Events(_Strict):
    """Past facts that the plugin states and listens to."""

    emits: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()


class Manifest(_Strict):
    """One plugin's manifest, checked."""

    id: PluginId
    version: str
    package: str
    name: Text
    description: Text | None = None
    kernel: str = ">=0"
    schema_name: str | None = None
    depends: dict[PluginId, str] = {}
    optional: dict[PluginId, str] = {}
    conflicts: tuple[PluginId, ...] = ()
    capabilities: tuple[str, ...] = ()
    exclusive_slots: tuple[str, ...] = ()
    personal: dict[str, PersonalData] = {}
    permissions: dict[str, tuple[str, ...]] = {}
    settings: dict[str, dict[str, Any]] = {}
    jobs: tuple[JobEntry, ...] = ()
    drivers: tuple[DriverEntry, ...] = ()
    documents: tuple[DocumentEntry, ...] = ()
    events: Events = Events()

    @field_validator("version")
    @classmethod
    def _version(cls, value: str) -> str:
        try:
            return str(Version(value))
        except InvalidVersion as error:
            raise ValueError(str(error)) from error

    @field_validator("kernel")
    @classmethod
    def _range(cls, value: str) -> str:
        return _specifier(value)

    @field_validator("depends", "optional")
    @classmethod
    def _ranges(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: _specifier(span) for name, span in value.items()}

    @property
    def schema(self) -> str:
        """Return the PostgreSQL schema of the plugin."""
        return self.schema_name or self.id


@dataclass(frozen=True)
class Found:
    """A plugin that was found: its manifest and the folder of its package."""

    manifest: Manifest
    folder: Path


def _specifier(value: str) -> str:
    try:
        return str(SpecifierSet(value))
    except InvalidSpecifier as error:
        raise ValueError(str(error)) from error


def read_manifest(path: Path, package: str, version: str | None = None) -> Manifest:
    """Return the manifest in ``path``; raises ManifestError naming file and field."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(
            N_("%(file)s cannot be read: %(reason)s"), file=str(path), reason=str(error)
        ) from error
    data = dict(raw.pop("plugin", {}))
    data.update(raw)
    data["schema_name"] = data.pop("schema", None)
    for key in ("depends", "optional"):
        if isinstance(data.get(key), list):
            data[key] = dict(_split_requirement(entry) for entry in data[key])
    data.setdefault("version", version or "0")
    data["package"] = package
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ManifestError(
            N_("%(file)s: %(field)s: %(reason)s"),
            file=str(path),
            field=where,
            reason=problem["msg"],
        ) from error


def _split_requirement(entry: str) -> tuple[str, str]:
    match = re.match(r"^([a-z0-9_]+)\s*(.*)$", entry.strip())
    return (match.group(1), match.group(2) or ">=0") if match else (entry, ">=0")


def discover(folders: tuple[Path, ...]) -> tuple[list[Found], dict[str, str]]:
    """Return the plugins found by entry point and in ``folders``, and errors by plugin.

    No code of a plugin runs here.
    """
    found: dict[str, Found] = {}
    errors: dict[str, str] = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        _add(found, errors, entry.name, lambda e=entry: _from_entry_point(e))
    for folder in folders:
        for path in sorted(folder.glob("**/dougong_*/manifest.toml")):
            package = path.parent.name
            _add(
                found,
                errors,
                package.removeprefix("dougong_"),
                lambda p=path: Found(read_manifest(p, p.parent.name), p.parent),
            )
    return sorted(found.values(), key=lambda f: f.manifest.id), errors


def _add(found: dict, errors: dict, name: str, read: Any) -> None:
    if name in found:
        return
    try:
        found[name] = read()
    except ManifestError as error:
        errors[name] = str(error)


def _from_entry_point(entry: metadata.EntryPoint) -> Found:
    package = entry.value
    distribution = entry.dist
    folder = _package_folder(package, distribution)
    if folder is None:
        raise ManifestError(
            N_("%(file)s cannot be read: %(reason)s"), file=package, reason="no such package"
        )
    version = distribution.version if distribution else None
    return Found(read_manifest(folder / "manifest.toml", package, version), folder)


def _package_folder(package: str, distribution: Any) -> Path | None:
    """Return where a top-level package lies, without importing it."""
    from importlib.machinery import PathFinder
    from importlib.util import find_spec

    spec = PathFinder.find_spec(package) or find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent
