"""Erasing a person: columns emptied, archives and log images too, and a ledger to do it again.

What a law makes the group keep (basis ``statutory_duty``) stays and is only stored from then on.
The ledger lies in the database and, ids only, in ``witness/erasures.jsonl``: after a backup from
before an erasure was restored, ``dougong privacy replay`` erases again. What lies in the backups
themselves is shredded when keys are rotated and the old ones destroyed.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Table, func, select, text
from sqlalchemy.orm import Session

from dougong.audit.checkpoints import append_line
from dougong.db import Scope
from dougong.db.base import METADATA
from dougong.db.scope import Actor
from dougong.errors import Conflict, NotAllowed, NotFound
from dougong.i18n import N_
from dougong.privacy.archived import empty_archives
from dougong.privacy.emptying import ERASED, Emptier, name_verb
from dougong.privacy.models import Erasure, Restriction
from dougong.privacy.purposes import Declaration, declarations
from dougong.privacy.subjects import PERSON, own_tables, personal_columns, references, rows_of
from dougong.services import service
from dougong.tenancy.models import Person

PERMISSION = "dougong.person.erase"
ALONE = """
select p.user_id from dougong.user_person p
where p.community_id = :c and p.person_id = :p
  and not exists (select from dougong.user_person o
                  where o.user_id = p.user_id and o.id <> p.id)
  and not exists (select from dougong.role_grant g where g.user_id = p.user_id)
"""


def erase_person(
    installation: Any, actor: Actor, community_id: UUID, person_id: UUID, reason: str
) -> Erasure:
    """Erase a person of a community everywhere; return the entry of the ledger.

    Plugins first, each in this community's scope, all in one transaction; then columns, archives
    and log images in another. Raises NotFound, NotAllowed, Conflict while an
    installed plugin cannot be reached, and whatever a plugin raises: then no column was emptied.
    Safe to run again.
    """
    _check_reach(installation)
    with installation.scope(actor, community=community_id) as scope:
        scope.require(PERMISSION)
        scope.get(Person, person_id)
        name_verb(scope.session, PERMISSION, reason)
        for plugin in installation.plugins.loaded:
            installation.plugins.hooks.tell(scope, plugin, "erase_subject", person_id=person_id)
    with installation.platform(actor) as session:
        name_verb(session, PERMISSION, reason)
        entry = _erase(installation, session, community_id, person_id, reason)
        # Before the commit: an entry too many erases somebody twice, one too few forgets him.
        _note_in_ledger(installation, entry)
    return entry


def _check_reach(installation: Any) -> None:
    """Raise Conflict while the rows of an installed plugin cannot be reached."""
    plugins = installation.plugins
    away = [
        plugin
        for plugin, standing in plugins.standings.items()
        if plugin not in plugins.loaded and standing.state not in ("archived", "available")
    ]
    if away:
        raise Conflict(
            N_(
                "These plugins cannot be reached now, and may keep data of the person: %(plugins)s."
            ),
            plugins=", ".join(sorted(away)),
        )


@service("person.erase", title=("Erase", "删除个人信息"), is_public=False, step_up=True)
def erase(scope: Scope, person_id: UUID, reason: str) -> dict[str, Any]:
    """Erase a person of this community everywhere; return what was emptied and what a law keeps.

    It is done when this returns, in transactions of its own. See `erase_person`.
    """
    if scope.community_id is None:
        raise NotAllowed(N_("Choose a community first; a group page writes no rows."))
    entry = erase_person(scope.installation, scope.actor, scope.community_id, person_id, reason)
    return {"emptied": entry.emptied, "kept": entry.kept}


def _erase(
    installation: Any, session: Session, community_id: UUID, person_id: UUID, reason: str
) -> Erasure:
    declared = declarations(installation.plugins)
    emptier = Emptier(session, installation.keyring, community_id)
    kept: dict[str, str] = {}
    tables = own_tables(installation)
    for name, ids in rows_of(session, tables, community_id, person_id).items():
        table = METADATA.tables[name]
        for column in personal_columns(table, declared):
            said = declared.get(f"{name}.{column.name}")
            if said is not None and said.basis == "statutory_duty":
                kept[said.key] = said.retention
            else:
                emptier.empty(table, column, ids)
    kept |= empty_archives(emptier, declared, person_id)
    _deleted_rows(emptier, tables, declared, person_id)
    _end_logins(session, community_id, person_id)
    if kept:
        restrict(session, community_id, person_id, reason)
    return emptier.record(person_id, reason, kept)


def _deleted_rows(
    emptier: Emptier,
    tables: Sequence[Table],
    declared: dict[str, Declaration],
    person_id: UUID,
) -> None:
    """Remember rows about the person that are gone from the tables and still lie in the log."""
    for table in tables:
        if not personal_columns(table, declared) or not any(
            target == PERSON for _column, target in references(table)
        ):
            continue
        ids = emptier.session.scalars(
            text(
                "select distinct row_id from dougong.audit_event where chain_id = :c"
                " and schema_name = :s and table_name = :t and body like :mention"
                " and row_id is not null"
            ),
            {
                "c": emptier.community_id,
                "s": table.schema,
                "t": table.name,
                "mention": f'%"{person_id}"%',
            },
        )
        emptier.touched(str(table.schema), table.name, ids)


def _end_logins(session: Session, community_id: UUID, person_id: UUID) -> None:
    """Take the person's login away; one that leads nowhere else loses its name as well."""
    who = {"c": community_id, "p": person_id}
    alone = session.scalars(text(ALONE), who).all()
    session.execute(
        text("delete from dougong.user_person where community_id = :c and person_id = :p"), who
    )
    session.execute(
        text(
            "update dougong.\"user\" set login = 'erased-' || id, name = :erased,"
            " is_active = false, password_hash = null, totp_secret = null where id = any(:ids)"
        ),
        {"ids": alone, "erased": ERASED},
    )
    session.execute(
        text("delete from dougong.sign_in_session where user_id = any(:ids)"), {"ids": alone}
    )


