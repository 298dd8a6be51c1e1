import sys

import pytest

from dougong.plugins.discovery import discover
from dougong.plugins.manifest import Manifest, ManifestError, in_range, read_manifest

GOOD = """
[plugin]
id = "lifts"
version = "0.2"
kernel = ">=0.1,<1"
depends = ["equipment>=0.1", "ledger"]
name = { en = "Lifts", zh_Hans_CN = "电梯" }
[personal."lift.duty_phone"]
purpose = "reach the person on duty"
basis = "contract"
retention = "P3Y"
[permissions]
lift = ["view", "create"]
[[jobs]]
id = "remind_inspections"
schedule = "0 8 * * *"
[settings.days]
type = "integer"
default = 3
"""


def write(folder, text, plugin="lifts"):
    package = folder / f"dougong_{plugin}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "manifest.toml").write_text(text)
    return package


def test_a_manifest_is_read_without_importing_the_plugin(tmp_path):
    write(tmp_path, GOOD)
    found = discover((tmp_path,)).candidates["lifts"][0]
    assert found.manifest.depends == {"equipment": ">=0.1", "ledger": ">=0"}
    assert found.manifest.schema == "lifts"
    assert not found.is_on_path
    assert "dougong_lifts" not in sys.modules


def test_an_error_names_the_file_and_every_wrong_field(tmp_path):
    wrong = GOOD.replace('basis = "contract"', 'basis = "because"').replace("0 8 * * *", "daily")
    package = write(tmp_path, wrong)
    with pytest.raises(ManifestError) as caught:
        read_manifest(package / "manifest.toml", "dougong_lifts")
    assert str(package / "manifest.toml") in str(caught.value)
    assert set(caught.value.fields) == {"personal.lift.duty_phone.basis", "jobs.0.schedule"}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('id = "lifts"', 'id = "Lifts!"', "id"),
        ('version = "0.2"', 'version = "new"', "version"),
        ('kernel = ">=0.1,<1"', 'kernel = "some"', "kernel"),
        ('"ledger"]', '"lifts"]', "plugin"),
        ('retention = "P3Y"', 'retention = "P"', "personal.lift.duty_phone.retention"),
        ("[permissions]", "[permission]", "permission"),
        ('type = "integer"', 'type = "choice"', "settings.days"),
        ('version = "0.2"', 'version = "0.2"\ncapabilities = ["root"]', "capabilities"),
        ('name = { en = "Lifts", zh_Hans_CN = "电梯" }', 'name = { en = "L" }', "name.zh_Hans_CN"),
    ],
    ids=lambda value: value[:24],
)
def test_a_wrong_field_is_named(tmp_path, old, new, field):
    assert old in GOOD
    package = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ManifestError) as caught:
        read_manifest(package / "manifest.toml", "dougong_lifts")
    assert any(f == field or f.startswith(f"{field}.") for f in caught.value.fields)


def test_a_broken_manifest_leaves_the_others_in_place(tmp_path):
    write(tmp_path / "a", GOOD)
    write(tmp_path / "b", "[plugin\n", plugin="broken")
    discovered = discover((tmp_path,))
    assert "lifts" in discovered.candidates
    assert "broken" in discovered.errors


def test_every_version_in_a_plugin_directory_is_a_candidate_newest_first(tmp_path):
    write(tmp_path / "lifts" / "0.2", GOOD)
    write(tmp_path / "lifts" / "0.10", GOOD.replace('"0.2"', '"0.10"'))
    versions = [f.manifest.version for f in discover((tmp_path,)).candidates["lifts"]]
    assert versions == ["0.10", "0.2"]


def test_a_version_under_development_counts_as_what_it_becomes():
    assert in_range("0.1.0.dev0", ">=0.1,<1")
    assert not in_range("1.0.dev3", "<1")


def test_a_manifest_cannot_be_changed_after_reading(tmp_path):
    manifest = read_manifest(write(tmp_path, GOOD) / "manifest.toml", "dougong_lifts")
    assert isinstance(manifest, Manifest)
    with pytest.raises(ValueError, match="frozen"):
        manifest.version = "9"
