"""The crash gate: kill -9 of every process, and nothing that was acknowledged is lost or doubled.

``python -m dougong.gate_crash [--rounds 18]`` starts `dougong up` on a home of its own and lets
three kinds of writers run all the time:

* requests: people are created through the JSON API; what was answered counts as acknowledged, what
  was not is asked again with the same Idempotency-Key until it is;
* jobs: enqueued in a transaction; each leaves one fact when it has run;
* facts: each of those is delivered to a plugin, which states one in turn.

Meanwhile one process after the other is killed: web, worker, devices, PostgreSQL, one of its
backends, and the supervisor itself, after which `dougong up` is started again. At the end every
acknowledged write must be there exactly once, and the audit log must verify.

First it shows that it would notice: with ``synchronous_commit`` off, a killed PostgreSQL must lose
acknowledged writes.
"""

import argparse
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.access.tokens import issue_token
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor, Grant
from dougong.db.servers import create_database
from dougong.errors import DougongError
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.plugins.operations import install
from dougong.settings import Settings
from dougong.supervisor import state
from dougong.tenancy.operations import set_setting

TARGETS = ("web", "worker", "postgres", "devices", "backend", "supervisor")
SYSTEM = Actor.system("gate")
QUIET_S, RECOVERY_S = 1.5, 180.0
# Work that is open may take its time on a busy machine; it stands still when nothing of it ends
# for so long.
STILL_S = 90.0
MOST_OPEN = 40
# A connection for every request, as from many clients.
EACH_ITS_OWN = httpx.Limits(max_keepalive_connections=0)


@dataclass
class Tally:
    """What the writers were told.

    recoveries: seconds until everything was ready again. drain_s: how long the rest took after
    the last kill. left: what stood still.
    """

    requests: set[str] = field(default_factory=set)
    jobs: set[int] = field(default_factory=set)
    repeated: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    ended_at: float = 0.0
    drain_s: float = 0.0
    left: int = 0


