"""Suppressions, unsubscribes and the bounce log against their contract, and what they do to mail."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, Running, make_account, make_domain

from postrider.engine import journal, messages, suppression
from postrider.engine.journal import Event, EventKind
from postrider.engine.suppression import Class, Entry, New, Reason, Scope, Source
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.mailerlogic import bounces, suppressions

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
OPERATIONS = {operation.id: operation for operation in (*bounces.OPERATIONS, *suppressions.OPERATIONS)}
NOWHERE = "00000000-0000-4000-8000-000000000000"
LISTS = {"listBounces": "bounces", "listSuppressions": "suppressions", "listUnsubscribes": "unsubscribes"}
MALFORMED = (
    ("page", "0"),
    ("page", "9" * 40),
    ("limit", "1001"),
    ("limit", "-1"),
    ("limit", "٣"),
    ("from_date", "yesterday"),
    ("to_date", "2026-13-01"),
    ("to_date", "9999-12-31"),
    ("domain_id", "7"),
)
Json = dict[str, Any]


class Desk:
    """The operations as one account uses them, by either spelling of their paths."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.domain_id = to_uuid(node.domain.id)

    async def call(self, name: str, *, body: Any = None, spelling: int = 0, **given: Any) -> httpx2.Response:
        """`given` fills the path, then the query."""
        operation = OPERATIONS[name]
        path = operation.paths[spelling]
        query = {field: value for field, value in given.items() if f"{{{field}}}" not in path}
        filled = path.format(**{field: quote(str(value), safe="") for field, value in given.items()})
        return await self.http.request(operation.method, filled, params=query, json=body)

    async def done(self, name: str, **given: Any) -> Json:
        """The answer, as the contract has it: status and keys."""
        answer = await self.call(name, **given)
        assert answer.status_code == CONTRACT[name].status, answer.text
        body: Json = answer.json()
        assert not missing_keys(body, [key for key in CONTRACT[name].keys if "[]" not in key]), answer.text
        return body

    async def refused(self, status: int, name: str, **given: Any) -> Json:
        answer = await self.call(name, **given)
        assert answer.status_code == status, answer.text
        body: Json = answer.json()
        return body

    async def emails(self, name: str, **query: Any) -> list[str]:
        body = await self.done(name, **query)
        field = "recipient" if name == "listBounces" else "email"
        return [each[field].partition("@")[0] for each in body[LISTS[name]]]

    async def send(self, to: str, **fields: Any) -> httpx2.Response:
        mail = {"from": f"a@{DOMAIN}", "to": to, "subject": "Hello", "text": "Hello", **fields}
        return await self.http.post("/api/v1/send", json=mail)

    async def told(self, to: str) -> str:
        """What a mail to an address meets with: queued, or an error."""
        body: Json = (await self.send(to)).json()
        return str(body.get("error") or body["status"])

    async def put(self, address: str, class_: Class, **more: Any) -> None:
        new = New(address_key=address, class_=class_, **{"reason": Reason.MANUAL, **more})
        await self.node.database.write(suppression.put, self.node.principal, new)

    async def bounced(self, to: str, kind: EventKind = EventKind.BOUNCED, *, data: Json) -> str:
        """The id of a mail of which an event says what came of it."""
        group_id: str = (await self.send(to)).json()["messageId"]
        rows = await self.node.database.read(
            messages.messages_of_group,
            self.node.account.organization_id,
            bytes.fromhex(group_id.replace("-", "")),
        )
        event = Event(self.node.account.organization_id, kind, clock.now_ms(), rows[0].id, data=data)
        await self.node.database.write(journal.record, [event])
        return group_id


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with client_of(node, node.account.keys["mailerlogic"]) as http:
        yield Desk(node, http)


def client_of(node: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers={"X-API-Key": key})


def test_both_spellings_are_the_contracts() -> None:
    for name, operation in OPERATIONS.items():
        assert (operation.method, operation.paths) == (CONTRACT[name].method, CONTRACT[name].paths)


