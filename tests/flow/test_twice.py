"""What is reported twice changes nothing: no counter, no suppression, no statistic, no post to a webhook."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories import Running, running_node
from tests.flow.hooks import Receiver
from tests.flow.reader import HTML, Mail
from tests.flow.test_inbound import HOSTNAME, bounce, complaint, hand_in
from tests.flow.world import events, post, send, tried, until
from tests.sink.client import Received, Sink

from postrider.db.database import Tx
from postrider.engine.engagement import store as hits
from postrider.engine.engagement.model import Hit, HitKind
from postrider.engine.journal import EventKind
from postrider.engine.webhooks import deliver, replay
from postrider.kit.ids import RowId

TABLES = (
    "messages",
    "events",
    "suppressions",
    "rollups",
    "tag_rollups",
    "webhook_attempts",
    "webhook_bodies",
)
WAITING = ("event_tail", "hits", "webhook_queue", "parked_events")
WORDS = ["delivered", "bounced", "complained", "unsubscribed", "opened", "clicked"]
REST_S = 0.6  # after a repeat: longer than the workers' idle time


class Delivered:
    """A node with a webhook for everything, and one mail that has arrived."""

    def __init__(self, running: Running, receiver: Receiver, message_id: RowId, received: Received) -> None:
        self.running = running
        self.receiver = receiver
        self.message_id = message_id
        self.received = received
        self.mail = Mail(received.mail)

    async def happens(self, kind: EventKind) -> dict[str, Any]:
        """Everything that is kept, once this has happened and all has followed from it."""
        await until(lambda: events(self.running, self.message_id, kind), kind.name)
        await until(self.is_quiet, "all has followed")
        return await self.running.database.read(everything)

    async def is_quiet(self) -> bool:
        left: int = await self.running.database.read(waiting)
        return left == 0


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(keep=True) as sink:
        yield sink


@pytest.fixture
async def delivered(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Delivered]:
    settings = {"delivery": "relay", "relay_url": f"smtp://127.0.0.1:{sink.port}", "hostname": HOSTNAME}
    async with (
        running_node(store_url, tmp_path / "data", webhook_allow_private=True, **settings) as running,
        Receiver() as receiver,
    ):
        await post(running, "customer/webhooks", {"url": receiver.url(), "events": WORDS})
        asked = {"html": HTML, "track_opens": True, "track_clicks": True, "tag": "welcome"}
        message_id = await send(running, "ann@example.com", **asked)
        (received,) = await asyncio.to_thread(sink.wait_for, 1)
        await tried(running, message_id, 1)
        yield Delivered(running, receiver, message_id, received)


Report = Callable[[Delivered], Awaitable[Any]]


async def bounced(it: Delivered) -> None:
    assert await hand_in(it.running, it.received.sender, bounce(it.received)) == (250, b"")


async def complained(it: Delivered) -> None:
    mail = complaint(it.received, "abuse")
    assert await hand_in(it.running, f"fbl@{HOSTNAME}", mail, "fbl@loop.example.net") == (250, b"")


async def opted_out(it: Delivered) -> None:
    async with httpx2.AsyncClient(base_url=it.running.base_url) as client:
        answer = await client.post(it.mail.opt_out, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200


async def opened(it: Delivered) -> None:
    await it.running.database.write(hits.insert_hits, [hit(it, HitKind.OPEN, None)])


async def clicked(it: Delivered) -> None:
    await it.running.database.write(hits.insert_hits, [hit(it, HitKind.CLICK, 1)])


def hit(it: Delivered, kind: HitKind, link: int | None) -> Hit:
    """Always the same one: at the mail's own time, under the mail's own id."""
    organization_id = it.running.account.organization_id
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    at = int.from_bytes(it.message_id[:6], "big")
    return Hit(organization_id, it.message_id, kind, link, "192.0.2.1", agent, "GET", at, it.message_id)


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        (bounced, EventKind.BOUNCED),
        (complained, EventKind.COMPLAINED),
        (opted_out, EventKind.UNSUBSCRIBED),
        (opened, EventKind.OPENED),
        (clicked, EventKind.CLICKED),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
async def test_a_report_that_comes_twice_changes_nothing(
    delivered: Delivered, report: Report, kind: EventKind
) -> None:
    await delivered.happens(EventKind.DELIVERED)
    await report(delivered)
    first = await delivered.happens(kind)
    posted = len(delivered.receiver.got)
    assert posted == 2, "the delivery and this"
    await report(delivered)
    await asyncio.sleep(REST_S)
    assert await delivered.happens(kind) == first
    assert len(delivered.receiver.got) == posted


async def test_a_post_that_is_settled_twice_is_logged_once(delivered: Delivered) -> None:
    """As by a worker that was thought dead: it settles after another has."""
    before = await delivered.happens(EventKind.DELIVERED)
    db, node = delivered.running.database, delivered.running.node
    (attempt,) = await db.read(lambda tx: replay.browse(tx, delivered.running.principal, limit=9))
    (endpoint,) = await db.read(replay.endpoints_of, delivered.running.principal)
    format_ = node.notify._formats[endpoint.format]
    for owner in (node.worker.id, "dead"):
        served = deliver.Served(deliver.Leased(endpoint, b"", []), format_, [attempt], [])
        await db.write(deliver.settle, owner, [served])
    assert await delivered.happens(EventKind.DELIVERED) == before


def everything(tx: Tx) -> dict[str, Any]:
    """Every row of what is kept."""
    return {
        table: sorted(repr(tuple(row)) for row in tx.exec_driver_sql(f"SELECT * FROM {table}"))
        for table in TABLES
    }


def waiting(tx: Tx) -> int:
    counts = [tx.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in WAITING]
    return int(sum(counts))
