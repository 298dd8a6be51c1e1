"""Destroyed keys stay dead though backups bring them back; living ones are put back."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from dougong.db.scope import Actor
from dougong.errors import DougongError
from dougong.privacy import StoredKeyring, rotation, shredding
from dougong.privacy.commands import keys_commands, privacy_commands
from dougong.privacy.models import KeyState
from dougong.privacy.providers import KeyFile, KeyProviderError, Transit, chosen_suite, key_provider
from dougong.tenancy.models import Person
from dougong.testing.factories import make_place
from dougong.testing.throwaway import throwaway_installation

SYSTEM = Actor.system("test")


@pytest.fixture(scope="module")
def alone():
    """Return an installation with keys of its own: what happens to them concerns nobody else."""
    with throwaway_installation(plugins=False) as (installation, _server):
        yield installation


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)


def phone_of(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        return scope.get(Person, place.person_ids[0]).phone


def wrapped_keys(installation):
    with installation.platform() as session:
        return session.execute(text("select id, wrapped, state from dougong.data_key")).all()


def bring_back(installation, rows):
    """Put wrapped keys as a backup had them into the table, as restoring it does."""
    with installation.platform() as session:
        for row in rows:
            session.execute(
                text("update dougong.data_key set wrapped = :w where id = :i"),
                {"w": row.wrapped, "i": row.id},
            )
    installation.keyring.forget()


def test_a_restored_backup_gets_the_living_keys_and_loses_the_destroyed(alone, quick):
    mine, others = make_place(alone), make_place(alone)
    phone_of(alone, mine), phone_of(alone, others)
    backup = wrapped_keys(alone)
    done = CliRunner().invoke(
        privacy_commands,
        [
            *("erase", "--community", str(mine.community_id), str(mine.person_ids[1])),
            *("--reason", "本人要求", "--backups", "--yes"),
        ],
        obj=alone,
    )
    assert done.exit_code == 0, done.output
    bring_back(alone, backup)
    with pytest.raises(DougongError):
        phone_of(alone, others)
    recovered = CliRunner().invoke(keys_commands, ["recover"], obj=alone)
    assert recovered.exit_code == 0, recovered.output
    assert phone_of(alone, others) == phone_of(alone, mine) == "13800130000"
    states = {
        (row.purpose, row.number): row.state
        for row in alone.keyring.rows()
        if row.scope_id == mine.community_id
    }
    assert states == {
        ("data", 1): KeyState.DESTROYED,
        ("index", 1): KeyState.DESTROYED,
        ("data", 2): KeyState.CURRENT,
        ("index", 2): KeyState.CURRENT,
    }


def test_only_the_newest_wrapping_key_is_left(alone, quick):
    place = make_place(alone)
    phone_of(alone, place)
    file = alone.settings.paths.keys / "wrapping.json"
    before = set(json.loads(file.read_text()))
    rotation.rotate(alone, [place.community_id])
    assert shredding.destroy_older(alone, 0, place.community_id) == (2, 0)
    after = set(json.loads(file.read_text()))
    assert len(after) == 1 and not after & before
    assert shredding.copy_file(alone).stat().st_mode & 0o077 == 0
    assert shredding.recover(alone).shredded == 0
    assert phone_of(alone, place) == "13800130000"


def test_a_key_wrapped_anew_while_somebody_holds_its_row_still_opens(alone):
    place = make_place(alone)
    phone_of(alone, place)
    row = next(r for r in alone.keyring.rows() if r.scope_id == place.community_id)
    shredding.forget_wrapping(alone)
    assert StoredKeyring(alone)._unwrap(row)


class Engine(BaseHTTPRequestHandler):
    """Answers like the transit engine's administration: rotate, read, configure, trim."""

    seen: list = []
    version = 3

    def _answer(self, body=None):
        self.send_response(200 if body else 204)
        self.end_headers()
        if body:
            self.wfile.write(json.dumps({"data": body}).encode())

    def do_GET(self):
        self._answer({"latest_version": self.version})

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        self.seen.append((self.path, body))
        if self.path.endswith("/rotate"):
            type(self).version += 1
        self._answer()

    def log_message(self, *_arguments):
        pass


def test_the_key_of_a_key_server_is_renewed_and_trimmed(tmp_path):
    server = HTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "token").write_text("t")
    transit = Transit(f"http://127.0.0.1:{server.server_port}", "dougong", tmp_path / "token")
    try:
        assert transit.add_version() == 4
        transit.forget_older()
    finally:
        server.shutdown()
        server.server_close()
    assert Engine.seen == [
        ("/v1/transit/keys/dougong/rotate", {}),
        (
            "/v1/transit/keys/dougong/config",
            {"min_decryption_version": 4, "min_encryption_version": 4},
        ),
        ("/v1/transit/keys/dougong/trim", {"min_available_version": 4}),
    ]


def test_an_unknown_suite_is_refused(alone, tmp_path):
    paths = alone.settings.paths
    chosen = paths.keys / "provider.toml"
    chosen.write_text('suite = "rot13"\n')
    try:
        with pytest.raises(KeyProviderError):
            chosen_suite(paths)
        assert isinstance(key_provider(paths), KeyFile)
    finally:
        chosen.unlink()
