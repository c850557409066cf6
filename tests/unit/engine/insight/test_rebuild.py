"""A rebuild counts what the follower counted, to the row; and mends what is wrong while others go on."""

import random
from functools import partial
from typing import Any

import pytest
from tests.unit.engine.insight.world import TABLES, World

from postrider.db.database import Tx
from postrider.engine import insight
from postrider.engine.insight.rebuild import apply, compare
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Stream
from postrider.kit import clock
from postrider.kit.ids import new_id

START = 1_795_000_000_000 - 1_795_000_000_000 % clock.DAY
DOMAINS = [new_id(), new_id(), None]
CAMPAIGNS = [(None, None), (new_id(), None), (new_id(), 1), (new_id(), 2)]
LINKS = ("https://example.com/a", "https://example.com/b", "https://example.com/a")
TAGS = [(), ("news",), ("news", "spring"), ("spring", "spring")]
AGENTS = ["Mozilla/5.0 (via ggpht.com GoogleImageProxy)", "Microsoft Outlook 16", "curl/8", None]


def random_event(world: World, dice: random.Random, message_id: bytes | None) -> Event:
    kind = dice.choice([*EventKind][:13])
    at = START + dice.randrange(3) * 20 * clock.MINUTE + dice.randrange(4)  # ties are frequent
    data: dict[str, Any] = {"class": dice.choice(["hard", "soft", "block"])}
    if (human := dice.choice([None, True, False])) is not None:
        data["human"] = human
    if (agent := dice.choice(AGENTS)) is not None:
        data["user_agent"] = agent
    if dice.random() < 0.9:
        data["link"] = dice.randrange(4)  # the last one is none of the mail's
    return world.event(kind, at, message_id, **data)


async def live(world: World, dice: random.Random, *, events: int = 400) -> None:
    """Random events on some mails, recorded and followed in random portions."""
    mails = []
    for _ in range(12):
        campaign_id, variant = dice.choice(CAMPAIGNS)
        mails.append(
            world.mail(
                START, domain_id=dice.choice(DOMAINS), tags=dice.choice(TAGS), stream=dice.choice([*Stream]),
                campaign_id=campaign_id, variant=variant, links=LINKS,
            )
        )  # fmt: skip
    unknown = [new_id(), None]
    told = [random_event(world, dice, dice.choice([*mails, *mails, *unknown])) for _ in range(events)]
    while told:
        portion = dice.randrange(1, 40)
        world.record(*told[:portion])
        told = told[portion:]
        if dice.random() < 0.5:
            await world.follow()
    await world.follow()


def spoil(tx: Tx) -> None:
    tx.exec_driver_sql("UPDATE rollups SET count = count + 7 WHERE measure = 'opened'")
    tx.exec_driver_sql("DELETE FROM rollups WHERE measure = 'delivered'")
    tx.exec_driver_sql("DELETE FROM tag_rollups WHERE tag = 'news'")
    tx.exec_driver_sql("UPDATE tag_rollups SET tag = 'nobody' WHERE tag = 'spring'")
    tx.exec_driver_sql("UPDATE campaign_rollups SET count = count + 7 WHERE measure = 'opened_unique'")
    tx.exec_driver_sql("DELETE FROM campaign_rollups WHERE measure = 'clicked'")
    tx.exec_driver_sql("UPDATE campaign_counts SET count = count + 3, first_at = NULL WHERE link = 1")
    tx.exec_driver_sql("DELETE FROM campaign_counts WHERE measure IN ('sent', 'clicked_human')")


def spoil_sums(table: str, tx: Tx) -> None:
    tx.exec_driver_sql(f"UPDATE {table} SET count = count + 9 WHERE measure = 'opened'")
    tx.exec_driver_sql(f"DELETE FROM {table} WHERE measure = 'delivered'")
    tx.exec_driver_sql(f"UPDATE {table} SET bucket = bucket + 604800000 WHERE measure = 'clicked'")


def empty(tx: Tx) -> None:
    for table in TABLES:
        tx.exec_driver_sql(f"DELETE FROM {table}")


@pytest.mark.parametrize("seed", range(6))
async def test_a_rebuild_of_what_was_followed_finds_nothing_wrong(world: World, seed: int) -> None:
    await live(world, random.Random(seed))
    followed = world.rollups()
    assert all(followed.values())
    assert insight.rebuild(world.database) == 0
    assert world.rollups() == followed


async def test_what_was_spoiled_or_lost_is_as_it_was(world: World) -> None:
    world.happen(EventKind.ACCEPTED, START - clock.HOUR, world.mail(START))  # the journal begins before
    await live(world, random.Random(7))
    followed = world.rollups()
    world.database.write_now(spoil)
    assert world.rollups() != followed
    assert insight.rebuild(world.database) > 0
    assert world.rollups() == followed


async def test_a_rebuild_from_nothing_is_what_the_follower_counted(world: World) -> None:
    await live(world, random.Random(8), events=1_200)
    followed = world.rollups()
    world.database.write_now(empty)
    assert insight.rebuild(world.database) == sum(map(len, followed.values()))
    assert world.rollups() == followed


async def test_events_that_wait_for_the_follower_are_counted_once(world: World) -> None:
    message_id = world.mail(START)
    world.happen(EventKind.OPENED, START, message_id)
    await world.follow()
    world.happen(EventKind.OPENED, START + 1, message_id)
    assert insight.rebuild(world.database) == 0
    await world.follow()
    assert insight.rebuild(world.database) == 0
    seen = world.database.read_now(
        lambda tx: insight.report(tx, world.principal, start=START, end=START + 1)
    ).total
    assert (seen.opens, seen.unique_opens) == (2, 1)


async def test_what_a_follower_counts_between_comparing_and_writing_stays(world: World) -> None:
    message_id = world.mail(START)
    world.happen(EventKind.ACCEPTED, START - clock.HOUR, message_id)
    world.happen(EventKind.OPENED, START, message_id)
    await world.follow()
    world.database.write_now(lambda tx: tx.exec_driver_sql("UPDATE rollups SET count = 9") and None)
    correction = world.database.snapshot_now(compare, world.organization_id)
    world.happen(EventKind.OPENED, START, message_id)
    await world.follow()
    apply(world.database, correction)
    assert world.database.snapshot_now(compare, world.organization_id).size == 0
    insight.rebuild(world.database)
    assert insight.rebuild(world.database) == 0


async def test_sums_that_were_spoiled_or_lost_are_those_of_the_rollups(world: World) -> None:
    await live(world, random.Random(5))
    followed = world.rollups()
    for table in ("coarse_rollups", "coarse_tag_rollups"):
        world.database.write_now(partial(spoil_sums, table))
    assert insight.rebuild(world.database) > 0
    assert world.rollups() == followed
    assert insight.rebuild(world.database) == 0


async def test_what_is_older_than_the_journal_is_sealed(world: World) -> None:
    await live(world, random.Random(9))
    followed = world.rollups()
    later = START + 20 * clock.MINUTE

    def forget(tx: Tx) -> None:
        held = [row[0] for row in tx.exec_driver_sql("SELECT id FROM events ORDER BY id")]
        place = "%s" if tx.dialect.name == "postgresql" else "?"
        old = [event_id for event_id in held if int.from_bytes(event_id[:6], "big") < later]
        assert 0 < len(old) < len(held)
        for event_id in (*old, held[len(old)]):  # and one of the bucket in which the journal now begins
            tx.exec_driver_sql(f"DELETE FROM events WHERE id = {place}", (event_id,))

    world.database.write_now(forget)
    assert insight.rebuild(world.database) == 0
    assert world.rollups() == followed
