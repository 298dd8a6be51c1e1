"""Which people someone may see."""

from typing import Any

from sqlalchemy import false

from dougong.db import Scope, record_rule
from dougong.tenancy.models import Person

PROTECTED = "dougong.person.view_protected"


@record_rule(
    Person,
    reason=(
        "Protected households are shown only to those who care for them"
        " (permission dougong.person.view_protected).",
        "重点照护的人员只对负责照护的岗位显示（权限 dougong.person.view_protected）。",
    ),
)
def protected_people_are_for_their_carers(scope: Scope) -> Any:
    caring = scope.where_may(PROTECTED)
    if len(caring) == len(scope.readable) or not scope.actor.grants:
        return None
    visible = Person.is_protected == false()
    if caring:
        visible |= Person.community_id.in_(caring)
    own = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    return visible if own is None else visible | (Person.id == own)
