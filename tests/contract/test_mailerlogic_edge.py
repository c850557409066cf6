"""The edge: what nobody expected is a 500, a store that cannot take it a 503; and what switches hide."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response
from tests.factories import DOMAIN, Running

from postrider.db.database import Unavailable
from postrider.engine import errors, journal, messages
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import from_uuid
from postrider.surfaces.common.operations import Call, Manner, Operation, make_app
from postrider.surfaces.mailerlogic.auth import LABEL
from postrider.surfaces.mailerlogic.errors import fail, refuse
from postrider.surfaces.mailerlogic.limits import REQUESTS_PER_MINUTE, Allowance

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"X-API-Key": node.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic/api/v1", headers=headers) as client:
        yield client


async def answer_to(handler: Callable[[Call], Awaitable[Response]], scope: str = "*") -> httpx2.Response:
    """What a handler's trouble is answered with, for a caller who may only read."""

    async def authenticate(services: Any, request: Any) -> Any:
        return SimpleNamespace(principal=Principal(1, scopes=frozenset({"things:read"})))

    manner = Manner(LABEL, "Title", "1.0.0", authenticate, refuse, fail)
    operation = Operation("thing", "GET", ("/thing",), "A thing", scope, handler)
    app = make_app(None, manner, [operation])  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/thing")


@pytest.mark.parametrize(
    ("trouble", "status", "error"),
    [
        (RuntimeError("secret"), 500, "Internal server error"),
        (Unavailable("disk full: /var/secret"), 503, "service_unavailable"),
        (errors.Busy(), 503, "service_unavailable"),
        (errors.RateLimited(retry_after_s=7), 429, "rate_limit_exceeded"),
        (errors.QuotaExceeded(limit=3_000), 429, "quota_exceeded"),
    ],
)
async def test_trouble_is_told_without_its_inside(trouble: Exception, status: int, error: str) -> None:
    async def handler(call: Call) -> Response:
        raise trouble

    answer = await answer_to(handler, scope="things:read")
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status in (429, 503))


async def test_a_key_without_the_scope_is_forbidden() -> None:
    async def handler(call: Call) -> Response:
        raise AssertionError

    answer = await answer_to(handler, scope="things:write")
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


def test_the_allowance_is_counted_per_organization_and_minute() -> None:
    allowance, told = Allowance(), []
    now = 1_795_261_140_000
    for organization_id, at in ((1, now), (1, now), (2, now), (1, now + clock.MINUTE)):
        clock.set_source(lambda at=at: at)  # type: ignore[misc]
        response, caller = Response(), SimpleNamespace(principal=Principal(organization_id))
        allowance.stamp(response, Request({"type": "http"}), caller)  # type: ignore[arg-type]
        told.append((response.headers["x-ratelimit-remaining"], response.headers["x-ratelimit-reset"]))
    rest = [str(REQUESTS_PER_MINUTE - used) for used in (1, 2, 1, 1)]
    assert told == list(zip(rest, ["1795261200"] * 3 + ["1795261260"], strict=True))


@SQLITE
async def test_events_show_hits_within_the_plans_retention(client: httpx2.AsyncClient, node: Running) -> None:
    mail = {"to": "ann@example.com", "subject": "Hi", "html": '<a href="https://shop.test/offer">x</a>'}
    email_id = (await client.post("/send", json={**mail, "from": f"a@{DOMAIN}"})).json()["messageId"]
    organization_id = node.account.organization_id
    group = await node.database.read(messages.messages_of_group, organization_id, from_uuid(email_id) or b"")
    now, data = clock.now_ms(), {"ip": "203.0.113.45", "user_agent": "Mozilla/5.0", "human": True}
    for kind, at, more in (
        (EventKind.OPENED, now - 366 * clock.DAY, {}),
        (EventKind.OPENED, now, {}),
        (EventKind.CLICKED, now, {"link": 0}),
        (EventKind.DEFERRED, now, {}),
    ):
        event = Event(organization_id, kind, at, message_id=group[0].id, data={**data, **more})
        await node.database.write(journal.record, [event])
    told = (await client.get(f"/emails/{email_id}/events")).json()
    assert (told["summary"]["opens"], told["summary"]["clicks"], told["summary"]["human_opens"]) == (1, 1, 1)
    click = next(event for event in told["events"] if event["event_type"] == "clicked")
    assert click["is_human_engagement"] is True
    assert click["event_data"] == {
        "ip_address": "203.0.113.45", "user_agent": "Mozilla/5.0", "url": "https://shop.test/offer",
    }  # fmt: skip
    one = await client.get(f"/emails/{group[0].id.hex()}/events")
    assert len(one.json()["events"]) == len(told["events"])


@SQLITE
@pytest.mark.parametrize("switch", ["event_tracking", "event_api"])
async def test_events_are_forbidden_where_they_are_switched_off(
    client: httpx2.AsyncClient, node: Running, switch: str
) -> None:
    settings = f'{{"{switch}_enabled": false}}'
    await node.database.write(
        lambda tx: tx.execute(text("UPDATE organizations SET settings = :settings"), {"settings": settings})
    )
    node.node.keyring.forget()
    answer = await client.get("/emails/00000000-0000-4000-8000-000000000000/events")
    assert (answer.status_code, answer.json()["error"]) == (403, f"{switch}_disabled")


@SQLITE
async def test_a_suspended_account_may_look_but_not_send(client: httpx2.AsyncClient, node: Running) -> None:
    await node.database.write(lambda tx: tx.execute(text("UPDATE organizations SET status = 'suspended'")))
    answer = await client.post("/send", json={"to": "a@example.com", "subject": "Hi", "text": "Hi"})
    assert (answer.status_code, answer.json()["error"]) == (403, "account_suspended")
    assert (await client.get("/customer/domains")).status_code == 200
