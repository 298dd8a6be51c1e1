"""Attachments: encrypted on the disk before the commit, checked, swept, shredded."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import event, select, text

from dougong.db.ciphers import Suite, TamperedCiphertext
from dougong.db.scope import Actor
from dougong.errors import Conflict, DougongError, Invalid, NotAllowed, NotFound
from dougong.files import (
    Attachment,
    attach,
    attachments,
    attachments_of,
    open_attachment,
    remove_attachment,
    sweep,
    verify,
)
from dougong.files.store import FileGone, FileStore
from dougong.tenancy.models import Building, Ownership, Person, Room
from dougong.tenancy.operations import set_setting

SECRET = "厨房漏水的照片 canary-4711".encode()
JPEG = b"\xff\xd8\xff\xe0" + SECRET + bytes(4000)


@pytest.fixture
def enter(installation, place):
    """Return a function that opens a scope of the first community."""

    def made(actor=None, community=None):
        who = actor or Actor.system("前台")
        return installation.scope(who, community=community or place.community_id)

    return made


@pytest.fixture
def folder(settings, place):
    return settings.paths.files / str(place.community_id)


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("??/*") if p.is_file())


def attached(scope, place, content=JPEG, name="漏水.jpg", room=0):
    return attach(scope, scope.get(Room, place.room_ids[room]), name, io.BytesIO(content))


def test_a_file_comes_back_as_it_was(enter, place, folder):
    with enter() as scope:
        made = attached(scope, place)
    with enter() as scope:
        (known,) = attachments_of(scope, scope.get(Room, place.room_ids[0]))
        assert (known.name, known.size, known.media_type) == ("漏水.jpg", len(JPEG), "image/jpeg")
        assert attachments_of(scope, scope.get(Room, place.room_ids[1])) == []
        opened = open_attachment(scope, made.id)
        assert opened.content == JPEG
        assert opened.headers["Content-Disposition"] == (
            "inline; filename*=UTF-8''%E6%BC%8F%E6%B0%B4.jpg"
        )
        assert "sandbox" in opened.headers["Content-Security-Policy"]
        assert verify(scope) == {}


def test_nothing_on_the_disk_or_in_the_row_is_in_clear(enter, place, folder):
    with enter() as scope:
        made = attached(scope, place, name="张三身份证.jpg")
        row = scope.session.execute(
            text("select a::text from dougong.attachment a where id = :i"), {"i": made.id}
        ).scalar_one()
    (path,) = files(folder)
    assert SECRET not in path.read_bytes()
    assert "张三" not in row
    assert oct(path.stat().st_mode)[-3:] == "640"


def test_what_is_no_picture_is_a_download(enter, place):
    with enter() as scope:
        made = attached(scope, place, b"%PDF-1.7 x", "合同.pdf")
        assert open_attachment(scope, made.id).headers["Content-Disposition"].startswith("att")


def test_the_file_is_synced_before_the_commit_that_names_it(installation, enter, place):
    seen = []

    def remember(_connection):
        seen.append("commit")

    def watched(name, real):
        def run(*arguments, **more):
            seen.append(name)
            return real(*arguments, **more)

        return run

    engine = installation.databases.engine("app")
    patch = pytest.MonkeyPatch()
    event.listen(engine, "commit", remember)
    try:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, watched(name, getattr(os, name)))
        with enter() as scope:
            attached(scope, place)
    finally:
        patch.undo()
        event.remove(engine, "commit", remember)
    last = seen[seen.index("replace") - 1 :]
    assert last == ["fsync", "replace", "fsync", "commit"]


def test_the_same_content_is_stored_once_and_per_community(enter, place, folder):
    with enter() as scope:
        first = attached(scope, place)
        second = attached(scope, place, room=1)
        assert first.stored_as == second.stored_as
    assert len(files(folder)) == 1
    with enter(community=place.other_community_id) as scope:
        scope.session.add(building := Building(code="1", name="1栋"))
        scope.session.flush()
        foreign = attach(scope, building, "x.jpg", io.BytesIO(JPEG))
        assert foreign.digest != first.digest


def test_a_removed_file_is_swept_when_no_row_names_it(enter, place, folder):
    with enter() as scope:
        first, second = attached(scope, place), attached(scope, place, room=1)
    with enter() as scope:
        remove_attachment(scope, first.id)
    with enter() as scope:
        assert sweep(scope, 0) == 0
        assert open_attachment(scope, second.id).content == JPEG
        remove_attachment(scope, second.id)
    with enter() as scope:
        assert sweep(scope) == 0
        assert sweep(scope, 0) == 1
        with pytest.raises(NotFound):
            open_attachment(scope, second.id)
    assert files(folder) == []


def test_a_rolled_back_attachment_leaves_a_file_that_is_swept(enter, place, folder):
    with pytest.raises(RuntimeError), enter() as scope:
        attached(scope, place)
        raise RuntimeError
    assert len(files(folder)) == 1
    with enter() as scope:
        assert attachments_of(scope, scope.get(Room, place.room_ids[0])) == []
        assert sweep(scope, 0) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:40] + bytes([raw[40] ^ 1]) + raw[41:],
        lambda raw: b"",
        lambda raw: raw[:4] + bytes([9]) + raw[5:],
        lambda raw: b"GIF89a" + raw[6:],
    ],
    ids=["cut", "one bit", "empty", "other suite", "other head"],
)
def test_a_changed_file_does_not_open(enter, place, folder, change):
    with enter() as scope:
        made = attached(scope, place)
    (path,) = files(folder)
    path.write_bytes(change(path.read_bytes()))
    with enter() as scope:
        with pytest.raises(TamperedCiphertext):
            open_attachment(scope, made.id)
        assert verify(scope) == {made.id: "tampered"}


def test_a_file_put_in_another_s_place_does_not_open(enter, place, folder):
    with enter() as scope:
        mine = attached(scope, place)
        other = attached(scope, place, b"%PDF-1.7 other", "b.pdf", room=1)
    store = FileStore(folder.parent, place.community_id)
    store.path(mine.stored_as).write_bytes(store.path(other.stored_as).read_bytes())
    with enter() as scope, pytest.raises(TamperedCiphertext):
        open_attachment(scope, mine.id)


def test_a_row_pointed_at_another_s_file_does_not_open(enter, place):
    with enter() as scope:
        mine = attached(scope, place)
        other = attached(scope, place, b"%PDF-1.7 other", "b.pdf", room=1)
        mine.stored_as = other.stored_as
        scope.session.flush()
        with pytest.raises(TamperedCiphertext):
            open_attachment(scope, mine.id)


def test_a_missing_file_is_told(enter, place, folder):
    with enter() as scope:
        made = attached(scope, place)
    files(folder)[0].unlink()
    with enter() as scope:
        with pytest.raises(FileGone):
            open_attachment(scope, made.id)
        again = attached(scope, place)
        assert open_attachment(scope, again.id).content == JPEG


def test_who_may_not_see_the_record_may_not_open_its_files(enter, place, installation):
    with enter() as scope:
        made = attached(scope, place)
    nobody = place.actor("dougong.person.view")
    viewer = place.actor("dougong.room.view")
    elsewhere = place.actor("dougong.room.view", buildings=frozenset({place.building_ids[1]}))
    with enter(nobody) as scope, pytest.raises(NotAllowed):
        open_attachment(scope, made.id)
    with enter(elsewhere) as scope, pytest.raises(NotFound):
        open_attachment(scope, made.id)
    with enter(viewer) as scope:
        assert open_attachment(scope, made.id).content == JPEG
        with pytest.raises(NotAllowed):
            remove_attachment(scope, made.id)
        with pytest.raises(NotAllowed):
            attached(scope, place)
    with enter(community=place.other_community_id) as scope, pytest.raises(NotFound):
        open_attachment(scope, made.id)


def test_too_large_empty_and_too_many_files_are_refused(
    installation, enter, place, folder, monkeypatch
):
    with installation.access() as session:
        set_setting(session, place.community_id, "files.largest_mb", 1)
    monkeypatch.setattr(attachments, "MOST", 1)
    with enter() as scope:
        with pytest.raises(Invalid):
            attached(scope, place, b"\xff\xd8\xff" + bytes(1024 * 1024))
        with pytest.raises(Invalid):
            attached(scope, place, b"")
        with pytest.raises(Invalid):
            attached(scope, place, b"<svg/>", "a.svg")
        attached(scope, place)
        with pytest.raises(Conflict):
            attached(scope, place, b"%PDF-1.7", "a.pdf")
    assert len(files(folder)) == 1


def test_erasing_the_key_shreds_the_file(enter, place, folder):
    with enter() as scope:
        made = attached(scope, place)
        made.secret = made.name = None
    with enter() as scope:
        with pytest.raises(NotFound):
            open_attachment(scope, made.id)
        assert sweep(scope, 0) == 1
        assert verify(scope) == {}


def test_files_open_after_their_community_s_key_was_rotated(installation, enter, place, folder):
    from dougong.privacy.rotation import rotate

    with enter() as scope:
        made = attached(scope, place)
    before = files(folder)[0].stat().st_mtime_ns
    rotate(installation, [place.community_id])
    with enter() as scope:
        assert open_attachment(scope, made.id).content == JPEG
    assert files(folder)[0].stat().st_mtime_ns == before


def test_a_person_who_is_erased_takes_his_files_along(installation, enter, place, folder):
    from dougong.privacy.erasure import erase_person

    with enter() as scope:
        person = scope.get(Person, place.person_ids[0])
        mine = attach(scope, person, "我的身份证.jpg", io.BytesIO(JPEG))
        share = scope.session.scalars(select(Ownership).filter_by(person_id=person.id)).one()
        deed = attach(scope, share, "房产证.pdf", io.BytesIO(b"%PDF-1.7 x"))
        kept = attached(scope, place, b"GIF89a of the room", "a.gif")
    erase_person(installation, Actor.system(), place.community_id, place.person_ids[0], "asked")
    with enter() as scope:
        for gone in (mine, deed):
            with pytest.raises(NotFound):
                open_attachment(scope, gone.id)
        assert str(scope.get(Attachment, mine.id)) == "—"
        assert open_attachment(scope, kept.id).content.startswith(b"GIF89a")
        assert sweep(scope, 0) == 2


def test_many_who_attach_the_same_at_once_all_get_it_back(enter, place):
    made, failed = [], []

    def work(room):
        try:
            with enter() as scope:
                made.append(attached(scope, place, room=room).id)
        except DougongError as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with enter() as scope:
        assert [open_attachment(scope, id).content for id in made] == [JPEG] * 4
    assert failed == []


@pytest.mark.parametrize("suite", list(Suite))
def test_both_suites_seal_files(tmp_path, place, suite):
    store = FileStore(tmp_path, place.community_id)
    stored_as, key = store.write("ab" * 32, b"x" * 1000, suite)
    assert store.read(stored_as, "ab" * 32, key) == b"x" * 1000
    other = FileStore(tmp_path, place.other_community_id)
    other.folder.mkdir(exist_ok=True)
    target = other.path(stored_as)
    target.parent.mkdir()
    target.write_bytes(store.path(stored_as).read_bytes())
    with pytest.raises(TamperedCiphertext):
        other.read(stored_as, "ab" * 32, key)


KILLED = """
import os, signal, sys
from pathlib import Path
from uuid import UUID
from dougong.db.ciphers import Suite
from dougong.files.store import FileStore
store, moment, count = FileStore(Path(sys.argv[1]), UUID(sys.argv[2])), sys.argv[3], [0]
def dying(real):
    def run(*arguments, **more):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)
        return done
    return run
