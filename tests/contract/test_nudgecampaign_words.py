"""The dialect's tables leave nothing out, its ids can be read back, and its OpenAPI names every route."""

import json
from typing import Any

import httpx2
import pytest
import yaml
from fastapi.openapi.models import OpenAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.routing import Route
from tests.contract.walk import FOLDER
from tests.factories import Running

from postrider.engine import errors
from postrider.engine.accounts import PLANS, ROLES, OrganizationStatus
from postrider.engine.errors import NotFound
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status
from postrider.kit.ids import new_id
from postrider.surfaces.common.operations import make_app
from postrider.surfaces.nudgecampaign import app, limits, vocabulary
from postrider.surfaces.nudgecampaign import yaml as written
from postrider.surfaces.nudgecampaign.errors import DETAILS, ERRORS, TYPES, refuse
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = yaml.safe_load((FOLDER / "nudgecampaign.yaml").read_text())
SOMEBODY = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})


def test_every_engine_error_has_a_status_a_code_and_a_type() -> None:
    assert set(ERRORS) == set(errors.ALL)
    documented = {code["code"]: code for code in CONTRACT["envelope"]["error"]["codes"]}
    assert set(TYPES) == set(documented)
    assert {code: documented[code]["type"] for code in TYPES} == TYPES


@pytest.mark.parametrize("error", errors.ALL)
def test_every_engine_error_is_told_in_the_error_object(error: type[errors.EngineError]) -> None:
    response = refuse(error(message="what is wrong", field="to", scope="x"), SOMEBODY)
    told = json.loads(bytes(response.body))["error"]
    assert response.status_code == ERRORS[error].status
    assert "(" not in told["message"] or error not in (errors.Forbidden, errors.Invalid)
    detail_codes = CONTRACT["envelope"]["error"]["detail_codes"]
    known = {*detail_codes["documented"], *detail_codes["inferred"]}
    assert {detail["code"] for detail in told["details"]} <= known
    assert bool(told["details"]) == (told["type"] == "validation_error")
    if error in DETAILS:
        assert told["details"][0]["code"] == DETAILS[error][1]
    assert ("retry_after" in told) == (told["code"] == "ERR_RATE_LIMIT")
    assert ("retry-after" in response.headers) == (response.status_code in (429, 503))


def test_every_word_of_the_engine_is_translated_or_left_unsaid() -> None:
    assert set(vocabulary.EVENTS) == set(EventKind)
    assert set(vocabulary.STATUSES) == set(Status)
    assert set(vocabulary.PLANS) == set(PLANS)
    assert set(vocabulary.SUBSCRIPTION_STATUSES) == set(OrganizationStatus)
    assert set(vocabulary.PLANS.values()) == set(limits.REQUESTS_PER_HOUR)


def test_the_words_are_those_of_the_contract() -> None:
    said = {word for word in vocabulary.EVENTS.values() if word}
    assert said == set(CONTRACT["webhooks"]["events"])
    scopes = CONTRACT["auth"]["scopes"]
    assert set(vocabulary.SCOPES) == {*scopes["documented"], *scopes["inferred"]}
    roles = CONTRACT["auth"]["roles"]
    assert set(ROLES) == {*roles["documented"], *roles["inferred"]}
    assert set(ROLES) >= vocabulary.KEEPERS
    statuses = CONTRACT["objects"]["campaign"]["status"]["enum"]
    assert set(vocabulary.CAMPAIGN_STATUSES.values()) == set(statuses)
    tiers = {tier["plan"]: tier["requests_per_hour"] for tier in CONTRACT["rate_limits"]["tiers"]}
    assert {**tiers, "enterprise": limits.REQUESTS_PER_HOUR["enterprise"]} == limits.REQUESTS_PER_HOUR


@given(words=st.sets(st.sampled_from(sorted(vocabulary.SCOPES))))
def test_scopes_come_back_from_the_engines(words: set[str]) -> None:
    assert set(vocabulary.scope_words(vocabulary.engine_scopes(words))) == words


