"""A hard bounce at one door closes all five for that address, before a second has passed."""

import smtplib
from typing import Any

import httpx2
from tests.factories import Running
from tests.flow import test_five_doors
from tests.flow.test_five_doors import DOORS, Door
from tests.flow.world import until
from tests.sink.client import Sink

from postrider.engine import messages
from postrider.engine.messages import Status
from postrider.kit import clock

sink, running = test_five_doors.sink, test_five_doors.running  # its fixtures
TO = "bounce@example.com"
CLOSED_MAX_MS = 1_000


async def test_a_hard_bounce_stops_the_next_send_at_every_door(running: Running, sink: Sink) -> None:
    await test_five_doors.mailerlogic(running, TO)
    await until(lambda: bounced(running), "the bounce")
    (first,) = await mails(running)
    assert clock.now_ms() - first.first_bounced_at < CLOSED_MAX_MS, "from now on none may pass"
    passed = [door.__name__ for door in DOORS if await passes(running, door)]
    _, *stopped = await mails(running)
    assert [Status(row.status) for row in stopped] == [Status.SUPPRESSED] * len(passed)
    assert sink.received() == []


async def passes(running: Running, door: Door) -> bool:
    """Whether the door takes a mail to TO; one that is taken must be stopped behind it."""
    try:
        await door(running, TO)
    except (AssertionError, smtplib.SMTPException, httpx2.HTTPError) as refused:
        if "suppress" in str(refused).lower():
            return False
        raise
    await until(lambda: none_waits(running), "the second mail has ended")
    return True


async def mails(running: Running) -> list[Any]:
    """The messages to TO, oldest first."""
    organization_id = running.account.organization_id
    found = await running.database.read(messages.search, organization_id, limit=20, address_key=TO)
    return sorted(found, key=lambda row: row.id)


async def bounced(running: Running) -> bool:
    return [Status(row.status) for row in await mails(running)] == [Status.BOUNCED]


async def none_waits(running: Running) -> bool:
    return not {Status(row.status) for row in await mails(running)} & {Status.QUEUED, Status.DEFERRED}