@SQLITE
@pytest.mark.parametrize("spelling", [0, 1])
async def test_every_operation_answers_with_the_keys_of_its_contract(desk: Desk, spelling: int) -> None:
    for name, noun in (("addSuppression", "suppression"), ("addUnsubscribe", "unsubscribe")):
        for number, domain_id in enumerate((None, desk.domain_id)):
            new = {"email": f"{noun}{number}@example.com", "reason": "They asked", "domain_id": domain_id}
            body = await desk.done(name, body=new, spelling=spelling)
            scope = ("global", None) if domain_id is None else ("domain", domain_id)
            record = body[noun]
            assert (record["email"], record["source"], record["reason"]) == (
                new["email"],
                "api",
                "They asked",
            )
            assert (record["scope"], record["domain_id"]) == scope
    await desk.bounced(
        "a@example.com", data={"class": "hard", "code": 550, "enhanced": "5.1.1", "reply": "No"}
    )
    await desk.bounced("b@example.com", EventKind.COMPLAINED, data={"type": "abuse"})
    for name, noun in LISTS.items():
        body = await desk.done(name, spelling=spelling)
        assert not missing_keys(body, CONTRACT[name].keys), body
        assert len(body[noun]) >= 2
        assert body["pagination"] == {"page": 1, "limit": 50, "total": len(body[noun]), "pages": 1}
    entered = (await desk.done("listSuppressions", email="suppression0"))["suppressions"][0]
    await desk.done("removeSuppression", suppressionId=entered["id"], spelling=spelling)
    await desk.done("removeUnsubscribe", email="Unsubscribe0@example.com", spelling=spelling)
    await desk.done(
        "removeUnsubscribe", email="unsubscribe1@example.com", domain_id=desk.domain_id, spelling=spelling
    )
    assert await desk.emails("listUnsubscribes") == []


async def test_a_suppressed_address_is_refused_until_it_is_lifted(desk: Desk) -> None:
    assert await desk.told("ann@example.com") == "queued"
    new = {"email": "Ann <Ann@Example.com>", "reason": "550 5.1.1 User unknown"}
    entered = (await desk.done("addSuppression", body=new))["suppression"]
    assert (entered["type"], entered["bounce_type"], entered["is_whitelisted"]) == ("bounce", "hard", False)
    assert await desk.told("ann@example.com") == "recipient_suppressed"
    again = await desk.refused(409, "addSuppression", body={"email": "ann@example.com", "type": "complaint"})
    assert again["error"] == "conflict"
    await desk.done("removeSuppression", suppressionId=entered["id"].upper())
    assert await desk.told("ann@example.com") == "queued"
    await desk.refused(404, "removeSuppression", suppressionId=entered["id"])


async def test_an_unsubscribed_address_is_refused_until_it_is_re_subscribed(desk: Desk) -> None:
    await desk.done("addUnsubscribe", body={"email": "ann@example.com"})
    await desk.done("addUnsubscribe", body={"email": "ben@example.com", "domain_id": desk.domain_id})
    for address in ("ann@example.com", "ben@example.com"):
        assert await desk.told(address) == "recipient_unsubscribed"
    again = await desk.refused(409, "addUnsubscribe", body={"email": "ANN@example.com"})
    assert again == {
        "error": "Already unsubscribed",
        "message": "ANN@example.com is already unsubscribed.",
    }
    await desk.refused(404, "removeUnsubscribe", email="ben@example.com")
    await desk.refused(404, "removeUnsubscribe", email="ann@example.com", domain_id=desk.domain_id)
    await desk.done("removeUnsubscribe", email="ann@example.com")
    assert await desk.told("ann@example.com") == "queued"
    await desk.done("removeUnsubscribe", email="ben@example.com", domain_id=desk.domain_id)
    assert await desk.told("ben@example.com") == "queued"


@SQLITE
async def test_an_unsubscribe_entered_as_a_suppression_stands_among_the_unsubscribes(desk: Desk) -> None:
    body = await desk.done("addSuppression", body={"email": "ann@example.com", "type": "unsubscribe"})
    entered = body["suppression"]
    assert (entered["type"], entered["bounce_type"]) == ("unsubscribe", None)
    assert (await desk.emails("listSuppressions"), await desk.emails("listUnsubscribes")) == ([], ["ann"])
    assert await desk.told("ann@example.com") == "recipient_unsubscribed"
    again = await desk.refused(
        409, "addSuppression", body={"email": "ann@example.com", "type": "unsubscribe"}
    )
    assert again["error"] == "Already unsubscribed"
    await desk.refused(404, "removeSuppression", suppressionId=entered["id"])


