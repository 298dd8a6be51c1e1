"""Promises about the manifest: it says what the plugin is, needs and does, and nothing else."""

import ast
import configparser
from collections.abc import Iterator

from dougong.services import SERVICES
from dougong.testing.promises import Subject, promise
from dougong.testing.promises.subject import has_chinese

NEEDS = {
    "net": ("httpx", "requests", "aiohttp", "urllib.request", "http.client", "aiomqtt"),
    "subprocess": ("subprocess", "multiprocessing"),
    "mail": ("smtplib", "aiosmtplib"),
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "choice": str,
    "money": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


@promise
def it_is_loaded_and_works(subject: Subject) -> Iterator[str]:
    standing = subject.installation.plugins.standing(subject.plugin)
    if not standing.is_working:
        yield f"{subject.plugin} is {standing.state}: {standing.reason}"


@promise
def its_package_is_named_after_it(subject: Subject) -> Iterator[str]:
    if subject.manifest.package != f"dougong_{subject.plugin}":
        yield f"the package is {subject.manifest.package}, not dougong_{subject.plugin}"
    if subject.manifest.schema != subject.plugin:
        yield f"the schema is {subject.manifest.schema}, not {subject.plugin}"


@promise
def its_version_is_that_of_its_distribution(subject: Subject) -> Iterator[str]:
    setup = subject.folder.parent / "setup.cfg"
    if setup.is_file():
        parser = configparser.ConfigParser()
        parser.read(setup, "utf-8")
        version = parser.get("metadata", "version", fallback=subject.manifest.version)
        if version != subject.manifest.version:
            yield f"setup.cfg says {version}, the manifest {subject.manifest.version}"


@promise
def it_says_up_to_which_kernel_it_works(subject: Subject) -> Iterator[str]:
    if "<" not in subject.manifest.kernel:
        yield f"kernel = {subject.manifest.kernel!r} has no end: say <1"


@promise
def it_is_named_and_described_in_both_languages(subject: Subject) -> Iterator[str]:
    for field in ("name", "description"):
        text = getattr(subject.manifest, field)
        if text is None:
            yield f"{field} is missing"
        elif not has_chinese(text.zh_Hans_CN) or has_chinese(text.en):
            yield f"{field} is not in both languages: {text.en} / {text.zh_Hans_CN}"


@promise
def every_setting_is_titled_and_its_default_fits(subject: Subject) -> Iterator[str]:
    for key, entry in subject.manifest.settings.items():
        if entry.title is None:
            yield f"settings.{key} has no title"
        if entry.default is not None and not isinstance(entry.default, TYPES[entry.type]):
            yield f"settings.{key}: the default {entry.default!r} is not a {entry.type}"
        bounds = (entry.minimum, entry.maximum)
        if isinstance(entry.default, int | float) and not _within(entry.default, *bounds):
            yield f"settings.{key}: the default {entry.default} is out of its bounds"


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


@promise
def every_setting_it_reads_is_declared(subject: Subject) -> Iterator[str]:
    for path, call in subject.calls("setting"):
        name = _literal(call)
        plugin, _, key = (name or "").partition(".")
        if plugin == subject.plugin and key not in subject.manifest.settings:
            yield f"{subject.where(path, call)} reads {name}"


@promise
def every_job_is_a_service(subject: Subject) -> Iterator[str]:
    for job in subject.manifest.jobs:
        name = job.service or f"{subject.plugin}.{job.id}"
        if name not in SERVICES:
            yield f"job {job.id}: there is no service {name}"


@promise
def every_driver_can_be_loaded(subject: Subject) -> Iterator[str]:
    from dougong.devices.registry import Drivers

    declared = [(entry.id, entry.path) for entry in subject.manifest.drivers]
    if declared:
        broken = Drivers.load(declared).broken
        yield from (f"driver {name}: {reason}" for name, reason in sorted(broken.items()))


@promise
def every_kind_that_it_posts_is_declared(subject: Subject) -> Iterator[str]:
    """Entries of the ledger's journal are called as the manifest says, in both languages."""
    declared = subject.manifest.words.get("ledger.journal_entry.kind", {})
    named = _constants(subject)
    for path, call in subject.calls("post"):
        arguments = [a.id for a in call.args[:2] if isinstance(a, ast.Name)]
        kind = _literal(call) or next((named[a] for a in arguments if a in named), None)
        if kind and kind.startswith(f"{subject.plugin}.") and kind not in declared:
            yield f'{subject.where(path, call)} posts {kind}: name it under [words."…kind"]'


@promise
def every_document_has_its_template(subject: Subject) -> Iterator[str]:
    for document in subject.manifest.documents:
        path = subject.folder / f"templates/documents/{document.id}.html"
        if not path.is_file():
            yield f"document {document.id}: there is no {subject.where(path)}"


@promise
def every_fact_that_it_tells_is_declared(subject: Subject) -> Iterator[str]:
    for path, call in subject.calls("emit"):
        name = (_literal(call) or "").removeprefix(f"{subject.plugin}.")
        if name and name not in subject.manifest.events.emits:
            yield f"{subject.where(path, call)} tells {name}"


@promise
def it_listens_only_to_what_it_depends_on(subject: Subject) -> Iterator[str]:
    known = _known(subject) | {"dougong"}
    for name in subject.manifest.events.subscribes:
        if name.partition(".")[0] not in known:
            yield f"it listens to {name} and declares no dependency"


@promise
def it_imports_only_plugins_that_it_declares(subject: Subject) -> Iterator[str]:
    known = {f"dougong_{plugin}" for plugin in _known(subject)}
    for path, node, module, _name in subject.imports():
        top = module.partition(".")[0]
        if top.startswith("dougong_") and top not in known:
            yield f"{subject.where(path, node)} imports {top}"


@promise
def it_uses_no_private_name_of_the_kernel(subject: Subject) -> Iterator[str]:
    for path, node, module, name in subject.imports():
        parts = [*module.split("."), name]
        if parts[0] == "dougong" and any(p.startswith("_") for p in parts):
            yield f"{subject.where(path, node)} imports {module} {name}"


@promise
def its_domain_rules_know_no_framework(subject: Subject) -> Iterator[str]:
    for path, node, module, _name in subject.imports():
        is_domain = "domain" in (path.stem, path.parent.name)
        if is_domain and module.partition(".")[0] in ("sqlalchemy", "flask", "pymodbus"):
            yield f"{subject.where(path, node)} imports {module}"


@promise
def it_declares_the_capabilities_that_it_uses(subject: Subject) -> Iterator[str]:
    manifest = subject.manifest
    have = {capability.partition(":")[0] for capability in manifest.capabilities}
    uses = {"personal": manifest.personal, "devices": manifest.drivers, "jobs": manifest.jobs}
    for capability, used in uses.items():
        if used and capability not in have:
            yield f"capability {capability} is used and not declared"
    for path, node, module, _name in subject.imports():
        for capability, libraries in NEEDS.items():
            if module.startswith(libraries) and capability not in have:
                yield f"{subject.where(path, node)} imports {module}: declare {capability}"


def _constants(subject: Subject) -> dict[str, str]:
    """Return the texts that the plugin's modules give names to, one by one or several at once."""
    found: dict[str, str] = {}
    statements = [node for tree in subject.sources.values() for node in tree.body]
    for node in [each for each in statements if isinstance(each, ast.Assign)]:
        for name, value in zip(_parts(node.targets[0]), _parts(node.value), strict=False):
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                found[name.id] = str(value.value)
    return found


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _known(subject: Subject) -> set[str]:
    return {subject.plugin, *subject.manifest.depends, *subject.manifest.optional}


def _literal(call: ast.Call) -> str | None:
    """Return the first argument that is a text: the name of what is told or read."""
    for argument in call.args[:2]:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return argument.value
    return None
