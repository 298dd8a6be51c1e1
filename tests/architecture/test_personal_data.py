"""No personal column without purpose, basis and period, in the kernel and in any plugin."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Column, LargeBinary, MetaData, String, Table

from dougong.db.base import METADATA
from dougong.db.migrator import import_kernel_models
from dougong.i18n import use_locale
from dougong.paths import Paths
from dougong.plugins import Plugins
from dougong.privacy.purposes import declarations, notice, period_of, undeclared_personal
from dougong.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from test_catalogues import DISTRIBUTIONS, catalogue


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """Return every plugin that is there, with its models imported, no database needed."""
    import_kernel_models()
    found = Plugins.discover(Settings(paths=Paths(tmp_path_factory.mktemp("home"))))
    for entry in found.found.values():
        name = f"{entry.manifest.package}.models"
        if find_spec(name) is not None:
            import_module(name)
    return found


def test_every_personal_column_says_its_purpose(plugins):
    assert [str(finding) for finding in undeclared_personal(plugins)] == []


def test_every_period_can_be_counted(plugins):
    assert all(any(period_of(d.retention)) for d in declarations(plugins).values())


def test_every_purpose_is_told_in_chinese(plugins):
    known = {**catalogue(DISTRIBUTIONS["dougong"][1])}
    missing = []
    for said in declarations(plugins).values():
        own = catalogue(DISTRIBUTIONS[said.plugin][1]) if said.plugin in DISTRIBUTIONS else {}
        if not {**known, **own}.get(said.purpose):
            missing.append((said.key, said.purpose))
    assert missing == []


PLANTED = {
    "encrypted": ("secret_thing", LargeBinary, {"encrypted": "secret_thing"}),
    "said to be personal": ("nickname", String, {"personal": "name"}),
    "a phone by its name": ("contact_phone", String, {}),
    "a phone by its label": ("reach", String, {"label": "联系手机"}),
}


@pytest.mark.parametrize("case", PLANTED)
def test_an_undeclared_personal_column_is_found(plugins, case):
    name, kind, info = PLANTED[case]
    table = Table("thing", MetaData(), Column(name, kind, info=info), schema="dougong")
    assert len(undeclared_personal(plugins, [table])) == 1


def test_columns_of_things_are_not_personal(plugins):
    columns = (Column("serial", String), Column("phone_index", LargeBinary))
    table = Table("thing", MetaData(), *columns, schema="dougong")
    assert undeclared_personal(plugins, [table]) == []


def test_a_declaration_without_a_column_is_found(plugins):
    entry = next(iter(plugins.found.values()))
    personal = {"nothing.phone": next(iter(_entries()))}
    manifest = entry.manifest.model_copy(update={"personal": personal})
    fake = SimpleNamespace(found={"meters": SimpleNamespace(manifest=manifest)})
    found = [f for f in undeclared_personal(fake) if "nothing.phone" in f.column]
    assert len(found) == 1


def _entries():
    from dougong.plugins.manifest import PersonalData

    yield PersonalData(purpose="x", basis="contract", retention="P1Y")


def test_the_notice_names_every_declared_column_in_both_languages(plugins):
    with use_locale("en"):
        english = notice(plugins)
    with use_locale("zh_Hans_CN"):
        chinese = notice(plugins)
    there = [
        d for d in declarations(plugins).values() if f"{d.schema}.{d.table}" in METADATA.tables
    ]
    assert len(english) == len(chinese) == len(there)
    phone = next(n for n in chinese if n.what == "手机号" and n.plugin == "dougong")
    assert (phone.basis, phone.retention, phone.is_encrypted) == ("履行与您的合同", "3 年", True)
    assert next(n for n in english if n.what == "Phone").retention == "3 years"