@SQLITE
async def test_the_lists_are_narrowed_and_paged(desk: Desk) -> None:
    hour_ago = clock.to_iso(clock.now_ms() - clock.HOUR)
    for number in range(3):
        await desk.done("addSuppression", body={"email": f"user{number}@example.com", "type": "complaint"})
    await desk.done("addSuppression", body={"email": "ann@example.org", "domain_id": desk.domain_id})
    await desk.put("manual@example.com", Class.BLOCK)
    await desk.put("stream@example.com", Class.BLOCK, scope=Scope.STREAM, scope_id="broadcast")
    every = ["manual", "ann", "user2", "user1", "user0"]
    assert await desk.emails("listSuppressions") == every, "a block of one stream has no word here"
    assert await desk.emails("listSuppressions", type="complaint") == every[2:]
    assert await desk.emails("listSuppressions", type="bounce") == every[:2]
    assert await desk.emails("listSuppressions", email="EXAMPLE.org") == ["ann"]
    assert await desk.emails("listSuppressions", domain_id=desk.domain_id) == ["ann"]
    assert await desk.emails("listSuppressions", domain_id=NOWHERE) == []
    assert await desk.emails("listSuppressions", from_date=hour_ago) == every
    assert await desk.emails("listSuppressions", to_date=hour_ago) == []
    today = clock.to_iso(clock.now_ms())[:10]
    assert await desk.emails("listSuppressions", from_date=today, to_date=today) == every
    assert await desk.emails("listSuppressions", page=2, limit=2) == every[2:4]
    page = await desk.done("listSuppressions", page=4, limit=2)
    assert page == {"suppressions": [], "pagination": {"page": 4, "limit": 2, "total": 5, "pages": 3}}


@SQLITE
async def test_unsubscribes_are_narrowed_by_source(desk: Desk) -> None:
    sources = {
        "a": Source.API,
        "b": Source.MANUAL,
        "c": Source.LINK,
        "d": Source.ONE_CLICK,
        "e": Source.MAIL,
        "f": Source.SIMULATOR,
    }
    for name, source in sources.items():
        await desk.put(f"{name}@example.com", Class.OPTOUT, reason=Reason.UNSUBSCRIBED, source=source)
    for word, names in (("api", ["a"]), ("manual", ["b"]), ("link", ["f", "c"]), ("one-click", ["e", "d"])):
        assert await desk.emails("listUnsubscribes", source=word) == names
        shown = (await desk.done("listUnsubscribes", source=word))["unsubscribes"]
        assert {each["source"] for each in shown} == {word}
    assert await desk.emails("listUnsubscribes", search="c@") == ["c"]


@SQLITE
async def test_a_whitelisted_address_is_sent_to_though_it_stands_in_the_list(desk: Desk) -> None:
    await desk.done("addSuppression", body={"email": "ann@example.com"})
    await desk.put("ann@example.com", Class.ALLOW)
    (shown,) = (await desk.done("listSuppressions"))["suppressions"]
    assert shown["is_whitelisted"]
    assert await desk.told("ann@example.com") == "queued"


async def test_the_bounce_log_has_every_bounce_with_its_diagnostics(desk: Desk) -> None:
    quoted = 'Look: "class":"hard" is not what this is'
    email_id = await desk.bounced(
        "ann@example.com", data={"class": "soft", "code": 452, "enhanced": "4.2.2", "reply": quoted}
    )
    await desk.bounced("ben@example.com", data={"class": "hard", "code": 550, "reply": "User unknown"})
    await desk.bounced("cid@example.com", data={"class": "block", "rule": "x"})
    await desk.bounced("dot@example.com", EventKind.COMPLAINED, data={"type": "abuse"})
    found = (await desk.done("listBounces"))["bounces"]
    assert [(each["recipient"][:3], each["bounce_type"]) for each in found] == [
        ("dot", "complaint"),
        ("cid", "block"),
        ("ben", "hard"),
        ("ann", "soft"),
    ]
    soft, hard, complaint = found[3], found[2], found[0]
    assert (soft["email_id"], soft["domain_id"], soft["subject"]) == (email_id, desk.domain_id, "Hello")
    assert (soft["status_code"], soft["diagnostic_code"]) == ("452 4.2.2", f"452 4.2.2 {quoted}")
    assert (hard["status_code"], hard["reason"]) == ("550", "User unknown")
    assert (complaint["status_code"], complaint["reason"]) == (None, "abuse")
    for type_, name in (("soft", "ann"), ("hard", "ben"), ("block", "cid"), ("complaint", "dot")):
        assert await desk.emails("listBounces", type=type_) == [name]
    assert await desk.emails("listBounces", recipient="BEN@example.com") == ["ben"]
    assert await desk.emails("listBounces", domain_id=desk.domain_id, limit=1, page=2) == ["cid"]
    assert await desk.emails("listBounces", domain_id=NOWHERE) == []
    assert await desk.emails("listBounces", to_date=clock.to_iso(clock.now_ms() - clock.HOUR)) == []
    hour_ago = clock.to_iso(clock.now_ms() - clock.HOUR)
    assert len(await desk.emails("listBounces", from_date=hour_ago)) == 4


