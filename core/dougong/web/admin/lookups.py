"""Finding records by a few characters: for forms, filters and the palette. Always capped."""

from typing import Any

from flask import url_for
from sqlalchemy import inspect as sa_inspect
from sqlalchemy import or_, select

from dougong.db import ciphers
from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.hookspecs import SearchHit
from dougong.i18n import N_, gettext
from dougong.tenancy.models import Person, Room
from dougong.web.admin import registry
from dougong.web.admin.menu import Section
from dougong.web.admin.searching import contains, starts, window_of
from dougong.web.admin.views import RecordView
from dougong.web.app import require_scope

MOST = 50
NAMES = ("code", "name", "serial", "number", "title")


def target_of(scope: Scope, view: type[RecordView], key: str) -> Any:
    """Return the model that a relation's id column refers to; raises NotFound."""
    column = view.seen_columns(scope).get(key.removesuffix("_id"))
    if column is None or column.target is None:
        raise NotFound(N_("There is no such page."))
    return column.target


def name_column(model: Any) -> Any:
    """Return the column that people know a model's records by, None when it has none."""
    known = sa_inspect(model).columns.keys()
    return next((getattr(model, name) for name in NAMES if name in known), None)


def choices(scope: Scope, model: Any, words: str) -> list[dict[str, str]]:
    """Return id and label of at most fifty records whose name has ``words`` in it."""
    name = name_column(model)
    query = select(model).limit(MOST)
    if name is not None:
        order = getattr(model, "sort_key", None)
        query = query.order_by(name if order is None else order, name)
        if words:
            window = window_of(scope, model, [name])
            inside = select(window.c[0]).where(contains(window.c[1], words))
            query = query.where(or_(starts(name, words), model.id.in_(inside)))
    return [{"id": str(r.id), "label": label_of(r)} for r in scope.session.scalars(query)]


def short_list(scope: Scope, model: Any, field: Any) -> list[tuple[str, str]]:
    """Return the first fifty records to choose from in a list's cell, and the one that is set."""
    found = {each["id"]: each["label"] for each in choices(scope, model, "")}
    if field.value:
        found.setdefault(field.value, field.shown)
    return [*([] if field.is_required else [("", "—")]), *found.items()]


def label_of(record: Any) -> str:
    """Return what a record is called in a list of choices; people with their masked phone."""
    if isinstance(record, Person) and is_seen(record, "phone"):
        return f"{record.name} {ciphers.mask('phone', record.phone)}".strip()
    return str(record)


def is_seen(record: Any, attribute: str) -> bool:
    """Tell whether an attribute of a record is there for the actor of this request."""
    return require_scope().restrictions(type(record)).get(attribute) != "hide"


def pages(menu: list[Section], words: str) -> list[SearchHit]:
    """Return the menu's lines that hold ``words``."""
    wanted = words.casefold()
    kind = gettext(N_("Page"))
    return [
        SearchHit(item.label, item.url, kind, section.title)
        for section in menu
        for item in section.items
        if wanted in item.label.casefold()
    ][:6]


def records(scope: Scope, words: str) -> list[SearchHit]:
    """Return rooms by code and people by name, phone or identity number."""
    hits: list[SearchHit] = []
    searched: list[tuple[Any, Any]] = [
        (Room, _by_code(words)),
        (Person, _by_person(scope, words)),
    ]
    for model, condition in searched:
        view = registry.view_of(model)
        if view is None or not view.may(scope, "view"):
            continue
        query = select(model).where(condition).limit(8)
        for record in scope.session.scalars(query):
            url = url_for(
                "admin.details",
                scope=f"c/{record.community_id}",
                plugin="dougong",
                model=model.__tablename__,
                id=record.id,
            )
            hits.append(SearchHit(label_of(record), url, view.label()))
    return hits


def _by_code(words: str) -> Any:
    return starts(Room.code, words)


def _by_person(scope: Scope, words: str) -> Any:
    found = [starts(Person.name, words)]
    hidden = scope.restrictions(Person)
    if scope.community_id is not None and len(words) >= 4:
        for key in ("phone", "id_number"):
            if hidden.get(key) != "hide":
                found.append(getattr(Person, key).matches(scope, words))
        if len(words) == 4 and hidden.get("phone") != "hide":
            found.append(Person.phone.ends_with(scope, words))  # type: ignore[union-attr]
    return or_(*found)


def placed(scope: Scope, hit: SearchHit) -> SearchHit:
    """Return a plugin's hit with its address made whole: plugins give it relative to the scope."""
    if hit.url.startswith("/"):
        return hit
    return SearchHit(hit.title, f"/{scope.url_part}/{hit.url}", hit.kind, hit.note)
