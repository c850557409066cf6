"""Campaigns while they are written: kept, listed, changed, dropped, and sent in copies to try them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.test_nudgecampaign import DRAFT, LATER_YEAR, client_of, error_of
from tests.factories import DOMAIN, Running

from postrider.engine.sending.campaigns import SORTS
from postrider.kit import clock
from postrider.surfaces.nudgecampaign.campaigns import CAMPAIGN

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

ALL = "/v2/campaigns"
PLAIN = {"name": "Plain", "subject": "Hello {{first_name}}", "html_content": "<p>Dear {{ first_name }}</p>"}


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node, node.account.keys["nudgecampaign"]) as client:
        yield client


async def made(client: httpx2.AsyncClient, **fields: Any) -> str:
    answer = await client.post(ALL, json={**PLAIN, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


async def attributes_of(client: httpx2.AsyncClient, campaign_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"{ALL}/{campaign_id}")).json()["data"]["attributes"]
    return found


async def captured(node: Running, count: int) -> list[EmailMessage]:
    """The mails in the inbox, as soon as there are so many."""
    async with httpx2.AsyncClient(base_url=node.base_url) as browser, asyncio.timeout(10):
        while True:
            mails = (await browser.get("/inbox/api/mails")).json()["mails"]
            if len(mails) >= count:
                break
            await asyncio.sleep(0.05)
        raw = [(await browser.get(f"/inbox/api/mails/{mail['id']}/raw")).content for mail in mails]
    return [message_from_bytes(each, policy=default) for each in raw]


async def test_a_draft_comes_back_as_it_was_written(client: httpx2.AsyncClient) -> None:
    read_only = {
        "status": "sent",
        "stats": {"recipients": 5},
        "sent_at": "2024-01-01T00:00:00Z",
        "id": "cmp_x",
    }
    answer = await client.post(ALL, json={**DRAFT, **read_only})
    data = answer.json()["data"]
    assert data["attributes"] == await attributes_of(client, data["id"])
    written = {name: value for name, value in DRAFT.items() if name != "settings"}
    assert {name: data["attributes"][name] for name in written} == written
    assert data["attributes"]["settings"] == dict.fromkeys(
        ("track_opens", "track_clicks", "google_analytics", "auto_footer"), True
    )
    assert (data["attributes"]["status"], data["attributes"]["sent_at"]) == ("draft", None)
    assert set(data["attributes"]["stats"].values()) == {0}
    organization = (await client.get("/v2/organization")).json()["data"]
    assert data["relationships"] == {
        "organization": {"data": {"type": "organization", "id": organization["id"]}}
    }
    assert organization["attributes"]["stats"]["total_campaigns"] == 1


async def test_a_change_leaves_what_it_does_not_name(client: httpx2.AsyncClient) -> None:
    campaign_id = await made(client, from_name="Store", settings={"track_opens": False})
    before = await attributes_of(client, campaign_id)
    changes = {"subject": "New", "from_name": None, "settings": {"auto_footer": False}}
    answer = await client.put(f"{ALL}/{campaign_id}", json=changes)
    after = answer.json()["data"]["attributes"]
    assert after == await attributes_of(client, campaign_id)
    settings = {**before["settings"], "auto_footer": False}
    assert after == {**before, "subject": "New", "from_name": None, "settings": settings} | {
        "updated_at": after["updated_at"]
    }
    assert after["settings"]["track_opens"] is False


async def test_a_dropped_draft_is_gone(client: httpx2.AsyncClient) -> None:
    campaign_id = await made(client)
    assert (await client.delete(f"{ALL}/{campaign_id}")).status_code == 204
    for method in ("GET", "DELETE"):
        assert error_of(await client.request(method, f"{ALL}/{campaign_id}"))[0] == 404


@SQLITE
async def test_what_has_been_sent_is_neither_changed_nor_dropped(
    client: httpx2.AsyncClient, node: Running
) -> None:
    campaign_id = await made(client)
    await node.database.write(lambda tx: tx.execute(text("UPDATE campaigns SET status = 'sent'")))
    for method, body in (("PUT", {"name": "Late"}), ("DELETE", None)):
        answer = await client.request(method, f"{ALL}/{campaign_id}", json=body)
        assert error_of(answer) == (409, "ERR_VALIDATION", "validation_error")
        assert answer.json()["error"]["details"][0]["code"] == "invalid_state"


@pytest.mark.parametrize("sort", CAMPAIGN.sorts)
@pytest.mark.parametrize("sign", ["", "-"])
async def test_a_walk_sees_every_campaign_once_while_more_are_made(
    client: httpx2.AsyncClient, sort: str, sign: str
) -> None:
    first = {await made(client, name=name) for name in ("b", "a", "b", "c", "a")}
    seen: list[str] = []
    following: str | None = f"/nudgecampaign{ALL}?page[size]=2&sort={sign}{sort}"
    while following is not None:
        page = (await client.get(httpx2.URL(client.base_url).join(following))).json()
        seen += [each["id"] for each in page["data"]]
        following = page["links"]["next"]
        if len(seen) <= 4:
            await made(client, name="b")
    assert len(seen) == len(set(seen))
    assert first <= set(seen)
    names = [(await attributes_of(client, campaign_id))["name"] for campaign_id in seen]
    if sort == "name":
        assert names == sorted(names, reverse=bool(sign))


@SQLITE
async def test_a_list_is_narrowed_and_counted(client: httpx2.AsyncClient, node: Running) -> None:
    now = clock.now_ms()
    for days in (3, 2, 1):
        clock.set_source(lambda days=days: now - days * clock.DAY)  # type: ignore[misc]
        await made(client, name=f"{days} days ago")
    clock.set_source(None)
    since = clock.to_iso(now - 2 * clock.DAY - clock.HOUR)
    late = (await client.get(ALL, params={"filter[created_after]": since, "page[size]": 1})).json()
    assert (late["meta"]["total"], late["meta"]["has_more"]) == (2, True)
    assert late["data"][0]["attributes"]["name"] == "1 days ago"
    assert "filter[created_after]=" in late["links"]["next"]
    await node.database.write(
        lambda tx: tx.execute(text("UPDATE campaigns SET status = 'paused' WHERE name = '1 days ago'"))
    )
    for word, count in (("draft", 2), ("sending", 1), ("sent", 0)):
        found = (await client.get(ALL, params={"filter[status]": word})).json()
        assert found["meta"]["total"] == len(found["data"]) == count
        assert {each["attributes"]["status"] for each in found["data"]} <= {word}


@SQLITE
async def test_a_list_shows_contents_only_where_they_are_asked_for(client: httpx2.AsyncClient) -> None:
    campaign_id = await made(client)
    plain = (await client.get(ALL)).json()["data"][0]["attributes"]
    assert "html_content" not in plain
    assert "html_content" in await attributes_of(client, campaign_id)
    asked = (await client.get(f"{ALL}?fields[campaign]=html_content")).json()["data"][0]["attributes"]
    assert asked == {"html_content": PLAIN["html_content"]}


@SQLITE
async def test_what_may_be_included_may_be_asked_for(client: httpx2.AsyncClient) -> None:
    campaign_id = await made(client)
    for words in ("stats", "stats,recipients", "template", "templates"):
        for path in (ALL, f"{ALL}/{campaign_id}"):
            answer = await client.get(path, params={"include": words})
            assert (answer.status_code, answer.json()["included"]) == (200, [])
    assert error_of(await client.get(ALL, params={"include": "owner"}))[0] == 400


async def test_test_copies_are_filled_and_delivered_once(client: httpx2.AsyncClient, node: Running) -> None:
    campaign_id = await made(
        client, from_email=f"deals@{DOMAIN}", from_name='The "<Store>"', reply_to="re@x.test"
    )
    recipients = ["ann@example.com", "bob@example.com"]
    body = {"recipients": recipients, "personalization": {"first_name": "Zoë"}}
    path, key = f"{ALL}/{campaign_id}/test", {"Idempotency-Key": "one"}
    first = await client.post(path, json=body, headers=key)
    assert first.json()["data"] == {
        "campaign_id": campaign_id, "recipients": recipients, "sent": 2, "status": "sent",
    }  # fmt: skip
    assert "idempotent-replayed" not in first.headers
    again = await client.post(path, json=body, headers=key)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    other = await client.post(path, json={**body, "personalization": {}}, headers=key)
    assert error_of(other)[0] == 409
    assert other.json()["error"]["details"][0]["code"] == "idempotency_key_reused"
    elsewhere = await client.post(f"{ALL}/{await made(client)}/test", json=body, headers=key)
    assert "idempotent-replayed" not in elsewhere.headers
    mails = await captured(node, 4)
    assert len(mails) == 4
    assert {mail["Subject"] for mail in mails} == {"Hello Zoë"}
    assert sorted(mail["To"] for mail in mails) == sorted(recipients * 2)
    senders = [mail["From"].addresses[0] for mail in mails if mail["Reply-To"] == "re@x.test"]
    assert {sender.display_name for sender in senders} == {'The "<Store>"'}
    assert {sender.addr_spec for sender in senders} == {f"deals@{DOMAIN}"}
    html = mails[0].get_body(("html",))
    assert isinstance(html, EmailMessage)
    assert "Dear Zoë" in html.get_content()
    assert (await attributes_of(client, campaign_id))["stats"]["recipients"] == 0


@SQLITE
async def test_copies_that_cannot_be_sent_say_why(client: httpx2.AsyncClient) -> None:
    to_ann = {"recipients": ["ann@example.com"]}
    for fields, field, code in (
        ({"from_email": "me@unverified.test"}, "from_email", "invalid_value"),
        ({"html_content": "{% for %}"}, "html_content", "invalid_value"),
        ({"subject": "{{ x | nothing }}"}, "subject", "invalid_value"),
    ):
        refused = await client.post(f"{ALL}/{await made(client, **fields)}/test", json=to_ann)
        assert error_of(refused) == (422, "ERR_VALIDATION", "validation_error"), refused.text
        detail = refused.json()["error"]["details"][0]
        assert (detail["field"], detail["code"]) == (field, code)


@SQLITE
async def test_a_key_that_only_writes_writes_and_reads_nothing(
    client: httpx2.AsyncClient, node: Running
) -> None:
    key = {"name": "Writer", "scopes": ["campaigns:write"]}
    secret = (await client.post("/v2/organization/api-keys", json=key)).json()["data"]["key"]
    async with client_of(node, secret) as writer:
        campaign_id = await made(writer)
        path = f"{ALL}/{campaign_id}"
        assert (await writer.put(path, json={"settings": {"track_opens": False}})).status_code == 200
        assert (await writer.post(f"{path}/test", json={"recipients": ["a@example.com"]})).status_code == 200
        for refused in (await writer.get(ALL), await writer.get(path)):
            assert error_of(refused) == (403, "ERR_PERMISSION_DENIED", "authorization_error")
            assert refused.json()["error"]["message"] == "The caller lacks the permission campaigns:read."
        assert (await writer.delete(path)).status_code == 204


def test_every_order_of_the_list_is_one_of_the_engines() -> None:
    assert set(CAMPAIGN.sorts) <= set(SORTS)


async def listed(client: httpx2.AsyncClient, *emails: str) -> str:
    """A list with these people on it."""
    list_id = (await client.post("/v2/lists", json={"name": "Readers"})).json()["data"]["id"]
    for email in emails:
        known = {"email": email, "first_name": email[0].upper(), "lists": [list_id]}
        assert (await client.post("/v2/contacts", json=known)).status_code == 201
    return str(list_id)


async def state_of(client: httpx2.AsyncClient, campaign_id: str, wanted: str) -> dict[str, Any]:
    """The campaign, as soon as it has the status."""
    return await when(client, campaign_id, lambda found: bool(found["status"] == wanted))


async def when(
    client: httpx2.AsyncClient, campaign_id: str, is_so: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The campaign, as soon as that is so."""
    async with asyncio.timeout(20):
        while True:
            found = await attributes_of(client, campaign_id)
            if is_so(found):
                return found
            await asyncio.sleep(0.05)


