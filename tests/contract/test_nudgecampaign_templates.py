"""Templates against their contract: status, keys, documented errors, what a preview shows, what is public."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from tests.contract.test_nudgecampaign import client_of, error_of
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account

from postrider.kit.ids import new_id
from postrider.surfaces.nudgecampaign.ids import Noun, show
from postrider.surfaces.nudgecampaign.templates import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACT = load("nudgecampaign")
SERVED = {operation.id: operation for operation in OPERATIONS}
ANNOUNCEMENT: dict[str, Any] = {
    "name": "Product Announcement",
    "description": "Template for product launches",
    "category": "announcement",
    "html_content": "<html><body>{{product_name}}</body></html>",
    "text_content": "Announcing {{product_name}}",
    "variables": [{"name": "product_name", "type": "text", "required": True}],
}
NEWSLETTER: dict[str, Any] = {
    "name": "Newsletter Template",
    "category": "newsletter",
    "html_content": "<html><img src='{{header_image}}'>{{content}} Yours, {{first_name}} {{role}}</html>",
    "text_content": "{{content}}",
    "variables": [
        {"name": "header_image", "type": "image", "default": "https://example.com/header.png"},
        {"name": "content", "type": "html", "required": True},
        {"name": "role"},
    ],
}
BODIES: dict[str, dict[str, Any]] = {
    "createTemplate": ANNOUNCEMENT,
    "updateTemplate": {"description": "New description"},
    "duplicateTemplate": {"name": "Copy of Newsletter Template"},
    "previewTemplate": {"variables": {"content": "<p>Amazing</p>", "price": "$99.99"}},
}


@dataclass
class World:
    """Two templates, of which `template_id` is the newsletter, and a contact."""

    client: httpx2.AsyncClient
    ids: dict[str, str] = field(default_factory=dict)

    async def call(self, operation_id: str, body: Any = None, **options: Any) -> httpx2.Response:
        operation = SERVED[operation_id]
        path = operation.paths[0].format(**{**self.ids, **options.pop("ids", {})})
        if operation.body is not None and "content" not in options:
            options["json"] = BODIES[operation_id] if body is None else body
        return await self.client.request(operation.method, path, **options)

    async def preview(self, variables: dict[str, Any], **given: Any) -> dict[str, Any]:
        answer = await self.call("previewTemplate", {"variables": variables, **given})
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def names(self, **query: str) -> list[str]:
        answer = await self.call("listTemplates", params=query)
        assert answer.status_code == 200, answer.text
        assert answer.json()["meta"]["total"] >= len(answer.json()["data"])
        return [each["attributes"]["name"] for each in answer.json()["data"]]


@pytest.fixture
async def world(node: Running) -> AsyncIterator[World]:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        world = World(client)
        await world.call("createTemplate")
        made = (await world.call("createTemplate", NEWSLETTER)).json()["data"]
        person = {"email": "ann@example.com", "first_name": "Ann <b>", "custom_fields": {"role": "Editor"}}
        known = (await client.post("/v2/contacts", json=person)).json()["data"]
        world.ids |= {"template_id": made["id"], "contact_id": known["id"]}
        yield world


def test_routes_and_contract_name_the_same_operations() -> None:
    assert set(SERVED) == {id_ for id_, each in CONTRACT.items() if "/v2/templates" in each.paths[0]}


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    for operation in sorted(SERVED.values(), key=lambda each: each.method == "DELETE"):
        contracted, answer = CONTRACT[operation.id], await world.call(operation.id)
        assert answer.status_code == contracted.status == operation.status, (operation.id, answer.text)
        if contracted.keys:
            assert not missing_keys(answer.json(), contracted.keys), (operation.id, answer.text)
        else:
            assert answer.content == b""


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    wrong: dict[str, tuple[Any, ...]] = {
        "createTemplate": (
            {"name": "x"}, {"html_content": "x"}, {**ANNOUNCEMENT, "variables": [{"type": "text"}]},
            {**ANNOUNCEMENT, "variables": [{"name": "x", "type": "video"}]},
            {**ANNOUNCEMENT, "variables": "none"}, {**ANNOUNCEMENT, "name": "x" * 256},
            {**ANNOUNCEMENT, "html_content": "{{ x"}, {**ANNOUNCEMENT, "text_content": "{{ stray }}"},
        ),
        "updateTemplate": ({"name": None}, {"html_content": ""}, {"is_public": "yes"}, {"variables": [7]}),
        "duplicateTemplate": ({"name": ""}, {"name": "x" * 256}),
        "previewTemplate": (
            {"variables": {}}, {"variables": {"content": ""}}, {"variables": []},
            {"variables": {"content": "x", "header_image": "x.png"}},
            {"variables": {"content": "x"}, "contact_id": show(Noun.CONTACT, new_id())},
            {"variables": {"content": "x"}, "contact_id": "ann"},
            {"variables": {"content": "x" * 70_000}},
        ),
    }  # fmt: skip
    elsewhere = {403, 409, 429}  # nothing sends a template by itself yet, so nothing holds one: no 409
    for operation_id, operation in SERVED.items():
        unknown = await world.call(operation_id, headers={"X-API-Key": "sk_live_" + "0" * 40})
        assert error_of(unknown) == (401, "ERR_AUTH_INVALID_TOKEN", "authentication_error")
        answered = {401}
        if "{" in operation.paths[0]:
            for nowhere in (show(Noun.TEMPLATE, new_id()), "tpl_x", "%00"):
                answer = await world.call(operation_id, ids={"template_id": nowhere})
                assert error_of(answer) == (404, "ERR_RESOURCE_NOT_FOUND", "not_found_error"), operation_id
            answered.add(404)
        for body in wrong.get(operation_id, ()):
            answer = await world.call(operation_id, body)
            assert error_of(answer) == (422, "ERR_VALIDATION", "validation_error"), body
            answered.add(422)
        if operation.body is not None:
            unreadable = await world.call(operation_id, content=b"{")
            assert error_of(unreadable) == (400, "ERR_VALIDATION", "validation_error")
            answered.add(400)
        if operation_id == "listTemplates":
            for query in ("page[size]=0", "sort=size", "filter[is_public]=1", "filter[x]=1", "include=x"):
                answer = await world.client.get(f"/v2/templates?{query}")
                assert error_of(answer) == (400, "ERR_VALIDATION", "validation_error"), query
            answered.add(400)
        assert CONTRACT[operation_id].errors <= answered | elsewhere, operation_id


@SQLITE
async def test_what_is_written_is_shown_as_it_was(world: World) -> None:
    data = (await world.call("createTemplate")).json()["data"]
    attributes = data["attributes"]
    assert {name: attributes[name] for name in ANNOUNCEMENT} == ANNOUNCEMENT
    assert (attributes["usage_count"], attributes["is_public"], attributes["thumbnail_url"]) == (
        0,
        False,
        None,
    )
    changed = {"name": "Launch", "text_content": None, "category": None, "is_public": True}
    world.ids["template_id"] = data["id"]
    told = (await world.call("updateTemplate", changed)).json()["data"]["attributes"]
    assert {name: told[name] for name in changed} == changed
    assert told["html_content"] == ANNOUNCEMENT["html_content"]
    one = (await world.call("getTemplate")).json()["data"]
    assert one["attributes"] == told
    few = await world.call("getTemplate", params={"fields[template]": "name"})
    assert few.json()["data"]["attributes"] == {"name": "Launch"}


@SQLITE
async def test_a_template_is_listed_found_and_gone(world: World) -> None:
    assert await world.names() == ["Newsletter Template", "Product Announcement"]
    assert await world.names(sort="-name") == ["Product Announcement", "Newsletter Template"]
    assert await world.names(search="launch") == ["Product Announcement"]
    assert await world.names(**{"filter[category]": "newsletter"}) == ["Newsletter Template"]
    assert await world.names(**{"filter[is_public]": "true"}) == []
    first = (await world.call("listTemplates", params={"page[size]": "1"})).json()
    assert first["meta"] == {"total": 2, "page_size": 1, "has_more": True}
    second = (await world.client.get(first["links"]["next"].removeprefix("/nudgecampaign"))).json()
    assert [each["attributes"]["name"] for each in second["data"]] == ["Product Announcement"]
    assert (await world.call("deleteTemplate")).status_code == 204
    assert await world.names() == ["Product Announcement"]
    assert error_of(await world.call("getTemplate"))[0] == 404


@SQLITE
async def test_faults_of_a_template_name_their_places(world: World) -> None:
    wrong = {**ANNOUNCEMENT, "html_content": "<p>\n{{ product_name }} {{ stray }}", "text_content": "{% if"}
    answer = await world.call("createTemplate", wrong)
    assert [(each["field"], each["message"]) for each in answer.json()["error"]["details"]] == [
        ("html_content", "line 2, column 23: stray is not among the variables"),
        ("text_content", "line 1, column 1: expected '%}', found end of file"),
    ]


@SQLITE
async def test_a_copy_takes_no_body_and_has_a_name_of_its_own(world: World) -> None:
    copy = (await world.call("duplicateTemplate", content=b"")).json()["data"]
    assert copy["attributes"]["name"] == "Copy of Newsletter Template"
    assert copy["attributes"]["variables"] == [
        {"name": "header_image", "type": "image", "default": "https://example.com/header.png"},
        {"name": "content", "type": "html", "required": True},
        {"name": "role", "type": "text"},
    ]
    assert copy["id"] != world.ids["template_id"]


@SQLITE
async def test_a_preview_is_filled_from_values_then_from_the_contact(world: World) -> None:
    alone = await world.preview({"content": "<p>News</p><p>& more</p>"})
    assert alone["html_content"] == (
        "<html><img src='https://example.com/header.png'><p>News</p><p>& more</p> Yours,  </html>"
    )
    assert alone["text_content"] == "News\n\n& more"
    assert alone["missing_variables"] == ["first_name", "role"]
    contact_id = world.ids["contact_id"]
    filled = await world.preview({"content": "x", "extra": [1]}, contact_id=contact_id)
    assert filled["html_content"].endswith("x Yours, Ann &lt;b&gt; Editor</html>")
    assert filled["missing_variables"] == []
    own = await world.preview({"content": "x", "role": "Reader"}, contact_id=contact_id)
    assert own["html_content"].endswith("Reader</html>")


@SQLITE
async def test_a_missing_value_is_told_as_required(world: World) -> None:
    answer = await world.call("previewTemplate", {"variables": {"header_image": "x", "role": ["x"]}})
    told = [(each["field"], each["code"]) for each in answer.json()["error"]["details"]]
    assert told == [
        ("variables.header_image", "invalid_type"),
        ("variables.content", "required"),
        ("variables.role", "invalid_type"),
    ]
    assert error_of(await world.call("previewTemplate", content=b""))[0] == 422


@SQLITE
async def test_a_preview_that_passes_a_limit_is_refused(world: World) -> None:
    endless = "{% for a in (1..9999) %}{% for b in (1..9999) %}{{ b }}{% endfor %}{% endfor %}"
    made = await world.call("createTemplate", {"name": "Endless", "html_content": endless})
    world.ids["template_id"] = made.json()["data"]["id"]
    answer = await world.call("previewTemplate", {})
    assert error_of(answer)[0] == 422
    assert "limit" in answer.json()["error"]["details"][0]["message"]


@SQLITE
async def test_a_contact_is_shown_only_to_who_may_read_contacts(world: World, node: Running) -> None:
    made = await world.client.post(
        "/v2/organization/api-keys", json={"name": "Designer", "scopes": ["templates:read"]}
    )
    body = {"variables": {"content": "x"}, "contact_id": world.ids["contact_id"]}
    async with client_of(node, made.json()["data"]["key"]) as client:
        designer = World(client, world.ids)
        assert (await designer.call("previewTemplate")).status_code == 200
        assert error_of(await designer.call("previewTemplate", body))[0] == 403
        for operation_id in ("createTemplate", "updateTemplate", "deleteTemplate", "duplicateTemplate"):
            assert error_of(await designer.call(operation_id))[0] == 403


async def test_what_the_operator_publishes_others_read_and_copy(world: World, node: Running) -> None:
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    async with client_of(node, stranger.keys["nudgecampaign"]) as client:
        strange = World(client, world.ids)
        assert await strange.names() == []
        for operation_id, operation in SERVED.items():
            if "{" in operation.paths[0]:
                assert error_of(await strange.call(operation_id))[0] == 404
        await world.call("updateTemplate", {"is_public": True})
        assert await strange.names() == ["Newsletter Template"]
        shown = (await strange.call("getTemplate")).json()["data"]["attributes"]
        mine = (await world.call("getTemplate")).json()["data"]["attributes"]
        assert shown == mine
        assert (await strange.preview({"content": "x"}))["text_content"] == "x"
        copy = (await strange.call("duplicateTemplate")).json()["data"]["attributes"]
        assert copy["is_public"] is False
        assert copy["organization_id"] != mine["organization_id"]
        for operation_id in ("updateTemplate", "deleteTemplate"):
            assert error_of(await strange.call(operation_id))[0] == 404
        published = await strange.call("createTemplate", {**ANNOUNCEMENT, "is_public": True})
        assert error_of(published)[0] == 403
