"""Domains and test emails: switches that mail obeys, deletion, test modes, and one record for every view."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories import DOMAIN, Running, make_domain, running_node
from tests.sink.dns import DnsServer

from postrider.db.database import Tx
from postrider.engine import domains, messages
from postrider.engine.domains import Domain
from postrider.kit import clock
from postrider.kit.ids import from_uuid, to_uuid

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

NOWHERE = "00000000-0000-4000-8000-000000000000"
LINK = '<p><a href="https://shop.test/offer">Offer</a></p>'
LINKED = {"subject": "Hi", "html": LINK, "to": "ann@example.com"}
Json = dict[str, Any]


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node) as client:
        yield client


def client_of(node: Running) -> httpx2.AsyncClient:
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic/api/v1", headers=headers)


async def kept(node: Running, email_id: str) -> Any:
    """(the message's row, its content) of an answered id."""

    def read(tx: Tx) -> Any:
        organization_id = node.account.organization_id
        (row,) = messages.messages_of_group(tx, organization_id, from_uuid(email_id) or b"")
        return row, messages.contents(tx, [(organization_id, row.content_id)])[row.content_id]

    return await node.database.read(read)


async def test_a_domains_switches_hold_for_its_mail(client: httpx2.AsyncClient, node: Running) -> None:
    path = f"/customer/domains/{to_uuid(node.domain.id)}"

    async def tracked(**mail: Any) -> tuple[bool, bool, bool]:
        sent = (await client.post("/send", json={**LINKED, "from": f"a@{DOMAIN}", **mail})).json()
        _, content = await kept(node, sent["messageId"])
        return content.track_opens, content.track_clicks, content.unsubscribe_header

    assert await tracked() == (True, True, True)
    off = {"click_tracking_enabled": False, "unsubscribe_header_enabled": False}
    changed = await client.patch(path, json=off)
    assert changed.json()["message"] == "Domain updated"
    assert await tracked() == (True, False, False)
    assert await tracked(track_clicks=True) == (True, True, False)
    told = (await client.patch(f"{path}/tracking", json={"tracking_enabled": False})).json()
    assert (told["tracking_enabled"], told["click_tracking_enabled"]) == (False, False)
    assert await tracked(track_opens=True) == (False, False, False)
    every = ("tracking_enabled", "click_tracking_enabled", "unsubscribe_header_enabled")
    freed = (await client.patch(path, json=dict.fromkeys(every))).json()["domain"]
    assert [freed[name] for name in every] == [None] * 3
    assert await tracked() == (True, True, True)


@SQLITE
async def test_overrides_stand_beside_the_accounts_defaults(
    client: httpx2.AsyncClient, node: Running
) -> None:
    path = f"/customer/domains/{to_uuid(node.domain.id)}"
    await client.patch(path, json={"open_tracking_enabled": False})
    told = (await client.get(f"{path}/tracking")).json()
    assert (told["domain"], told["open_tracking_enabled"], told["tracking_enabled"]) == (DOMAIN, False, None)
    assert told["account_defaults"] == {
        "tracking_enabled": True,
        "open_tracking_enabled": True,
        "click_tracking_enabled": True,
        "unsubscribe_header_enabled": True,
    }
    assert (told["is_in_sandbox"], told["sandbox_message"]) == (False, None)
    assert (await client.patch(path, json={})).json()["domain"]["open_tracking_enabled"] is False


@SQLITE
async def test_a_malformed_change_changes_nothing(client: httpx2.AsyncClient, node: Running) -> None:
    path = f"/customer/domains/{to_uuid(node.domain.id)}"
    for body, status in (
        ({"tracking_enabled": False, "open_tracking_enabled": "no"}, 400),
        ({"click_tracking_enabled": 0}, 400),
        ([], 400),
        ({"tracking_enabled": False, "tracking_domain_id": NOWHERE}, 404),
        ({"tracking_enabled": False, "tracking_domain_id": "a\0"}, 400),
    ):
        assert (await client.patch(path, json=body)).status_code == status, body
    assert (await client.get(f"{path}/tracking")).json()["tracking_enabled"] is None


async def test_a_deleted_domain_is_gone_and_sends_nothing(client: httpx2.AsyncClient, node: Running) -> None:
    path = f"/customer/domains/{to_uuid(node.domain.id)}"
    assert (await client.delete(path)).json() == {"message": "Domain deleted"}
    for answer in (
        await client.delete(path),
        await client.get(f"{path}/dns"),
        await client.get(f"{path}/tracking"),
        await client.patch(path, json={}),
        await client.post(f"{path}/verify"),
    ):
        assert answer.status_code == 404
    assert (await client.get("/customer/domains")).json()["domains"] == []
    refused = await client.post("/send", json={**LINKED, "from": f"a@{DOMAIN}"})
    assert (refused.status_code, refused.json()["error"]) == (403, "domain_not_verified")


def mail_from(domain: Domain, **more: Any) -> Json:
    test = {"domain_id": to_uuid(domain.id), "from": f"Me <hello@{domain.name}>", "to": "me@example.com"}
    return {**test, "html": LINK, **more}


async def test_a_test_email_is_marked_as_one_and_arrives(client: httpx2.AsyncClient, node: Running) -> None:
    answer = await client.post("/customer/test-email", json=mail_from(node.domain, test_mode="full"))
    assert answer.status_code == 201, answer.text
    email = answer.json()["email"]
    assert (email["from"], email["subject"], email["domain"]) == (f"hello@{DOMAIN}", "Test Email", DOMAIN)
    row, _ = await kept(node, email["id"])
    assert row.is_test == 1
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/inbox/api/") as inbox:
        mail = (await inbox.get("wait", params={"to": "me@example.com", "timeout": 10})).json()["mail"]
        source = (await inbox.get(f"mails/{mail['id']}/raw")).text
    assert f"\r\nMessage-ID: {email['message_id']}\r\n" in source


@SQLITE
async def test_the_test_mode_bounds_what_is_tracked(client: httpx2.AsyncClient, node: Running) -> None:
    wanted = {"track_opens": True, "track_clicks": False}
    for mode, tracking in (
        ("basic", {"opens": False, "clicks": False}),
        ("standard", {"opens": False, "clicks": True}),
        ("full", {"opens": True, "clicks": False}),
    ):
        answer = await client.post(
            "/customer/test-email", json=mail_from(node.domain, test_mode=mode, **wanted)
        )
        assert (answer.json()["email"]["tracking"], answer.json()["test_mode"]) == (tracking, mode)
    await client.patch(f"/customer/domains/{to_uuid(node.domain.id)}", json={"tracking_enabled": False})
    answer = await client.post("/customer/test-email", json=mail_from(node.domain, test_mode="standard"))
    assert answer.json()["email"]["tracking"] == {"opens": False, "clicks": False}


@SQLITE
async def test_without_a_mode_the_domains_age_decides(client: httpx2.AsyncClient, node: Running) -> None:
    found, start = [], clock.now_ms()
    for days in (0, 8, 31):
        now = start + days * clock.DAY
        clock.set_source(lambda now=now: now)  # type: ignore[misc]
        answer = (await client.post("/customer/test-email", json=mail_from(node.domain))).json()
        found.append(answer["test_mode"])
    assert found == ["basic", "standard", "full"]


@SQLITE
async def test_a_test_email_needs_a_verified_domain_of_ones_own(
    client: httpx2.AsyncClient, node: Running
) -> None:
    organization_id = node.account.organization_id
    pending = make_domain(node.database, node.sealer, organization_id, "new.example.test", verified=False)
    for body, status in (
        (mail_from(pending), 403),
        (mail_from(node.domain, **{"from": "a@elsewhere.test"}), 403),
        (mail_from(node.domain, domain_id=NOWHERE), 404),
        (mail_from(node.domain, domain_id="x"), 404),
        (mail_from(node.domain, to="bad"), 400),
        (mail_from(node.domain, subject="a\r\nBcc: b@example.com"), 400),
        (mail_from(node.domain, test_mode="risky"), 400),
        ({"to": "me@example.com"}, 400),
    ):
        answer = await client.post("/customer/test-email", json=body)
        assert answer.status_code == status, (body, answer.text)


@SQLITE
async def test_a_test_email_without_a_body_has_one_and_says_what_is_missing(
    client: httpx2.AsyncClient, node: Running
) -> None:
    test = mail_from(node.domain, html=None, text=None, analyze_content=True)
    answer = (await client.post("/customer/test-email", json=test)).json()
    assert answer["warnings"] == []
    assert answer["recommendations"] == [
        f"Publish the spf record at {DOMAIN}",
        f"Publish the dmarc record at _dmarc.{DOMAIN}",
    ]


@SQLITE
async def test_a_test_email_is_warned_of_its_spam_words_when_it_asks(
    client: httpx2.AsyncClient, node: Running
) -> None:
    for asked, warnings in ((True, ['subject: Contains "Act now"']), (False, [])):
        test = mail_from(node.domain, subject="Act now", analyze_content=asked)
        assert (await client.post("/customer/test-email", json=test)).json()["warnings"] == warnings


async def test_what_one_view_does_to_a_domain_the_others_show(store_url: str, tmp_path: Path) -> None:
    async with (
        DnsServer() as dns,
        running_node(store_url, tmp_path / "data", dns_servers=f"127.0.0.1:{dns.address[1]}") as node,
        client_of(node) as client,
    ):
        added = (await client.post("/customer/domains", json={"domain": "new.example.test"})).json()
        domain_id, records = from_uuid(added["domain"]["id"]) or b"", added["dns_records"]
        its_keys = await node.database.read(domains.keys_of, node.principal, domain_id)
        domain = await node.database.read(domains.get, node.principal, domain_id)
        engine = {record.name for record in domains.records(domain, its_keys, "mx.postrider.test")}
        assert {record["name"] for record in records} < engine
        dns.records |= {(record["name"], "TXT"): [record["value"]] for record in records}
        assert (await client.post(f"/customer/domains/{added['domain']['id']}/verify")).json()["verified"]
        headers = {"Authorization": f"Bearer {node.account.keys['console']}"}
        path = f"/console/v1/domains/{added['domain']['id']}"
        async with httpx2.AsyncClient(base_url=node.base_url, headers=headers) as console:
            shown = (await console.get(path)).json()["domain"]
        assert (shown["status"], shown["checks"]["dkim"], shown["checks"]["return_path"]) == (
            "verified",
            True,
            False,
        )
        gateway = await gateway_view(node, "EmailGateway.VerifyDomain", domain.number)
        assert (gateway["DomainName"], gateway["Status"]) == ("new.example.test", "Enabled")
        changed = await gateway_view(node, "EmailGateway.UpdateDomain", domain.number, LinkTracking="0")
        assert changed["LinkTracking"] == "0"
        assert {record["name"] for record in records} < set(changed["VerificationMeta"]["DNSRecords"])
        await node.database.write(domains.update, node.principal, domain_id, open_tracking_enabled=False)
        listed = (await client.get("/customer/domains")).json()["domains"]
        assert [each["open_tracking_enabled"] for each in listed] == [None, False]
        assert [each["click_tracking_enabled"] for each in listed] == [None, False]
        assert [each["is_verified"] for each in listed] == [True, True]


async def gateway_view(node: Running, command: str, number: int, **more: str) -> Json:
    """The same domain, as the gateway's command answers it."""
    body = {"APIKey": node.account.keys["octeth"], "Command": command, "DomainID": number, **more}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/octeth") as http:
        shown: Json = (await http.post("/api.php", json=body)).json()["Domain"]
        return shown
