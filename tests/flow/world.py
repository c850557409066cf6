"""A node in this process that relays to the sink: what tests of sending say to it and read back from it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx2
from tests.factories import DOMAIN, Running

from postrider.db import lease
from postrider.engine import domains, journal, messages, suppression
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Attempt, Status
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit import clock
from postrider.kit.ids import RowId

WAIT_S = 10.0
POLL_S = 0.01
MAIL = {"from": f"Shop <shop@{DOMAIN}>", "subject": "Hello", "text": "Hello"}


class Clock:
    """The node's time: it runs as the system's does, and leaps when told to."""

    def __init__(self) -> None:
        self._ahead_ms = 0
        clock.set_source(lambda: time.time_ns() // 1_000_000 + self._ahead_ms)

    async def leap(self, running: Running, by_ms: int) -> None:
        """The node's lease is renewed as if it had been alive all the time."""
        self._ahead_ms += by_ms
        await running.database.write(lease.register, running.node.worker, "")
        running.node.deliver.loop.wake()

    async def leap_to(self, running: Running, at_ms: int) -> None:
        await self.leap(running, max(0, at_ms - clock.now_ms()))


async def send(running: Running, to: str, **fields: Any) -> RowId:
    """One mail over HTTP; answers its message's id."""
    answer = await post(running, "send", {**MAIL, "to": to, **fields})
    assert answer.status_code == 200, answer.text
    group_id = bytes.fromhex(answer.json()["messageId"].replace("-", ""))
    (row,) = await running.database.read(
        messages.messages_of_group, running.account.organization_id, group_id
    )
    return RowId(row.id)


async def post(
    running: Running, operation: str, body: Any, headers: dict[str, str] | None = None
) -> httpx2.Response:
    key = {"X-API-Key": running.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=f"{running.base_url}/mailerlogic/api/v1") as client:
        return await client.post(f"/{operation}", json=body, headers=key | (headers or {}))


async def message(running: Running, message_id: RowId) -> Any:
    """The message's row."""
    return await running.database.read(messages.one, running.account.organization_id, message_id)


async def status(running: Running, message_id: RowId) -> Status:
    return Status((await message(running, message_id)).status)


async def attempts(running: Running, message_id: RowId) -> list[Attempt]:
    return await running.database.read(messages.attempts_of, running.account.organization_id, message_id)


async def events(running: Running, message_id: RowId, kind: EventKind) -> list[Event]:
    found = await running.database.read(journal.of_messages, running.account.organization_id, [message_id])
    return [event for event in found if event.kind is kind]


async def tried(running: Running, message_id: RowId, times: int) -> Any:
    """The message's row once so many attempts were settled."""

    async def is_so() -> bool:
        return len(await attempts(running, message_id)) >= times

    await until(is_so, f"attempt {times}")
    return await message(running, message_id)


async def until(is_so: Callable[[], Any], what: str, *, timeout_s: float = WAIT_S) -> None:
    """Poll the coroutine function `is_so`; raises TimeoutError that names `what`."""
    deadline = time.monotonic() + timeout_s
    while not await is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        await asyncio.sleep(POLL_S)


async def published(running: Running) -> dict[str, bytes]:
    """What the sending domain's owner publishes in DNS: TXT records by name."""
    keys = await running.database.read(domains.keys_of, running.principal, running.domain.id)
    records = domains.records(running.domain, keys, running.node.settings.hostname)
    return {record.name: record.value.encode() for record in records if record.type == "TXT"}


async def suppress(running: Running, address: str, class_: Class, reason: Reason) -> None:
    organization_id = running.account.organization_id
    entry = Entry(
        organization_id, address, Scope.ORGANIZATION, "", class_, reason.value, "manual", None, None
    )
    await running.database.write(suppression.add, [entry])
