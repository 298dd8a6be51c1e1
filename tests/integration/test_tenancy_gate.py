"""The small version of `make gate-tenancy`, and the catalogue linter over every schema."""

import pytest
from sqlalchemy import text

from dougong.db.linter import lint
from dougong.testing.gate_tenancy import gate


def test_no_probe_leaks_and_the_probes_can_fail(installation):
    result = gate(installation, 10_000)
    assert result["leaks"] == {}
    assert result["unprotected_leaks"] > 0


def test_the_catalogue_linter_finds_nothing(installation):
    schemas = [
        "dougong",
        *(installation.plugins.manifest(p).schema for p in installation.plugins.installed),
    ]
    with installation.databases.engine("migrator").connect() as connection:
        assert [str(f) for f in lint(connection, *schemas)] == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("alter table dougong.room no force row level security", "not enabled and forced"),
        ("drop policy scope_delete on dougong.room", "lacks the policies scope_delete"),
        ("drop trigger audit_update on dougong.room", "not the audit's"),
        ("create table dougong.rogue (id int)", "in no model"),
        ("grant select on dougong.setting to dougong_app", "has grants on a platform table"),
        ("create unique index on dougong.room (old_code) where false", "lacks community_id"),
        ("create view dougong.all_rooms as select * from dougong.room", "security_invoker"),
        (
            "create function dougong.f() returns int language sql security definer as 'select 1'",
            "without a search_path",
        ),
        (
            "alter table dougong.unit add constraint loose foreign key (community_id, building_id)"
            " references dougong.building (community_id, id) on delete set null",
            "sets null",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_catalogue_linter_finds_a_planted_fault(installation, fault, expected):
    with installation.databases.engine("migrator").connect() as connection:
        connection.execute(text(fault))
        found = [str(f) for f in lint(connection, "dougong")]
        connection.rollback()
    assert any(expected in finding for finding in found), found
