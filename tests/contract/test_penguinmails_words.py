"""The dialect's tables leave nothing out, ids and sums are written as documented, OpenAPI has each route."""

import itertools
import json
from decimal import Decimal

import pytest
from fastapi.openapi.models import OpenAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.routing import Route

from postrider.engine import errors
from postrider.engine.accounts import PLANS, ROLES
from postrider.engine.journal import EventKind
from postrider.engine.messages import Mark, Status
from postrider.engine.principal import ALL_SCOPES
from postrider.kit.ids import new_id
from postrider.surfaces.common.openapi import describe
from postrider.surfaces.common.operations import Manner, make_app
from postrider.surfaces.penguinmails import app, ids, limits, vocabulary
from postrider.surfaces.penguinmails.answers import money, time
from postrider.surfaces.penguinmails.auth import LABEL, SECURITY, authenticate
from postrider.surfaces.penguinmails.errors import ERRORS, fail, refuse

MANNER = Manner(LABEL, "Title", "1.0.0", authenticate, refuse, fail, security=SECURITY)
PREFIXES = (ids.MESSAGE, ids.USER, ids.KEY, ids.ORGANIZATION, ids.CAMPAIGN)


def request() -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": []})


def test_every_engine_error_has_a_status_and_a_code() -> None:
    assert set(ERRORS) == set(errors.ALL)


@pytest.mark.parametrize("error", errors.ALL)
def test_every_engine_error_is_told_in_the_envelope(error: type[errors.EngineError]) -> None:
    response = refuse(error(message="what is wrong", field="to", line=3, column=7), request())
    body = json.loads(bytes(response.body))
    assert (body["success"], set(body)) == (False, {"success", "error", "timestamp"})
    told = body["error"]
    assert set(told) == {"code", "message", "details", "request_id", "documentation_url"}
    assert told["documentation_url"].endswith("/errors/" + told["code"].lower().replace("_", "-"))
    assert 400 <= response.status_code <= 503
    assert ("retry-after" in response.headers) == (response.status_code in (429, 503))


def test_every_word_of_the_engine_is_translated_or_left_unsaid() -> None:
    assert set(vocabulary.EVENTS) == set(EventKind)
    assert set(vocabulary.ROLES) == set(ROLES)
    assert set(vocabulary.ROLES.values()) == {"owner", "admin", "member", "user"}
    assert set(vocabulary.KEY_STATUSES) == {True, False}
    assert set(limits.REQUESTS_PER_HOUR) == set(limits.COST_PER_MESSAGE_USD) == set(PLANS)


@pytest.mark.parametrize("status", Status)
def test_every_message_has_exactly_one_word_and_is_listed_under_it(status: Status) -> None:
    told = [mark.value for mark in Mark]
    for size in range(4):
        for marks in itertools.combinations(told, size):
            words = [word for word, which in vocabulary.EMAIL_STATUSES.items() if which.covers(status, marks)]
            assert words == [vocabulary.email_status(status, marks.__contains__)], (status, marks)


def test_a_word_never_asks_for_a_mark_without_a_time() -> None:
    asked = {name for which in vocabulary.EMAIL_STATUSES.values() for name in (*which.has, *which.lacks)}
    assert asked <= {"sent", "opened", "clicked", "complained"}


def test_permissions_come_back_from_the_scopes_they_become() -> None:
    words = list(vocabulary.PERMISSIONS)
    for size in range(1, len(words) + 1):
        for chosen in itertools.combinations(words, size):
            assert vocabulary.permissions_of(vocabulary.scopes_of(chosen)) == list(chosen)
    assert vocabulary.scopes_of(None) == [ALL_SCOPES]
    assert vocabulary.permissions_of([ALL_SCOPES]) == words


@given(row_id=st.binary(min_size=16, max_size=16), prefix=st.sampled_from(PREFIXES))
def test_an_id_is_read_back_without_a_look_up(row_id: bytes, prefix: str) -> None:
    text = ids.to_id(prefix, row_id)
    assert ids.from_id(prefix, text) == row_id
    others = {other for other in PREFIXES if ids.from_id(other, text) is not None}
    assert others == {prefix}


@given(text=st.text(max_size=40))
def test_what_is_not_written_as_an_id_names_nothing(text: str) -> None:
    for candidate in (text, f"msg_{text}"):
        row_id = ids.from_id("msg", candidate)
        assert row_id is None or ids.to_id("msg", row_id) == candidate


def test_an_id_has_one_spelling() -> None:
    good = ids.to_id("msg", new_id())
    beyond = (
        good[:-1] + "abcdefghijklmnopqrstuvwxyz234567"["abcdefghijklmnopqrstuvwxyz234567".index(good[-1]) + 1]
    )
    for bad in (good.upper(), good[4:], good + "=", f"msg_{good}", good.replace("msg_", "msg-"), beyond):
        assert ids.from_id("msg", bad) is None, bad


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("77", "$77.00"),
        ("0.077", "$0.077"),
        ("2450", "$2,450.00"),
        ("0.154", "$0.154"),
        ("0.0774", "$0.077"),
        ("0.0775", "$0.078"),
        ("1234567.8", "$1,234,567.80"),
        ("0", "$0.00"),
        ("-0.5", "-$0.50"),
    ],
)
def test_money_has_two_decimals_or_three(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text


def test_times_have_whole_seconds() -> None:
    assert time(1_764_579_600_999) == "2025-12-01T09:00:00Z"


def test_openapi_is_valid_and_names_every_route() -> None:
    document = describe(MANNER, app.OPERATIONS)
    OpenAPI.model_validate(document)
    named = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routes = make_app(None, MANNER, app.OPERATIONS).routes  # type: ignore[arg-type]
    routed = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert named == routed
    assert {"from", "personalization"} <= set(document["components"]["schemas"]["Mail"]["properties"])
