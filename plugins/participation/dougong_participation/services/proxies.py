"""Proxies: an owner lets somebody of the community vote in his stead, until a ballot is cast."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from dougong.db import Scope
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong.services import service
from dougong.tenancy.models import Person
from dougong_participation.errors import WrongState
from dougong_participation.models import Vote, VoteProxy
from dougong_participation.services.people import me
from dougong_participation.services.votes import PORTAL, my_rights, open_one


@service("vote.entrust_mine", title=("Let somebody vote", "委托投票"), permission=PORTAL)
def entrust_vote(scope: Scope, vote_id: UUID, proxy_id: UUID) -> VoteProxy:
    """Let another person of the community vote in one's stead; the same again changes who.

    Raises WrongState after one's ballot, NotFound without a right, Invalid for oneself.
    """
    vote, owner = _still_mine(scope, vote_id)
    if proxy_id == owner:
        raise _invalid("name", gettext("This is yourself."))
    proxy = scope.get(Person, proxy_id)
    known = my_proxy(scope, vote)
    if known is None:
        known = VoteProxy(vote_id=vote.id, owner_id=owner)
        scope.session.add(known)
    known.proxy_id = proxy.id
    scope.session.flush()
    scope.session.expire(known, ["proxy"])
    words = {"owner": scope.get(Person, owner).name, "title": vote.title, "until": vote.closes_on}
    link = f"participation/my/votes/{vote.id}"
    notify(scope, proxy, "participation:vote_entrusted", words, link=link)
    return known


@service("vote.entrust_by_name", title=("Let somebody vote", "委托投票"), permission=PORTAL)
def entrust_by_name(scope: Scope, vote_id: UUID, name: str, phone: str) -> VoteProxy:
    """Let the person with this name and phone vote in one's stead.

    Both have to be right, and the answer does not say which was not, so that nobody finds out
    who lives here. Raises Invalid, and what `entrust_vote` does.
    """
    given = {"name": name.strip(), "phone": phone.strip()}
    missing = {field: gettext("This is needed.") for field, said in given.items() if not said}
    if missing:
        raise Invalid(N_("Some fields are not right yet."), fields=missing)
    found = scope.session.scalars(
        select(Person.id).where(
            Person.name == given["name"], Person.phone.matches(scope, given["phone"])
        )
    ).all()
    if len(found) != 1:
        said = gettext("Nobody of this name with this phone is known here. Ask the desk.")
        raise _invalid("name", said)
    return entrust_vote(scope, vote_id, found[0])


@service("vote.take_back_mine", title=("Take the proxy back", "撤回委托"), permission=PORTAL)
def take_back_proxy(scope: Scope, vote_id: UUID) -> Vote:
    """Vote oneself again. Raises WrongState once the proxy has voted, NotFound without a proxy."""
    vote, _owner = _still_mine(scope, vote_id)
    known = my_proxy(scope, vote)
    if known is None:
        raise NotFound(N_("You have let nobody vote for you."))
    scope.session.delete(known)
    scope.session.flush()
    return vote


def my_proxy(scope: Scope, vote: Vote) -> VoteProxy | None:
    """Return by whom the actor lets himself be represented in a vote."""
    query = select(VoteProxy).where(VoteProxy.vote_id == vote.id, VoteProxy.owner_id == me(scope))
    return scope.session.scalars(query.options(joinedload(VoteProxy.proxy))).first()


def _still_mine(scope: Scope, vote_id: UUID) -> tuple[Vote, UUID]:
    """Return an open vote and the actor, whose ballot nobody has cast yet."""
    vote = open_one(scope, vote_id)
    own = [each.right for each in my_rights(scope, vote, is_locked=True) if not each.is_proxy]
    if not own:
        raise NotFound(N_("You have no right to vote in this matter."))
    if any(right.cast_at is not None for right in own):
        raise WrongState(N_("You have voted already; a ballot is final."))
    return vote, me(scope)


def _invalid(field: str, words: str) -> Invalid:
    return Invalid(N_("Some fields are not right yet."), fields={field: words})
