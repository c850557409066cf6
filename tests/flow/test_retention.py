"""What goes after its time, and what stays."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.factories import DOMAIN, Running, running_node

from postrider.db.database import Database, Tx
from postrider.engine import messages
from postrider.engine.accounts import Lifetimes
from postrider.engine.content.model import Attachment
from postrider.engine.delivery import store as captured
from postrider.engine.messages import queue
from postrider.engine.sending import SendCommand, Submission, prepare
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.workers.retention import Retention

KEPT_MS = 30 * clock.DAY
NOW = 1_795_261_140_000


@pytest.fixture
def time() -> Iterator[list[int]]:
    """The time, to be set by the test."""
    at = [NOW]
    clock.set_source(lambda: at[0])
    yield at
    clock.set_source(None)


def mail(node: Running, *, send_at: int | None = None) -> Submission:
    command = SendCommand(
        to=[Mailbox("ann@example.com")],
        subject="Hello",
        html='<a href="https://example.com/">x</a>',
        from_=Mailbox(f"a@{DOMAIN}"),
        attachments=[Attachment("a.txt", "text/plain", b"attached", None)],
    )
    prepared, recipients = prepare(command)
    return Submission(node.principal, prepared, recipients, send_at=send_at)


def count(database: Database, table: str) -> int:
    def read(tx: Tx) -> int:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    return database.read_now(read)


async def one_round(node: Running) -> None:
    await Retention(node.database, body_kept_ms=KEPT_MS)._round()


@pytest.fixture
async def node(store_url: str, tmp_path: Path, time: list[int]) -> AsyncIterator[Running]:
    async with running_node(store_url, tmp_path / "data") as running:
        yield running


async def test_bodies_and_attachments_go_and_links_stay(node: Running, time: list[int]) -> None:
    receipt = await node.node.sender.send(mail(node))
    time[0] += 32 * clock.DAY
    await one_round(node)
    assert (count(node.database, "content_bodies"), count(node.database, "attachments")) == (1, 0)
    time[0] += 2 * clock.DAY
    await one_round(node)
    assert count(node.database, "content_bodies") == 0
    row = node.database.read_now(messages.messages_of_group, node.account.organization_id, receipt.group_id)[
        0
    ]
    assert (row.subject, row.links) == ("Hello", ["https://example.com/"])


async def test_what_is_sent_later_keeps_its_body_and_attachments(node: Running, time: list[int]) -> None:
    await node.node.sender.send(mail(node))
    await node.node.sender.send(mail(node, send_at=NOW + 60 * clock.DAY))
    time[0] += 40 * clock.DAY
    await one_round(node)
    assert (count(node.database, "content_bodies"), count(node.database, "attachments")) == (1, 1)


async def test_events_go_when_the_plan_no_longer_keeps_them(node: Running, time: list[int]) -> None:
    await node.node.sender.send(mail(node))
    time[0] += 364 * clock.DAY
    await one_round(node)
    assert count(node.database, "events") > 0
    time[0] += 2 * clock.DAY
    await one_round(node)
    assert count(node.database, "events") == 0


async def test_the_inbox_keeps_its_newest(
    node: Running, time: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id = node.account.organization_id
    new = [
        captured.captured_of(organization_id, bytes(16), "a@b.test", "a@b.test", "x", f"{n}", b"mail", NOW)
        for n in range(7)
    ]
    node.database.write_now(captured.insert_captured, new)
    monkeypatch.setattr(captured, "KEPT_PER_ORGANIZATION", 3)
    monkeypatch.setattr(captured, "TRIM_AT_ONCE", 2)
    await one_round(node)
    left = node.database.read_now(lambda tx: captured.list_captured(tx, [organization_id], limit=10))
    assert [mail.subject for mail in left] == ["6", "5", "4"]
    assert count(node.database, "captured_bodies") == 3


async def test_what_ran_out_is_forgotten(node: Running, time: list[int]) -> None:
    sessions = node.node.sessions
    lifetimes = Lifetimes(clock.MINUTE, clock.HOUR)
    await sessions.login(
        "owner@example.test", "correct horse battery staple", label="x", lifetimes=lifetimes, address="::1"
    )
    node.database.write_now(queue.remember_domains, {"example.com": "mx:a"}, NOW + clock.HOUR)
    await one_round(node)
    assert (count(node.database, "sessions"), count(node.database, "domain_sites")) == (1, 1)
    time[0] += 2 * clock.DAY
    await one_round(node)
    assert (count(node.database, "sessions"), count(node.database, "domain_sites")) == (0, 0)
