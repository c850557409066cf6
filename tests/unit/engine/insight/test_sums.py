"""After many events every counter is their sum: messages', rollups', tags'; counted once more by hand."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.engine.insight.world import TABLES, World, id_at

from postrider.app import FOLLOWERS
from postrider.db.database import Tx
from postrider.engine import insight, journal, messages
from postrider.engine.insight import PLATFORMS, Measure
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal.follow import Dispatch
from postrider.engine.messages import Content, ContentKind, NewMessage, Role, Status, Stream
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

START = 1_795_000_000_000 - 1_795_000_000_000 % clock.DAY
SPAN_MS = 6 * clock.HOUR
EVENTS_A_MAIL = 5
MANY = int(os.environ.get("POSTRIDER_TEST_EVENTS", "100000"))  # a million take a quarter of an hour
PORTION = 500
DOMAINS = [new_id(), new_id(), bytes(16)]
TAGS: list[tuple[str, ...]] = [(), ("news",), ("news", "spring")]
BUCKET_MS = 15 * clock.MINUTE
CAMPAIGNS: list[tuple[RowId | None, int | None]] = [
    (None, None),
    (new_id(), None),
    (new_id(), 1),
    (new_id(), 2),
]
COUNTED = ("opens", "clicks", "first_opened_at", "first_clicked_at", "first_human_opened_at", "first_sent_at")
NAMES = {
    EventKind.ACCEPTED: "accepted",
    EventKind.SENT: "sent",
    EventKind.DELIVERED: "delivered",
    EventKind.OPENED: "opened",
    EventKind.CLICKED: "clicked",
    EventKind.COMPLAINED: "complained",
    EventKind.UNSUBSCRIBED: "unsubscribed",
}


@dataclass
class Mail:
    """A message, and what is known to have happened to it."""

    id: RowId
    domain_id: RowId
    stream: Stream
    tags: tuple[str, ...]
    at: int
    campaign: tuple[RowId | None, int | None]
    seen: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))


class Ledger:
    """The counting by hand: each event adds one in the one place it belongs to."""

    def __init__(self) -> None:
        self.places: Counter[tuple[Any, ...]] = Counter()
        self.tag_places: Counter[tuple[Any, ...]] = Counter()
        self.campaign_places: Counter[tuple[Any, ...]] = Counter()
        self.opened = 0

    def add(self, mail: Mail, at: int, *measures: str) -> None:
        bucket = at - at % BUCKET_MS
        for measure in measures:
            self.places[bucket, measure, mail.domain_id, int(mail.stream)] += 1
            for tag in mail.tags:
                self.tag_places[bucket, mail.domain_id, tag, measure] += 1
        self.add_to_campaign(mail, at, *measures)

    def add_to_campaign(self, mail: Mail, at: int, *measures: str) -> None:
        """What is counted of campaigns alone, too."""
        campaign_id, variant = mail.campaign
        if campaign_id is not None:
            for measure in measures:
                self.campaign_places[campaign_id, measure, at - at % BUCKET_MS, variant or 0] += 1


async def replay(world: World, count: int) -> None:
    dice, ledger, mails = random.Random(count), Ledger(), []
    dispatch = Dispatch(world.database, FOLLOWERS, "test")
    told: list[Event] = []
    for mail in make_mails(world, dice, count // EVENTS_A_MAIL):
        mails.append(mail)
        told += life(world, dice, mail, ledger)
        while len(told) >= PORTION:
            await world.database.write(journal.record, told[:PORTION])
            told = told[PORTION:]
        if dice.random() < 0.01:
            while await dispatch.once():
                pass
    await world.database.write(journal.record, told)
    while await dispatch.once():
        pass
    assert dispatch.parked == 0
    check_rollups(world, ledger)
    check_messages(world, mails)
    followed = world.rollups()
    assert insight.rebuild(world.database) == 0
    world.database.write_now(empty)
    assert insight.rebuild(world.database) == sum(map(len, followed.values()))
    assert world.rollups() == followed


@pytest.mark.timeout(300)
async def test_ten_thousand_events_are_the_sum_of_every_counter(world: World) -> None:
    await replay(world, 10_000)


@pytest.mark.long
@pytest.mark.timeout(2_400)
async def test_many_events_are_the_sum_of_every_counter(world: World) -> None:
    await replay(world, MANY)


def check_rollups(world: World, ledger: Ledger) -> None:
    platforms = {measure.value for measure in PLATFORMS}
    rows = [row for row in world.rollups()["rollups"] if row[0] == world.organization_id]
    # organization, bucket, measure, domain, stream, shard, count
    kept = {(row[1], row[2], row[3], row[4]): row[6] for row in rows if row[2] not in platforms}
    assert kept == dict(ledger.places)
    assert sum(row[6] for row in rows if row[2] in platforms) == ledger.opened
    # organization, bucket, domain, tag, measure, shard, count
    tag_rows = world.rollups()["tag_rollups"]
    kept_tags = {row[1:5]: row[6] for row in tag_rows if row[4] not in platforms}
    assert kept_tags == dict(ledger.tag_places)
    check_campaigns(world, ledger)


def check_campaigns(world: World, ledger: Ledger) -> None:
    others = {
        measure.value
        for measure in Measure
        if measure.startswith(("opened_in_", "opened_on_", "opened_else"))
    }
    rollups = world.rollups()
    # organization, campaign, step, measure, bucket, variant, count
    fine = {(row[1], *row[3:6]): row[6] for row in rollups["campaign_rollups"] if row[2] == BUCKET_MS}
    assert {place: count for place, count in fine.items() if place[1] not in others} == dict(
        ledger.campaign_places
    )
    whole: Counter[tuple[Any, ...]] = Counter()
    for (campaign_id, measure, _, variant), count in fine.items():
        whole[campaign_id, variant, measure] += count
    # organization, campaign, link, variant, measure, count, …
    assert {(row[1], row[3], row[4]): row[5] for row in rollups["campaign_counts"] if row[2] == 0} == dict(
        whole
    )


def check_messages(world: World, mails: list[Mail]) -> None:
    def read(tx: Tx) -> dict[RowId, dict[str, int]]:
        rows = tx.exec_driver_sql(f"SELECT id, {', '.join(COUNTED)} FROM messages")
        return {
            row[0]: {name: value or 0 for name, value in zip(COUNTED, row[1:], strict=True)} for row in rows
        }

    kept = world.database.read_now(read)
    wrong = [(kept[mail.id], mail.seen) for mail in mails if kept[mail.id] != mail.seen]
    assert (len(kept), wrong[:3]) == (len(mails), [])


def life(world: World, dice: random.Random, mail: Mail, ledger: Ledger) -> Iterator[Event]:
    """What happens to one mail, in order, never twice in one millisecond; and its entry in the ledger."""
    at, seen = mail.at, mail.seen
    kinds = [EventKind.ACCEPTED, EventKind.SENT]
    if dice.random() < 0.1:
        kinds.append(EventKind.BOUNCED)
    else:
        kinds.append(EventKind.DELIVERED)
        kinds += dice.choices([EventKind.OPENED, EventKind.CLICKED], [3, 1], k=dice.randrange(5))
        kinds += dice.choices([EventKind.COMPLAINED, EventKind.UNSUBSCRIBED], k=dice.random() < 0.05)
    firsts = set()
    for kind in kinds:
        at += 1 + dice.randrange(20 * clock.MINUTE)
        data: dict[str, Any] = {}
        if kind is EventKind.BOUNCED:
            data["class"] = dice.choice(["hard", "soft", "block"])
            ledger.add(mail, at, f"bounced_{data['class']}")
            yield world.event(kind, at, mail.id, **data)
            continue
        name = NAMES[kind]
        ledger.add(mail, at, name)
        if kind is EventKind.SENT:
            seen["first_sent_at"] = at
        if kind in (EventKind.OPENED, EventKind.CLICKED):
            ledger.opened += kind is EventKind.OPENED
            seen[{"opened": "opens", "clicked": "clicks"}[name]] += 1
            if name not in firsts:
                seen[f"first_{name}_at"] = at
                ledger.add(mail, at, f"{name}_unique")
            if (human := dice.choice([None, True, False])) is not None:
                data["human"] = human
                ledger.add(mail, at, f"{name}_{'human' if human else 'scanner'}")
                if not human and f"{name}_scanner" not in firsts:
                    ledger.add_to_campaign(mail, at, f"{name}_scanner_unique")
                    firsts.add(f"{name}_scanner")
                if human and f"{name}_human" not in firsts:
                    data["first_human"] = True  # as whoever records it knows
                    ledger.add(mail, at, f"{name}_human_unique")
                    firsts.add(f"{name}_human")
                    if kind is EventKind.OPENED:
                        seen["first_human_opened_at"] = at
            firsts.add(name)
        yield world.event(kind, at, mail.id, **data)


def make_mails(world: World, dice: random.Random, count: int) -> Iterator[Mail]:
    contents = {tags: id_at(START) for tags in TAGS}
    world.database.write_now(
        messages.insert_contents,
        [(content(world.organization_id, id_, tags), b"{}") for tags, id_ in contents.items()],
    )
    times = sorted(START + dice.randrange(SPAN_MS) for _ in range(count))
    for start in range(0, count, PORTION):
        mails = [
            Mail(
                id_at(at),
                dice.choice(DOMAINS),
                dice.choice([*Stream]),
                dice.choice(TAGS),
                at,
                dice.choice(CAMPAIGNS),
            )
            for at in times[start : start + PORTION]
        ]
        new = [message(world.organization_id, mail, contents[mail.tags]) for mail in mails]
        world.database.write_now(messages.insert_messages, new, [0] * len(new))
        yield from mails


def content(organization_id: int, content_id: RowId, tags: tuple[str, ...]) -> Content:
    return Content(
        organization_id=organization_id, id=content_id, kind=ContentKind.PARTS,
        from_header="Shop <shop@mail.example.test>", from_address="shop@mail.example.test", subject="Hello",
        headers={}, track_opens=True, track_clicks=True, unsubscribe_header=True, links=[], attachments=[],
        size_bytes=1, messages=1, created_at=START, expires_at=START, tags=list(tags),
    )  # fmt: skip


def message(organization_id: int, mail: Mail, content_id: RowId) -> NewMessage:
    address = f"{mail.id.hex()}@example.com"
    return NewMessage(
        organization_id=organization_id, id=mail.id, group_id=mail.id, content_id=content_id,
        campaign_id=mail.campaign[0], variant=mail.campaign[1],
        recipient=address, address_key=address, role=Role.TO, vars=None, stream=mail.stream,
        declared_stream=mail.stream, domain_id=None if mail.domain_id == bytes(16) else mail.domain_id,
        created_at=mail.at, due_at=None, is_test=False, status=Status.QUEUED,
    )  # fmt: skip


def empty(tx: Tx) -> None:
    for table in TABLES:
        tx.exec_driver_sql(f"DELETE FROM {table}")
