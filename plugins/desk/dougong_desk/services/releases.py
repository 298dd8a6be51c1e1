"""Item release passes: asked for, agreed to by the owner, issued, checked at the gate, once.

Whether anybody owes anything is asked nowhere here: things are not kept back for property fees.
"""

import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Select, func, or_, select, text

from dougong.db import Scope
from dougong.documents import Document, render
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import Approval, service
from dougong.tenancy.models import Occupancy, Ownership, Room
from dougong_desk.domain import ReleaseRefusal, ReleaseState, why_not_out
from dougong_desk.models import ReleasePass

PORTAL = "desk.portal"
LONGEST = timedelta(days=30)
WORDS = {
    ReleaseRefusal.NOT_ISSUED: N_("This pass has not been issued."),
    ReleaseRefusal.LEFT: N_("What is on this pass has left already."),
    ReleaseRefusal.REVOKED: N_("This pass was revoked."),
    ReleaseRefusal.TOO_EARLY: N_("This pass is not valid yet."),
    ReleaseRefusal.TOO_LATE: N_("This pass is not valid any more."),
}


@service("release_pass.create", title=("Issue a release pass", "开具放行条"))
def issue_release(
    scope: Scope,
    room_id: UUID,
    items: str,
    bearer: str,
    from_on: date,
    until_on: date,
    plate: str | None = None,
    owner_word: str | None = None,
    person_id: UUID | None = None,
) -> ReleasePass:
    """Issue a pass at the desk for somebody who stands there.

    items: one thing to a line. owner_word: how the owner agreed, for one who does not own the room.
    Raises Invalid when something is missing, or a non-owner comes without the owner's word.
    """
    made = _pass(scope, room_id, items, bearer, (from_on, until_on), plate)
    made.person_id, made.owner_word = person_id, (owner_word or "").strip()[:200] or None
    _require_owner(scope, made)
    made.state, made.decided_name = ReleaseState.ISSUED, scope.actor.name[:120]
    scope.session.add(made)
    scope.session.flush()
    return made


@service("release_pass.ask_mine", title=("Ask for a release pass", "申请放行条"),
         permission=PORTAL, is_public=False)  # fmt: skip
def ask_release(
    scope: Scope, room_id: UUID, items: str, bearer: str, from_on: date, until_on: date,
    plate: str | None = None,
) -> ReleasePass:  # fmt: skip
    """Ask for a pass for one's own room; an owner has it at once where the community allows it.

    Others wait for the owner and the desk. Raises NotFound for a room that is not one's own.
    """
    person = _me(scope)
    if room_id not in {room.id for room in my_rooms(scope)}:
        raise NotFound(N_("You neither own a room here nor live here."))
    made = _pass(scope, room_id, items, bearer, (from_on, until_on), plate)
    made.person_id = person
    if scope.setting("desk.release_for_owners", True) and _owns(scope, room_id, person):
        made.state = ReleaseState.ISSUED
    scope.session.add(made)
    scope.session.flush()
    return made


def _pass(
    scope: Scope, room_id: UUID, items: str, bearer: str, days: tuple[date, date], plate: str | None
) -> ReleasePass:
    things = "\n".join(line.strip() for line in items.splitlines() if line.strip())
    wrong = {}
    if not things or len(things) > 1000:
        wrong["items"] = gettext("Say what leaves, one thing to a line.")
    if not bearer.strip():
        wrong["bearer"] = gettext("Say who carries it out.")
    if days[1] < max(days[0], scope.today) or days[1] - days[0] > LONGEST:
        wrong["until_on"] = gettext("A pass is for today or later, and thirty days at most.")
    if wrong:
        raise Invalid(N_("Some fields are not right yet."), fields=wrong)
    return ReleasePass(
        number=_next_number(scope),
        room_id=scope.get(Room, room_id).id,
        items=things,
        bearer=bearer.strip()[:60],
        plate=(plate or "").strip().upper()[:12] or None,
        from_on=days[0],
        until_on=days[1],
        code=secrets.token_urlsafe(12),
        asked_by=scope.actor.user_id,
        asked_name=scope.actor.name[:120],
    )


