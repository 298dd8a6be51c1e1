"""`dougong backup` and `dougong restore`: a drill with real data, files, keys and audit log."""

import json
import os
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from dougong.access.operations import create_user
from dougong.audit.checkpoints import write_checkpoint
from dougong.audit.sealing import seal_once
from dougong.backups import DUMP, KEYS, MANIFEST, newest, read
from dougong.backups.commands import backup, restore
from dougong.backups.making import make
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.migrator import KERNEL
from dougong.db.scope import Actor
from dougong.db.servers import create_database
from dougong.doctor import configuration
from dougong.files import attach, open_attachment
from dougong.installation import Installation, embedded_server
from dougong.paths import Paths
from dougong.settings import Settings
from dougong.tenancy.models import Building, Person
from dougong.testing.factories import make_place

SYSTEM = Actor.system("test")
LETTER = b"%PDF-1.4\n% a contract\n%%EOF\n"


def a_home(name):
    made = Path(tempfile.mkdtemp(prefix=f"dougong-{name}-", dir="/tmp"))
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def origin():
    """An installation with people, a file and a sealed log."""
    settings = Settings(paths=Paths(a_home("origin")))
    server = embedded_server(settings)
    server.start()
    create_database(server.dsn(database="postgres"), server.passwords())
    made = Installation.open(settings)
    try:
        fill(made)
        yield made
    finally:
        made.close()
        server.destroy()
        shutil.rmtree(settings.paths.home, ignore_errors=True)


def fill(made):
    made.migrate()
    place = make_place(made)
    with made.scope(SYSTEM, community=place.community_id) as scope:
        person = Person(name="李四", phone="13812345678")
        scope.session.add(person)
        scope.session.flush()
        building = scope.session.query(Building).first()
        file = attach(scope, building, "contract.pdf", BytesIO(LETTER))
        made.known = place.community_id, person.id, file.id
    with made.access() as session:
        create_user(session, "clerk", "张三")
    while seal_once(made):
        pass
    write_checkpoint(made)


@pytest.fixture
def elsewhere():
    home = a_home("restored")
    yield home
    EmbeddedPostgres(home, home / "keys").destroy()
    shutil.rmtree(home, ignore_errors=True)


def run_restore(home, *arguments):
    before = {k: v for k, v in os.environ.items() if k.startswith("DOUGONG_")}
    for name in before:
        del os.environ[name]
    os.environ["DOUGONG_HOME"] = str(home)
    try:
        return CliRunner().invoke(restore, list(map(str, arguments)))
    finally:
        del os.environ["DOUGONG_HOME"]
        os.environ.update(before)


def test_a_backup_restores_into_an_empty_home(origin, elsewhere, tmp_path):
    made = CliRunner().invoke(backup, ["--to", str(tmp_path)], obj=origin)
    assert made.exit_code == 0, made.output
    folder = Path(made.output.splitlines()[0])
    assert not (folder / KEYS).exists(), "keys do not travel with the data that they open"
    with origin.access() as session:
        create_user(session, "later", "王五")
    said = run_restore(elsewhere, folder, "--keys", origin.settings.paths.keys)
    assert said.exit_code == 0, said.output
    community_id, person_id, file_id = origin.known
    there = Installation.open(Settings(paths=Paths(elsewhere)))
    try:
        with there.scope(SYSTEM, community=community_id) as scope:
            person = scope.get(Person, person_id)
            assert (person.name, person.phone) == ("李四", "13812345678")
            assert open_attachment(scope, file_id).content == LETTER
            scope.session.add(Person(name="新人"))
        with there.access() as session:
            names = session.execute(text('select login from dougong."user"')).scalars().all()
            assert "clerk" in names and "later" not in names, "as it was at that moment"
        with there.databases.engine("migrator").connect() as connection:
            assert not there.migrator.pending(KERNEL, connection)
    finally:
        there.close()


def test_rows_that_are_missing_after_a_restoration_are_told(origin, elsewhere, tmp_path):
    folder = make(origin, tmp_path, with_keys=True).folder
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["rows"]["dougong.person"] += 1
    (folder / MANIFEST).write_text(json.dumps(manifest))
    said = run_restore(elsewhere, folder)
    assert said.exit_code == 1
    assert "dougong.person" in said.output
    assert (elsewhere / "keys/scope.key").read_bytes() == (
        origin.settings.paths.keys / "scope.key"
    ).read_bytes()


def test_a_backup_is_refused_where_it_would_harm_or_not_help(origin, tmp_path):
    folder = make(origin, tmp_path).folder
    taken = run_restore(origin.settings.paths.home, folder)
    assert taken.exit_code == 1
    empty = a_home("empty")
    try:
        assert run_restore(empty, folder).exit_code == 1, "no keys"
        dump = folder / DUMP
        dump.write_bytes(dump.read_bytes()[:-1] + b"x")
        keys = origin.settings.paths.keys
        assert DUMP in run_restore(empty, folder, "--keys", keys).output
        assert not (empty / "postgres").exists()
    finally:
        shutil.rmtree(empty)


def test_a_backup_that_is_cut_short_leaves_nothing(origin, tmp_path, monkeypatch):
    monkeypatch.setattr(
        origin.databases, "passwords", {**origin.databases.passwords, "backup": "x"}
    )
    origin.databases._engines.pop("backup", None)
    try:
        said = CliRunner().invoke(backup, ["--to", str(tmp_path)], obj=origin)
    finally:
        origin.databases._engines.pop("backup", None)
    assert said.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_knows_how_old_the_newest_backup_is(origin):
    (missing,) = configuration.backups(origin.settings)
    assert (missing.level, missing.detail) == ("warning", "")
    (in_production,) = configuration.backups(replace(origin.settings, production=True))
    assert in_production.level == "wrong"
    made = make(origin)
    assert newest(origin.settings).made_at == read(made.folder).made_at
    (fresh,) = configuration.backups(origin.settings)
    assert fresh.is_well
    replace(made, made_at=datetime.now(UTC) - timedelta(days=3)).write()
    (old,) = configuration.backups(origin.settings)
    assert not old.is_well and str(made.folder) in old.detail


def test_the_backup_role_reads_everything_and_writes_nothing(origin):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        psycopg.connect(origin.databases.conninfo("backup")).execute("delete from dougong.person")
