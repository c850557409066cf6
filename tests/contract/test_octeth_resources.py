"""Sessions, keys, domains and SMTP credentials: what one command does the next one shows, and others obey."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.contract.octeth_client import Client, client_of, sender_of
from tests.factories import DOMAIN, PASSWORD, Running, make_account, running_node
from tests.sink.dns import DnsServer

from postrider.kit import clock

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

EMAIL = "owner@example.test"


@pytest.fixture
async def client(node: Running) -> AsyncIterator[Client]:
    async with client_of(node) as client:
        yield client


async def log_in(client: Client, username: str = EMAIL, password: str = PASSWORD) -> dict[str, Any]:
    form = {"Command": "User.Login", "Username": username, "Password": password}
    answer = await client.http.post("/api.php", data=form)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_session_stands_for_a_key_until_it_runs_out(client: Client, node: Running) -> None:
    session = (await log_in(client, "Owner@Example.test"))["SessionID"]
    assert (await client.done("GetDomains", SessionID=session, APIKey=None))["Domains"]
    assert (await client.done("GetDomains", SessionID="unknown"))["Domains"], "the key stands beside it"
    assert (await client.done("GetDomains", SessionID=session, APIKey="bad"))["Domains"]
    assert await client.code("GetDomains", SessionID="unknown", APIKey=None) == 99998
    assert await client.code("GetDomains", SessionID=[session], APIKey=None) == 99998
    await node.database.write(lambda tx: tx.execute(text("UPDATE sessions SET expires_at = 1")))
    assert await client.code("GetDomains", SessionID=session, APIKey=None) == 99999
    assert await client.code("GetDomains", SessionID=session, APIKey="bad") == 99999
    assert (await client.done("GetDomains", SessionID=session))["Domains"]


@SQLITE
async def test_a_login_tells_who_came_in_and_every_fault_of_one_that_did_not(client: Client) -> None:
    body = await log_in(client)
    assert (
        body["UserInfo"] | {"UserID": "1", "Username": EMAIL, "AccountStatus": "Enabled"} == body["UserInfo"]
    )
    assert PASSWORD not in str(body)
    assert (await client.ask("user.LOGIN", APIKey=None)).json() == {
        "Success": False,
        "ErrorCode": [1, 2],
        "ErrorText": ["Missing username", "Missing password"],
    }
    assert (await log_in(client, "nobody@example.test"))["ErrorCode"] == [3]


async def test_a_key_opens_a_session_that_may_do_what_it_may_and_ends_with_it(client: Client) -> None:
    made = (
        await client.http.post("/api/v1/user.apikey", data={"apikey": client.key, "note": "Login"})
    ).json()
    key = made["APIKey"]["Key"]
    body = (await client.ask("User.Login", APIKey=key)).json()
    assert (body["UserInfo"]["Username"], body["ErrorText"]) == (EMAIL, "")
    session = body["SessionID"]
    assert (await client.done("GetDomains", SessionID=session, APIKey=None))["Domains"]
    assert (await client.ask("User.Login", APIKey="wrong")).json()["ErrorCode"] == [3]
    await client.http.post(
        "/api/v1/user.apikey.delete", json={"APIKey": client.key, "APIKeyID": made["APIKeyID"]}
    )
    assert await client.code("GetDomains", SessionID=session, APIKey=None) == 99998


@SQLITE
async def test_a_session_of_a_bound_key_works_from_its_address_only(client: Client, node: Running) -> None:
    body = {"APIKey": client.key, "Note": "Bound", "BoundIpAddress": "127.0.0.1"}
    key = (await client.http.post("/api/v1/user.apikey", json=body)).json()["APIKey"]["Key"]
    session = (await client.ask("User.Login", APIKey=key)).json()["SessionID"]
    assert (await client.done("GetDomains", SessionID=session, APIKey=None))["Domains"]
    await node.database.write(lambda tx: tx.execute(text("UPDATE credentials SET bound_ip = '192.0.2.1'")))
    assert await client.code("GetDomains", SessionID=session, APIKey=None) == 99998


@SQLITE
async def test_who_guesses_passwords_has_to_wait(client: Client) -> None:
    for _ in range(10):
        assert (await log_in(client, password="wrong"))["ErrorCode"] == [3]
    form = {"Command": "User.Login", "Username": EMAIL, "Password": PASSWORD}
    answer = await client.http.post("/api.php", data=form)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (429, [429])
    assert 0 < int(answer.headers["retry-after"]) <= 15 * 60


@SQLITE
async def test_a_role_that_may_only_look_changes_nothing(client: Client, node: Running) -> None:
    session = (await log_in(client))["SessionID"]
    await node.database.write(lambda tx: tx.execute(text("UPDATE memberships SET role = 'viewer'")))
    shown = await client.done("GetDomain", SessionID=session, APIKey=None, DomainID=1)
    assert shown["Domain"]["DomainName"] == DOMAIN
    number = {"DomainID": 1, "smtpid": 1, "ApiKeyId": 1, "DomainName": "a.test", "Description": "Key"}
    changing = (
        *("AddDomain", "UpdateDomain", "VerifyDomain", "DeleteDomain", "ClearDomainQueue", "AddAPI"),
        *("DeleteAPI", "AddSMTP", "ResetSMTPPassword", "DeleteSMTP"),
    )
    for name in changing:
        assert await client.code(name, SessionID=session, APIKey=None, **number) == 403, name
    body = {"SessionID": session, "Note": "Key", "apikeyid": 1}
    for path in ("/api/v1/user.apikey", "/api/v1/user.apikey.delete"):
        answer = await client.http.post(path, json=body)
        assert (answer.status_code, answer.json()["Errors"][0]["Code"]) == (403, 403), path


@SQLITE
async def test_a_user_key_works_until_it_is_deleted_and_is_shown_once(client: Client) -> None:
    made = (
        await client.http.post("/api/v1/user.apikey", data={"apikey": client.key, "note": "Nightly"})
    ).json()
    key = made["APIKey"]["Key"]
    assert [len(group) for group in key.split("-")] == [4] * 8
    assert (made["APIKey"]["Note"], made["APIKey"]["BoundIPAddress"]) == ("Nightly", "")
    assert (await client.done("GetDomains", APIKey=key))["Domains"]
    for asked in ({"params": {"APIKEY": key}}, {"json": {"APIKey": key}}, {"data": {"apikey": key}}):
        listed = await client.http.request("GET", "/api/v1/user.apikeys", **asked)  # type: ignore[arg-type]
        assert [each["Note"] for each in listed.json()["APIKeys"]] == ["First key", "Nightly"]
        assert key not in listed.text
        assert listed.json()["APIKeys"][1]["APIKey"].startswith(key[:12])
    body = {"APIKey": client.key, "APIKeyID": made["APIKeyID"]}
    deleted = await client.http.post("/api/v1/user.apikey.delete", json=body)
    assert (deleted.status_code, deleted.json()) == (200, {"Success": True})
    assert await client.code("GetDomains", APIKey=key) == 99998
    again = await client.http.post("/api/v1/user.apikey.delete", json=body)
    assert (again.status_code, again.json()["Errors"][0]["Code"]) == (404, 2)


@SQLITE
async def test_a_bound_key_works_from_its_address_only(client: Client) -> None:
    for address, works in (("127.0.0.1", True), ("192.0.2.1", False), ("::1", False)):
        body = {"APIKey": client.key, "Note": address, "BoundIpAddress": address}
        made = (await client.http.post("/api/v1/user.apikey", json=body)).json()
        assert made["APIKey"]["BoundIPAddress"] == address
        answer = (await client.ask("EmailGateway.GetDomains", APIKey=made["APIKey"]["Key"])).json()
        assert (answer["Success"], answer["ErrorCode"]) == (works, 0 if works else 99998)


@SQLITE
async def test_a_sender_key_is_told_once_and_dies_when_it_is_deleted(node: Running) -> None:
    async with sender_of(node) as client:
        (listed,) = (await client.done("GetAPIs", DomainID=1))["APIKeys"]
        assert [len(group) for group in client.sender.split("-")] == [8] * 4
        assert client.sender not in str(listed)
        assert listed["Key"].startswith(client.sender[:12])
        assert (listed["Description"], listed["DomainID"], listed["UserID"]) == ("Shop", "1", "1")
        assert (await client.mail()).status_code == 200
        await client.done("DeleteAPI", APIKEYID=client.key, ApiKeyId=listed["KeyID"])
        assert await client.codes() == [13]
        assert (await client.done("GetAPIs", DomainID=1))["APIKeys"] == []


@SQLITE
async def test_user_keys_and_sender_keys_do_not_delete_each_other(node: Running) -> None:
    async with sender_of(node) as client:
        (sender,) = (await client.done("GetAPIs", DomainID=1))["APIKeys"]
        body = {"APIKey": client.key, "apikeyid": sender["KeyID"]}
        assert (await client.http.post("/api/v1/user.apikey.delete", json=body)).status_code == 404
        listed = await client.http.get("/api/v1/user.apikeys", params={"APIKey": client.key})
        (user,) = listed.json()["APIKeys"]
        assert await client.code("DeleteAPI", ApiKeyId=user["APIKeyID"]) == 2


async def test_a_domain_is_enabled_once_its_records_are_published(store_url: str, tmp_path: Path) -> None:
    async with (
        DnsServer() as dns,
        running_node(store_url, tmp_path / "data", dns_servers=f"127.0.0.1:{dns.address[1]}") as node,
        client_of(node) as client,
    ):
        added = await client.done("AddDomain", DomainName="New.Example.test.", Subdomain="mail")
        number, domain = added["NewSenderDomainID"], added["Domain"]
        assert (domain["DomainName"], domain["Status"]) == ("new.example.test", "Approval Pending")
        assert {domain[f"{name}Status"] for name in ("Verification", "DKIM", "SPF")} == {"Pending"}
        before = await client.done("VerifyDomain", DomainID=str(number))
        assert not any(result["Verified"] for result in before["DNSVerificationResults"])
        assert (before["Domain"]["Status"], before["Domain"]["DKIMStatus"]) == ("Approval Pending", "Pending")
        published = {
            (each["Host"], each["Type"]): [each["Value"] + ("." if each["Type"] == "CNAME" else "")]
            for each in before["DNSVerificationResults"]
        }
        assert {host for host, _ in published} == set(domain["VerificationMeta"]["DNSRecords"])
        assert ("mail.new.example.test", "CNAME") in published
        dns.records |= published
        after = await client.done("VerifyDomain", DomainID=number)
        assert all(result["Verified"] for result in after["DNSVerificationResults"])
        shown = (await client.done("GetDomain", DomainID=number))["Domain"]
        assert (shown["DomainID"], shown["Status"], shown["IsActive"], shown["Verified"]) == (
            number, "Enabled", True, True,
        )  # fmt: skip
        assert {shown[f"{name}Status"] for name in ("Verification", "DKIM", "SPF")} == {"Verified"}
        headers = {"X-API-Key": node.account.keys["mailerlogic"]}
        async with httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers=headers) as other:
            theirs = (await other.get("/api/v1/customer/domains")).json()["domains"]
        assert {each["domain"]: each["is_verified"] for each in theirs}["new.example.test"]
        dns.records.clear()
        for status in ("Enabled", "Enabled", "Approval Pending"):  # the third bad check in a row
            domain = (await client.done("VerifyDomain", DomainID=number))["Domain"]
            assert (domain["Status"], domain["IsActive"]) == (status, status == "Enabled")
        assert {domain[f"{name}Status"] for name in ("Verification", "DKIM", "SPF")} == {"Failed"}


@SQLITE
async def test_a_domains_switches_are_changed_one_by_one(client: Client) -> None:
    async def changed(**parameters: Any) -> dict[str, Any]:
        return await client.done("UpdateDomain", DomainID="1", **parameters)

    def switches(body: dict[str, Any]) -> list[str]:
        return [body["Domain"][name] for name in ("LinkTracking", "OpenTracking", "UnsubscribeLink")]

    assert switches(await changed()) == ["1", "1", "1"]
    for off, on in (("0", "1"), (0, 1), (False, True), ("FALSE", "true"), ("no", "Yes")):
        assert switches(await changed(LinkTracking=off)) == ["0", "1", "1"], off
        assert switches(await changed(LinkTracking=on, OpenTracking=off)) == ["1", "0", "1"], on
        assert switches(await changed(OpenTracking=on, UnsubscribeLink=off)) == ["1", "1", "0"]
        assert switches(await changed(UnsubscribeLink=on)) == ["1", "1", "1"]
    body = await changed(HostingProvider="Ours", Subdomain="Mail")
    assert (body["Domain"]["HostingProvider"], body["Domain"]["Subdomain"]) == ("Ours", "mail")
    assert body["SubdomainChanged"]
    kept = await changed(LinkTracking="")
    assert (kept["Domain"]["Subdomain"], kept["SubdomainChanged"]) == ("mail", False)
    reset = await changed(Subdomain="", HostingProvider="")
    assert (reset["Domain"]["Subdomain"], reset["Domain"]["HostingProvider"]) == ("bounces", "")
    assert reset["Domain"]["Options"] == {"LinkTracking": 1, "OpenTracking": 1, "UnsubscribeLink": 1}
    assert await client.code("UpdateDomain", DomainID=1, LinkTracking="perhaps") == 422


@SQLITE
async def test_a_domain_whose_tracking_is_off_altogether_shows_both_switches_off(
    client: Client, node: Running
) -> None:
    await node.database.write(lambda tx: tx.execute(text("UPDATE domains SET tracking_enabled = 0")))
    domain = (await client.done("UpdateDomain", DomainID=1, LinkTracking=1))["Domain"]
    assert domain["Options"] == {"LinkTracking": 0, "OpenTracking": 0, "UnsubscribeLink": 1}


@SQLITE
async def test_a_domain_is_added_once_and_within_the_plan(client: Client, node: Running) -> None:
    for name in (DOMAIN, "192.0.2.1", "a b.test", "x" * 254, 7, ["a.test"], "a\0.test"):
        assert await client.code("AddDomain", DomainName=name) == 2, name
    small = make_account(node.database, node.sealer, email="small@example.test", plan="free")
    async with client_of(node, small.keys["octeth"]) as client:
        await client.done("AddDomain", DomainName=DOMAIN)  # two organizations may have one name
        assert await client.code("AddDomain", DomainName="second.test") == 3
        assert len((await client.done("GetDomains"))["Domains"]) == 1


@SQLITE
async def test_a_deleted_domain_is_gone_and_its_key_sends_no_more(node: Running) -> None:
    async with sender_of(node) as client:
        await client.done("DeleteDomain", DomainID="1")
        assert (await client.done("GetDomains"))["Domains"] == []
        assert await client.code("GetDomain", DomainID=1) == 2
        assert await client.codes() == [13]
        assert await client.codes(Subject=None) == [13]
        again = await client.done("AddDomain", DomainName=DOMAIN)
        assert again["NewSenderDomainID"] == 2
        assert await client.codes() == [13], "the new domain is not the key's"


def logs_in(port: int, username: str, password: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
        smtp.starttls(context=context)
        try:
            return smtp.login(username, password)[0] == 235
        except smtplib.SMTPAuthenticationError:
            return False


@SQLITE
async def test_an_smtp_credential_logs_in_until_it_is_reset_or_deleted(client: Client, node: Running) -> None:
    made = await client.done("AddSMTP", DomainID=1)
    smtp, number = made["SMTP"], made["NewSMTPID"]
    assert (smtp["SMTPHost"], smtp["SMTPPorts"]) == ("mx.postrider.test", [str(node.smtp_port)])

    async def works(password: str) -> bool:
        return await asyncio.to_thread(logs_in, node.smtp_port, smtp["Username"], password)

    assert await works(smtp["SMTPPassword"])
    reset = (await client.done("ResetSMTPPassword", SMTPID=number))["SMTP"]
    assert (reset["Port"], reset["Username"]) == (node.smtp_port, smtp["Username"])
    assert (await works(smtp["SMTPPassword"]), await works(reset["SMTPPassword"])) == (False, True)
    (listed,) = (await client.done("GetSMTPs", DomainID=1))["SMTPs"]
    assert (listed["SMTPID"], listed["Password"], listed["IsActive"]) == (number, "smtp_********", True)
    assert reset["SMTPPassword"] not in str(listed)
    await client.done("DeleteSMTP", smtpid=number)
    assert not await works(reset["SMTPPassword"])
    assert (await client.done("GetSMTPs", DomainID=1))["SMTPs"] == []


@SQLITE
async def test_the_accounts_own_smtp_login_is_not_a_domains(client: Client) -> None:
    """Its number is among the first; no domain lists it, so no command reaches it."""
    for number in range(1, 10):
        assert await client.code("DeleteSMTP", smtpid=number) == 2
        assert await client.code("ResetSMTPPassword", smtpid=number) == 2


@SQLITE
async def test_times_are_shown_to_the_second_in_utc(client: Client) -> None:
    clock.set_source(lambda: 1_795_261_140_000)
    made = await client.done("AddAPI", DomainID=1, Description="Key")
    assert made["APIKey"]["CreatedAt"] == "2026-11-21 11:39:00"
    assert made["APIKey"]["LastUsedDate"] is None