def _next_number(scope: Scope) -> int:
    """Return the community's next number; the lock is held until the transaction ends."""
    scope.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"desk.release_pass {scope.community_id}"},
    )
    return (scope.session.scalar(select(func.max(ReleasePass.number))) or 0) + 1


def _require_owner(scope: Scope, record: ReleasePass) -> None:
    """Raise Invalid where neither the owner asks nor his word is kept."""
    is_own = record.person_id is not None and _owns(scope, record.room_id, record.person_id)
    if not is_own and not record.owner_word:
        fields = {
            "owner_word": gettext("Who asks does not own the room: say how the owner agreed.")
        }
        raise Invalid(N_("Some fields are not right yet."), fields=fields)


@service("release_pass.agree_mine", title=("Agree", "业主同意"), permission=PORTAL,
         is_public=False)  # fmt: skip
def agree_release(scope: Scope, release_id: UUID) -> ReleasePass:
    """Agree, as the owner of its room, that a pass is issued to who lives there."""
    record = my_release(scope, release_id)
    if not _owns(scope, record.room_id, _me(scope)):
        raise NotFound(N_("There is no such pass."))
    record = _waiting(scope, record)
    record.owner_word = gettext("Agreed on the phone by %(name)s", name=scope.actor.name)[:200]
    scope.session.flush()
    return record


@service(
    "release_pass.approve",
    title=("Issue", "签发"),
    approves=Approval(
        asked_by="asked_by",
        asked_name="asked_name",
        waiting=(ReleaseState.REQUESTED,),
        about="items",
        refuse="release_pass.refuse",
    ),
)
def approve_release(scope: Scope, release_pass: ReleasePass) -> ReleasePass:
    """Issue a pass that somebody asked for. Raises Invalid without the owner's word."""
    record = _waiting(scope, release_pass)
    _require_owner(scope, record)
    record.state, record.decided_name = ReleaseState.ISSUED, scope.actor.name[:120]
    scope.session.flush()
    return record


@service("release_pass.note_owner", title=("The owner agrees", "登记业主同意"))
def note_owner(scope: Scope, release_pass: ReleasePass, owner_word: str) -> ReleasePass:
    """Keep how the owner agreed, such as by whom he was called."""
    record = _waiting(scope, release_pass)
    record.owner_word = _said(owner_word, "owner_word")
    scope.session.flush()
    return record


@service("release_pass.refuse", title=("Refuse", "拒绝"))
def refuse_release(scope: Scope, release_pass: ReleasePass, reason: str = "") -> ReleasePass:
    """Refuse a pass that somebody asked for."""
    record = _waiting(scope, release_pass)
    record.state, record.decided_name = ReleaseState.REFUSED, scope.actor.name[:120]
    record.reason = reason.strip()[:200] or None
    scope.session.flush()
    return record


@service("release_pass.revoke", title=("Revoke", "作废"))
def revoke_release(scope: Scope, release_pass: ReleasePass, reason: str) -> ReleasePass:
    """Let an issued pass let nothing out any more; reason says why."""
    record = scope.get(ReleasePass, release_pass.id, lock=True)
    if record.state is not ReleaseState.ISSUED:
        raise Conflict(N_("Only an issued pass is revoked."))
    record.state, record.reason = ReleaseState.REVOKED, _said(reason, "reason")
    scope.session.flush()
    return record


@service("release_pass.let_out", title=("Let out", "放行"))
def let_out(scope: Scope, release_pass: ReleasePass, note: str = "") -> ReleasePass:
    """Record that what is on a pass has left, once. note: what the guard saw that differs.

    Raises Conflict, in words for the guard, when the pass lets nothing out today.
    """
    record = scope.get(ReleasePass, release_pass.id, lock=True)
    why = refusal(scope, record)
    if why:
        raise Conflict(why)
    record.state, record.left_at = ReleaseState.LEFT, scope.now
    record.guard_name, record.gate_note = scope.actor.name[:120], note.strip()[:200] or None
    scope.session.flush()
    scope.emit("things_let_out", release_pass_id=record.id, room_id=record.room_id)
    return record


