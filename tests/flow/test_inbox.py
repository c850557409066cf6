"""What is captured is found, read, waited for and deleted through the inbox's JSON, by those who may."""

import asyncio
import email
import email.policy
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories import DOMAIN, Running, make_account, running_node

from postrider.engine import sending
from postrider.engine.accounts import NewAccount
from postrider.engine.content.model import Attachment
from postrider.engine.principal import Principal
from postrider.engine.sending import SendCommand, Submission
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.inbox.watch import WAITS_MAX

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
Json = dict[str, Any]


class Inbox:
    """The inbox as a program uses it."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http

    async def send(self, to: str, subject: str, *, organization_id: int = 0, **given: Any) -> None:
        given.setdefault("text", "Hello")
        prepared, recipients = sending.prepare(SendCommand(to=[Mailbox(to)], subject=subject, **given))
        principal = Principal(organization_id or self.node.account.organization_id)
        await self.node.node.sender.send(Submission(principal, prepared, recipients))

    async def get(self, path: str, status: int = 200, **query: Any) -> Json:
        answer = await self.http.get(path, params=query)
        assert answer.status_code == status, answer.text
        body: Json = answer.json()
        return body

    async def wait(self, **query: Any) -> Json:
        mail: Json = (await self.get("wait", **query))["mail"]
        return mail

    async def subjects(self, **query: Any) -> list[str]:
        return [mail["subject"] for mail in (await self.get("mails", **query))["mails"]]


@pytest.fixture
async def inbox(node: Running) -> AsyncIterator[Inbox]:
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/inbox/api/") as http:
        yield Inbox(node, http)


async def test_a_mail_is_waited_for_and_read_in_full(inbox: Inbox) -> None:
    wanted = asyncio.create_task(inbox.wait(to="Ann@example.com", subject="ORDER", timeout=10))
    await inbox.send("ann@example.com", "Something else")
    await inbox.send(
        "ann@example.com",
        "Your order",
        html='<a href="https://shop.example/1">See</a><img src="https://shop.example/x.png">',
        attachments=[Attachment("paper.pdf", "application/pdf", b"%PDF-1.7")],
    )
    mail = await wanted
    assert (mail["subject"], mail["recipient"], mail["to"]) == (
        "Your order",
        "ann@example.com",
        "ann@example.com",
    )
    assert mail["text"].strip() == "Hello"
    assert mail["links"]
    assert mail["has_remote_images"]
    assert "DKIM-Signature" in [header["name"] for header in mail["headers"]]

    (part,) = mail["attachments"]
    downloaded = await inbox.http.get(inbox.node.base_url + part["url"])
    assert (downloaded.content, downloaded.headers["content-type"]) == (b"%PDF-1.7", "application/pdf")
    assert downloaded.headers["content-disposition"] == "attachment; filename*=UTF-8''paper.pdf"
    raw = await inbox.http.get(inbox.node.base_url + mail["raw_url"])
    assert raw.headers["content-type"] == "message/rfc822"
    assert email.message_from_bytes(raw.content, policy=email.policy.default)["Subject"] == "Your order"
    assert len(raw.content) == mail["size_bytes"]

    told = await inbox.get(f"mails/{mail['id']}/delivery")
    assert [event["kind"] for event in told["events"]] == ["accepted", "sent", "delivered"]
    assert [attempt["via"] for attempt in told["attempts"]] == ["capture"]


async def test_mails_are_listed_searched_paged_and_deleted(inbox: Inbox) -> None:
    for number in range(3):
        await inbox.send(f"user{number}@example.com", f"Mail {number} 100%")
        await inbox.wait(subject=f"Mail {number}", timeout=10)
    assert await inbox.subjects() == ["Mail 2 100%", "Mail 1 100%", "Mail 0 100%"]
    assert await inbox.subjects(to="USER1@example.com") == ["Mail 1 100%"]
    assert await inbox.subjects(subject="l 2 100%") == ["Mail 2 100%"]
    assert await inbox.subjects(subject="l_2") == []
    page = await inbox.get("mails", limit=2)
    assert page["total"] == 3
    assert await inbox.subjects(limit=2, before=page["next"]) == ["Mail 0 100%"]
    assert await inbox.subjects(after=page["mails"][1]["id"]) == ["Mail 2 100%"]

    first = page["mails"][0]["id"]
    assert (await inbox.http.delete(f"mails/{first}")).json() == {"deleted": 1}
    assert (await inbox.http.delete(f"mails/{first}")).status_code == 404
    assert (await inbox.http.delete("mails")).json() == {"deleted": 2}
    assert await inbox.get("mails") == {"mails": [], "next": None, "total": 0}


@SQLITE
async def test_waiting_ends_with_its_time_and_looks_only_after(inbox: Inbox) -> None:
    await inbox.send("ann@example.com", "Early")
    early = await inbox.wait(timeout=10)
    started = time.monotonic()
    await inbox.get("wait", 404, timeout=0.3, after=early["id"])
    await inbox.get("wait", 404, timeout=0.3, after=clock.to_iso(clock.now_ms() + 1))
    assert 0.5 < time.monotonic() - started < 5
    assert (await inbox.wait(after=clock.to_iso(clock.now_ms() - clock.MINUTE)))["id"] == early["id"]
    assert await inbox.subjects(after=early["id"], wait=0.2) == []
    coming = asyncio.create_task(inbox.subjects(after=early["id"], wait=10))
    await asyncio.sleep(0.2)
    await inbox.send("ann@example.com", "Late")
    assert await coming == ["Late"]


@SQLITE
async def test_only_so_many_wait_at_once(inbox: Inbox) -> None:
    limits = httpx2.Limits(max_connections=WAITS_MAX + 1)
    async with httpx2.AsyncClient(base_url=inbox.http.base_url, limits=limits, timeout=20) as many:
        waits = [asyncio.create_task(many.get("wait", params={"timeout": 1.5})) for _ in range(WAITS_MAX)]
        await asyncio.sleep(0.7)
        assert (await many.get("wait", params={"timeout": 1})).status_code == 503
        assert {answer.status_code for answer in await asyncio.gather(*waits)} == {404}


@SQLITE
async def test_what_cannot_be_asked_is_refused(inbox: Inbox) -> None:
    for query in (
        {"limit": "0"},
        {"to": "x"},
        {"before": "x"},
        {"after": "x"},
        {"wait": "nan"},
        {"wait": "61"},
    ):
        refused = await inbox.get("mails", 400, **query)
        assert refused["error"]["facts"] == {"field": next(iter(query))}
    for path in (f"mails/{to_uuid(new_id())}", "mails/x", "mails/x/html", "mails/x/parts/0", "nothing"):
        assert (await inbox.get(path, 404))["error"]["code"] == "not_found"
    assert (await inbox.http.put("mails")).status_code == 405


@SQLITE
async def test_a_broken_mail_is_shown_and_framed_safely(inbox: Inbox) -> None:
    await inbox.send("ann@example.com", "Hi", html="<script>alert(1)</script><p>Hi</p>" + "<div>" * 2_000)
    mail = await inbox.wait(timeout=10)
    frame = await inbox.http.get(f"mails/{mail['id']}/html")
    policy = frame.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "allow-scripts" not in policy
    assert "img-src data:;" in policy
    assert "alert" not in frame.text
    allowed = await inbox.http.get(f"mails/{mail['id']}/html", params={"images": "1"})
    assert "img-src data: https: http:;" in allowed.headers["content-security-policy"]


@SQLITE
async def test_the_inbox_shows_the_sandbox_too_and_nobody_else(inbox: Inbox) -> None:
    other = make_account(inbox.node.database, inbox.node.sealer, email="other@example.test")
    await inbox.send("ann@example.com", "Ours")
    mail = await inbox.wait(timeout=10)
    async with httpx2.AsyncClient(base_url=inbox.http.base_url, headers=key_of(other)) as theirs:
        assert (await theirs.get("mails")).json()["total"] == 0
        for method, path in (
            ("GET", ""),
            ("GET", "/html"),
            ("GET", "/raw"),
            ("GET", "/delivery"),
            ("DELETE", ""),
        ):
            answer = await theirs.request(method, f"mails/{mail['id']}{path}")
            assert answer.status_code == 404
        assert (await theirs.delete("mails")).json() == {"deleted": 0}
    assert await inbox.subjects(organization=other.organization_id) == []
    assert await inbox.subjects(organization=inbox.node.account.organization_id) == ["Ours"]
    await inbox.get("mails", 404, organization=999)


@SQLITE
async def test_a_local_inbox_answers_to_local_names_only(inbox: Inbox) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-API-Key": "pr_live_wrong"},
    ):
        answer = await inbox.http.get("mails", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
    assert (await inbox.http.get("mails", headers={"Host": "inbox.localhost:8080"})).status_code == 200


async def test_an_inbox_others_can_reach_asks_for_a_key(tmp_path: Path) -> None:
    async with (
        running_node("sqlite://", tmp_path / "data", http_host="0.0.0.0") as node,
        httpx2.AsyncClient(base_url=f"{node.base_url}/inbox/") as http,
    ):
        assert (await http.get("api/mails")).status_code == 401
        assert (await http.get("api/mails", headers=key_of(node.account))).status_code == 200
        turned_away = await http.get("")
        assert (turned_away.status_code, turned_away.headers["location"]) == (303, "/inbox/login")
        assert (await http.post("login", data={"key": "pr_live_wrong"})).status_code == 401

        welcomed = await http.post("login", data={"key": node.account.keys["console"]})
        cookie = welcomed.headers["set-cookie"].lower()
        assert welcomed.status_code == 303
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert node.account.keys["console"] not in cookie
        assert (await http.get("api/mails")).status_code == 200
        assert "Log out" in (await http.get("")).text
        await http.post("logout")
        assert (await http.get("api/mails")).status_code == 401
        http.cookies.set("postrider_inbox", "bm9uc2Vuc2U=")
        assert (await http.get("api/mails")).status_code == 401


@SQLITE
async def test_pages_load_nothing_from_elsewhere(inbox: Inbox) -> None:
    base = inbox.node.base_url
    for path in ("/", "/inbox/", "/inbox/login"):
        page = await inbox.http.get(base + path)
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        for found in page.text.split('src="')[1:] + page.text.split("<link")[1:]:
            assert "//" not in found.split(">")[0]
    for name in ("inbox.css", "inbox.js", "icon.svg"):
        assert (await inbox.http.get(f"{base}/inbox/static/{name}")).status_code == 200
    assert (await inbox.http.get(f"{base}/inbox/static/../page.py")).status_code == 404


def key_of(account: NewAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.keys['console']}"}


async def test_the_list_shows_the_subject_as_its_recipient_reads_it(inbox: Inbox, node: Running) -> None:
    body = {
        "from": f"news@{DOMAIN}",
        "subject": "Grüße {{name}}, " + "eine lange Zeile " * 8 + "{{ nobody }}",
        "html": "<p>Hello</p>",
        "recipients": [{"email": "ann@example.com", "vars": {"name": "Ann"}}],
    }
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=node.base_url, headers=headers) as http:
        answer = await http.post("/mailerlogic/api/v1/bulk-send", json=body)
    assert answer.status_code in (200, 202), answer.text
    mail = await inbox.wait(to="ann@example.com", timeout=10)
    assert mail["subject"] == ("Grüße Ann, " + "eine lange Zeile " * 8).strip()
    assert await inbox.subjects() == [mail["subject"]]
