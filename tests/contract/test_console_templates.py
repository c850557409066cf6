"""Templates through the console: MJML, subjects and numbers, which no dialect shows."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.console_client import Client, Json
from tests.factories import Running, make_account

from postrider.kit.ids import new_id, to_uuid

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
MJML = """<mjml><mj-body><mj-section><mj-column><mj-text>
Hi {{ who }} {% if vip %}you{% endif %}</mj-text></mj-column></mj-section></mj-body></mjml>"""
WELCOME: dict[str, Any] = {
    "name": "Welcome",
    "description": "For new readers",
    "category": "newsletter",
    "subject": "Hello {{ who }}",
    "mjml": MJML,
    "text": None,
    "variables": [{"name": "who", "default": "there"}, {"name": "vip", "type": "json"}],
}


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Client(node, http)


async def made(desk: Client, **given: Any) -> Json:
    told: Json = (await desk.walk("createTemplate", body={**WELCOME, **given}))["template"]
    return told


async def test_a_template_is_made_shown_changed_copied_and_removed(desk: Client) -> None:
    one = await made(desk)
    assert {name: one[name] for name in WELCOME if name != "variables"} == {
        name: value for name, value in WELCOME.items() if name != "variables"
    }
    assert one["variables"] == [
        {"name": "who", "type": "text", "default": "there", "required": False},
        {"name": "vip", "type": "json", "default": None, "required": False},
    ]
    assert (one["number"], one["is_own"], one["is_public"], one["created_by"]) == (1, True, False, None)
    assert one["html"].startswith("<!doctype html>")
    assert (await desk.walk("getTemplate", id=one["id"]))["template"] == one
    changes = {"html": "<p>{{ who }}</p>", "category": None}
    changed = (await desk.walk("changeTemplate", id=one["id"], body=changes))["template"]
    assert {**one, **changes, "mjml": None, "updated_at": changed["updated_at"]} == changed
    copy = (await desk.walk("copyTemplate", id=one["id"]))["template"]
    assert (copy["name"], copy["number"], copy["html"]) == ("Copy of Welcome", 2, "<p>{{ who }}</p>")
    assert await desk.walk("removeTemplate", id=one["id"]) == {"removed": {"id": one["id"]}}
    listed = (await desk.walk("listTemplates"))["templates"]
    assert [each["id"] for each in listed] == [copy["id"]]
    assert "html" not in listed[0]


@SQLITE
async def test_lists_go_on_from_the_last_one_seen(desk: Client) -> None:
    for name in "abc":
        await made(desk, name=name, category=name)
    first = await desk.walk("listTemplates", limit=2)
    assert [each["name"] for each in first["templates"]] == ["c", "b"]
    second = await desk.walk("listTemplates", limit=2, before=first["next"])
    assert ([each["name"] for each in second["templates"]], second["next"]) == (["a"], None)
    for narrowed in ({"category": "b"}, {"search": "B"}):
        assert [each["name"] for each in (await desk.walk("listTemplates", **narrowed))["templates"]] == ["b"]
    for query in ({"limit": 0}, {"before": "x"}, {"before": to_uuid(new_id())}, {"sort": "name"}):
        await desk.call("listTemplates", 400, **query)


async def test_a_preview_is_filled_and_tells_what_is_missing(desk: Client) -> None:
    one = await made(desk, subject="{{ who }} {{ first_name }}")
    shown = (await desk.walk("previewTemplate", id=one["id"], body={"values": {"vip": True}}))["preview"]
    assert shown["subject"] == "there "
    assert "Hi there you" in shown["html"]
    assert shown["text"] == "Hi there you"
    assert shown["missing"] == ["first_name"]
    refused = await desk.call("previewTemplate", 400, id=one["id"], body={"values": {"who": ["x"]}})
    assert refused["error"]["facts"]["field"] == "variables.who"


@SQLITE
async def test_faults_are_told_all_at_once_with_their_places(desk: Client) -> None:
    wrong = {"name": "", "html": "", "variables": [{"name": "two words"}]}
    refused = (await desk.call("createTemplate", 400, body=wrong))["error"]
    assert [each["field"] for each in refused["facts"]["faults"]] == ["name", "html", "variables.0.name"]
    liquid = {
        "name": "x",
        "subject": "{{ stray }}",
        "html": "{{ who | shout }}",
        "variables": [{"name": "who"}],
    }
    refused = (await desk.call("createTemplate", 400, body=liquid))["error"]
    assert refused["code"] == "template_fault"
    told = [(each["field"], each["line"], each["column"]) for each in refused["facts"]["faults"]]
    assert told == [("subject", 1, 4), ("html", 1, 10)]
    mjml = (await desk.call("createTemplate", 400, body={"name": "x", "mjml": "<mjml>\n<mj-foo/></mjml>"}))[
        "error"
    ]
    assert (mjml["facts"]["field"], mjml["facts"]["line"], mjml["facts"]["column"]) == ("mjml", 2, 1)
    one = await made(desk)
    await desk.call("changeTemplate", 400, id=one["id"], body={"variables": [{"name": "other"}]})


async def test_others_read_what_the_operator_publishes_and_write_none_of_it(
    desk: Client, node: Running
) -> None:
    one = await made(desk, is_public=True)
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    key = stranger.keys["console"]
    (listed,) = (await desk.call("listTemplates", key=key))["templates"]
    assert (listed["id"], listed["is_own"]) == (one["id"], False)
    assert (await desk.call("getTemplate", key=key, id=one["id"]))["template"]["html"] == one["html"]
    await desk.call("changeTemplate", 404, key=key, id=one["id"], body={})
    await desk.call("removeTemplate", 404, key=key, id=one["id"])
    await desk.call("createTemplate", 403, key=key, body={**WELCOME, "is_public": True})
    assert (await desk.call("copyTemplate", key=key, id=one["id"]))["template"]["is_public"] is False


@SQLITE
async def test_unknown_ids_and_keys_are_refused(desk: Client) -> None:
    for name in ("getTemplate", "copyTemplate", "removeTemplate"):
        await desk.call(name, 404, id=to_uuid(new_id()))
        await desk.call(name, 404, id="x")
    for name in ("changeTemplate", "previewTemplate"):
        await desk.call(name, 404, id=to_uuid(new_id()), body={})
    await desk.call("listTemplates", 401, key="pr_live_nobody")
