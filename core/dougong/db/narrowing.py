"""Which rows of a model an actor sees in a scope: ORM criteria, the layer above row-level security.

Every model that a statement names is narrowed, as an entity, in a join, a count or a subquery: to
the scope's communities, to the buildings where the model's plugin is on and the actor's roles
reach, and by the model's record rules. A page of a group shows of each community what that
community's own page would show.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import or_
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlalchemy.sql import visitors

from dougong.db.base import InCommunity, InGroup, Row, plugin_of_module
from dougong.db.buildings import building_condition, building_path
from dougong.db.rules import RULES, RecordRule

if TYPE_CHECKING:
    from dougong.db.scope import Scope

Limit = frozenset[UUID] | None
NOWHERE: frozenset[UUID] = frozenset()


def narrow(state: ORMExecuteState) -> None:
    """Add what the scope of the session narrows to the statement that it is about to send."""
    scope: Scope | None = state.session.info.get("scope")
    if scope is None or state.is_column_load or state.is_relationship_load:
        return
    if not (state.is_select or state.is_update or state.is_delete):
        return
    options = [*_by_key(scope)]
    if not state.execution_options.get("without_rules"):
        options += _by_rules(scope)
    if not _is_whole(scope):
        for model in _models_of(state):
            options += _by_place(scope, model)
    state.statement = state.statement.options(*options)


def _is_whole(scope: "Scope") -> bool:
    """Tell whether the actor sees each model in all communities and buildings, or in none."""
    if "is_whole" not in scope.narrowed:
        switched = [*scope.places.values()]
        scope.narrowed["is_whole"] = (
            len(scope.grants_here) <= 1
            and not any(g.buildings is not None for grants in scope.grants_here for g in grants)
            and all(each == switched[0] for each in switched)
            and all(only is None for only in scope.enablement.values())
        )
    return scope.narrowed["is_whole"]


def _models_of(state: ORMExecuteState) -> set[type[Row]]:
    """Return the models that a statement names anywhere; `all_mappers` knows the result's only."""
    found = {mapper.class_ for mapper in state.all_mappers}
    statement: Any = state.statement
    for element in visitors.iterate(statement):
        entity: Any = element._annotations.get("parententity")
        if entity is not None:
            found.add(entity.mapper.class_)
    return {model for model in found if issubclass(model, Row)}


def _by_key(scope: "Scope") -> Iterable[Any]:
    community, group, readable = scope.community_id, scope.group_id, scope.readable
    if community is not None:
        yield with_loader_criteria(
            InCommunity, lambda cls: cls.community_id == community, include_aliases=True
        )
    else:
        yield with_loader_criteria(
            InCommunity, lambda cls: cls.community_id.in_(readable), include_aliases=True
        )
    yield with_loader_criteria(InGroup, lambda cls: cls.group_id == group, include_aliases=True)


def _by_place(scope: "Scope", model: type[Row]) -> list[Any]:
    if model not in scope.narrowed:
        condition = place_condition(scope, model) if issubclass(model, InCommunity) else None
        scope.narrowed[model] = _criteria(model, condition)
    return scope.narrowed[model]


def _by_rules(scope: "Scope") -> list[Any]:
    """Return the record rules that narrow this actor; `why` pages look past them to name one."""
    if "rules" not in scope.narrowed:
        scope.narrowed["rules"] = [
            each
            for model, rules in RULES.items()
            for rule in rules
            for each in _criteria(model, rule_condition(scope, rule))
        ]
    return scope.narrowed["rules"]


def rule_condition(scope: "Scope", rule: RecordRule) -> Any:
    """Return the condition by which a rule narrows this actor; None where it does not."""
    if rule.title is None:
        return rule.condition(scope)
    narrowed = {c for c in scope.readable if _chosen(scope, rule, c)}
    condition = rule.condition(scope) if narrowed else None
    if condition is None or len(narrowed) == len(scope.readable):
        return condition
    return or_(rule.model.community_id.not_in(narrowed), condition)


def _chosen(scope: "Scope", rule: RecordRule, community: UUID) -> bool:
    """Tell whether each role by which the actor views the model in a community has the rule."""
    viewing = [
        grant
        for grant in scope.actor.grants
        if grant.reaches(scope.group_id, community) and grant.allows(rule.view)
    ]
    return bool(viewing) and all(rule.full_name in grant.rules for grant in viewing)


def _criteria(model: type, condition: Any) -> list[Any]:
    if condition is None:
        return []
    return [with_loader_criteria(model, condition, include_aliases=True)]


def place_condition(scope: "Scope", model: Any) -> Any:
    """Return the condition that rows of ``model`` are where the actor sees them; None for all."""
    if scope.community_id is not None:
        only = scope.buildings_of(model.__schema__)
        return None if only is None else building_condition(model, only)
    view = f"{plugin_of_module(model.__module__)}.{model.__tablename__}.view"
    viewing = scope.where_may(view)
    whole: list[UUID] = []
    buildings: set[UUID] = set()
    for community in scope.readable:
        # Who may view the model nowhere reads it for another page's sake, as in one community.
        may_view = community in viewing or not viewing
        limit = _limit(scope, model, community) if may_view else NOWHERE
        if limit is None or (limit and building_path(model) is None):
            whole.append(community)
        else:
            buildings |= limit
    if len(whole) == len(scope.readable):
        return None
    condition = model.community_id.in_(whole)
    inside = building_condition(model, frozenset(buildings)) if buildings else None
    return condition if inside is None else or_(condition, inside)


def _limit(scope: "Scope", model: Any, community: UUID) -> Limit:
    """Return the only buildings of a community where the actor sees ``model``, None for all."""
    reaching = [g for g in scope.actor.grants if g.reaches(scope.group_id, community)]
    roles: Limit = None
    if reaching and all(g.buildings is not None for g in reaching):
        roles = frozenset().union(*(g.buildings or NOWHERE for g in reaching))
    if model.__schema__ == "dougong":
        return roles
    switched = scope.places.get(community, {}).get(model.__schema__, NOWHERE)
    if roles is None or switched is None:
        return switched if roles is None else roles
    return switched & roles


__all__ = ["narrow", "place_condition", "rule_condition"]
