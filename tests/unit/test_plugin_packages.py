"""Packages of plugins: the same bytes every time, and nothing let in that could do harm."""

import json
import os
import stat
import time
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import use_locale
from dougong.paths import Paths
from dougong.plugins.packages import index, signing, wheels
from dougong.plugins.packages.placing import fetch_plugin, origin_of, place_wheel
from dougong.plugins.packages.signing import NotSigned
from dougong.plugins.packages.wheels import PackageRefused
from dougong.testing.planting import plant


@pytest.fixture(autouse=True)
def english():
    with use_locale("en"):
        yield


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "home")


@pytest.fixture
def key(tmp_path, paths):
    public = signing.make_key(tmp_path / "keys/maker", "Acme 电梯", "index")
    signing.trust(paths, public.line)
    return signing.read_private(tmp_path / "keys/maker")


def build(tmp_path, plugin="lifts", out="dist"):
    if not (tmp_path / "src" / plugin).exists():
        plant(tmp_path / "src", plugin)
    return wheels.build_wheel(tmp_path / "src" / plugin, tmp_path / out)


def signed_wheel(tmp_path, key, plugin="lifts"):
    wheel = build(tmp_path, plugin)
    index.sign_wheel(wheels.look_through(wheel), key)
    return wheel


def version(tmp_path, number, plugin="lifts"):
    manifest = tmp_path / "src" / plugin / f"dougong_{plugin}/manifest.toml"
    lines = manifest.read_text().splitlines()
    lines = [f'version = "{number}"' if li.startswith("version") else li for li in lines]
    manifest.write_text("\n".join(lines) + "\n")


# --- making ---------------------------------------------------------------------------------------


def test_two_builds_are_the_same_bytes_whenever_and_wherever(tmp_path, monkeypatch):
    first = build(tmp_path, out="one").read_bytes()
    package = tmp_path / "src/lifts/dougong_lifts"
    for path in package.rglob("*"):
        os.utime(path, (time.time() - 10**7,) * 2)
        path.chmod(0o700 if path.is_dir() else 0o600)
    (package / "__pycache__").mkdir()
    (package / "__pycache__/hooks.cpython-311.pyc").write_bytes(b"x")
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert build(tmp_path, out="two").read_bytes() == first
    (package / "hooks.py").write_text("# changed\n")
    assert build(tmp_path, out="three").read_bytes() != first


def test_a_wheel_of_ours_is_a_wheel_that_python_installs(tmp_path):
    import subprocess
    import sys

    wheel = build(tmp_path)
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target"]
    subprocess.run([*command, str(target), str(wheel)], check=True, capture_output=True)
    found = wheels.content_of_folder(target / "dougong_lifts")
    assert found == wheels.look_through(wheel).content


# --- placing --------------------------------------------------------------------------------------


def test_a_signed_package_is_placed_whole_and_tells_whose_it_is(tmp_path, paths, key):
    wheel = place_wheel(paths, signed_wheel(tmp_path, key))
    package = paths.plugins / "lifts" / wheel.version / "dougong_lifts"
    assert (package / "manifest.toml").is_file()
    origin = origin_of(paths, package)
    assert (origin.kind, origin.maker) == ("signed", "Acme 电梯")
    assert origin_of(paths, tmp_path / "src/lifts/dougong_lifts").kind == "local"
    (package / "hooks.py").write_text("import os\n")
    assert origin_of(paths, package).kind == "altered"
    (package.parent / "package.json").unlink()
    assert origin_of(paths, package).kind == "unsigned"
    place_wheel(paths, tmp_path / "dist" / wheel.path.name)
    assert origin_of(paths, package).kind == "signed", "placing it again mends it"
    assert [p.name for p in (paths.plugins / "lifts").iterdir()] == [wheel.version]


def test_what_nobody_signed_is_not_let_in(tmp_path, paths, key):
    wheel = build(tmp_path)
    with pytest.raises(NotSigned):
        place_wheel(paths, wheel)
    assert not (paths.plugins / "lifts").exists()
    assert place_wheel(paths, wheel, unsigned=True).plugin == "lifts"


def test_what_a_stranger_signed_is_not_let_in(tmp_path, paths, key):
    signing.make_key(tmp_path / "keys/stranger", "Stranger", "index")
    stranger = signing.read_private(tmp_path / "keys/stranger")
    with pytest.raises(NotSigned, match="trusts"):
        place_wheel(paths, signed_wheel(tmp_path, stranger))


