"""The pages of one record: details, history, form, cells, actions."""

from typing import Any
from uuid import UUID

from flask import jsonify, render_template, request, url_for
from sqlalchemy import select

from dougong import services
from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.privacy.detector import warnings_of
from dougong.web.admin import extensions, lookups
from dougong.web.admin.actions import input_fields
from dougong.web.admin.details import (
    details_of,
    link_of,
    record_options,
    related_lists,
    shown_panels,
    timeline_of,
    undo_last,
)
from dougong.web.admin.forms import FormField, fingerprint, form_fields, values_from
from dougong.web.admin.menu import list_url
from dougong.web.admin.pages import (
    Crumb,
    allowed_actions,
    blueprint,
    crumbs,
    find_view,
    go,
    record_url,
)
from dougong.web.admin.views import RecordAction, RecordView
from dougong.web.app import require_scope

BULK_LIMIT = 500


# --- one record -----------------------------------------------------------------------------------


@blueprint.get("/<plugin>/<model>/<uuid:id>/")
def details(plugin: str, model: str, id: UUID) -> str:
    """Show a record with what other plugins know of it."""
    scope = require_scope()
    view = find_view(plugin, model)
    record = scope.get(view.model, id, options=record_options(scope, view))
    panels = [p for answer in scope.ask("record_panels", record=record) for p in answer]
    return render_template(
        "admin/details.html",
        view=view,
        record=record,
        facts=details_of(scope, view, record),
        panels=shown_panels(scope, panels),
        related=related_lists(scope, view, record),
        link_of=link_of,
        actions=_offered(scope, view, record),
        crumbs=crumbs(view, (str(record), None)),
    )


def _offered(scope: Scope, view: type[RecordView], record: Any) -> list[RecordAction]:
    if scope.community_id is None and view.model.__kind__ != "group":
        return []
    return [a for a in allowed_actions(scope, view) if a.is_offered(record)]


@blueprint.get("/<plugin>/<model>/<uuid:id>/timeline")
def timeline(plugin: str, model: str, id: UUID) -> str:
    """Return the record's history from the audit log."""
    view = find_view(plugin, model)
    scope = require_scope()
    record = scope.get(view.model, id)
    return render_template(
        "admin/timeline.html",
        view=view,
        record=record,
        entries=timeline_of(scope, record, request.args.get("before")),
    )


@blueprint.route("/<plugin>/<model>/new", methods=["GET", "POST"])
def new(plugin: str, model: str) -> Any:
    """Show the empty form, or create the record."""
    scope = require_scope()
    view = find_view(plugin, model, "create")
    if request.method == "GET":
        given = {k: v for k, v in request.args.items() if k in view.form_keys()}
        fields = form_fields(scope, view, None, given or None)
        return _form(view, fields + extensions.fields(scope, view, None))
    return _save(view, None)


@blueprint.route("/<plugin>/<model>/<uuid:id>/edit", methods=["GET", "POST"])
def edit(plugin: str, model: str, id: UUID) -> Any:
    """Show the form of a record, or change it."""
    scope = require_scope()
    view = find_view(plugin, model, "change")
    record = scope.get(view.model, id, lock=request.method == "POST")
    if request.method == "GET":
        warnings = warnings_of(record)
        fields = form_fields(scope, view, record)
        for field in fields:
            field.hint = warnings.get(field.name, field.hint)
        return _form(view, fields + extensions.fields(scope, view, record), record)
    return _save(view, record)


