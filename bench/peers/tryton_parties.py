"""Parties of Tryton 8.2 behind its own web server: the peer of bench/json_list.py.

Usage: python tryton_parties.py <database URI> <database> <parties>, in an environment with trytond.
Makes the database with the module party, fills it and says ``ready``. Then reads an offset from
each line of standard input, has the WSGI application of trytond search and read eighty parties for
a client that is signed in (JSON-RPC ``model.party.party.search_read``: id, name, code, active,
language, tax identifier and when it was made), and answers with a line of JSON: records, bytes,
milliseconds of CPU of this process and by the clock.

The request is made through the WSGI callable: no network, no client, as bench/json_list.py does.
"""

import base64
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from subprocess import run
from typing import Any

PASSWORD = "a-long-enough-password-for-a-bench"
FIELDS = ["name", "code", "active", "lang", "distance", "replaced_by", "full_name", "create_date"]
SIZE = 80
MORE = """
    insert into party_party (create_uid, create_date, name, code, active)
    select 1, now() - make_interval(secs => n), 'Party ' || n, 'P' || n, true
    from generate_series(1, %s) n
"""


def configure(home: Path, uri: str) -> None:
    """Write trytond's configuration and let this process and its tools read it."""
    (home / "trytond.conf").write_text(f"[database]\nuri = {uri}\n")
    (home / "password").write_text(f"{PASSWORD}\n")
    os.environ |= {
        "TRYTOND_CONFIG": str(home / "trytond.conf"),
        "TRYTONPASSFILE": str(home / "password"),
    }


def make_database(name: str, uri: str, parties: int) -> None:
    """Let trytond's own tool make the tables and activate the module; then add the rows."""
    import psycopg

    tool = Path(sys.executable).with_name("trytond-admin")
    words = ["-d", name, "--all", "--email", "bench@example.org"]
    run([tool, *words], check=True, stdout=sys.stderr)
    words = ["-d", name, "-u", "party", "--activate-dependencies"]
    run([tool, *words], check=True, stdout=sys.stderr)
    head, mark, tail = uri.partition("?")
    with psycopg.connect(f"{head.rstrip('/')}/{name}{mark}{tail}", autocommit=True) as link:
        link.execute(MORE % parties)
        link.execute("vacuum (analyze)")


class Client:
    """Calls the WSGI application of trytond as a client that signed in once."""

    def __init__(self, name: str) -> None:
        from trytond.application import app
        from werkzeug.test import Client as Browser

        self.name, self.browser = name, Browser(app)
        self.head: dict[str, str] = {}
        user, session = self.call("common.db.login", "admin", {"password": PASSWORD})[:2]
        token = base64.b64encode(f"admin:{user}:{session}".encode()).decode()
        self.head = {"Authorization": f"Session {token}"}
        self.context = self.call("model.res.user.get_preferences", True, {})

    def call(self, method: str, *parameters: Any) -> Any:
        """Return the result of a call; raises RuntimeError for what trytond refuses."""
        answer = self.post(method, *parameters)
        said = json.loads(answer.data)
        if isinstance(said, dict) and said.get("error"):
            raise RuntimeError(said["error"])
        return said["result"] if isinstance(said, dict) else said

    def post(self, method: str, *parameters: Any) -> Any:
        """Return the answer to a call."""
        body = {"id": 1, "method": method, "params": list(parameters)}
        return self.browser.post(f"/{self.name}/", json=body, headers=self.head)

    def read(self, offset: int) -> tuple[int, int, float, float]:
        """Return records, bytes, and milliseconds of CPU and by the clock of one page."""
        cpu, began = time.process_time(), time.perf_counter()
        answer = self.post(
            "model.party.party.search_read", [], offset, SIZE, None, FIELDS, self.context
        )
        spent = ((time.process_time() - cpu) * 1000, (time.perf_counter() - began) * 1000)
        said = json.loads(answer.data)
        found = said["result"] if isinstance(said, dict) else said
        return len(found), len(answer.data), *spent


def main() -> None:
    uri, name, parties = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tryton-") as home:
        configure(Path(home), uri)
        make_database(name, uri, int(parties))
        client = Client(name)
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps(client.read(int(line))), flush=True)


if __name__ == "__main__":
    main()