name = sys.argv[4]
setattr(os, name, dying(getattr(os, name)))
store.write("cd" * 32, b"y" * 100_000, Suite.AES_256_GCM)
"""


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_writer_leaves_no_half_file(tmp_path, place, call, moment):
    store = FileStore(tmp_path, place.community_id)
    (store.folder / "cd").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(place.community_id), moment, call],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    whole = [p for p in files(store.folder) if p.suffix != ".tmp"]
    assert len(whole) == (call == "replace" and moment == "after")
    assert all(p.stat().st_size > 100_000 for p in whole)
    stored_as, key = store.write("cd" * 32, b"y" * 100_000, Suite.AES_256_GCM)
    assert store.read(stored_as, "cd" * 32, key) == b"y" * 100_000
    assert store.sweep(lambda names: {stored_as} & set(names), -1) == 1
    assert [p.name for p in files(store.folder)] == [stored_as]


def test_a_person_is_no_place_for_a_group_s_file(enter, place):
    with enter() as scope:
        person = scope.get(Person, place.person_ids[0])
        assert attach(scope, person, "a.txt", io.BytesIO("好".encode())).media_type == "text/plain"
        with pytest.raises(Invalid):
            attach(scope, scope.place, "a.txt", io.BytesIO(b"x"))
        assert isinstance(attachments_of(scope, person)[0], Attachment)