def test_a_missing_scope_is_told_in_the_word_that_gives_it() -> None:
    for word, scopes in vocabulary.SCOPES.items():
        for scope in scopes:
            assert vocabulary.word_of(scope) == word


@given(row_id=st.binary(min_size=16, max_size=16), noun=st.sampled_from(Noun))
def test_an_id_is_read_back_without_a_look_up(row_id: bytes, noun: Noun) -> None:
    text = show(noun, row_id)
    assert text.startswith(f"{noun}_")
    assert path_id(noun, text) == row_id
    for other in set(Noun) - {noun}:
        with pytest.raises(NotFound):
            path_id(other, text)


@given(text=st.text(max_size=40))
def test_a_text_that_nobody_wrote_is_no_id(text: str) -> None:
    for tried in (text, f"cmp_{text}", show(Noun.CAMPAIGN, new_id()) + text[:1] + "x"):
        with pytest.raises(NotFound):
            path_id(Noun.CAMPAIGN, tried)


def test_openapi_names_every_route_below_the_version() -> None:
    routes = make_app(None, app.MANNER, app.OPERATIONS).routes  # type: ignore[arg-type]
    routed = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    paths = app.DOCUMENT["paths"]
    assert {(method.upper(), f"/v2{path}") for path, item in paths.items() for method in item} == routed


def test_openapi_is_one_of_3_0() -> None:
    OpenAPI.model_validate(app.DOCUMENT)
    assert app.DOCUMENT["openapi"] == "3.0.0"
    for schema in every_object(app.DOCUMENT):
        assert schema.get("type") != "null"
        assert not {"const", "$defs", "prefixItems", "examples"} & set(schema)
        assert (
            not isinstance(schema.get("exclusiveMinimum"), int | float) or schema["exclusiveMinimum"] is True
        )


def test_openapi_says_who_needs_a_credential_and_what_a_list_takes() -> None:
    paths = app.DOCUMENT["paths"]
    assert paths["/auth/login"]["post"]["security"] == []
    assert "security" not in paths["/campaigns"]["get"]
    assert app.DOCUMENT["security"] == [{"BearerAuth": []}, {"ApiKeyAuth": []}]
    taken = {parameter["name"] for parameter in paths["/campaigns"]["get"]["parameters"]}
    contracted = next(each for each in CONTRACT["operations"] if each["id"] == "listCampaigns")
    assert taken >= set(contracted["query"])
    assert "content" not in paths["/campaigns/{campaign_id}"]["delete"]["responses"]["204"]


def every_object(value: Any) -> list[dict[str, Any]]:
    match value:
        case dict():
            return [value, *(found for item in value.values() for found in every_object(item))]
        case list():
            return [found for item in value for found in every_object(item)]
        case _:
            return []


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(tree=trees)
def test_yaml_says_what_json_says(tree: Any) -> None:
    assert yaml.safe_load(written.dump_bytes(tree)) == tree


@SQLITE
async def test_openapi_and_docs_are_served_under_the_mount_without_foreign_hosts(node: Running) -> None:
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/nudgecampaign") as client:
        document = await client.get("/v2/openapi.json")
        assert document.json()["servers"] == [{"url": "/nudgecampaign/v2"}]
        same = await client.get("/v2/openapi.yaml")
        assert same.headers["content-type"].startswith("application/yaml")
        assert yaml.safe_load(same.content) == document.json()
        whole = (await client.get("/openapi.json")).json()
        assert {path.removeprefix("/v2") for path in whole["paths"]} == set(document.json()["paths"])
        page = await client.get("/docs")
        assert "/v2/campaigns" in page.text
        assert "http" not in page.text
        host = {"Host": "nudgecampaign.localhost"}
        bare = await client.get(f"{node.base_url}/v2/openapi.json", headers=host)
        assert bare.json()["servers"] == [{"url": "/v2"}]
        key = {"X-API-Key": node.account.keys["nudgecampaign"]}
        listed = await client.get(f"{node.base_url}/v2/campaigns", headers={**host, **key})
        assert listed.json()["links"]["self"] == "/v2/campaigns?page[size]=20"