def restrict(session: Session, community_id: UUID, person_id: UUID, reason: str) -> None:
    """Have a person's data only stored from now on."""
    known = session.scalar(
        select(Restriction.id).where(
            Restriction.community_id == community_id, Restriction.person_id == person_id
        )
    )
    if known is None:
        session.add(
            Restriction(
                community_id=community_id,
                person_id=person_id,
                since_at=datetime.now(UTC),
                reason=reason,
            )
        )


def is_restricted(scope: Scope, person_id: UUID) -> bool:
    """Tell whether a person's data is only stored: not used, not sent, not shown in lists."""
    query = select(Restriction.id).where(Restriction.person_id == person_id)
    return scope.session.scalars(query).first() is not None


# --- the ledger ---------------------------------------------------------------------------------


def ledger_file(installation: Any) -> Path:
    """Return the file that outlives the restore of an older backup."""
    return installation.settings.paths.witness / "erasures.jsonl"


def _note_in_ledger(installation: Any, entry: Erasure) -> None:
    append_line(
        ledger_file(installation),
        {
            "erasure": str(entry.id),
            "community": str(entry.community_id),
            "person": str(entry.person_id),
            "at": entry.at.isoformat(),
        },
    )


def replay(installation: Any, actor: Actor) -> list[UUID]:
    """Erase again whom the ledger names and the database has forgotten erasing.

    Run after every restore. Returns the persons that were erased again.
    """
    path = ledger_file(installation)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    with installation.platform(actor) as session:
        rows = session.execute(
            select(Erasure.person_id, func.max(Erasure.at)).group_by(Erasure.person_id)
        )
        known = dict(tuple(row) for row in rows)
    done: list[UUID] = []
    for line in lines:
        person, at = UUID(line["person"]), datetime.fromisoformat(line["at"])
        if person in done or (person in known and known[person] >= at):
            continue
        try:
            erase_person(installation, actor, UUID(line["community"]), person, "replayed")
        except NotFound:  # the backup is from before the person came
            continue
        done.append(person)
    return done


__all__ = ["ERASED", "erase_person", "is_restricted", "replay", "restrict"]