def _save(view: type[RecordView], record: Any | None) -> Any:
    """Create or change the record that a form describes; show the form again when it is wrong."""
    scope = require_scope()
    given = {k: v.replace("\0", "") for k, v in request.form.items()}
    if record is not None and given.get("fingerprint") != fingerprint(record):
        return _conflict(view, record, given)
    try:
        with scope.session.begin_nested():
            values = values_from(scope, view, given, record)
            if record is None:
                saved_record = services.create(scope, view.model, values)
            else:
                saved_record = services.change(scope, record, values)
            extensions.save(scope, view, saved_record, given)
    except (Invalid, Conflict) as error:
        errors = getattr(error, "fields", {})
        fields = form_fields(scope, view, record, given, errors)
        fields += extensions.fields(scope, view, record, given, errors)
        shown = {field.name for field in fields}
        message = translate_error(error)
        other = [text for name, text in errors.items() if name not in shown]
        return _form(view, fields, record, " ".join([message, *other])), error.status
    verb = "created" if record is None else "changed"
    if record is None and given.get("again"):
        return go(f"{list_url(view)}new?done={verb}")
    # What looks like somebody's number in a free text is saved, and shown with a warning.
    page = "edit" if warnings_of(saved_record) else "details"
    return go(f"{record_url(view, saved_record, page)}?done={verb}")


def _conflict(view: type[RecordView], record: Any, given: dict[str, str]) -> Any:
    """Show both values of what somebody else changed since the form was opened."""
    scope = require_scope()
    theirs = {f.name: f for f in form_fields(scope, view, record)}
    fields = form_fields(scope, view, record, given)
    for field in fields:
        other = theirs[field.name]
        if field.kind != "personal" and other.value != field.value:
            shown = other.shown or dict(other.choices).get(other.value, other.value)
            field.hint = gettext(N_("Now saved: %(value)s"), value=shown or "—")
    message = gettext(
        N_(
            "Somebody else changed this record while you were typing. Your values are still here,"
            " with theirs below; save again to keep yours."
        )
    )
    return _form(view, fields, record, message), 409


def _form(
    view: type[RecordView], fields: list[FormField], record: Any | None = None, message: str = ""
) -> str:
    title = (
        gettext(N_("Change %(what)s"), what=record)
        if record is not None
        else gettext(N_("New: %(what)s"), what=view.label())
    )
    path: list[Crumb] = [(title, None)]
    if record is not None:
        path.insert(0, (str(record), record_url(view, record)))
    plugin, _, model = view.name().partition(".")
    for field in fields:
        if field.kind == "relation":
            field.lookup = url_for("admin.lookup", plugin=plugin, model=model, key=field.name)
    return render_template(
        "admin/form.html",
        view=view,
        fields=fields,
        record=record,
        message=message,
        form_title=title,
        fingerprint=fingerprint(record) if record is not None else "",
        crumbs=crumbs(view, *path),
    )


@blueprint.post("/<plugin>/<model>/<uuid:id>/delete")
def delete(plugin: str, model: str, id: UUID) -> Any:
    """Delete a record; the list then offers to undo it."""
    scope = require_scope()
    view = find_view(plugin, model, "delete")
    services.delete(scope, scope.get(view.model, id, lock=True))
    return go(f"{list_url(view)}?done=deleted&record={id}")


@blueprint.post("/<plugin>/<model>/<uuid:id>/undo")
def undo(plugin: str, model: str, id: UUID) -> Any:
    """Take back the last change or deletion of a record, from the audit log's image."""
    scope = require_scope()
    view = find_view(plugin, model, "change")
    record = undo_last(scope, view, id)
    return go(f"{record_url(view, record)}?done=undone")


# --- inline edit, look-up -------------------------------------------------------------------------


@blueprint.route("/<plugin>/<model>/<uuid:id>/cell/<key>", methods=["GET", "POST"])
def cell(plugin: str, model: str, id: UUID, key: str) -> Any:
    """Return one cell as an input, or save it and return it as text."""
    scope = require_scope()
    view = find_view(plugin, model, "change")
    column = view.seen_columns(scope).get(key)
    if column is None or key not in view.inline_keys(scope):
        raise NotFound(N_("There is no such page."))
    record = scope.get(view.model, id, lock=request.method == "POST")
    name, error = column.attribute, ""
    if request.method == "POST" and "cancel" not in request.form:
        try:
            with scope.session.begin_nested():
                values = values_from(scope, view, request.form, record)
                services.change(scope, record, {k: v for k, v in values.items() if k == name})
        except (Invalid, Conflict) as refused:
            error = getattr(refused, "fields", {}).get(name) or translate_error(refused)
    is_editing = request.method == "GET" or bool(error)
    given = dict(request.form) if error else None
    field = next(f for f in form_fields(scope, view, record, given) if f.name == name)
    field.error = error
    if field.kind == "relation" and is_editing:
        field.choices = lookups.short_list(scope, column.target, field)
    page = render_template(
        "admin/cell.html",
        view=view,
        record=record,
        column=column,
        field=field,
        is_editing=is_editing,
    )
    return page, 422 if error else 200


