"""Checks of the machine: disk, keys, what documents need, processes."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from dougong.hookspecs import HealthFinding
from dougong.i18n import N_, gettext
from dougong.installation import embedded_server
from dougong.settings import Settings

LEAST_FREE_GB, LEAST_FREE_SHARE = 2.0, 0.05
GB = 1024**3


def disk(settings: Settings) -> Iterator[HealthFinding]:
    """Enough room where data and files grow."""
    server = embedded_server(settings)
    folders = {settings.paths.home}
    if server is not None and server.data.exists():
        folders.add(server.data)
    for folder in sorted(folders):
        usage = shutil.disk_usage(folder)
        free = usage.free / GB
        is_well = free >= LEAST_FREE_GB and usage.free / usage.total >= LEAST_FREE_SHARE
        yield HealthFinding(
            gettext(N_("Disk")),
            is_well,
            gettext(N_("%(free)s GB free in %(folder)s"), free=f"{free:.1f}", folder=str(folder)),
            gettext(N_("Make room or move DOUGONG_HOME to a larger disk.")),
        )


def keys(settings: Settings) -> Iterator[HealthFinding]:
    """Keys are there, nobody else reads them, and they do not travel with the data."""
    folder = settings.paths.keys
    loose = [str(p.name) for p in _secrets(folder) if p.stat().st_mode & 0o077]
    is_open = bool(folder.stat().st_mode & 0o077)
    yield HealthFinding(
        gettext(N_("Key files")),
        not loose and not is_open,
        ", ".join([*([str(folder)] if is_open else []), *loose]) or str(folder),
        gettext(N_("Take others' rights away: chmod -R go-rwx %(folder)s"), folder=str(folder)),
    )
    missing = [n for n in ("scope.key", "database.json") if not (folder / n).exists()]
    yield HealthFinding(
        gettext(N_("Keys are complete")),
        not missing,
        ", ".join(missing),
        gettext(N_("Restore the folder of keys from its own backup; new ones open nothing.")),
    )
    if settings.production:
        apart = os.stat(folder).st_dev != os.stat(settings.paths.home).st_dev
        yield HealthFinding(
            gettext(N_("Keys live apart from the data")),
            apart,
            str(folder),
            gettext(N_("Set DOUGONG_KEYS to a folder on another disk, with a backup of its own.")),
        )


def _secrets(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if stat.S_ISREG(path.stat().st_mode) and path.suffix not in (".pub", ".toml"):
            yield path


def documents(settings: Settings) -> Iterator[HealthFinding]:
    """The libraries and fonts that documents are printed with."""
    detail = ""
    try:
        import weasyprint  # noqa: F401
    except OSError as error:
        detail = str(error).splitlines()[0]
    yield HealthFinding(
        gettext(N_("Printing documents")),
        not detail,
        detail,
        gettext(N_("Install Pango: apt-get install libpango-1.0-0 libpangoft2-1.0-0")),
    )


def processes(settings: Settings) -> Iterator[HealthFinding]:
    """What the supervisor started runs and does not keep dying."""
    from dougong.supervisor import state

    facts = state.read(settings.paths)
    is_running = state.is_held(settings.paths) and state.is_alive(facts)
    yield HealthFinding(
        gettext(N_("Supervisor")),
        is_running or settings.production,
        facts.get("url", "") if is_running else "",
        gettext(N_("Start it: `make up`.")),
    )
    for process in facts.get("processes", ()) if is_running else ():
        is_ready = state.is_alive(process) and process["phase"] == "ready"
        yield HealthFinding(
            gettext(N_("Process %(name)s"), name=process["name"]),
            is_ready and process["restarts"] < 5,
            gettext(N_("started again %(count)s times"), count=process["restarts"]),
            gettext(N_("Read why it ended: %(log)s"), log=process["log"]),
        )
