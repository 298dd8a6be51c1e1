"""Every route × role × foreign community × missing CSRF × bad id, from the route map.

A page that somebody adds is tested from the day it is there: never a 500, a stranger learns
nothing, a reader changes nothing, and nothing is changed without the session's own token.
"""

from dataclasses import dataclass
from itertools import product
from urllib.parse import quote

import pytest
from sqlalchemy import text
from werkzeug.routing import AnyConverter, IntegerConverter, UUIDConverter

from dougong.access.operations import create_user, link_person
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.testing.factories import make_place
from dougong.testing.people import make_login, sign_in
from dougong.web.app import SESSION_COOKIE, _csrf_for, create_app

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
ENDS_SESSION = {"sign_in.leave"}
# What a reader may write: things of his own that nobody else sees.
PERSONAL = {"admin.save_view", "admin.export_records"}
# The document of the API is the same for everybody in the place.
SHOWN_TO_RESIDENTS = {"api.openapi"}
# Programs of strangers post there without a session; each message must prove itself (from_outside).
PROVE_THEMSELVES = {"payment_notice"}
BAD = ("not-a-uuid", "..", "\x00", "😀'\"<b>", "9" * 400, "%0aX: y")
FIELDS = """
    id ids name login role reason key value page after before size sort q next code password
    amount date from to locale text body title email url file kind state
"""
JUNK = ("\x00", "not-a-uuid", "9" * 400, "2026-13-45", "%0aX: y", "😀")


@dataclass
class Route:
    """One rule of the map with the methods that it answers."""

    rule: object
    methods: tuple

    @property
    def endpoint(self):
        return self.rule.endpoint

    @property
    def is_scoped(self):
        return "scope" in self.rule.arguments

    @property
    def variables(self):
        return sorted(self.rule.arguments - {"scope"})

    def address(self, scope, **values):
        """Return an address; what ``values`` does not say is made up from the converter."""
        path = self.rule.rule
        for name, converter in self.rule._converters.items():
            value = scope if name == "scope" else values.get(name, made_up(name, converter))
            start = path.index("<")
            path = path[:start] + quote(str(value), safe="/") + path[path.index(">") + 1 :]
        return path


def made_up(name, converter):
    if isinstance(converter, UUIDConverter):
        return uuid7()
    if isinstance(converter, IntegerConverter):
        return 1
    if isinstance(converter, AnyConverter):
        return sorted(converter.items)[0]
    return {"plugin": "dougong", "model": "room", "name": "room"}.get(name, "nothing")


@pytest.fixture(scope="module")
def place(installation):
    return make_place(installation)


@pytest.fixture(scope="module")
def foreign(installation):
    return make_place(installation)


@pytest.fixture(scope="module")
def app(installation, place):
    return create_app(installation)


@pytest.fixture(scope="module")
def routes(app):
    return [
        Route(rule, tuple(sorted(rule.methods - {"HEAD", "OPTIONS"})))
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "assets.serve"
    ]


@pytest.fixture(autouse=True)
def no_limit(monkeypatch):
    monkeypatch.setattr("dougong.web.api.limits.DEFAULT_PER_MINUTE", 10**9)


@pytest.fixture
def visit(app, installation, place, foreign):
    """Return a function that makes the browser of a role, and its CSRF token."""

    def owner():
        with installation.access() as session:
            user = create_user(session, f"o{uuid7().hex}", "业主")
            link_person(session, user.id, place.community_id, place.person_ids[0])
            return Actor(user.id, user.name)

    logins = {
        "owner": owner,
        "manager": lambda: make_login(installation, place, "community_manager"),
        "auditor": lambda: make_login(installation, place, "auditor"),
        "audit administrator": lambda: make_login(installation, place, "audit_administrator"),
        "foreign manager": lambda: make_login(installation, foreign, "community_manager"),
    }

    def made(role):
        if role == "anonymous":
            return Visitor(app, app.test_client())
        actor = logins[role]()
        return Visitor(app, sign_in(app, installation, actor), actor)

    return made


