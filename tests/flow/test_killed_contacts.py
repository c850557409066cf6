"""Followers that are killed at random count what contacts did once each all the same."""

import random
import time

import pytest
from tests.flow.followers import OWNER
from tests.flow.test_killed_followers import follow_and_kill
from tests.unit.engine.audience.people import rows, save
from tests.unit.engine.insight.world import World

from postrider.db.database import Database
from postrider.engine import journal
from postrider.engine.journal import EventKind
from postrider.kit import clock

CONTACTS, MAILS, OPENS = 50, 600, 2
PORTION = 500
KILLS_MIN = 2

pytestmark = pytest.mark.long


@pytest.mark.timeout(400)
def test_killed_followers_count_what_contacts_did_once(database: Database, store_url: str) -> None:
    dice = random.Random(f"{time.time_ns()}")
    world, now = World(database, 1), clock.now_ms()
    addresses = [f"p{number}@example.com" for number in range(CONTACTS)]
    save(database, *addresses)
    mails = [world.mail(now, recipient=addresses[number % CONTACTS]) for number in range(MAILS)]
    told = [world.event(EventKind.SENT, now + 1, mail) for mail in mails]
    # Some at one moment, some not.
    told += [
        world.event(EventKind.OPENED, now + 2 + n // 2, mail, human=True)
        for n in range(OPENS)
        for mail in mails
    ]
    told += [
        world.event(EventKind.BOUNCED, now + 9, mail, **{"class": "soft"}) for _ in range(2) for mail in mails
    ]
    for start in range(0, len(told), PORTION):
        world.record(*told[start : start + PORTION])
    kills = 0
    while database.read_now(journal.tail_length, 1):
        kills += follow_and_kill(store_url, dice)
        database.write_now(journal.release_shards, [OWNER])  # as whoever buries it does
    assert kills >= KILLS_MIN, "the kills came too late to prove anything"
    each = MAILS // CONTACTS
    counted = rows(database, "contacts", "sent, opened, clicked, bounced")
    assert counted == [(each, each, 0, each)] * CONTACTS
    kinds = [row[0] for row in rows(database, "engagements", "kind")]
    assert (kinds.count(1), kinds.count(2)) == (MAILS, MAILS * OPENS)
