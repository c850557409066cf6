"""The dialect's tables leave nothing out, and its OpenAPI names every route."""

import json

import pytest
from fastapi.openapi.models import OpenAPI
from starlette.requests import Request
from starlette.routing import Route

from postrider.engine import errors
from postrider.engine.audience.model import ContactSort
from postrider.engine.audience.model import Status as ContactStatus
from postrider.engine.domains import DomainStatus
from postrider.engine.domains.model import Purpose
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status, Stream
from postrider.engine.suppression import Reason, Scope, Source
from postrider.surfaces.common.openapi import describe
from postrider.surfaces.common.operations import Manner, make_app
from postrider.surfaces.mailerlogic import app, vocabulary
from postrider.surfaces.mailerlogic.auth import LABEL, SECURITY, authenticate
from postrider.surfaces.mailerlogic.errors import ERRORS, fail, refuse

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

MANNER = Manner(LABEL, "Title", "1.0.0", authenticate, refuse, fail, security=SECURITY)


def test_every_engine_error_has_a_status_and_a_code() -> None:
    assert set(ERRORS) == set(errors.ALL)


@pytest.mark.parametrize("error", errors.ALL)
def test_every_engine_error_is_told_in_the_envelope(error: type[errors.EngineError]) -> None:
    response = refuse(error(message="what is wrong", field="to"), Request({"type": "http"}))
    assert {"error", "message"} <= set(json.loads(bytes(response.body)))
    assert 400 <= response.status_code <= 503


def test_every_word_of_the_engine_is_translated_or_left_unsaid() -> None:
    assert set(vocabulary.EVENTS) == set(EventKind)
    assert set(vocabulary.STATUSES) == set(Status)
    assert set(vocabulary.STREAMS.values()) == set(Stream)
    assert set(vocabulary.DOMAIN_STATUSES) == set(DomainStatus)
    assert set(vocabulary.PURPOSES) == set(Purpose)
    assert set(vocabulary.SUPPRESSIONS) == set(vocabulary.REASONS) == set(Reason)
    assert set(vocabulary.SCOPES) == set(Scope)
    assert set(vocabulary.SOURCES) == set(Source)
    assert set(vocabulary.CONTACT_STATUSES) == set(ContactStatus)
    assert set(vocabulary.CONTACT_SORTS.values()) == set(ContactSort)


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
    assert {"from", "calendar_event"} <= set(document["components"]["schemas"]["Mail"]["properties"])