async def test_a_campaign_goes_to_everybody_on_its_list(client: httpx2.AsyncClient, node: Running) -> None:
    list_id = await listed(client, "ann@example.com", "bob@example.com")
    campaign_id = await made(client, recipient_list_id=list_id, settings={"auto_footer": False})
    sent = await client.post(f"{ALL}/{campaign_id}/send")
    assert (sent.status_code, sent.json()["data"]["attributes"]["status"]) == (200, "sending")
    done = await state_of(client, campaign_id, "sent")
    assert done["sent_at"] is not None
    assert (done["recipient_list_id"], done["stats"]["recipients"]) == (list_id, 2)
    mails = await captured(node, 2)
    assert {mail["To"]: mail["Subject"] for mail in mails} == {
        "ann@example.com": "Hello A",
        "bob@example.com": "Hello B",
    }
    await when(client, campaign_id, lambda found: bool(found["stats"]["delivered"] == 2))
    for path, body in (("", {"name": "Late"}), ("/send", {}), ("/schedule", {"scheduled_at": LATER_YEAR})):
        answer = await client.request("POST" if path else "PUT", f"{ALL}/{campaign_id}{path}", json=body)
        assert error_of(answer) == (409, "ERR_VALIDATION", "validation_error")
        assert answer.json()["error"]["details"][0]["code"] == "invalid_state"
    assert error_of(await client.post(f"{ALL}/{campaign_id}/cancel"))[0] == 409


