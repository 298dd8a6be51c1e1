"""Searching a list: any part of a text, in time that is bounded however long the list is.

Row-level security keeps LIKE and trigrams from using an index (they are not leakproof), and the
embedded server's locale knows no trigrams of Chinese. So a beginning is a range, which an index
finds among any number of rows; any other part is looked for among the newest ``WINDOW`` rows. The
page says so when a list is longer.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Select,
    Uuid,
    and_,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from dougong.db.scope import Scope
from dougong.web.admin.views import Column, RecordView

MOST_MATCHES = 200
WINDOW = 20_000
LEAST_OF_A_PLACE = 500
LAST_CHARACTER = "\U0010ffff"
OWN = -1


def condition(scope: Scope, view: type[RecordView], words: str) -> Any:
    """Return the condition that some searched column contains words, or a personal value is them.

    What the record refers to is searched by its code or name. One statement looks up the matches
    inside the windows; where there are many, the first page comes soon whatever way is taken.
    """
    known = view.seen_columns(scope)
    searched = [known[key] for key in view.search if key in known]
    choices: list[Any] = []
    for column in searched:
        if column.encrypted is not None:
            choices += _personal(scope, view.model, column, words)
    texts = [c for c in searched if c.encrypted is None and c.kind != "relation"]
    relations = [c for c in searched if c.encrypted is None and c.kind == "relation"]
    choices += _found(scope, view.model, texts, relations, words)
    return or_(false(), *choices)


def _personal(scope: Scope, model: Any, column: Column, words: str) -> Iterator[Any]:
    bound = getattr(model, column.key)
    yield bound.matches(scope, words)
    if len(words) == 4 and column.encrypted is not None and column.encrypted.search == "last4":
        yield bound.ends_with(scope, words)


def _found(
    scope: Scope,
    model: Any,
    texts: Sequence[Column],
    relations: Sequence[Column],
    words: str,
) -> Iterator[Any]:
    """Yield conditions for the record's own texts and for what it refers to."""
    own = [getattr(model, column.key) for column in texts]
    names = {n: _name_of(column.target) for n, column in enumerate(relations)}
    parts = [
        _matches(scope, column.target, [names[n]], words, n) for n, column in enumerate(relations)
    ]
    if own:
        parts.append(_matches(scope, model, own, words, OWN))
    if not parts:
        return
    found: dict[int, list[UUID]] = {}
    for which, identity in scope.session.execute(union_all(*parts)):
        found.setdefault(which, []).append(identity)
    yield from (starts(attribute, words) for attribute in own)
    mine = found.get(OWN, [])
    if len(mine) > MOST_MATCHES:
        yield or_(*(contains(attribute, words) for attribute in own))
    elif mine:
        yield model.id.in_(mine)
    for number, column in enumerate(relations):
        ids = found.get(number, [])
        attribute = getattr(model, column.attribute)
        if len(ids) > MOST_MATCHES:
            yield attribute.in_(select(column.target.id).where(contains(names[number], words)))
        elif ids:
            yield attribute.in_(ids)


def _matches(
    scope: Scope, model: Any, attributes: Sequence[Any], words: str, which: int
) -> Select[Any]:
    """Return the query of at most 201 ids: beginnings anywhere, any part inside the window."""
    window = window_of(scope, model, attributes)
    inside = select(window.c[0]).where(
        or_(*(contains(column, words) for column in list(window.c)[1:]))
    )
    found = [inside]
    if which != OWN:
        found.append(select(model.id).where(or_(*(starts(a, words) for a in attributes))))
    some = [query.limit(MOST_MATCHES + 1).subquery() for query in found]
    both = union_all(*(select(each.c[0]) for each in some)).subquery()
    unique = select(both.c[0].label("id")).distinct().limit(MOST_MATCHES + 1).subquery()
    return select(literal(which).label("which"), unique.c.id)


def window_of(scope: Scope, model: Any, attributes: Sequence[Any]) -> Any:
    """Return the newest rows of the list as a subquery: id, then the attributes.

    Of many communities each gives its share, for the order of a key holds within one only.
    """
    query = select(model.id, *attributes).order_by(model.id.desc())
    places = scope.readable
    if scope.community_id is not None or model.__kind__ != "community" or len(places) < 2:
        return query.limit(WINDOW).subquery()
    ids = func.unnest(cast(list(places), ARRAY(Uuid))).table_valued("id").render_derived("place")
    share = max(WINDOW // len(places), LEAST_OF_A_PLACE)
    some = query.where(model.community_id == ids.c.id).limit(share).correlate(ids).lateral("some")
    return select(*some.c).select_from(ids.join(some, true())).subquery()


def starts(attribute: Any, words: str) -> Any:
    """Return the condition that a text starts with words, as a range that an index serves."""
    return and_(attribute >= words, attribute < words + LAST_CHARACTER)


def contains(attribute: Any, words: str) -> Any:
    """Return the condition that a text has words in it; Latin letters in either case."""
    return func.strpos(func.lower(attribute), words.lower()) > 0


def _name_of(target: Any) -> Any:
    return target.code if hasattr(target, "code") else target.name
