"""Checks of the machine: disk, rights, keys, what documents need, processes, the port."""

import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dougong.hookspecs import HealthFinding
from dougong.i18n import N_, gettext
from dougong.installation import embedded_server
from dougong.settings import Settings

LEAST_FREE_GB, LEAST_FREE_SHARE, LEAST_FILES = 2.0, 0.05, 10_000
GB = 1024**3


def disk(settings: Settings) -> Iterator[HealthFinding]:
    """Enough room where data and files grow."""
    server = embedded_server(settings)
    folders = {settings.paths.home}
    if server is not None and server.data.exists():
        folders.add(server.data)
    for folder in sorted(folders):
        usage = shutil.disk_usage(folder)
        free, inodes = usage.free / GB, os.statvfs(folder)
        is_full_of_files = bool(inodes.f_files) and inodes.f_favail < LEAST_FILES
        is_well = free >= LEAST_FREE_GB and usage.free / usage.total >= LEAST_FREE_SHARE
        yield HealthFinding(
            gettext(N_("Disk")),
            is_well and not is_full_of_files,
            gettext(N_("%(free)s GB free in %(folder)s"), free=f"{free:.1f}", folder=str(folder)),
            gettext(N_("Make room or move DOUGONG_HOME to a larger disk.")),
        )


def permissions(settings: Settings) -> Iterator[HealthFinding]:
    """Nobody else may write or read what lies in the home, and we may."""
    paths = settings.paths
    inside = (paths.files, paths.run, paths.log, paths.cache, paths.witness)
    loose = [str(p) for p in inside if p.stat().st_mode & 0o007]
    loose += [str(p) for p in (paths.home,) if p.stat().st_mode & 0o002]
    yield HealthFinding(
        gettext(N_("Rights of the folders")),
        not loose,
        ", ".join(loose) or str(paths.home),
        gettext(N_("Take others' rights away: chmod o-rwx %(folders)s"), folders=" ".join(loose)),
    )
    closed = [str(p) for p in (*inside, paths.keys) if not os.access(p, os.R_OK | os.W_OK)]
    yield HealthFinding(
        gettext(N_("Folders can be written")),
        not closed,
        ", ".join(closed),
        gettext(
            N_("Give them to the account that runs Dougong: chown -R … %(folders)s"),
            folders=" ".join(closed),
        ),
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
    shut = [p.name for p in _secrets(folder) if not os.access(p, os.R_OK)]
    yield HealthFinding(
        gettext(N_("Keys can be read")),
        not shut,
        ", ".join(shut),
        gettext(
            N_("Give them to the account that runs Dougong: chown -R … %(folders)s"),
            folders=str(folder),
        ),
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
    from dougong.documents import fonts

    detail = ""
    try:
        import weasyprint  # noqa: F401
    except OSError as error:
        detail = str(error).splitlines()[0]
    cut = [folder for folder in fonts.default_folders() if fonts.are_prepared(folder)]
    yield HealthFinding(
        gettext(N_("Fonts of documents")),
        bool(cut),
        str(cut[0]) if cut else "",
        gettext(N_("They are being prepared, or run: python -m dougong.documents.fonts")),
        is_urgent=False,
    )
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
            _told_of(process),
            gettext(N_("Read why it ended: %(log)s"), log=process["log"]),
        )


def _told_of(process: Mapping[str, Any]) -> str:
    times = gettext(N_("started again %(count)s times"), count=process["restarts"])
    return f"{times} · {process['reason']}" if process.get("reason") else times


def port(settings: Settings) -> Iterator[HealthFinding]:
    """The port is ours, or free."""
    from dougong.supervisor import state

    if state.is_held(settings.paths):
        return
    is_free = _is_free(settings.host, settings.port)
    yield HealthFinding(
        gettext(N_("Port")),
        is_free,
        f"{settings.host}:{settings.port}",
        gettext(
            N_("Another program listens there: end it, or choose another with DOUGONG_PORT."),
        ),
        is_urgent=settings.production,
    )


def _is_free(host: str, number: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, number))
        except OSError:
            return False
    return True