def test_a_package_that_was_changed_after_signing_is_not_let_in(tmp_path, paths, key):
    wheel = signed_wheel(tmp_path, key)
    (tmp_path / "src/lifts/dougong_lifts/hooks.py").write_text("import os\n")
    build(tmp_path)
    with pytest.raises(NotSigned, match="not what was signed"):
        place_wheel(paths, wheel)
    described = wheel.with_name(f"{wheel.name}.json")
    document = json.loads(described.read_text())
    document["signed"]["sha256"] = wheels.look_through(wheel).sha256
    described.write_text(json.dumps(document))
    with pytest.raises(NotSigned, match="changed"):
        place_wheel(paths, wheel)


def test_a_package_that_has_to_be_read_as_an_index_is_refused(tmp_path, key, paths):
    document = signing.signed({"kind": "package"}, key)
    with pytest.raises(NotSigned, match="something else"):
        signing.opened(document, signing.trusted(paths), "index")


def test_a_vendors_key_signs_packages_but_no_index(tmp_path, paths):
    public = signing.make_key(tmp_path / "keys/v", "Vendor", "vendor")
    signing.trust(paths, public.line)
    private = signing.read_private(tmp_path / "keys/v")
    place_wheel(paths, signed_wheel(tmp_path, private))
    index.build_index(tmp_path / "dist", private)
    with pytest.raises(NotSigned):
        index.accept(paths, str(tmp_path / "dist"))