@SQLITE
async def test_a_time_is_an_instant_or_read_in_its_zone(client: httpx2.AsyncClient) -> None:
    list_id = await listed(client, "ann@example.com")
    campaign_id = await made(client, recipient_list_id=list_id)
    for at, zone, shown in (
        ("2999-07-01T10:00:00Z", "America/New_York", "2999-07-01T10:00:00Z"),
        ("2999-07-01T10:00:00", "America/New_York", "2999-07-01T14:00:00Z"),
        ("2999-01-01T10:00:00+02:00", None, "2999-01-01T08:00:00Z"),
    ):
        body = {"scheduled_at": at, **({"timezone": zone} if zone else {})}
        answer = await client.post(f"{ALL}/{campaign_id}/schedule", json=body)
        attributes = answer.json()["data"]["attributes"]
        assert (attributes["status"], attributes["scheduled_at"]) == ("scheduled", shown)
        assert attributes["timezone"] == zone
    cancelled = await client.post(f"{ALL}/{campaign_id}/cancel")
    assert cancelled.json()["data"]["attributes"]["status"] == "cancelled"
    assert (await client.delete(f"{ALL}/{campaign_id}")).status_code == 204


@SQLITE
async def test_nothing_goes_without_a_list_a_future_or_a_domain(client: httpx2.AsyncClient) -> None:
    list_id = await listed(client, "ann@example.com")
    nowhere = await made(client)
    foreign = await made(client, recipient_list_id=list_id, from_email="a@foreign.example")
    fine = await made(client, recipient_list_id=list_id)
    later, past = {"scheduled_at": LATER_YEAR}, {"scheduled_at": "2020-01-01T00:00:00Z"}
    for campaign_id, path, body, field, code in (
        (nowhere, "send", {}, "recipient_list_id", "required"),
        (nowhere, "schedule", later, "recipient_list_id", "required"),
        (foreign, "send", {}, "from_email", "invalid_value"),
        (foreign, "schedule", later, "from_email", "invalid_value"),
        (fine, "schedule", past, "scheduled_at", "invalid_value"),
        (fine, "schedule", {**later, "timezone": "Mars"}, "timezone", "invalid_value"),
    ):
        answer = await client.post(f"{ALL}/{campaign_id}/{path}", json=body)
        assert error_of(answer)[0] == 422, (path, body, answer.text)
        detail = answer.json()["error"]["details"][0]
        assert (detail["field"], detail["code"]) == (field, code)
        assert (await attributes_of(client, campaign_id))["status"] == "draft"