class Visitor:
    """A browser that knows its CSRF token, and starts again when it signed out."""

    def __init__(self, app, browser, actor=None):
        self.browser, self.actor = browser, actor
        cookie = browser.get_cookie(SESSION_COOKIE)
        with app.app_context():
            self.token = _csrf_for(cookie.value if cookie else "")

    def ask(self, method, address, *, is_genuine=True, origin=None, **form):
        headers = {"X-CSRF-Token": self.token} if is_genuine else {}
        if origin:
            headers["Origin"] = origin
        data = form if method in UNSAFE else None
        answer = self.browser.open(address, method=method, headers=headers, data=data)
        answer.close()
        return answer.status_code


def asked(visitor, routes, scope, values=(), methods=None, **options):
    """Yield (route, method, address, status) for every route and method, or only some methods."""
    for route in sorted(routes, key=lambda r: r.endpoint in ENDS_SESSION):
        for method in (m for m in route.methods if methods is None or m in methods):
            address = route.address(scope, **dict(values))
            yield route, method, address, visitor.ask(method, address, **options)


def scope_of(place):
    return f"c/{place.community_id}"


@pytest.fixture(scope="module")
def walks():
    return {}


@pytest.fixture
def walk(walks, visit, routes, place):
    """Return a function that tells what a role was answered, asked once for all tests."""

    def told(role, scope=None):
        key = (role, scope or scope_of(place))
        if key not in walks:
            walks[key] = list(asked(visit(role), routes, key[1]))
        return walks[key]

    return told


ROLES = ("anonymous", "owner", "manager", "auditor", "audit administrator", "foreign manager")


@pytest.mark.parametrize("role", ROLES)
def test_no_route_fails(role, walk, visit, routes, place):
    known = {"plugin": "dougong", "model": "room", "id": place.room_ids[-1], "key": "old_code"}
    answers = [*walk(role), *asked(visit(role), routes, scope_of(place), known)]
    wrong = [
        f"{method} {address}: {status}" for _, method, address, status in answers if status >= 500
    ]
    assert wrong == []


def test_the_manager_opens_every_page_of_his_place(walk):
    """But for those of the three administrations, and those about something that is not there."""
    wrong = [
        f"{method} {address}: {status}"
        for route, method, address, status in walk("manager")
        if method == "GET" and not route.variables and status not in (200, 303, 403, 404)
    ]
    assert wrong == []


def test_an_anonymous_visitor_is_sent_to_sign_in(walk, place):
    wrong = []
    for place_ in (scope_of(place), f"g/{place.group_id}", f"c/{uuid7()}"):
        for route, method, address, status in walk("anonymous", place_):
            expected = {401} if route.endpoint.startswith("api.") else {303}
            expected = {403} if method in UNSAFE else expected
            if route.is_scoped and status not in expected:
                wrong.append(f"{method} {address}: {status}")
    assert wrong == []


@pytest.mark.parametrize("kind", ["community", "group", "nowhere"])
def test_a_stranger_learns_nothing_of_a_place(kind, walk, place):
    """A manager of another group sees the same as where there is nothing at all."""
    scope = {
        "community": scope_of(place),
        "group": f"g/{place.group_id}",
        "nowhere": f"c/{uuid7()}",
    }[kind]
    wrong = [
        f"{method} {address}: {status}"
        for route, method, address, status in walk("foreign manager", scope)
        if route.is_scoped and status != 404
    ]
    assert wrong == []


def test_an_owner_reaches_no_page_of_the_staff(walk):
    wrong = [
        f"{method} {address}: {status}"
        for route, method, address, status in walk("owner")
        if route.endpoint.partition(".")[0] in ("admin", "api")
        and route.endpoint not in SHOWN_TO_RESIDENTS
        and status < 400
    ]
    assert wrong == []


@pytest.mark.parametrize("role", ["auditor", "audit administrator"])
def test_a_reader_changes_nothing(role, visit, routes, place, installation):
    """No row of the audit log bears his name, whatever he was answered."""
    known = {"plugin": "dougong", "model": "room", "id": place.room_ids[-1]}
    known |= {"identity": place.room_ids[-1], "key": "old_code"}
    visitor = visit(role)
    reader = [r for r in routes if r.is_scoped and r.endpoint not in PERSONAL]
    wrong = []
    for _, method, address, status in asked(visitor, reader, scope_of(place), known):
        if method in UNSAFE and status < 400 and written_by(installation, visitor.actor):
            wrong.append(f"{method} {address}: {status}")
            visitor = visit(role)
    assert wrong == []


