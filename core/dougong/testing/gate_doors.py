"""Brings canaries in by the doors that people use: form, API, import, file, message, search."""

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from dougong.db.scope import Actor
from dougong.files import attach
from dougong.installation import Installation
from dougong.tenancy.models import Person
from dougong.testing.factories import Place
from dougong.testing.people import make_login, sign_in
from dougong.testing.programs import make_program
from dougong.web.app import create_app

SYSTEM = Actor.system("gate")
PERSON = "/admin/dougong/person/"
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
CHOICE = re.compile(r'<select[^>]* name="([^"]+)">(.*?)</select>', re.S)


@dataclass
class Entered:
    """Which canaries came in by which door, and what people and programs were handed back.

    shown: texts that must hold none of them, by name: masked pages, exports, logs.
    """

    canaries: dict[str, list[str]] = field(default_factory=dict)
    shown: dict[str, bytes] = field(default_factory=dict)

    @property
    def all(self) -> set[str]:
        return {canary for some in self.canaries.values() for canary in some}


def enter(installation: Installation, place: Place, canaries: Iterator[str]) -> Entered:
    """Write people with canaries through every door, then list, search and export them.

    Raises RuntimeError naming a door that did not let them in: then nothing would be proved.
    """
    entered = Entered()
    words = io.StringIO()
    with _logs_into(words):
        app = create_app(installation)
        browser = sign_in(app, installation, make_login(installation, place, "community_manager"))
        base = f"/c/{place.community_id}"
        entered.canaries["form"] = _form(browser, base, [next(canaries) for _ in range(2)])
        entered.canaries["api"] = _api(app, installation, place, [next(canaries), next(canaries)])
        entered.canaries["import"] = _import(browser, base, [next(canaries) for _ in range(6)])
        entered.canaries["file"] = _file(installation, place, [next(canaries) for _ in range(2)])
        _look(browser, base, entered)
    _check_arrived(installation, place, entered)
    entered.shown["our own logs"] = words.getvalue().encode()
    return entered


@contextmanager
def _logs_into(words: io.StringIO) -> Iterator[None]:
    """Catch what this process would write to its log, at the level of most detail."""
    handler, root = logging.StreamHandler(words), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(words), redirect_stderr(words):
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _token(browser: FlaskClient, address: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(address).text)
    if found is None:
        raise RuntimeError(f"{address} shows no form")
    return found[1]


def dialled(canary: str) -> str:
    """Return a canary as a number abroad: what is no telephone number comes in by no door."""
    return f"+{canary}"


def _form(browser: FlaskClient, base: str, values: list[str]) -> list[str]:
    phone, identity = values
    address = f"{base}{PERSON}new"
    fields = {"name": "表单", "kind": "person", "phone": dialled(phone), "id_number": identity}
    answer = browser.post(address, data={"csrf_token": _token(browser, address), **fields})
    if answer.status_code != 303:
        raise RuntimeError(f"the form refused: {answer.status_code}")
    # And once with a fault, so that the values come back in a form and in an error.
    browser.post(address, data={"csrf_token": _token(browser, address), **fields, "kind": "ghost"})
    return values


def _api(app: Flask, installation: Installation, place: Place, values: list[str]) -> list[str]:
    program = make_program(app, installation, place)
    phone = dialled(values[0])
    body = {"name": "程序", "kind": "person", "phone": phone, "id_number": values[1]}
    for wanted, sent in ((201, body), (201, body), (422, {**body, "kind": "ghost"})):
        answer = program.call("POST", "/v1/dougong/person", sent, Idempotency_Key=str(wanted))
        if answer.status_code != wanted:
            raise RuntimeError(f"the API answered {answer.status_code}: {answer.text[:200]}")
    program.call("GET", f"/v1/dougong/person?{urlencode({'phone': phone})}")
    return values


def _import(browser: FlaskClient, base: str, values: list[str]) -> list[str]:
    rows = (f"导入{n},{dialled(values[n])},{values[n + 1]}" for n in (0, 2, 4))
    lines = ["姓名,手机号,证件号", *rows]
    address = f"{base}{PERSON}import"
    data: dict[str, Any] = {
        "csrf_token": _token(browser, address),
        "file": (io.BytesIO("\n".join(lines).encode()), "people.csv"),
    }
    page = browser.post(address, data=data)
    for step in ("check", "commit"):
        page = browser.post(f"{address}/{step}", data=_wizard_fields(data["csrf_token"], page.text))
        if page.status_code != 303:
            raise RuntimeError(f"the import's step {step} answered {page.status_code}")
        page = browser.get(page.headers["Location"])
    return values


def _wizard_fields(token: str, page: str) -> dict[str, str]:
    found = {"csrf_token": token}
    for name, body in CHOICE.findall(page):
        chosen = re.search(r'value="([^"]*)" selected', body)
        found[name] = chosen[1] if chosen else ""
    for name, value in HIDDEN.findall(page):
        found.setdefault(name, value)
    return found


def _file(installation: Installation, place: Place, values: list[str]) -> list[str]:
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.get(Person, place.person_ids[0])
        content = io.BytesIO(f"电话 {values[1]}\n".encode() * 50)
        attach(scope, person, f"{values[0]}.txt", content)
    return values


def _look(browser: FlaskClient, base: str, entered: Entered) -> None:
    """Read lists, exports and search results: what is masked there must stay so."""
    for name, address in (
        ("list", ""),
        ("export.csv", "export.csv"),
        ("export.xlsx", "export.xlsx"),
    ):
        entered.shown[name] = browser.get(f"{base}{PERSON}{address}").data
    for canary in entered.canaries["form"]:
        browser.get(f"{base}{PERSON}?q={canary}")
    browser.get(f"{base}{PERSON}?q={entered.canaries['import'][0]}&page=x")


def _check_arrived(installation: Installation, place: Place, entered: Entered) -> None:
    """Raise RuntimeError when a door let nothing in."""
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        for door in ("form", "api", "import"):
            phone = dialled(entered.canaries[door][0])
            query = text("select count(*) from dougong.person where phone_index = any(:tags)")
            field_ = Person.__encrypted__["phone"]
            tags = list(scope.vault.known_tags(field_, place.community_id, phone))
            if not scope.session.execute(query, {"tags": tags}).scalar_one():
                raise RuntimeError(f"nobody came in by the door {door}")