def test_a_private_key_is_for_its_owner_only(tmp_path, key):
    assert stat.S_IMODE((tmp_path / "keys/maker").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        signing.make_key(tmp_path / "keys/maker", "Acme", "vendor")


# --- what a wheel must not hold -------------------------------------------------------------------

INFO = "dougong_lifts-0.1.0.dist-info"
BOMB = b"\0" * 30_000_000


def repack(wheel, change):
    """Write a wheel again: ``change`` gets its files and returns (name, data, mode) more."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    more = change(files) or []
    record = f"{INFO}/RECORD"
    files.pop(record, None)
    every = [*((name, data, 0o100644) for name, data in files.items()), *more]
    listed = {name: data for name, data, _mode in every}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in [*every, (record, wheels._record(listed, record), 0o100644)]:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def adds(name, data=b"x", mode=0o100644):
    return lambda files: [(name, data, mode)]


def edits(name, old, new):
    def change(files):
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return change


HARMFUL = {
    "a .pth file": (adds("dougong_lifts/evil.pth"), "every start"),
    "a .pth at the top": (adds("evil.pth"), "every start"),
    "another package": (adds("flask_admin/__init__.py"), "outside"),
    "a file at the top": (adds("sitecustomize.py"), "outside"),
    "data for elsewhere": (adds("dougong_lifts-0.1.0.data/scripts/x"), "outside"),
    "a way up": (adds("dougong_lifts/../../evil.py"), "plain path"),
    "an absolute path": (adds("/etc/evil"), "plain path"),
    "a backslash": (adds("dougong_lifts\\evil.py"), "plain path"),
    "a link": (adds("dougong_lifts/link", b"/etc/passwd", 0o120777), "link"),
    "a device": (adds("dougong_lifts/dev", b"", 0o020666), "link"),
    "a library": (adds("dougong_lifts/fast.so"), "not Python"),
    "the same file in other letters": (adds("dougong_lifts/HOOKS.py"), "twice"),
    "a bomb": (adds("dougong_lifts/zeros.txt", BOMB), "too much"),
    "too many files": (
        lambda files: [(f"dougong_lifts/{n}.txt", b"", 0o100644) for n in range(600)],
        "more than",
    ),
    "a command": (
        edits(
            f"{INFO}/entry_points.txt", b"[dou", b"[console_scripts]\nsudo = dougong_lifts\n[dou"
        ),
        "no commands",
    ),
    "another plugin's id": (
        edits("dougong_lifts/manifest.toml", b'id = "lifts"', b'id = "fees"'),
        "another name",
    ),
    "another version": (
        edits("dougong_lifts/manifest.toml", b'version = "0.1.0"', b'version = "9.9.9"'),
        "another name or version",
    ),
    "what it needs is not there": (
        edits(f"{INFO}/METADATA", b"Requires-Dist: dougong", b"Requires-Dist: nowhere>1"),
        "nowhere",
    ),
    "no manifest": (lambda files: files.pop("dougong_lifts/manifest.toml") and None, "manifest"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_a_wheel_that_could_do_harm_is_refused_unread(tmp_path, paths, name):
    change, reason = HARMFUL[name]
    wheel = build(tmp_path)
    repack(wheel, lambda files: None)
    assert wheels.look_through(wheel), "repacking alone is no fault"
    repack(wheel, change)
    with pytest.raises(PackageRefused, match=reason):
        place_wheel(paths, wheel, unsigned=True)
    assert not (paths.plugins / "lifts").exists()


def test_a_file_that_its_own_list_does_not_know_is_refused(tmp_path):
    wheel = build(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("dougong_lifts/late.py", "import os")
    with pytest.raises(PackageRefused, match="list of files"):
        wheels.look_through(wheel)


@pytest.mark.parametrize(
    "name",
    ["dougong_lifts-0.1.0.tar.gz", "lifts.zip", "dougong_lifts-0.1.0-cp311-cp311-linux_x86_64.whl"],
)
def test_source_archives_and_compiled_wheels_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(build(tmp_path).read_bytes())
    with pytest.raises(PackageRefused):
        wheels.look_through(path)


def test_a_broken_archive_is_refused_and_no_error_of_the_library(tmp_path):
    wheel = build(tmp_path)
    data = bytearray(wheel.read_bytes())
    for at in range(0, len(data), 97):
        broken = data.copy()
        broken[at] ^= 0xFF
        wheel.write_bytes(broken)
        try:
            wheels.look_through(wheel)
        except Invalid:
            continue
    wheel.write_bytes(data[: len(data) // 2])
    with pytest.raises(PackageRefused):
        wheels.look_through(wheel)


# --- the index ------------------------------------------------------------------------------------


def test_the_newest_version_that_fits_is_fetched(tmp_path, paths, key):
    signed_wheel(tmp_path, key)
    for number in ("0.2.0", "0.10.0"):
        version(tmp_path, number)
        signed_wheel(tmp_path, key)
    index.build_index(tmp_path / "dist", key)
    source = str(tmp_path / "dist")
    with pytest.raises(NotFound, match="index update"):
        fetch_plugin(paths, source, "lifts")
    index.accept(paths, source)
    assert fetch_plugin(paths, source, "lifts").version == "0.10.0"
    assert fetch_plugin(paths, source, "lifts", "0.2.0").version == "0.2.0"
    with pytest.raises(NotFound):
        fetch_plugin(paths, source, "pumps")


def test_an_index_that_was_changed_or_is_old_or_expired_is_not_accepted(tmp_path, paths, key):
    signed_wheel(tmp_path, key)
    folder, source = tmp_path / "dist", str(tmp_path / "dist")
    old = index.build_index(folder, key).read_text()
    new = index.build_index(folder, key)
    assert index.accept(paths, source).number == 2
    new.write_text(old)
    with pytest.raises(Conflict, match="older"):
        index.accept(paths, source)
    new.write_text(old.replace('"number": 1', '"number": 9'))
    with pytest.raises(NotSigned, match="changed"):
        index.accept(paths, source)
    new.write_text(old.replace('"number": 1', '"number": 2'))
    new.unlink()
    for _ in range(3):
        index.build_index(folder, key, days=-1)
    with pytest.raises(Conflict, match="expired"):
        index.accept(paths, source)
    assert index.accepted(paths).number == 2


def test_nothing_is_fetched_with_an_expired_index_but_it_still_revokes(tmp_path, paths, key):
    signed_wheel(tmp_path, key)
    folder = tmp_path / "dist"
    (folder / "revoked.toml").write_text(
        '[[revoked]]\nplugin = "lifts"\nversions = "<0.2"\nreason = "it opens doors"\n'
    )
    index.build_index(folder, key)
    index.accept(paths, str(folder))
    with pytest.raises(NotFound):
        fetch_plugin(paths, str(folder), "lifts")
    with pytest.raises(PackageRefused, match="it opens doors"):
        place_wheel(paths, next(folder.glob("*.whl")))
    document = json.loads((paths.plugins / "index.json").read_text())
    document["signed"]["expires_at"] = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    expired = signing.signed(document["signed"], key)
    (paths.plugins / "index.json").write_text(json.dumps(expired))
    with pytest.raises(Conflict, match="expired"):
        fetch_plugin(paths, str(folder), "lifts")
    assert index.accepted(paths).reason_against("lifts", "0.1.0") == "it opens doors"
    assert index.accepted(paths).reason_against("lifts", "0.2.0") is None


def test_a_source_gives_only_files_of_its_own_folder(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "dist").mkdir()
    with pytest.raises(NotFound):
        index.fetch(str(tmp_path / "dist"), "../secret")
