"""SMTP credentials, domains and events: what one operation does the next one shows, and SMTP obeys."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.factories import DOMAIN, Running, running_node
from tests.sink.dns import DnsServer, Fault

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node) as client:
        yield client


def client_of(node: Running) -> httpx2.AsyncClient:
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic/api/v1", headers=headers)


def logs_in(port: int, username: str, password: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
        smtp.starttls(context=context)
        return smtp.login(username, password)[0] == 235


@SQLITE
async def test_a_credential_logs_in_until_it_is_rotated_disabled_or_deleted(
    client: httpx2.AsyncClient, node: Running
) -> None:
    made = (await client.post("/smtp-credentials", json={"name": "Support team"})).json()["credential"]
    assert made["username"].startswith("support-team-")
    assert made["username"].endswith(f"@{DOMAIN}")
    path, old = f"/smtp-credentials/{made['id']}", made["password"]

    async def works(password: str) -> bool:
        return await node.node.keyring.by_smtp_login(made["username"], password) is not None

    assert await asyncio.to_thread(logs_in, node.smtp_port, made["username"], old)
    assert await works(old)
    rotated = (await client.post(f"{path}/rotate")).json()["credential"]["password"]
    assert (await works(old), await works(rotated)) == (False, True)
    assert not (await client.patch(f"{path}/status", json={"status": "disabled"})).json()["credential"][
        "is_active"
    ]
    assert not await works(rotated)
    assert (await client.patch(f"{path}/status", json={"enabled": True})).json()["credential"]["is_active"]
    assert await works(rotated)
    assert (await client.delete(path)).status_code == 200
    assert not await works(rotated)
    assert (await client.delete(path)).status_code == 404


@SQLITE
async def test_the_list_shows_one_master_and_no_password(client: httpx2.AsyncClient, node: Running) -> None:
    rotated = (await client.post("/smtp-credentials/rotate")).json()["smtp_credentials"]
    assert await asyncio.to_thread(logs_in, node.smtp_port, rotated["username"], rotated["password"])
    listed = await client.get("/smtp-credentials")
    assert [each["username"] for each in listed.json()["credentials"] if each["is_master"]] == [
        rotated["username"]
    ]
    assert "smtp_" not in listed.text.replace("smtp_hostname_id", "")
    master = listed.json()["credentials"][0]["id"]
    refused = await client.delete(f"/smtp-credentials/{master}")
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        "The master credential cannot be deleted",
    )


@SQLITE
async def test_a_credential_is_bound_to_a_verified_domain_of_the_account_only(
    client: httpx2.AsyncClient, node: Running
) -> None:
    pending = await client.post("/customer/domains", json={"domain": "new.example.test"})
    domains = (await client.get("/customer/domains")).json()["domains"]
    verified = next(domain["id"] for domain in domains if domain["is_verified"])
    made = await client.post(
        "/smtp-credentials", json={"name": "Bound", "sending_domain_id": verified, "rate_limit_per_hour": 5}
    )
    credential = made.json()["credential"]
    assert (credential["sending_domain_id"], credential["rate_limit_per_hour"]) == (verified, 5)
    path = f"/smtp-credentials/{credential['id']}"
    kept = (await client.put(path, json={"name": "Renamed"})).json()["credential"]
    assert (kept["name"], kept["sending_domain_id"]) == ("Renamed", verified)
    freed = (await client.put(path, json={"sending_domain_id": None})).json()["credential"]
    assert (freed["name"], freed["sending_domain_id"]) == ("Renamed", None)
    for body, status in (
        ({"sending_domain_id": pending.json()["domain"]["id"]}, 400),
        ({"sending_domain_id": NOWHERE}, 404),
        ({"smtp_hostname_id": NOWHERE}, 404),
        ({"rate_limit_per_minute": 0}, 400),
        ({"name": ""}, 400),
    ):
        assert (await client.put(path, json=body)).status_code == status, body


@SQLITE
async def test_a_domain_is_verified_once_its_records_are_published(store_url: str, tmp_path: Path) -> None:
    async with (
        DnsServer() as dns,
        running_node(store_url, tmp_path / "data", dns_servers=f"127.0.0.1:{dns.address[1]}") as node,
        client_of(node) as client,
    ):
        added = (await client.post("/customer/domains", json={"domain": "New.Example.test"})).json()
        domain, records = added["domain"], added["dns_records"]
        path = f"/customer/domains/{domain['id']}"
        assert (domain["domain"], domain["status"], domain["dkim_selector"]) == (
            "new.example.test",
            "pending",
            "pr1",
        )
        assert {record["purpose"] for record in records} == {"verification", "spf", "dkim", "dmarc"}
        assert (await client.get(f"{path}/dns")).json()["records"] == records
        before = (await client.post(f"{path}/verify")).json()
        assert (before["verified"], before["domain"]["status"]) == (False, "pending")
        assert before["checks"]["dkim"] == {
            "verified": False,
            "reason": "There is no DKIM record at selector pr1.",
        }
        dns.records |= {(record["name"], "TXT"): [record["value"]] for record in records}
        after = (await client.post(f"{path}/verify")).json()
        assert (after["verified"], after["domain"]["status"]) == (True, "verified")
        assert all(check["verified"] for check in after["checks"].values())
        dns.faults["pr1._domainkey.new.example.test"] = Fault.SERVFAIL
        assert (await client.post(f"{path}/verify")).json()["verified"], "silence proves nothing"


@SQLITE
async def test_a_domain_is_added_once_and_within_the_plan(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/customer/domains", json={"domain": DOMAIN})).json()["error"] == "conflict"
    answer = await client.post("/customer/domains", json={"domain": "192.0.2.1"})
    assert answer.status_code == 400


@SQLITE
async def test_the_timeline_of_a_mail_tells_its_way(client: httpx2.AsyncClient, node: Running) -> None:
    mail = {"to": "bounce@simulator.postrider.test", "cc": ["ann@example.com"], "subject": "Hi", "text": "Hi"}
    email_id = (await client.post("/send", json={**mail, "from": f"Shop <a@{DOMAIN}>"})).json()["messageId"]
    async with asyncio.timeout(10):
        while True:
            told = (await client.get(f"/emails/{email_id.upper()}/events")).json()
            words = {(event["recipient"], event["event_type"]) for event in told["events"]}
            if {(mail["to"], "bounced"), ("ann@example.com", "delivered")} <= words:
                break
            await asyncio.sleep(0.02)
    assert [event["event_type"] for event in told["events"]][:2] == ["queued", "queued"]
    assert {event["from"] for event in told["events"]} == {f"a@{DOMAIN}"}
    bounce = next(event for event in told["events"] if event["event_type"] == "bounced")
    assert bounce["event_data"]["bounce_type"] == "hard"
    assert bounce["event_data"]["diagnostic_code"].startswith("550")
    assert told["summary"] == {"total_events": len(told["events"]), "opens": 0, "clicks": 0, "human_opens": 0}
    assert len(told["timeline"]) == len(told["events"])


@SQLITE
async def test_an_unknown_mail_has_no_timeline(client: httpx2.AsyncClient) -> None:
    for email_id in (NOWHERE, "abcd1234", "%00"):
        answer = await client.get(f"/emails/{email_id}/events")
        assert (answer.status_code, answer.json()["error"]) == (404, "Email not found or access denied")