@SQLITE
async def test_a_copy_keeps_its_list_only_where_that_is_asked(client: httpx2.AsyncClient) -> None:
    list_id = await listed(client)
    campaign_id = await made(client, recipient_list_id=list_id)
    for body, name, kept in (
        ({}, "Copy of Plain", None),
        ({"name": "Again", "include_recipients": True}, "Again", list_id),
    ):
        copy = (await client.post(f"{ALL}/{campaign_id}/duplicate", json=body)).json()["data"]
        assert copy["id"] != campaign_id
        shown = await attributes_of(client, copy["id"])
        assert (shown["name"], shown["recipient_list_id"], shown["status"]) == (name, kept, "draft")
        assert shown["html_content"] == PLAIN["html_content"]


@SQLITE
async def test_lists_are_added_where_they_are_asked_for(client: httpx2.AsyncClient) -> None:
    list_id = await listed(client)
    campaign_id = await made(client, recipient_list_id=list_id)
    for path in (ALL, f"{ALL}/{campaign_id}"):
        told = (await client.get(path, params={"include": "recipients,stats"})).json()
        assert [(each["type"], each["id"]) for each in told["included"]] == [("list", list_id)]


async def test_a_template_gives_a_campaign_its_content(client: httpx2.AsyncClient) -> None:
    mould = {"name": "Mould", "subject": "Other", "html_content": "<p>From the mould</p>"}
    template_id = (await client.post("/v2/templates", json=mould)).json()["data"]["id"]
    new = {"name": "Plain", "subject": "Hello", "template_id": template_id}
    made_ = (await client.post(ALL, json=new)).json()["data"]
    assert made_["attributes"]["html_content"] == "<p>From the mould</p>"
    assert (made_["attributes"]["subject"], made_["attributes"]["template_id"]) == ("Hello", template_id)
    told = (await client.get(f"{ALL}/{made_['id']}", params={"include": "template"})).json()
    assert [(each["type"], each["id"]) for each in told["included"]] == [("template", template_id)]
    unknown = {**new, "template_id": "tpl_" + "a" * 26}
    answer = await client.post(ALL, json=unknown)
    assert error_of(answer)[0] == 422
    detail = answer.json()["error"]["details"][0]
    assert (detail["field"], detail["code"]) == ("template_id", "not_found")
