"""The dialect's tables leave nothing out, and its description names every command and path."""

import json
import re

import pytest
from fastapi.openapi.models import OpenAPI
from starlette.requests import Request
from starlette.routing import Route

from postrider.engine import errors
from postrider.engine.accounts import OrganizationStatus
from postrider.engine.domains import DomainStatus
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status
from postrider.surfaces.common.openapi import describe
from postrider.surfaces.common.operations import Manner, make_app
from postrider.surfaces.octeth import app, vocabulary
from postrider.surfaces.octeth.auth import SECURITY, authenticate
from postrider.surfaces.octeth.command import Command
from postrider.surfaces.octeth.errors import COMMAND_ERRORS, EMAIL_ERRORS, USER_ERRORS, fail, refuse
from postrider.surfaces.octeth.keys import USER_LABEL, sender_key, user_key
from postrider.surfaces.octeth.mail import CODES
from postrider.surfaces.octeth.users import REST

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

MANNER = Manner(USER_LABEL, "Title", "1.0.0", authenticate, refuse, fail, security=SECURITY)
REQUEST = Request({"type": "http", "path": "/api.php", "headers": [], "server": ("localhost", 80)})


def test_every_engine_error_has_a_status_and_a_number_in_each_table() -> None:
    for table in (COMMAND_ERRORS, USER_ERRORS, EMAIL_ERRORS):
        assert set(table) == set(errors.ALL)


@pytest.mark.parametrize("error", errors.ALL)
def test_every_engine_error_is_told_in_every_form(error: type[errors.EngineError]) -> None:
    response = refuse(error(message="what is {wrong}", field="to", retry_after_s=3), REQUEST)
    body = json.loads(bytes(response.body))
    assert (body["Success"], body["ErrorCode"]) == (False, body["Errors"][0]["Code"])
    assert 400 <= response.status_code <= 503
    for command in (*app.COMMANDS, *REST):
        told = command.refuse(error(message="what is {wrong}", retry_after_s=3)).told[0]
        assert told.message
        assert told.status in (200, 413, 429, 503) or command in REST


def test_numbers_that_a_command_gives_to_engine_errors_have_their_sentences() -> None:
    for command in (*app.COMMANDS, *REST):
        given = {parameter.missing for parameter in command.parameters} - {None}
        assert given | set(command.refusals.values()) <= set(command.codes), command.id
    assert set(vocabulary.ACCOUNT_ERRORS.values()) - {None} <= set(CODES)


def test_every_word_of_the_engine_is_translated_or_left_unsaid() -> None:
    assert set(vocabulary.EVENTS) == set(EventKind)
    assert set(vocabulary.STATUSES) == set(Status)
    for table in (
        vocabulary.DOMAIN_STATUSES,
        vocabulary.VERIFICATION_STATUSES,
        vocabulary.MISSING_RECORD_STATUSES,
    ):
        assert set(table) == set(DomainStatus)
    assert set(vocabulary.ACCOUNT_STATUSES) == set(OrganizationStatus)
    assert set(vocabulary.ACCOUNT_ERRORS) == set(OrganizationStatus)


def test_failures_of_the_server_have_the_dialects_body() -> None:
    for status, code in ((500, 100005), (503, 503), (418, 418)):
        body = json.loads(bytes(fail(status, REQUEST).body))
        assert (body["Success"], body["ErrorCode"]) == (False, code)


def test_keys_look_as_the_contract_shows_them() -> None:
    assert re.fullmatch(r"[0-9a-f]{4}(-[0-9a-f]{4}){7}", user_key())
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{8}){3}", sender_key())
    assert len({user_key() for _ in range(100)} | {sender_key() for _ in range(100)}) == 200


def test_openapi_is_valid_and_names_every_command_and_path() -> None:
    document = describe(MANNER, app.DESCRIBED)
    OpenAPI.model_validate(document)
    named = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routes = make_app(None, MANNER, app.OPERATIONS).routes  # type: ignore[arg-type]
    routed = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(method, path.partition("#")[0]) for method, path in named} == routed
    commands = {path.partition("#")[2] for _, path in named} - {""}
    assert commands == {command.name for command in app.COMMANDS}
    schemas = document["components"]["schemas"]
    assert {"From", "To", "SendAt", "Attachments"} <= set(schemas["Mail"]["properties"])
    assert set(schemas["AddApi"]["required"]) == {"Command", "Description", "DomainID"}


def fields_of(command: Command) -> set[str]:
    return {parameter.name for parameter in command.parameters}


def test_the_description_has_every_parameter_of_a_command() -> None:
    schemas = describe(MANNER, app.DESCRIBED)["components"]["schemas"]
    for command in app.COMMANDS:
        name = command.id[0].upper() + command.id[1:]
        assert fields_of(command) <= set(schemas[name]["properties"])
        assert ("SessionID" in schemas[name]["properties"]) == (command.scope is not None)
