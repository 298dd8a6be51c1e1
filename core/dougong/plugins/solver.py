"""Which plugins fit together, in which versions, and in which order they load.

A plugin that does not fit is refused with sentences that say why; the others are not affected.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product

from dougong.i18n import N_, LazyText, gettext, lazy_gettext
from dougong.plugins.manifest import Manifest, in_range

LARGEST_SEARCH = 2000
JOINER = N_("; ")


@dataclass(frozen=True)
class Solution:
    """The chosen versions, dependencies first, and why each other plugin is refused."""

    order: tuple[str, ...]
    chosen: Mapping[str, Manifest]
    refused: Mapping[str, tuple[LazyText, ...]] = field(default_factory=dict)

    def explain(self, plugin: str) -> str:
        """Return why a plugin is refused, in plain sentences; empty when it is not."""
        return gettext(JOINER).join(str(reason) for reason in self.refused.get(plugin, ()))


def solve(
    candidates: Mapping[str, Sequence[Manifest]],
    kernel: str,
    preferred: Sequence[str] = (),
) -> Solution:
    """Return the combination of versions with the fewest refusals, newest versions first.

    candidates: the versions of each plugin, newest first. kernel: the kernel's version.
    preferred: plugins that keep their place when another conflicts with them: the installed ones.
    """
    names = sorted(candidates)
    best: Solution | None = None
    choices = product(*(candidates[name] for name in names))
    for versions in islice(choices, LARGEST_SEARCH):
        tried = _settle(dict(zip(names, versions, strict=True)), kernel, preferred)
        if best is None or len(tried.refused) < len(best.refused):
            best = tried
        if not best.refused:
            break
    return best or Solution((), {})


def _settle(manifests: Mapping[str, Manifest], kernel: str, preferred: Sequence[str]) -> Solution:
    """Refuse what cannot work in one combination until the rest holds together."""
    refused: dict[str, list[LazyText]] = {}
    for manifest in manifests.values():
        _refuse(refused, manifest.id, _unfit(manifest, manifests, kernel))
    for loop in _cycles(manifests):
        for plugin in loop:
            reason = lazy_gettext(
                N_("the plugins need each other in a circle: %(circle)s"),
                circle=" → ".join([*loop, loop[0]]),
            )
            _refuse(refused, plugin, [reason])
    first = [p for p in preferred if p in manifests]
    for plugin in [*first, *sorted(set(manifests) - set(first))]:
        if plugin not in refused:
            standing = [m for p, m in manifests.items() if p not in refused and p != plugin]
            rivals = [m for m in standing if m.id in first or plugin not in first]
            _refuse(refused, plugin, _rivalry(manifests[plugin], rivals))
    _spread(manifests, refused)
    chosen = {p: m for p, m in manifests.items() if p not in refused}
    return Solution(tuple(load_order(chosen)), chosen, {p: tuple(r) for p, r in refused.items()})


def _refuse(refused: dict[str, list[LazyText]], plugin: str, reasons: Sequence[LazyText]) -> None:
    if reasons:
        refused.setdefault(plugin, []).extend(reasons)


def _unfit(manifest: Manifest, manifests: Mapping[str, Manifest], kernel: str) -> list[LazyText]:
    """Return what a plugin lacks: the right kernel, its dependencies in the right versions."""
    reasons = []
    if not manifest.accepts(kernel):
        reasons.append(
            lazy_gettext(
                N_("%(plugin)s needs Dougong %(range)s, and this is %(kernel)s"),
                plugin=manifest.id,
                range=manifest.kernel,
                kernel=kernel,
            )
        )
    for needed, span in manifest.depends.items():
        if needed not in manifests:
            reasons.append(
                lazy_gettext(
                    N_("%(plugin)s needs %(needed)s %(range)s, which is not there"),
                    plugin=manifest.id,
                    needed=needed,
                    range=span,
                )
            )
    for needed, span in {**manifest.depends, **manifest.optional}.items():
        other = manifests.get(needed)
        if other and not in_range(other.version, span):
            reasons.append(
                lazy_gettext(
                    N_("%(plugin)s needs %(needed)s %(range)s, and %(version)s is there"),
                    plugin=manifest.id,
                    needed=needed,
                    range=span,
                    version=other.version,
                )
            )
    return reasons


def _rivalry(manifest: Manifest, rivals: Sequence[Manifest]) -> list[LazyText]:
    """Return why a plugin cannot stand beside the others."""
    reasons = []
    for rival in rivals:
        if rival.id in manifest.conflicts or manifest.id in rival.conflicts:
            reasons.append(
                lazy_gettext(
                    N_("%(plugin)s and %(rival)s exclude each other"),
                    plugin=manifest.id,
                    rival=rival.id,
                )
            )
        for slot in sorted(set(manifest.exclusive_slots) & set(rival.exclusive_slots)):
            reasons.append(
                lazy_gettext(
                    N_("%(plugin)s and %(rival)s both claim %(slot)s, which only one can have"),
                    plugin=manifest.id,
                    rival=rival.id,
                    slot=slot,
                )
            )
    return reasons


def _spread(manifests: Mapping[str, Manifest], refused: dict[str, list[LazyText]]) -> None:
    """Refuse whoever needs a refused plugin, until nothing changes."""
    changed = True
    while changed:
        changed = False
        for manifest in manifests.values():
            broken = [n for n in manifest.depends if n in refused]
            if manifest.id not in refused and broken:
                refused[manifest.id] = [
                    lazy_gettext(
                        N_("%(plugin)s needs %(needed)s, which cannot be used"),
                        plugin=manifest.id,
                        needed=needed,
                    )
                    for needed in broken
                ]
                changed = True


def load_order(manifests: Mapping[str, Manifest]) -> list[str]:
    """Return the ids, dependencies (also optional ones) before those who need them."""
    order: list[str] = []
    visiting: set[str] = set()

    def visit(plugin: str) -> None:
        if plugin in order or plugin in visiting or plugin not in manifests:
            return
        visiting.add(plugin)
        for needed in sorted(manifests[plugin].depends):
            visit(needed)
        for wanted in sorted(manifests[plugin].optional):
            visit(wanted)
        order.append(plugin)

    for plugin in sorted(manifests):
        visit(plugin)
    return order


def dependants(manifests: Mapping[str, Manifest], plugin: str) -> set[str]:
    """Return every plugin that needs ``plugin``, directly or through others."""
    found: set[str] = set()
    waiting = [plugin]
    while waiting:
        needed = waiting.pop()
        new = {m.id for m in manifests.values() if needed in m.depends} - found
        found |= new
        waiting += new
    return found


def _cycles(manifests: Mapping[str, Manifest]) -> Iterator[list[str]]:
    """Yield each circle of dependencies once."""
    seen: set[frozenset[str]] = set()
    for start in sorted(manifests):
        path = _path_back(manifests, start)
        if path and frozenset(path) not in seen:
            seen.add(frozenset(path))
            yield path


def _path_back(manifests: Mapping[str, Manifest], start: str) -> list[str] | None:
    waiting, visited = [[start]], set()
    while waiting:
        path = waiting.pop(0)
        for needed in sorted(manifests[path[-1]].depends):
            if needed == start:
                return path
            if needed in manifests and needed not in visited:
                visited.add(needed)
                waiting.append([*path, needed])
    return None
