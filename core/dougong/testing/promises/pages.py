"""Promises about pages: lists answer whom they should, in both languages, and nobody else."""

from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from dougong.testing.people import make_login, sign_in
from dougong.testing.promises import Subject, promise
from dougong.web.admin import registry
from dougong.web.app import create_app

LANGUAGES = ("zh_Hans_CN", "en")


def application(subject: Subject) -> Flask:
    """Return the web application, made once per installation."""
    known: dict[str, Flask] = subject.installation.__dict__.setdefault("_test_application", {})
    if "app" not in known:
        known["app"] = create_app(subject.installation)
    return known["app"]


def views(subject: Subject) -> Iterator[Any]:
    """Yield the plugin's admin views."""
    application(subject)
    yield from (view for view in registry.views() if view.plugin() == subject.plugin)


def visitor(subject: Subject, role: str) -> FlaskClient:
    """Return a browser in which somebody with ``role`` is signed in."""
    app = application(subject)
    actor = make_login(subject.installation, subject.place, role)
    return sign_in(app, subject.installation, actor)


@promise
def every_view_shows_what_its_model_has(subject: Subject) -> Iterator[str]:
    for view in views(subject):
        known = view.all_columns()
        for part in ("columns", "filters", "search", "inline"):
            for key in (each for each in getattr(view, part) if each not in known):
                yield f"{view.__name__}.{part}: {view.model.__name__} has no {key}"


@promise
def every_list_answers_whom_it_should_in_both_languages(subject: Subject) -> Iterator[str]:
    manager = visitor(subject, "community_manager")
    for view in views(subject):
        if view.model.__kind__ != "community":
            continue
        path = f"/c/{subject.place.community_id}/admin/{view.name().replace('.', '/')}/"
        for language in LANGUAGES:
            manager.set_cookie("dougong_locale", language)
            status = manager.get(path).status_code
            if status != 200:
                yield f"{path} answers {status} in {language}"


@promise
def no_list_answers_whom_nobody_allowed(subject: Subject) -> Iterator[str]:
    cleaner = visitor(subject, "cleaner")
    for view in views(subject):
        path = f"/c/{subject.place.community_id}/admin/{view.name().replace('.', '/')}/"
        status = cleaner.get(path).status_code
        if status not in (403, 404):
            yield f"{path} answers {status} to a cleaner"


@promise
def no_page_of_it_answers_where_it_is_off(subject: Subject) -> Iterator[str]:
    community = subject.place_without_plugins.community_id
    actor = make_login(
        subject.installation, subject.place_without_plugins, "community_manager", community
    )
    manager = sign_in(application(subject), subject.installation, actor)
    addresses = [f"/c/{community}/admin/{v.name().replace('.', '/')}/" for v in views(subject)]
    for path in [*addresses, *own_pages(subject, str(community))]:
        status = manager.get(path).status_code
        if status != 404:
            yield f"{path} answers {status} where the plugin is off"


@promise
def no_page_of_it_fails(subject: Subject) -> Iterator[str]:
    manager = visitor(subject, "community_manager")
    for path in own_pages(subject, str(subject.place.community_id)):
        status = manager.get(path).status_code
        if status >= 500:
            yield f"{path} answers {status}"


def own_pages(subject: Subject, community: str) -> list[str]:
    """Return the addresses of the plugin's own pages that need nothing but the scope."""
    prefix = f"/<scope:scope>/{subject.plugin}/"
    return [
        rule.rule.replace("<scope:scope>", f"c/{community}")
        for rule in application(subject).url_map.iter_rules()
        if rule.rule.startswith(prefix)
        and rule.arguments == {"scope"}
        and "GET" in (rule.methods or ())
    ]
