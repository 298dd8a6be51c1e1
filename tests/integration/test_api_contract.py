"""What the API does is what its document says: schemathesis against the real application.

Every operation is tried in every run, half of them with right and the others with wrong input; the
halves change places each day (``DOUGONG_API_TURN=0`` or ``1`` says which day it is). What costs is
making up input, about a tenth of a second of the processor per operation, so that all of them in
both ways take twice as long: ``make gate-api`` does, with ten requests each.
"""

import os
from datetime import UTC, datetime
from itertools import cycle

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from dougong.testing.factories import make_place
from dougong.testing.programs import make_program
from dougong.web.api import representation

load_all_checks()
# A record may refer to nothing, or break a rule of the trade: the document cannot say so.
ACCEPTED = ["2xx", "304", "403", "404", "409", "412", "422", "429"]
EVERYTHING = os.environ.get("DOUGONG_EVERY_OPERATION") == "1"
REQUESTS_EACH = 10 if EVERYTHING else 2
TURN = int(os.environ.get("DOUGONG_API_TURN") or datetime.now(UTC).toordinal() % 2)
METER = {"serial": "W-001", "commodity": "water", "installed_on": "2026-01-01"}


@pytest.fixture(scope="module")
def program(app, installation):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dougong.web.api.limits.DEFAULT_PER_MINUTE", 10**9)
        made = make_program(app, installation, make_place(installation))
        meter = made.call("POST", "/v1/meters/meter", METER).json["id"]
        made.call("POST", "/v1/meters/reading.record", {"meter": meter, "value": "1.5"})
        yield made


@pytest.fixture(scope="module")
def operations(program):
    """Return every operation of the document, which is asked for and read once."""
    config = SchemathesisConfig.from_dict(
        {"checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}}
    )
    schema = schemathesis.openapi.from_wsgi(
        f"{program.base}/openapi.json", program.app, config=config, headers=headers(program)
    )
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_the_api_keeps_its_contract(program, operations, mode):
    assert broken_promises(program, operations, mode) == [], f"DOUGONG_API_TURN={TURN}"


def test_every_operation_is_tried_in_one_run_and_in_both_ways_in_two(operations):
    tried = {
        (mode, turn): {operation.label for operation in chosen(operations, mode, turn)}
        for mode in GenerationMode
        for turn in (0, 1)
    }
    assert len(operations) > 200
    for turn in (0, 1):
        right, wrong = (tried[mode, turn] for mode in GenerationMode)
        assert right | wrong == {operation.label for operation in operations}
        assert tried[GenerationMode.POSITIVE, turn] == tried[GenerationMode.NEGATIVE, 1 - turn]


def test_a_broken_promise_is_found(program, operations, monkeypatch):
    monkeypatch.setattr(representation, "plain", lambda value: value and float(1))
    rooms = [operation for operation in operations if "/v1/dougong/room" in operation.path]
    assert broken_promises(program, rooms, GenerationMode.POSITIVE)


def broken_promises(program, operations, mode):
    """Return what schemathesis finds, with half of the requests about records that are there."""
    wrong = []
    for operation in chosen(operations, mode):
        known = cycle([None])
        if mode is GenerationMode.POSITIVE and "{id}" in operation.path:
            known = cycle([None, *known_ids(program, operation.path)])
        try:
            exercise(operation, mode, headers(program), known, REQUESTS_EACH)
        except FailureGroup as group:
            wrong += [f"{operation.label}: {failure}" for failure in group.exceptions]
    return wrong


def chosen(operations, mode, turn=TURN):
    """Return the operations to try: every other one, the rest in the other mode."""
    if len(operations) < 10 or EVERYTHING:
        return operations
    return operations[(turn + (mode is GenerationMode.NEGATIVE)) % 2 :: 2]


def headers(program):
    return {"Authorization": f"Bearer {program.token}", "Accept-Encoding": "identity"}


def known_ids(program, path):
    listed = program.call("GET", path.removesuffix("/{id}") + "?limit=1").json
    return [item["id"] for item in listed.get("items", ())]


def exercise(operation, mode, sent, known, count):
    @seed(20261124)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        if identity := next(known):
            case.path_parameters["id"] = identity
        case.call_and_validate(headers=sent)

    check()