@blueprint.get("/<plugin>/<model>/lookup/<key>")
def lookup(plugin: str, model: str, key: str) -> Any:
    """Return at most fifty related records for a form's field."""
    scope = require_scope()
    view = find_view(plugin, model)
    target = lookups.target_of(scope, view, key)
    words = request.args.get("q", "").replace("\0", "").strip()[:60]
    return jsonify(lookups.choices(scope, target, words))


# --- actions --------------------------------------------------------------------------------------


def _find_action(view: type[RecordView], key: str) -> RecordAction:
    found = next((a for a in view.actions if a.key == key), None)
    if found is None:
        raise NotFound(N_("There is no such page."))
    require_scope().require(found.service.permission)
    return found


@blueprint.route("/<plugin>/<model>/action/<key>", methods=["POST"])
def act(plugin: str, model: str, key: str) -> Any:
    """Ask for what an action needs, then run it on the chosen records and report each."""
    scope = require_scope()
    view = find_view(plugin, model)
    action = _find_action(view, key)
    ids = _ids()
    inputs = action.inputs
    is_asked = "sure" in request.form
    if (inputs or action.confirm) and not is_asked:
        return _ask(view, action, ids, {}, {})
    arguments = {n: request.form[n].strip() for n in inputs if request.form.get(n, "").strip()}
    done, refused = 0, []
    for id in ids:
        try:
            with scope.session.begin_nested():
                record = scope.get(view.model, id)
                scope.call(action.service.name, **{action.record_argument: record.id}, **arguments)
            done += 1
        except DougongError as error:
            fields = getattr(error, "fields", {})
            if set(fields) & set(inputs):
                return _ask(view, action, ids, dict(request.form), fields), 422
            refused.append((_name(scope, view, id), _sentence(error)))
    if len(ids) == 1 and not refused:
        record = scope.session.scalars(select(view.model).where(view.model.id == ids[0])).first()
        target = record_url(view, record) if record is not None else list_url(view)
        return go(f"{target}?done=acted")
    return render_template(
        "admin/acted.html",
        view=view,
        action=action,
        done=done,
        refused=refused,
        crumbs=crumbs(view, (str(action.service.title), None)),
    )


def _sentence(error: DougongError) -> str:
    return " ".join([translate_error(error), *getattr(error, "fields", {}).values()])


def _ids() -> list[UUID]:
    try:
        ids = [UUID(value) for value in dict.fromkeys(request.form.getlist("ids"))]
    except ValueError:
        raise NotFound(N_("There is no such record here (%(kind)s)."), kind="id") from None
    if not ids:
        raise Invalid(N_("Choose at least one row first."))
    if len(ids) > BULK_LIMIT:
        raise Invalid(N_("Choose at most %(number)s rows."), number=BULK_LIMIT)
    return ids


def _name(scope: Scope, view: type[RecordView], id: UUID) -> str:
    record = scope.session.scalars(select(view.model).where(view.model.id == id)).first()
    return str(record) if record is not None else str(id)


def _ask(
    view: type[RecordView],
    action: RecordAction,
    ids: list[UUID],
    given: dict[str, str],
    errors: dict[str, str],
) -> str:
    scope = require_scope()
    names = [_name(scope, view, id) for id in ids[:10]]
    return render_template(
        "admin/action.html",
        view=view,
        action=action,
        ids=ids,
        names=names,
        fields=input_fields(action, given, errors),
        crumbs=crumbs(view, (str(action.service.title), None)),
    )
