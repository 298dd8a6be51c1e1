import pytest

from dougong.plugins.locks import examine

CASES = [
    ("create index i on lifts.lift (state)", "SHARE", True),
    ("create index concurrently i on lifts.lift (state)", "SHARE UPDATE EXCLUSIVE", False),
    ("alter table lifts.lift alter column floor type bigint", "ACCESS EXCLUSIVE", True),
    ("ALTER TABLE lifts.lift ALTER COLUMN floor SET NOT NULL", "ACCESS EXCLUSIVE", True),
    ("alter table lifts.lift add column note text", "ACCESS EXCLUSIVE", False),
    ("alter table lifts.lift add column k uuid default uuidv7()", "ACCESS EXCLUSIVE", True),
    ("alter table lifts.lift drop column note", "ACCESS EXCLUSIVE", True),
    ("alter table lifts.lift rename column note to remark", "ACCESS EXCLUSIVE", True),
    (
        "alter table lifts.lift add constraint f foreign key (a) references dougong.room (id)",
        "SHARE ROW EXCLUSIVE",
        True,
    ),
    (
        "alter table lifts.lift add constraint f foreign key (a)"
        " references dougong.room (id) not valid",
        "SHARE ROW EXCLUSIVE",
        False,
    ),
    ("alter table lifts.lift validate constraint f", "SHARE UPDATE EXCLUSIVE", False),
    ("alter table lifts.lift add constraint c check (floor > 0)", "ACCESS EXCLUSIVE", True),
    ("update lifts.lift set floor = 1", "ROW EXCLUSIVE", True),
    ("drop table lifts.lift", "ACCESS EXCLUSIVE", True),
    ("grant select on lifts.lift to dougong_app", "", False),
]


@pytest.mark.parametrize(("statement", "lock", "warns"), CASES, ids=[c[0][:60] for c in CASES])
def test_a_statement_is_told_by_its_lock(statement, lock, warns):
    [finding] = examine([statement])
    assert finding.lock == lock
    assert (finding.warning is not None) == warns


def test_a_table_of_the_same_plan_is_nobodys_yet():
    create, index = examine(
        ["create table lifts.lift (id uuid)", "create index i on lifts.lift (id)"]
    )
    assert (create.lock, index.lock, index.warning) == ("", "", None)