def test_what_someone_changes_bears_his_name(visit, routes, place, installation):
    """The check above can fail: the manager's walk leaves traces."""
    known = {"plugin": "dougong", "name": "room", "identity": place.room_ids[0]}
    [route] = [r for r in routes if r.endpoint == "api.item"]
    visitor = visit("manager")
    headers = {"X-CSRF-Token": visitor.token}
    visitor.browser.patch(
        route.address(scope_of(place), **known), headers=headers, json={"floor": 7}
    )
    assert written_by(installation, visitor.actor) == 1


def written_by(installation, actor):
    with installation.platform() as session:
        return session.execute(
            text(
                "select count(*) from dougong.audit_event where actor_id = :id"
                # That someone took a list out is written about reading, by the kernel itself.
                " and table_name <> 'export'"
            ),
            {"id": actor.user_id},
        ).scalar_one()


@pytest.mark.parametrize("role", ["anonymous", "owner", "manager", "foreign manager"])
@pytest.mark.parametrize("fault", ["missing", "wrong", "other site"])
def test_nothing_is_changed_without_the_sessions_token(role, fault, visit, routes, place):
    visitor = visit(role)
    options = {"is_genuine": fault == "other site"}
    if fault == "wrong":
        options["csrf_token"] = visit("manager").token
    if fault == "other site":
        options["origin"] = "https://elsewhere.example"
    wrong = [
        f"{method} {address}: {status}"
        for route, method, address, status in asked(
            visitor, routes, scope_of(place), methods=UNSAFE, **options
        )
        if status != 403 and not (route.endpoint in PROVE_THEMSELVES and status in (401, 404))
    ]
    assert wrong == []


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_id_is_not_found(bad, visit, routes, place):
    visitor, wrong = visit("manager"), []
    for route in routes:
        for name, method in product(route.variables, route.methods):
            address = route.address(scope_of(place), **{name: bad})
            status = visitor.ask(method, address)
            if status >= 500 or (is_id(route, name) and method == "GET" and status != 404):
                wrong.append(f"{method} {address}: {status}")
    assert wrong == []


def is_id(route, name):
    return isinstance(route.rule._converters[name], UUIDConverter)


def test_an_id_of_another_place_is_not_found(visit, routes, place, foreign):
    """Also through one's own address, for every model of the ground."""
    rows = {
        "room": foreign.room_ids[0],
        "building": foreign.building_ids[0],
        "person": foreign.person_ids[0],
    }
    visitor, wrong = visit("manager"), []
    for route in routes:
        if not route.is_scoped or not {"id", "identity"} & set(route.variables):
            continue
        for (model, identity), method in product(rows.items(), route.methods):
            values = {"plugin": "dougong", "model": model, "name": model, "key": "name"}
            address = route.address(scope_of(place), **values, id=identity, identity=identity)
            status = visitor.ask(method, address)
            if status < 400:
                wrong.append(f"{method} {address}: {status}")
    assert wrong == []


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_in_queries_and_forms_is_answered(junk, visit, routes, place):
    visitor, wrong = visit("manager"), []
    query = "&".join(f"{name}={quote(junk)}" for name in FIELDS.split())
    form = dict.fromkeys(FIELDS.split(), junk)
    for route in sorted(routes, key=lambda r: r.endpoint in ENDS_SESSION):
        for method in route.methods:
            address = f"{route.address(scope_of(place))}?{query}"
            status = visitor.ask(method, address, **form)
            if status >= 500:
                wrong.append(f"{method} {address[:120]}: {status}")
    assert wrong == []


def test_what_no_route_knows_is_not_found(visit, place):
    visitor = visit("manager")
    for address in (
        "/nothing",
        f"/{scope_of(place)}/nothing",
        "/c/1/admin/",
        "/x/y/z",
        "//",
        "/%00",
    ):
        assert visitor.ask("GET", address) in (404, 308), address


def test_a_route_that_fails_is_seen(app, visit, installation):
    """The walk itself can fail: a page that raises is found."""
    broken = create_app(installation)
    broken.add_url_rule("/broken", view_func=lambda: 1 / 0)
    visitor = Visitor(broken, broken.test_client())
    assert visitor.ask("GET", "/broken") == 500
