"""Where an actor may go, and why he cannot see something."""

from dougong.db.scope import Scope
from dougong.tenancy.operations import CommunityFacts, GroupFacts


def reachable(scope: Scope, group: GroupFacts) -> list[CommunityFacts]:
    """Return the communities of a group that the actor's roles reach."""
    grants = [g for g in scope.actor.grants if g.role != "resident"]
    return [c for c in group.communities if any(g.reaches(group.id, c.id) for g in grants)]
