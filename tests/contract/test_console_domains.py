"""A key is changed in two steps, with the DNS between them; and the list of domains is paged."""

import email
import email.policy
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import dkim
import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, Running, make_domain, running_node
from tests.sink.dns import DnsServer, Fault

from postrider.engine import domains, sending
from postrider.engine.principal import Principal
from postrider.engine.sending import SendCommand, Submission
from postrider.kit.address import Mailbox
from postrider.kit.ids import to_uuid

CONTRACT = load("console")
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
Json = dict[str, Any]


class Desk:
    """The API, the DNS and the inbox around one domain."""

    def __init__(self, node: Running, dns: DnsServer, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.dns = dns
        self.http = http

    async def call(self, name: str, refused: int = 0, **query: Any) -> Json:
        operation = CONTRACT[name]
        path = operation.paths[0].format(id=to_uuid(self.node.domain.id))
        headers = {"Authorization": f"Bearer {self.node.account.keys['console']}"}
        answer = await self.http.request(operation.method, "/console" + path, params=query, headers=headers)
        assert answer.status_code == (refused or operation.status), answer.text
        body: Json = answer.json()
        assert refused in operation.errors if refused else not missing_keys(body, operation.keys)
        return body

    def publish(self, records: Iterable[Json]) -> None:
        for record in records:
            dot = "." if record["type"] == "CNAME" else ""  # as a zone file has it
            self.dns.records[record["name"], record["type"]] = [record["value"] + dot]

    async def mail(self, to: str) -> bytes:
        """A mail as it arrives."""
        prepared, recipients = sending.prepare(SendCommand(to=[Mailbox(to)], subject="Hi", text="Hello"))
        await self.node.node.sender.send(Submission(self.node.principal, prepared, recipients))
        inbox = f"{self.node.base_url}/inbox/api"
        found = (await self.http.get(f"{inbox}/wait", params={"to": to, "timeout": 10})).json()["mail"]
        return (await self.http.get(f"{inbox}/mails/{found['id']}/raw")).content

    def verifies(self, mail: bytes) -> bool:
        """Whether dkimpy, which asks our DNS, accepts the signature."""

        def txt(name: bytes | str, timeout: int = 5) -> bytes:
            asked = (name.decode() if isinstance(name, bytes) else name).rstrip(".")
            return self.dns.records.get((asked, "TXT"), [""])[0].encode()

        return bool(dkim.verify(mail, dnsfunc=txt))


@pytest.fixture
async def desk(store_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with (
        DnsServer() as dns,
        running_node(store_url, tmp_path / "data", dns_servers=f"127.0.0.1:{dns.address[1]}") as node,
        httpx2.AsyncClient(base_url=node.base_url) as http,
    ):
        yield Desk(node, dns, http)


def selectors(mail: bytes) -> list[str]:
    headers = email.message_from_bytes(mail, policy=email.policy.compat32).get_all("DKIM-Signature") or []
    tags = [dict(tag.strip().partition("=")[::2] for tag in header.split(";")) for header in headers]
    return [tag["s"] for tag in tags]


async def test_a_key_is_changed_and_mail_is_signed_with_the_new_one(desk: Desk) -> None:
    before = (await desk.call("getDomain"))["domain"]
    desk.publish(before["records"])
    assert (before["checked_at"], [key["state"] for key in before["keys"]]) == (None, ["active"])
    first = await desk.mail("one@example.com")
    assert selectors(first) == ["pr1"]
    assert desk.verifies(first)

    rotated = await desk.call("rotateDomainKey")
    assert (rotated["key"]["selector"], rotated["key"]["state"]) == ("pr2", "next")
    assert selectors(await desk.mail("two@example.com")) == ["pr1"]
    refused = await desk.call("activateDomainKey", 409)
    assert "There is no DKIM record at selector pr2." in refused["error"]["message"]
    assert (await desk.call("getDomain"))["domain"]["keys"] == rotated["domain"]["keys"]

    desk.publish(rotated["domain"]["records"])
    active = await desk.call("activateDomainKey")
    assert [(key["selector"], key["state"]) for key in active["domain"]["keys"]] == [
        ("pr1", "retired"),
        ("pr2", "active"),
    ]
    assert {"pr1._domainkey." + DOMAIN, "pr2._domainkey." + DOMAIN} <= {
        record["name"] for record in active["domain"]["records"]
    }
    assert (active["domain"]["checks"]["dkim"], active["domain"]["status"]) == (True, "verified")
    last = await desk.mail("three@example.com")
    assert selectors(last) == ["pr2"]
    assert desk.verifies(last)
    assert desk.verifies(first), "what was under way is still proved"


@SQLITE
async def test_one_next_key_at_a_time_and_none_to_activate_twice(desk: Desk) -> None:
    assert "no next key" in (await desk.call("activateDomainKey", 409))["error"]["message"]
    desk.publish((await desk.call("rotateDomainKey"))["domain"]["records"])
    assert "next key already" in (await desk.call("rotateDomainKey", 409))["error"]["message"]
    await desk.call("activateDomainKey")
    await desk.call("activateDomainKey", 409)


@SQLITE
async def test_a_dns_that_does_not_answer_activates_nothing(desk: Desk) -> None:
    desk.publish((await desk.call("rotateDomainKey"))["domain"]["records"])
    desk.dns.faults[f"pr2._domainkey.{DOMAIN}"] = Fault.SERVFAIL
    assert "did not answer" in (await desk.call("activateDomainKey", 409))["error"]["message"]
    assert selectors(await desk.mail("one@example.com")) == ["pr1"]


@SQLITE
async def test_an_ed25519_key_signs_beside_the_rsa_key(desk: Desk) -> None:
    made = await desk.call("rotateDomainKey", algorithm="ed25519-sha256")
    desk.publish(made["domain"]["records"])
    await desk.call("activateDomainKey")
    assert sorted(selectors(await desk.mail("one@example.com"))) == ["pr1", "pr2"]


@SQLITE
async def test_a_parameter_there_is_not_is_refused(desk: Desk) -> None:
    for name, field, value in (
        ("rotateDomainKey", "algorithm", "rsa-sha1"),
        ("rotateDomainKey", "selector", "mine"),
        ("listDomains", "after", "-1"),
        ("listDomains", "after", "9" * 30),
        ("listDomains", "limit", "0"),
        ("listDomains", "before", "1"),
    ):
        given: Json = {field: value}
        assert (await desk.call(name, 400, **given))["error"]["facts"]["field"] == field
    assert len((await desk.call("getDomain"))["domain"]["keys"]) == 1


async def test_the_list_is_paged_in_the_order_of_adding(desk: Desk) -> None:
    organization_id = desk.node.account.organization_id
    for name in ("b.example.test", "a.example.test"):
        make_domain(desk.node.database, desk.node.sealer, organization_id, name, verified=False)
    page = await desk.call("listDomains", limit=2)
    assert ([each["name"] for each in page["domains"]], page["next"]) == ([DOMAIN, "b.example.test"], 2)
    page = await desk.call("listDomains", limit=2, after=page["next"])
    assert ([each["name"] for each in page["domains"]], page["next"]) == (["a.example.test"], None)
    assert (page["domains"][0]["status"], page["domains"][0]["return_path"]) == (
        "pending",
        "bounces.a.example.test",
    )


@SQLITE
async def test_a_domains_switches_are_shown(desk: Desk) -> None:
    principal, domain_id = Principal(desk.node.account.organization_id), desk.node.domain.id
    await desk.node.database.write(
        domains.update, principal, domain_id, return_path_label="rp", click_tracking_enabled=False
    )
    shown = (await desk.call("getDomain"))["domain"]
    assert (shown["return_path"], shown["click_tracking_enabled"]) == (f"rp.{DOMAIN}", False)
    record = next(each for each in shown["records"] if each["purpose"] == "return_path")
    assert (record["name"], record["verified"]) == (f"rp.{DOMAIN}", False)