def refusal(scope: Scope, record: ReleasePass) -> str:
    """Return why a pass lets nothing out now, an empty text when it does."""
    why = why_not_out(record.state, record.from_on, record.until_on, scope.today)
    return gettext(WORDS[why]) if why else ""


@service("release_pass.print", title=("Print", "打印放行条"))
def print_release(scope: Scope, release_pass: ReleasePass, address: str = "") -> Document:
    """Return a pass as PDF with its code. address: what the code opens."""
    return paper(scope, release_pass, address)


def paper(scope: Scope, record: ReleasePass, address: str) -> Document:
    """Return a pass on paper: two copies on a sheet, one stays at the gate."""
    if record.state is not ReleaseState.ISSUED:
        raise Conflict(refusal(scope, record) or N_("This pass has not been issued."))
    facts = {"record": record, "room": record.room.code, "items": record.items.splitlines(),
             "address": address or record.code}  # fmt: skip
    name = f"{gettext('Item release pass')}-{record.number:06d}.pdf"
    return render(scope, "desk:release_pass", facts, filename=name)


# --- who sees what ----------------------------------------------------------------------------


def release_of(scope: Scope, code: str) -> ReleasePass:
    """Return the pass with a code; raises NotFound."""
    query = select(ReleasePass).where(ReleasePass.code == code)
    found = None if "\0" in code else scope.session.scalars(query).one_or_none()
    if found is None:
        raise NotFound(N_("There is no such pass."))
    return found


def my_rooms(scope: Scope) -> list[Room]:
    """Return the rooms that the actor owns or lives in today."""
    rooms = select(Room).where(Room.id.in_(_held(scope))).order_by(Room.sort_key)
    return list(scope.session.scalars(rooms))


def my_releases(scope: Scope) -> Sequence[ReleasePass]:
    """Return the passes of the actor's rooms, newest first."""
    return scope.session.scalars(_mine(scope).order_by(ReleasePass.id.desc()).limit(20)).all()


def my_release(scope: Scope, release_id: UUID) -> ReleasePass:
    """Return a pass of the actor's rooms; raises NotFound."""
    found = scope.session.scalars(_mine(scope).where(ReleasePass.id == release_id)).one_or_none()
    if found is None:
        raise NotFound(N_("There is no such pass."))
    return found


def _mine(scope: Scope) -> Select[ReleasePass]:
    """Return the query of passes that he asked for, and of all for the rooms that he owns."""
    person = _me(scope)
    owned = select(Ownership.room_id).where(*_today(scope, Ownership, person))
    return select(ReleasePass).where(
        or_(ReleasePass.person_id == person, ReleasePass.room_id.in_(owned))
    )


def _me(scope: Scope) -> UUID:
    person = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person is None:
        raise NotFound(N_("You neither own a room here nor live here."))
    return person


def _held(scope: Scope) -> Select[UUID]:
    person = _me(scope)
    return (
        select(Ownership.room_id)
        .where(*_today(scope, Ownership, person))
        .union(select(Occupancy.room_id).where(*_today(scope, Occupancy, person)))
    )


def _owns(scope: Scope, room_id: UUID, person_id: UUID) -> bool:
    query = select(Ownership.id).where(
        Ownership.room_id == room_id, *_today(scope, Ownership, person_id)
    )
    return scope.session.scalars(query.limit(1)).first() is not None


def owns_any(scope: Scope, room_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of some rooms that the actor owns today."""
    query = select(Ownership.room_id).where(
        Ownership.room_id.in_(list(room_ids)), *_today(scope, Ownership, _me(scope))
    )
    return set(scope.session.scalars(query))


def _today(scope: Scope, held: type[Ownership] | type[Occupancy], person_id: UUID) -> tuple:
    return (
        held.person_id == person_id,
        held.from_on <= scope.today,
        or_(held.to_on.is_(None), held.to_on > scope.today),
    )


def _waiting(scope: Scope, release_pass: ReleasePass) -> ReleasePass:
    record = scope.get(ReleasePass, release_pass.id, lock=True)
    if record.state is not ReleaseState.REQUESTED:
        raise Conflict(N_("This was decided before."))
    return record


def _said(words: str, field: str) -> str:
    if not words.strip():
        fields = {field: gettext("Say how, or why.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    return words.strip()[:200]