@SQLITE
async def test_a_bounce_that_was_played_is_in_the_log_and_its_address_in_the_list(desk: Desk) -> None:
    assert await desk.told("bounce@simulator.postrider.test") == "queued"
    async with asyncio.timeout(10):
        while not await desk.emails("listBounces"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    (bounce,) = (await desk.done("listBounces"))["bounces"]
    (entry,) = (await desk.done("listSuppressions"))["suppressions"]
    assert (entry["source"], entry["bounce_type"], entry["reason"]) == ("system", "hard", bounce["reason"])
    assert bounce["diagnostic_code"].startswith("550 5.1.1 ")


@SQLITE
async def test_bad_bodies_and_queries_are_told_apart(desk: Desk) -> None:
    for name in ("addSuppression", "addUnsubscribe"):
        for body, error in (
            ({"email": "nobody"}, "Invalid email address"),
            ({"email": "a\0@example.com"}, "Invalid email address"),
            ({"email": "a@example.com\r\nBcc: b@example.com"}, "Invalid email address"),
            ({}, "Validation failed"),
            ({"email": "a@example.com", "reason": "x" * 501}, "Validation failed"),
            ({"email": "a@example.com", "reason": "a\nb"}, "Validation failed"),
            ({"email": "a@example.com", "domain_id": 7}, "Validation failed"),
        ):
            assert (await desk.refused(400, name, body=body))["error"] == error, (name, body)
        for domain_id in (NOWHERE, "seven"):
            new = {"email": "a@example.com", "domain_id": domain_id}
            await desk.refused(404, name, body=new)
    assert (await desk.refused(400, "addSuppression", body={"email": "a@example.com", "type": "spam"}))[
        "errors"
    ][0]["field"] == "type"
    for name in LISTS:
        for field, value in MALFORMED:
            told = await desk.refused(400, name, **{field: value})
            assert [each["field"] for each in told["errors"]] == [field], (name, field, value)
    both = await desk.refused(400, "listUnsubscribes", source="fax", page="x")
    assert {each["field"] for each in both["errors"]} == {"source", "page"}
    for field, name in (("email", "listSuppressions"), ("search", "listUnsubscribes")):
        for value in ("a\0", "x" * 255, "*"):
            await desk.refused(400, name, **{field: value})
    for email in ("nobody", "a%00@example.com", " "):
        await desk.refused(404, "removeUnsubscribe", email=email)
    await desk.refused(404, "removeUnsubscribe", email="a@example.com", domain_id="seven")
    await desk.refused(404, "removeSuppression", suppressionId="seven")


@SQLITE
async def test_without_a_key_nothing_is_told(desk: Desk) -> None:
    desk.http.headers["X-API-Key"] = "ml_live_" + "0" * 64
    for name in OPERATIONS:
        given = {"suppressionId": NOWHERE, "email": "ann@example.com"}
        told = await desk.refused(401, name, body={}, **given)
        assert told["error"] == "Unauthorized"


async def test_another_accounts_entries_are_neither_seen_nor_touched(desk: Desk) -> None:
    await desk.done("addUnsubscribe", body={"email": "ann@example.com"})
    entered = (await desk.done("addSuppression", body={"email": "ann@example.com"}))["suppression"]
    await desk.bounced("cid@example.com", data={"class": "block"})
    stranger = make_account(desk.node.database, desk.node.sealer, email="stranger@example.test")
    make_domain(desk.node.database, desk.node.sealer, stranger.organization_id, "mail.stranger.test")
    async with client_of(desk.node, stranger.keys["mailerlogic"]) as http:
        strange = Desk(desk.node, http)
        for name in LISTS:
            assert await strange.emails(name) == []
        assert await strange.emails("listBounces", domain_id=desk.domain_id) == []
        await strange.refused(404, "removeSuppression", suppressionId=entered["id"])
        await strange.refused(404, "removeUnsubscribe", email="ann@example.com")
        new = {"email": "ann@example.com", "domain_id": desk.domain_id}
        await strange.refused(404, "addUnsubscribe", body=new)
        await strange.done("addUnsubscribe", body={"email": "ann@example.com"})
    assert (await desk.emails("listSuppressions"), await desk.emails("listUnsubscribes")) == (
        ["ann"],
        ["ann"],
    )


@SQLITE
async def test_an_opt_out_by_link_is_of_its_domain(desk: Desk) -> None:
    entry = Entry(
        desk.node.account.organization_id, "ann@example.com", Scope.DOMAIN, desk.node.domain.id.hex(),
        Class.OPTOUT, Reason.UNSUBSCRIBED.value, "link",
    )  # fmt: skip
    await desk.node.database.write(suppression.add, [entry])
    (shown,) = (await desk.done("listUnsubscribes"))["unsubscribes"]
    assert (shown["scope"], shown["domain_id"], shown["reason"]) == ("domain", desk.domain_id, "Unsubscribed")
