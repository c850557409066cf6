"""Postrider's own API against its contract: shapes, refusals, tenancy; cancel, requeue and pause."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account, make_domain

from postrider.db.database import Database
from postrider.engine import errors, sending
from postrider.engine.delivery import control
from postrider.engine.messages import queue
from postrider.engine.principal import Principal
from postrider.engine.sending import SendCommand, Submission
from postrider.engine.sending.routes import Delivery
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import new_id, to_uuid
from postrider.kit.seal import Sealer
from postrider.surfaces.console.app import OPERATIONS
from postrider.surfaces.console.errors import STATUS

CONTRACT = load("console")
ENDED = {"delivered", "bounced", "failed", "suppressed", "cancelled"}
PATIENCE_S = 10
MALFORMED = (
    ("status", "lost"),
    ("limit", "201"),
    ("limit", "0"),
    ("before", "x"),
    ("recipient", "nobody"),
    ("recipient", "a\0@example.com"),
    ("campaign_id", "7"),
    ("state", "queued"),
)
# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
Json = dict[str, Any]


class Desk:
    """The API as one key's holder uses it, and a way to put mail before it."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http

    async def call(self, name: str, refused: int = 0, *, key: str = "", **given: Any) -> Json:
        """One operation by its contract id, answered or `refused`; `given` fills the path, then the query."""
        operation = CONTRACT[name]
        path = operation.paths[0].format(**given)
        query = {
            field: value for field, value in given.items() if "{" + field + "}" not in operation.paths[0]
        }
        headers = {"Authorization": f"Bearer {key or self.node.account.keys['console']}"}
        answer = await self.http.request(operation.method, "/console" + path, params=query, headers=headers)
        assert answer.status_code == (refused or operation.status), answer.text
        body: Json = answer.json()
        if refused:
            assert refused in operation.errors
            assert body["error"].keys() == {"code", "message", "facts"}
        return body

    async def walk(self, name: str, **given: Any) -> Json:
        """As call, in a world where every list has elements: no key of the contract is missing."""
        body = await self.call(name, **given)
        assert not missing_keys(body, CONTRACT[name].keys), name
        return body

    async def send(self, to: str, *, later: bool = False) -> str:
        mail = SendCommand(
            to=[Mailbox(to)], subject="A mail", text="Hello", tags=["first"], metadata={"n": 1}
        )
        prepared, recipients = sending.prepare(mail)
        send_at = clock.now_ms() + clock.HOUR if later else None
        receipt = await self.node.node.sender.send(
            Submission(self.node.principal, prepared, recipients, send_at=send_at)
        )
        return to_uuid(receipt.accepted[0].message_id)

    async def ended(self, message_id: str, attempts: int = 0) -> Json:
        """The message once it has ended, with as many attempts at least."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message: Json = (await self.call("getMessage", id=message_id))["message"]
                if message["status"] in ENDED and len(message["attempts"]) >= attempts:
                    return message
                await asyncio.sleep(0.05)


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


def test_every_engine_error_has_a_status() -> None:
    assert set(STATUS) == set(errors.ALL)


def test_routes_and_contract_match_both_ways() -> None:
    served = {operation.id: (operation.method, operation.paths) for operation in OPERATIONS}
    assert served == {name: (told.method, told.paths) for name, told in CONTRACT.items()}


@SQLITE
async def test_every_answer_has_the_keys_of_its_contract(desk: Desk) -> None:
    delivered, waiting = await desk.send("ann@example.com"), await desk.send("ben@example.com", later=True)
    await desk.ended(delivered, attempts=1)
    told = (await desk.walk("getMessage", id=delivered))["message"]
    assert (told["attempts"][0]["via"], told["metadata"], told["tags"]) == ("capture", {"n": 1}, ["first"])
    assert [event["kind"] for event in told["events"]] == ["accepted", "sent", "delivered"]

    assert [each["id"] for each in (await desk.walk("listMessages"))["messages"]] == [waiting, delivered]
    lane = str((await desk.walk("listQueues"))["sites"][0]["lanes"][0]["id"])
    await desk.walk("pauseLane", id=lane)
    await desk.walk("resumeLane", id=lane)
    await desk.walk("cancelMessage", id=waiting)
    await desk.walk("requeueMessage", id=waiting)
    domain_id = (await desk.walk("listDomains"))["domains"][0]["id"]
    await desk.walk("getDomain", id=domain_id)
    await desk.walk("rotateDomainKey", id=domain_id)


async def test_search_finds_by_status_and_recipient_and_pages(desk: Desk) -> None:
    ids = [await desk.send(f"user{number}@example.com", later=True) for number in range(3)]
    await desk.call("cancelMessage", id=ids[0])

    async def found(**query: Any) -> list[str]:
        return [each["id"] for each in (await desk.call("listMessages", **query))["messages"]]

    assert await found(status="cancelled") == ids[:1]
    assert await found(status="queued,cancelled") == ids[::-1]
    assert await found(recipient="USER1@Example.com") == ids[1:2]
    page = await desk.call("listMessages", limit="2")
    assert page["next"] == ids[1]
    assert await found(limit="2", before=page["next"]) == ids[:1]


@SQLITE
async def test_a_bad_parameter_is_named(desk: Desk) -> None:
    for field, value in MALFORMED:
        given: Json = {field: value}
        refused = await desk.call("listMessages", 400, **given)
        assert refused["error"]["facts"]["field"] == field


@SQLITE
async def test_without_a_key_nothing_is_told(desk: Desk) -> None:
    for name in CONTRACT:
        answer = await desk.call(name, 401, key="pr_live_wrong", id=to_uuid(new_id()), stream="shared")
        assert answer["error"]["code"] == "unauthenticated"


@SQLITE
async def test_what_another_organization_has_is_not_found(desk: Desk) -> None:
    message_id = await desk.send("ann@example.com", later=True)
    lane = str((await desk.call("listQueues"))["sites"][0]["lanes"][0]["id"])
    other = make_account(desk.node.database, desk.node.sealer, email="other@example.test").keys["console"]
    for name in ("getMessage", "cancelMessage", "requeueMessage"):
        await desk.call(name, 404, key=other, id=message_id)
        await desk.call(name, 404, id="not-an-id")
    for name in ("getDomain", "rotateDomainKey", "activateDomainKey"):
        await desk.call(name, 404, key=other, id=to_uuid(desk.node.domain.id))
        await desk.call(name, 404, id="not-an-id")
    assert (await desk.call("listDomains", key=other)) == {"domains": [], "next": None}
    for name in ("pauseLane", "resumeLane"):
        await desk.call(name, 404, key=other, id=lane)
        await desk.call(name, 404, id="x")
    answer = await desk.http.get("/console/v1/messages", headers={"X-API-Key": other})
    assert answer.json() == {"messages": [], "next": None}
    assert (await desk.call("getMessage", id=message_id))["message"]["status"] == "queued"


@SQLITE
async def test_unknown_addresses_and_methods_are_refused_as_json(desk: Desk) -> None:
    assert (await desk.http.get("/console/v1/nothing")).json()["error"]["code"] == "not_found"
    answer = await desk.http.put("/console/v1/queues")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


@SQLITE
async def test_a_cancelled_message_is_not_sent_and_says_so(desk: Desk) -> None:
    message_id = await desk.send("ann@example.com", later=True)
    cancelled = (await desk.call("cancelMessage", id=message_id))["message"]
    assert (cancelled["status"], cancelled["due_at"]) == ("cancelled", None)
    assert [event["kind"] for event in cancelled["events"]] == ["accepted", "cancelled"]
    again = await desk.call("cancelMessage", 409, id=message_id)
    assert again["error"]["message"] == "The message was cancelled already"


@SQLITE
async def test_what_was_delivered_is_neither_cancelled_nor_requeued(desk: Desk) -> None:
    message_id = await desk.send("ann@example.com")
    await desk.ended(message_id, attempts=1)
    assert "delivered" in (await desk.call("cancelMessage", 409, id=message_id))["error"]["message"]
    assert "double" in (await desk.call("requeueMessage", 409, id=message_id))["error"]["message"]


def test_what_a_worker_holds_is_not_cancelled(database: Database) -> None:
    sealer = Sealer(bytes(32))
    principal = Principal(make_account(database, sealer).organization_id)
    make_domain(database, sealer, principal.organization_id)
    prepared, recipients = sending.prepare(
        SendCommand(to=[Mailbox("ann@example.com")], subject="S", text="T")
    )
    routes = sending.Routes(Delivery.CAPTURE, 5)
    database.write_now(sending.submit, [Submission(principal, prepared, recipients)], routes)
    (site,) = database.write_now(queue.lease_sites, "worker", [], 5)
    (held,) = database.write_now(queue.claim, "worker", site.id, 5)
    for act in (control.cancel, control.requeue):
        with pytest.raises(errors.NotAllowedNow):
            database.write_now(act, principal, held.id)
    database.write_now(queue.put_back, [held], "worker", clock.now_ms())
    database.write_now(control.cancel, principal, held.id)
    assert database.write_now(queue.claim, "worker", site.id, 5) == []


async def test_a_requeued_message_is_tried_once_more(desk: Desk) -> None:
    message_id = await desk.send("block@simulator.postrider.test")
    bounced = await desk.ended(message_id, attempts=1)
    assert (bounced["status"], bounced["attempts"][0]["classification"]["class"]) == ("bounced", "block")
    requeued = (await desk.call("requeueMessage", id=message_id))["message"]
    assert requeued["status"] == "queued"
    again = await desk.ended(message_id, attempts=2)
    assert [attempt["number"] for attempt in again["attempts"]] == [1, 2]
    assert [event["kind"] for event in again["events"]] == ["accepted", "bounced", "bounced"]


@SQLITE
async def test_a_cancelled_message_goes_out_when_requeued(desk: Desk) -> None:
    message_id = await desk.send("ann@example.com", later=True)
    await desk.call("cancelMessage", id=message_id)
    await desk.call("requeueMessage", id=message_id)
    assert (await desk.ended(message_id, attempts=1))["status"] == "delivered"


async def test_a_paused_lane_keeps_its_mail_until_it_is_resumed(desk: Desk) -> None:
    await desk.ended(await desk.send("ann@example.com"), attempts=1)
    (site,) = (await desk.call("listQueues"))["sites"]
    lane = str(site["lanes"][0]["id"])
    assert (await desk.call("pauseLane", id=lane))["lane"]["paused"]
    message_id = await desk.send("ben@example.com")
    await asyncio.sleep(0.3)
    (site,) = (await desk.call("listQueues"))["sites"]
    assert (site["lanes"][0]["paused"], site["lanes"][0]["waiting"]) == (True, 1)
    await desk.call("resumeLane", id=lane)
    assert (await desk.ended(message_id, attempts=1))["status"] == "delivered"
    lanes = await desk.node.database.read(queue.overview, desk.node.account.organization_id, 10)
    assert [row["waiting"] for row in lanes] == [0]