class Gate:
    """One installation, its writers, and whoever kills its processes."""

    def __init__(self, home: Path, port: int, pause_s: float = 0.0) -> None:
        """Make a gate. pause_s: how long a writer rests after each request."""
        self.home, self.port, self.pause_s = home, port, pause_s
        self.tally = Tally()
        self.stop = threading.Event()
        self.settings = Settings(paths=Paths(home), plugin_paths=(home / "trial",), port=port)
        self.server = EmbeddedPostgres(home, home / "keys")
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.errors: Counter[str] = Counter()

    # --- setting up -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the database, the trial plugin, a community and a program's token."""
        from dougong.testing.factories import make_place
        from dougong.testing.probe import plant_probe

        plant_probe(self.home / "trial")
        self.server.start()
        create_database(self.server.dsn(database="postgres"), self.server.passwords())
        self.installation = Installation.open(self.settings)
        self.installation.migrate()
        install(self.installation, SYSTEM, "probe")
        self.place = make_place(self.installation)
        with self.installation.access() as session:
            ship_roles(session)
            user = create_user(session, "gate", "gate")
            grant_role(session, SYSTEM, user.id, "group_manager", group_id=self.place.group_id)
            set_setting(
                session, self.place.community_id, "dougong.api_requests_per_minute", 1_000_000
            )
            user_id = user.id
        actor = Actor(user_id, "gate", grants=(Grant(frozenset({"*"}), self.place.group_id),))
        self.token, _ = issue_token(self.installation, actor, "gate", ["dougong.*"])

    def up(self) -> None:
        """Start `dougong up` and wait until everything is ready."""
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("DOUGONG_")},
            "DOUGONG_HOME": str(self.home),
            "DOUGONG_PORT": str(self.port),
            "DOUGONG_PLUGIN_PATH": str(self.home / "trial"),
        }
        with (self.home / "up.log").open("ab") as out:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-m", "dougong.cli", "up", "--no-demo"],
                env=environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )
        self.wait_until_ready()

    def facts(self) -> dict[str, Any]:
        return state.read(self.settings.paths)

    def is_ready(self) -> bool:
        """Tell whether the database and every process run and a page answers."""
        if not self.server.is_running():
            return False
        facts = self.facts()
        processes = facts.get("processes", ())
        if not processes or not all(
            state.is_alive(p) and p["phase"] == "ready" for p in [*processes]
        ):
            return False
        with suppress(httpx.TransportError):
            return httpx.get(f"{facts['url']}/sign-in", timeout=5).status_code == 200
        return False

    def wait_until_ready(self) -> float:
        """Return how long it took; raises TimeoutError with the log."""
        began = time.monotonic()
        while not self.is_ready():
            if time.monotonic() - began > RECOVERY_S:
                raise TimeoutError((self.home / "up.log").read_text()[-3000:])
            time.sleep(0.1)
        return time.monotonic() - began

    # --- writing --------------------------------------------------------------------------------

    def write_requests(self, writer: int) -> None:
        """Create people through the API; ask again with the same key until there is an answer."""
        number = 0
        with httpx.Client(timeout=15, limits=EACH_ITS_OWN) as client:
            while not self.stop.is_set():
                name = f"gate-{writer}-{number}"
                tries = 0
                while not self.stop.is_set() and not self._create(client, name):
                    tries += 1
                    time.sleep(0.05)
                if not self.stop.is_set():
                    self.tally.requests.add(name)
                    self.tally.repeated += tries > 0
                number += 1
                time.sleep(self.pause_s)

    def _create(self, client: httpx.Client, name: str) -> bool:
        url = f"{self.facts().get('url', '')}/c/{self.place.community_id}/api/v1/dougong/person"
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": name}
        try:
            answer = client.post(url, json={"name": name}, headers=headers)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            self.errors[type(error).__name__] += 1
            return False
        if answer.status_code != 201:
            self.errors[f"HTTP {answer.status_code}"] += 1
        return answer.status_code == 201

    def write_jobs(self) -> None:
        """Enqueue jobs, each in a transaction; what has committed counts."""
        number = 0
        path = str(self.home / "steps.txt")
        while not self.stop.is_set():
            if number % 10 == 0 and self._is_behind():
                time.sleep(0.3)
                continue
            number += 1
            try:
                with self.installation.scope(SYSTEM, community=self.place.community_id) as scope:
                    scope.enqueue("probe.round.walk", number=number, path=path, pause=0.02)
            except (SQLAlchemyError, DougongError, psycopg.Error) as error:
                self.errors[type(error).__name__] += 1
                time.sleep(0.1)
                continue
            self.tally.jobs.add(number)
            time.sleep(0.05)

    def _is_behind(self) -> bool:
        """Tell whether so many jobs are open that more would prove nothing."""
        try:
            return self._open_work() > MOST_OPEN
        except (SQLAlchemyError, psycopg.Error):
            return True

    # --- killing --------------------------------------------------------------------------------

    def kill(self, target: str) -> None:
        """Kill one process by SIGKILL and wait until everything is ready again."""
        pid = self._pid(target)
        if pid is None:
            return
        self.tally.kills[target] += 1
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if target == "supervisor" and self.supervisor is not None:
            self.supervisor.wait()
            self.up()
        time.sleep(0.3)
        self.tally.recoveries.append(self.wait_until_ready())

    def _pid(self, target: str) -> int | None:
        if target == "supervisor":
            return self.supervisor.pid if self.supervisor else None
        if target == "postgres":
            return int((self.server.data / "postmaster.pid").read_text().split("\n")[0])
        if target == "backend":
            with psycopg.connect(self.server.dsn()) as link:
                row = link.execute(
                    "select pid from pg_stat_activity where usename = 'dougong_app'"
                    " order by random() limit 1"
                ).fetchone()
                return row[0] if row else None
        return next((p["pid"] for p in self.facts()["processes"] if p["name"] == target), None)

    # --- counting -------------------------------------------------------------------------------

    def run(self, rounds: int, targets: tuple[str, ...] = TARGETS) -> dict[str, Any]:
        """Kill ``rounds`` times while everything is written to; return the counts."""
        writers: list[Callable[[], None]] = [
            lambda: self.write_requests(0),
            lambda: self.write_requests(1),
            self.write_jobs,
        ]
        threads = [threading.Thread(target=writer, daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        chance = random.Random(20261124)
        try:
            for number in range(rounds):
                time.sleep(QUIET_S + chance.random())
                self.kill(targets[number % len(targets)])
            time.sleep(QUIET_S)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(30)
        self.tally.ended_at = time.monotonic()
        self._drain()
        return self.count()

    def _drain(self) -> None:
        """Wait until nothing is open, or until what is open stands still."""
        least, moved_at = sys.maxsize, time.monotonic()
        while least and time.monotonic() - moved_at < STILL_S:
            with suppress(SQLAlchemyError):
                if (left := self._open_work()) < least:
                    least, moved_at = left, time.monotonic()
            time.sleep(0.3)
        self.tally.drain_s = time.monotonic() - self.tally.ended_at
        self.tally.left = least

    def _open_work(self) -> int:
        query = (
            "select (select count(*) from dougong.job where state in ('waiting', 'running'))"
            " + (select count(*) from dougong.event_delivery where state = 'waiting')"
        )
        with self.installation.platform() as session:
            return session.execute(text(query)).scalar_one()

    def count(self) -> dict[str, Any]:
        """Return what is lost and what is doubled, by kind."""
        with self.installation.platform() as session:
            people = Counter(
                session.scalars(text("select name from dougong.person where name like 'gate-%'"))
            )
            facts: dict[str, Counter[int]] = {
                name: Counter(
                    session.scalars(
                        text(
                            "select (ids ->> 'number')::int from dougong.outbox_event"
                            " where name = :name"
                        ),
                        {"name": name},
                    )
                )
                for name in ("probe.walked", "probe.heard")
            }
        walked, heard = facts["probe.walked"], facts["probe.heard"]
        lost = {
            "requests": len(self.tally.requests - set(people)),
            "jobs": len(self.tally.jobs - set(walked)),
            "facts": len(set(walked) - set(heard)),
        }
        doubled = {
            "requests": sum(n > 1 for n in people.values()),
            "jobs": sum(n > 1 for n in walked.values()),
            "facts": sum(n > 1 for n in heard.values()),
        }
        return {
            "acknowledged": {
                "requests": len(self.tally.requests),
                "jobs": len(self.tally.jobs),
                "facts": len(walked),
            },
            "lost": lost,
            "doubled": doubled,
            "asked_again": self.tally.repeated,
            "kills": dict(self.tally.kills),
            "drain_s": round(self.tally.drain_s, 1),
            "left": self.tally.left,
            "slowest_recovery_s": round(max(self.tally.recoveries, default=0.0), 1),
            "audit": self.verify_audit(),
        }

    def verify_audit(self) -> str:
        """Return what `dougong audit verify` answers: ``well`` or its last line."""
        environment = {**os.environ, "DOUGONG_HOME": str(self.home)}
        environment.pop("DOUGONG_DATABASE", None)
        done = subprocess.run(
            [sys.executable, "-m", "dougong.cli", "audit", "verify"],
            env=environment,
            capture_output=True,
            text=True,
        )
        return "well" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-300:]

    # --- the counter-proof ----------------------------------------------------------------------

    def lose_without_protection(self) -> int:
        """Return how many acknowledged rows are lost when commits do not wait for the disk."""
        dsn = self.server.dsn()
        with psycopg.connect(dsn, autocommit=True) as link:
            link.execute("create table public.gate_trial (n int)")
            link.execute("checkpoint")
            link.execute("alter system set synchronous_commit = off")
            link.execute("alter system set wal_writer_delay = '10s'")
            link.execute("select pg_reload_conf()")
        time.sleep(0.5)
        acknowledged = 0
        with suppress(psycopg.Error), psycopg.connect(dsn, autocommit=True) as link:
            for number in range(300):
                link.execute("insert into public.gate_trial values (%s)", [number])
                acknowledged += 1
            os.kill(
                int((self.server.data / "postmaster.pid").read_text().split("\n")[0]),
                signal.SIGKILL,
            )
        self.server.start()
        with psycopg.connect(dsn, autocommit=True) as link:
            row = link.execute("select count(*) from public.gate_trial").fetchone()
            link.execute("drop table public.gate_trial")
            link.execute("alter system reset all")
            link.execute("select pg_reload_conf()")
        return acknowledged - (row[0] if row else 0)

    def close(self) -> None:
        """Stop everything and delete the home."""
        self.stop.set()
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.supervisor.wait(60)
        self.installation.close()
        state.stop_leftovers(self.settings.paths)
        self.server.destroy()
        shutil.rmtree(self.home, ignore_errors=True)


def gate(
    rounds: int,
    targets: tuple[str, ...] = TARGETS,
    port: int = 18900,
    pause_s: float = 0.0,
) -> dict[str, Any]:
    """Run the gate on an installation of its own; return the counts and whether it passed.

    pause_s: how long a writer rests after each request.
    """
    home = Path(tempfile.mkdtemp(prefix="dougong-crash-", dir="/tmp"))
    home.chmod(0o755)
    began = time.monotonic()
    made = Gate(home, port, pause_s)
    try:
        made.prepare()
        unprotected = made.lose_without_protection()
        made.installation.close()
        made.up()
        result = made.run(rounds, targets)
    finally:
        made.close()
    misses = [*result["lost"].values(), *result["doubled"].values()]
    is_quiet = any(count == 0 for count in result["acknowledged"].values())
    return {
        "gate": "crash",
        "rounds": rounds,
        **result,
        "lost_without_protection": unprotected,
        "seconds": round(time.monotonic() - began, 1),
        "passed": not any(misses)
        and not is_quiet
        and unprotected > 0
        and result["audit"] == "well",
    }


def main() -> int:
    """Run the gate and print its counts as JSON; 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=18)
    arguments = parser.parse_args()
    # Connections that a killed server dropped are what this is about.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    result = gate(arguments.rounds)
    print(json.dumps(result))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
