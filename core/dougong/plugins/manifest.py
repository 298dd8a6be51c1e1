"""The manifest: what a plugin is and needs, read without running any of its code.

``manifest.toml`` lies in the plugin's package. The table ``[plugin]`` holds id, kernel range,
dependencies and slots; the other tables hold what the plugin brings.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from dougong.errors import Invalid
from dougong.i18n import N_

ID = r"^[a-z][a-z0-9_]{1,30}$"
NAME = r"^[a-z][a-z0-9_]*$"
DURATION = re.compile(r"^P(?=\d)(\d+Y)?(\d+M)?(\d+D)?$")
REQUIREMENT = re.compile(r"^\s*([a-z][a-z0-9_]*)\s*(.*)$")
CAPABILITIES = ("db.read", "devices", "files", "jobs", "mail", "net", "personal", "subprocess")


class ManifestError(Invalid):
    """A manifest that cannot be used; the message names the file and every wrong field."""

    code = "manifest"


def _specifier(value: str) -> str:
    try:
        return str(SpecifierSet(value))
    except InvalidSpecifier as error:
        raise ValueError(f"{value!r} is not a range of versions such as >=0.1,<1") from error


def _version(value: str) -> str:
    try:
        return str(Version(value))
    except InvalidVersion as error:
        raise ValueError(f"{value!r} is not a version such as 0.1.0") from error


def _duration(value: str) -> str:
    if not DURATION.match(value):
        raise ValueError(f"{value!r} is not a duration such as P3Y or P180D")
    return value


def _cron(value: str) -> str:
    if len(value.split()) != 5:
        raise ValueError("a schedule has five fields: minute hour day month weekday")
    return value


def _capability(value: str) -> str:
    if value.partition(":")[0] not in CAPABILITIES:
        raise ValueError(f"{value!r} is none of {', '.join(CAPABILITIES)}")
    return value


PluginId = Annotated[str, Field(pattern=ID)]
Name = Annotated[str, Field(pattern=NAME)]
Range = Annotated[str, AfterValidator(_specifier)]
VersionText = Annotated[str, AfterValidator(_version)]
Capability = Annotated[str, AfterValidator(_capability)]
Column = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Strict):
    """A text in both languages."""

    en: str = Field(min_length=1)
    zh_Hans_CN: str = Field(min_length=1)

    def __str__(self) -> str:
        from dougong.i18n import current_locale

        return self.en if current_locale() == "en" else self.zh_Hans_CN


class PersonalData(_Strict):
    """Why a personal column is kept, on what legal basis, and how long (ISO 8601 duration)."""

    purpose: str = Field(min_length=1)
    basis: Literal["consent", "contract", "statutory_duty", "vital_interest", "public_interest"]
    retention: Annotated[str, AfterValidator(_duration)]
    is_sensitive: bool = False


class SettingEntry(_Strict):
    """A run-time setting, named ``<plugin>.<key>``; the narrowest place that sets it wins.

    scope: the places where it may be set, from wide to narrow.
    """

    type: Literal["string", "integer", "number", "boolean", "choice", "money"] = "string"
    title: Text | None = None
    description: Text | None = None
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    scope: tuple[Literal["platform", "group", "community"], ...] = ("group", "community")

    @model_validator(mode="after")
    def _default_fits(self) -> "SettingEntry":
        if self.type == "choice" and not self.choices:
            raise ValueError("a choice needs choices")
        if self.type == "choice" and self.default not in (None, *self.choices):
            raise ValueError(f"the default {self.default!r} is none of the choices")
        return self


class JobEntry(_Strict):
    """A service that runs by schedule, once per community that has the plugin enabled.

    schedule: none for a job that others enqueue. timeout_s: it is ended when it runs longer, and
    tried once more; an hour when nothing is said.
    """

    id: Name
    schedule: Annotated[str, AfterValidator(_cron)] | None = None
    service: str | None = None
    queue: str = "default"
    timeout_s: int | None = Field(default=None, ge=1, le=86_400)


class DriverEntry(_Strict):
    """A driver that the plugin brings: ``module:attribute`` of its declaration."""

    id: str = Field(min_length=1)
    path: str = Field(pattern=r"^[\w.]+:\w+$")


class DocumentEntry(_Strict):
    """A document that the plugin can print, from ``templates/documents/<id>.html``."""

    id: Name
    name: Text


class Events(_Strict):
    """Past facts that the plugin states, and full names of those that it listens to."""

    emits: tuple[Name, ...] = ()
    subscribes: tuple[Annotated[str, Field(pattern=r"^[a-z_0-9]+\.[a-z_0-9]+$")], ...] = ()


WordKey = Annotated[str, Field(pattern=r"^[a-z_0-9]+(\.[a-z_0-9]+)+$", max_length=60)]


class Manifest(_Strict):
    """One plugin's manifest, checked."""

    id: PluginId
    version: VersionText
    package: str
    name: Text
    description: Text | None = None
    kernel: Range = ">=0"
    schema_name: Name | None = None
    depends: dict[PluginId, Range] = {}
    optional: dict[PluginId, Range] = {}
    conflicts: tuple[PluginId, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    exclusive_slots: tuple[str, ...] = ()
    personal: dict[Column, PersonalData] = {}
    permissions: dict[Name, tuple[Name, ...]] = {}
    settings: dict[Name, SettingEntry] = {}
    jobs: tuple[JobEntry, ...] = ()
    drivers: tuple[DriverEntry, ...] = ()
    documents: tuple[DocumentEntry, ...] = ()
    events: Events = Events()
    words: dict[str, dict[WordKey, Text]] = {}

    @field_validator("jobs", "drivers", "documents")
    @classmethod
    def _unique(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        ids = [entry.id for entry in entries]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"declared twice: {', '.join(twice)}")
        return entries

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        if self.id in {*self.depends, *self.optional, *self.conflicts}:
            raise ValueError("a plugin neither needs itself nor conflicts with itself")
        strange = [key for words in self.words.values() for key in words if not self._owns(key)]
        if strange:
            raise ValueError(f"these words do not begin with {self.id}.: {', '.join(strange)}")
        both = sorted(set(self.depends) & set(self.conflicts))
        if both:
            raise ValueError(f"needed and in conflict at once: {', '.join(both)}")
        return self

    def _owns(self, name: str) -> bool:
        return name.startswith(f"{self.id}.")

    @property
    def schema(self) -> str:  # type: ignore[override]
        """Return the PostgreSQL schema of the plugin."""
        return self.schema_name or self.id

    def job_of(self, service: str) -> JobEntry | None:
        """Return the job that runs a service, by the service's full name."""
        return next((job for job in self.jobs if self.service_of(job) == service), None)

    def service_of(self, job: JobEntry) -> str:
        """Return the full name of the service that a job runs."""
        name = job.service or job.id
        return name if name.startswith(f"{self.id}.") else f"{self.id}.{name}"

    def accepts(self, kernel: str) -> bool:
        """Tell whether the plugin works with this version of the kernel."""
        return in_range(kernel, self.kernel)


def in_range(version: str, span: str) -> bool:
    """Tell whether a version lies in a range; 0.2.dev1 counts as the 0.2 that it will become."""
    return SpecifierSet(span).contains(Version(version).base_version, prereleases=True)


def read_manifest(path: Path, package: str, version: str | None = None) -> Manifest:
    """Return the manifest in ``path``; raises ManifestError naming the file and each wrong field.

    version: the distribution's, for a manifest that does not repeat it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(
            N_("%(file)s cannot be read: %(reason)s"), file=str(path), reason=str(error)
        ) from error
    try:
        return Manifest.model_validate(_flatten(raw, package, version))
    except ValidationError as error:
        fields = {
            ".".join(map(str, problem["loc"])) or "plugin": problem["msg"]
            for problem in error.errors(include_url=False)
        }
        raise ManifestError(
            N_("%(file)s is not right: %(reasons)s"),
            fields=fields,
            file=str(path),
            reasons="; ".join(f"{field}: {reason}" for field, reason in fields.items()),
        ) from error


def _flatten(raw: dict[str, Any], package: str, version: str | None) -> dict[str, Any]:
    """Return the fields of a manifest from its tables."""
    data = {**raw.pop("plugin", {}), **raw}
    data["schema_name"] = data.pop("schema", None)
    for key in ("depends", "optional"):
        if isinstance(data.get(key), list):
            data[key] = dict(_requirement(entry) for entry in data[key])
    data.setdefault("version", version or "0")
    data["package"] = package
    return data


def _requirement(entry: str) -> tuple[str, str]:
    match = REQUIREMENT.match(entry)
    return (match[1], match[2] or ">=0") if match else (entry, ">=0")
