"""What happens before the processes start: server, migrations, plugins, demonstration."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column
from sqlalchemy import text

import dougong
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.migrator import KERNEL
from dougong.db.servers import create_database
from dougong.documents import fonts
from dougong.errors import Conflict
from dougong.i18n import N_, gettext
from dougong.installation import Installation, embedded_server
from dougong.plugins.operations import install_everything
from dougong.settings import Settings
from dougong.supervisor.forking import import_programs

Report = Callable[[str, int, int], None]
LOADING = "loading"
LEAST_FREE_MB = 500
CUT_FONTS = "import os; os.nice(10); from dougong.documents import fonts; fonts.font_files()"


class Steps:
    """One progress bar per step, in the terminal that `dougong up` runs in."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        """Show one step; the report inside moves its bar: (what, done, total)."""
        task = self.progress.add_task(gettext(title), total=None, what="", mark=" ")

        def report(what: str, done: int, total: int) -> None:
            self.progress.update(task, completed=done, total=max(total, 1), what=what)

        yield report
        shown = self.progress.tasks[task].total or 1
        self.progress.update(task, completed=shown, total=shown, what="", mark="[green]✔[/]")


@contextmanager
def shown_steps(console: Console) -> Iterator[Steps]:
    """Show steps while they run."""
    columns = (
        TextColumn("{task.fields[mark]}"),
        TextColumn("{task.description}", table_column=Column(min_width=18)),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[what]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Steps(progress)


def prepare(settings: Settings, steps: Steps, *, demo: bool = True) -> Installation:
    """Start the server, migrate, install plugins, load the demonstration; return the open system.

    demo: load the demonstration and install every plugin when the database is empty.
    """
    server = embedded_server(settings)
    with steps.step(N_("Database")), ThreadPoolExecutor(1) as beside:
        starting = beside.submit(copy_context().run, _start, settings, server)
        import_programs()  # while the server starts
        starting.result()
    with steps.step(N_("Migrating")) as report:
        installation = Installation.open(settings)
        refuse_newer(installation)
        installation.migrate(report)
    with steps.step(N_("Plugins")) as report:
        install_everything(installation, report)
    if demo and server is not None and is_empty(installation):
        with steps.step(N_("Demonstration data")) as report:
            _load_demo(installation, report)
    return installation


def _start(settings: Settings, server: EmbeddedPostgres | None) -> None:
    if server is not None:
        server.start()
        _drop_half_demo(settings, server)
        create_database(server.dsn(database="postgres"), server.passwords())


def refuse_full_disk(settings: Settings) -> None:
    """Raise Conflict when the first writes would fill the disk."""
    free_mb = shutil.disk_usage(settings.paths.home).free // 1024**2
    if free_mb < LEAST_FREE_MB:
        raise Conflict(
            N_("Only %(free)s MB are free in %(home)s; Dougong needs %(least)s MB to start."),
            free=free_mb,
            home=str(settings.paths.home),
            least=LEAST_FREE_MB,
        )


def refuse_newer(installation: Installation) -> None:
    """Raise Conflict when the database was migrated by a newer Dougong than this one."""
    migrator = installation.migrator
    with installation.databases.engine("migrator").connect() as connection:
        revision = migrator.unknown_revision(KERNEL, connection)
    if revision is not None:
        raise Conflict(
            N_(
                "This database was upgraded by a newer Dougong (revision %(revision)s); this one"
                " is %(version)s. Install the newer one, or restore a backup made before."
            ),
            revision=revision,
            version=dougong.__version__,
        )


class BackgroundFonts:
    """Cuts the fonts of documents beside the first start, which does not need them."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start cutting, with low priority, unless the fonts are there."""
        if any(fonts.are_prepared(folder) for folder in fonts.default_folders()):
            return
        self._process = subprocess.Popen(
            [sys.executable, "-c", CUT_FONTS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End what still runs; the next start begins it again."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def is_empty(installation: Installation) -> bool:
    """Tell whether there is no property group yet."""
    with installation.platform() as session:
        return session.execute(text("select 1 from dougong.property_group")).first() is None


def _load_demo(installation: Installation, report: Report) -> None:
    """Load the demonstration; a file says so meanwhile, so that a half one is not kept."""
    from dougong.demo.load import load

    mark = installation.settings.paths.run / LOADING
    mark.touch()
    load(installation, report)
    mark.unlink()


def _drop_half_demo(settings: Settings, server: EmbeddedPostgres) -> None:
    """Drop a database whose demonstration was cut short; nobody has worked with it yet."""
    mark = settings.paths.run / LOADING
    if not mark.exists():
        return
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as link:
        link.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier("dougong"))
        )
    mark.unlink()


def administrator(installation: Installation) -> UUID | None:
    """Return the user whom the printed link signs in: the first manager of the first group.

    Makes one when the installation has a group and nobody who manages it.
    """
    from dougong.access.operations import create_user, grant_role
    from dougong.access.roles import ship_roles
    from dougong.db.scope import Actor

    with installation.access() as session:
        found = session.execute(FIRST_MANAGER).scalar()
        if found is not None:
            return found
        group_id = session.execute(FIRST_GROUP).scalar()
        if group_id is None:
            return None
        ship_roles(session)
        known = session.execute(text("select id from dougong.\"user\" where login = 'admin'"))
        user_id = known.scalar() or create_user(session, "admin", "管理员", _password()).id
        grant_role(session, Actor.system("set-up"), user_id, "group_manager", group_id=group_id)
        return user_id


def _password() -> str:
    """Return a password that nobody knows: the first sign-in is by link."""
    return secrets.token_urlsafe(24)


FIRST_GROUP: Any = text("select id from dougong.property_group order by id limit 1")
FIRST_MANAGER: Any = text(
    "select u.id from dougong.role_grant t join dougong.role r on r.id = t.role_id"
    ' join dougong."user" u on u.id = t.user_id'
    " where r.key = 'group_manager' and r.group_id is null and t.community_id is null"
    " and u.is_active order by u.id limit 1"
)
