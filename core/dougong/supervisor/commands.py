"""`dougong up`, `down`, `reset`, `status`."""

import errno
import shutil
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from dougong.db.embedded import EmbeddedServerError
from dougong.errors import DougongError
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation, embedded_server
from dougong.settings import Settings
from dougong.supervisor import state

console = Console(highlight=False)


@click.command("up")
@click.option("--demo/--no-demo", default=True, help="Load the demonstration when empty.")
def up(demo: bool) -> None:
    """Start Dougong and stay in the foreground; Ctrl-C stops everything."""
    from dougong.supervisor.running import NotReady, Stopped, stoppable

    settings = Settings.from_environment()
    try:
        with state.held(settings.paths) as lock, stoppable():
            _run(settings, demo, lock)
    except state.AlreadyRunning:
        _show_running(settings)
    except Stopped:
        console.print(gettext(N_("Stopped. All data is kept; `make up` starts it again.")))
    except (NotReady, EmbeddedServerError) as error:
        raise click.ClickException(str(error)) from error
    except DougongError as error:
        raise click.ClickException(translate_error(error)) from error
    except (OSError, DBAPIError) as error:
        if (told := _explained(error, settings)) is None:
            raise
        raise click.ClickException(told) from error


def _explained(error: OSError | DBAPIError, settings: Settings) -> str | None:
    """Return what the machine refuses, for people; None for what is our own fault."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC or getattr(getattr(error, "orig", None), "sqlstate", "") == "53100":
        return gettext(
            N_("The disk of %(home)s is full. Make room, or name another with DOUGONG_HOME."),
            home=str(settings.paths.home),
        )
    if number == errno.EADDRINUSE:
        return gettext(
            N_("Port %(port)s is taken by another program. Choose another with DOUGONG_PORT."),
            port=settings.port,
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return gettext(
            N_("%(file)s cannot be written. Start as the user whose it is, or set DOUGONG_HOME."),
            file=getattr(error, "filename", None) or str(settings.paths.home),
        )
    return None


def _run(settings: Settings, demo: bool, lock: int) -> None:
    from dougong.supervisor.running import Supervisor, listening_socket, reachable_settings
    from dougong.supervisor.startup import (
        BackgroundFonts,
        administrator,
        prepare,
        refuse_full_disk,
        shown_steps,
    )

    began = time.monotonic()
    state.stop_leftovers(settings.paths)
    server = embedded_server(settings)
    listener = listening_socket(settings.host, settings.port, exact=settings.production)
    _tell_port(settings.port, listener.getsockname()[1])
    settings = reachable_settings(settings, listener.getsockname()[1])
    supervisor = Supervisor(settings, server, listener, tell=_tell, lock=lock)
    fonts = BackgroundFonts()
    try:
        refuse_full_disk(settings)
        fonts.start()
        with shown_steps(console) as steps:
            installation = prepare(settings, steps, demo=demo)
            user = administrator(installation)
        installation.close()
        supervisor.spawn()  # between the steps, which are shown by a thread
        with shown_steps(console) as steps:
            with steps.step(N_("Processes")):
                supervisor.wait_until_ready()
            link = _link(installation, user)
            installation.close()
        _welcome(link, time.monotonic() - began)
        supervisor.run()
    finally:
        fonts.stop()
        supervisor.stop()


def _tell_port(wanted: int, found: int) -> None:
    if found != wanted:
        words = N_("Port %(wanted)s is taken by another program; this is port %(found)s.")
        console.print(gettext(words, wanted=wanted, found=found))


def _link(installation: Installation, user: object) -> str:
    from dougong.access.operations import one_time_link

    if user is None:
        return installation.settings.url
    return one_time_link(installation, user, is_console=True)  # type: ignore[arg-type]


def _welcome(link: str, seconds: float) -> None:
    console.print(gettext(N_("Ready after %(seconds)s s. Open"), seconds=f"{seconds:.1f}"))
    click.echo(f"\n    {link}\n")
    console.print(
        gettext(N_("The link signs you in once, within half an hour. Ctrl-C stops everything."))
    )


def _tell(name: str, what: str, why: str) -> None:
    words = {
        "died": N_("%(name)s has ended (%(why)s) and is started again."),
        "ready": N_("%(name)s works again."),
        "renewed": N_("%(name)s starts anew with other plugins."),
    }
    console.print(time.strftime("%H:%M:%S"), gettext(words[what], name=name, why=why or "?"))


def _show_running(settings: Settings) -> None:
    """Print a new link to what runs already."""
    from dataclasses import replace

    from dougong.supervisor.startup import administrator

    url = state.read(settings.paths).get("url")
    if url is None:
        raise click.ClickException(gettext(N_("Dougong is being started already.")))
    installation = Installation.open(replace(settings, url=url), load=False)
    try:
        link = _link(installation, administrator(installation))
    finally:
        installation.close()
    console.print(gettext(N_("Dougong runs already. Open")))
    click.echo(f"\n    {link}\n")


@click.command("down")
def down() -> None:
    """Stop everything that `dougong up` started, from another terminal."""
    _stop(Settings.from_environment())
    console.print(gettext(N_("Stopped. All data is kept; `make up` starts it again.")))


def _stop(settings: Settings) -> None:
    facts = state.read(settings.paths)
    if facts:
        state.stop_process(facts, patience_s=30)
    state.stop_leftovers(settings.paths)
    server = embedded_server(settings)
    if server is not None and server.data.exists():
        server.stop()
    state.forget(settings.paths)


@click.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Stop, and delete all data, keys and files of the embedded installation."""
    settings = Settings.from_environment()
    server = embedded_server(settings)
    if server is None:
        raise click.ClickException(
            gettext(N_("This installation uses a server of its own; drop its database there."))
        )
    if not yes:
        click.confirm(
            gettext(N_("Delete everything in %(home)s?"), home=str(settings.paths.home)), abort=True
        )
    _stop(settings)
    server.destroy()
    for folder in _own_folders(settings):
        shutil.rmtree(folder, ignore_errors=True)
    console.print(gettext(N_("Everything was deleted.")))


def _own_folders(settings: Settings) -> list[Path]:
    """Return the folders that Dougong itself made; backups and what others put there stay."""
    paths = settings.paths
    return [
        paths.home / "spool",
        paths.home / "simulators",
        paths.home / "trial",
        paths.plugins,
        paths.files,
        paths.cache,
        paths.run,
        paths.log,
        paths.witness,
        paths.keys,
    ]


@click.command("status")
def status() -> None:
    """Show the processes; exit 1 when something does not run."""
    settings = Settings.from_environment()
    facts = state.read(settings.paths)
    is_well = state.is_held(settings.paths) and state.is_alive(facts)
    table = Table("process", "pid", "state", "restarts", "log", box=None)
    server = embedded_server(settings)
    if server is not None:
        runs = server.data.exists() and server.is_running()
        table.add_row("database", "", "ready" if runs else "stopped", "", str(server.data / "log"))
        is_well = is_well and runs
    for process in facts.get("processes", ()):
        alive = state.is_alive(process)
        phase = process["phase"] if alive else "stopped"
        is_well = is_well and alive
        table.add_row(
            process["name"], str(process["pid"]), phase, str(process["restarts"]), process["log"]
        )
    console.print(table)
    if facts.get("url"):
        click.echo(facts["url"])
    if not is_well:
        sys.exit(1)
