"""Followers that are killed, wherever they are, lose nothing, count nothing twice, queue each post once."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO

import pytest
from tests.factories import make_account
from tests.flow.followers import OWNER
from tests.unit.engine.insight.test_sums import Ledger, check_messages, check_rollups, life, make_mails
from tests.unit.engine.insight.world import World

from postrider.app import FORMATS
from postrider.db.database import Database, Tx
from postrider.engine import insight, journal, webhooks
from postrider.engine.journal import Event
from postrider.kit.seal import MASTER_KEY_BYTES, Sealer

ROOT = Path(__file__).parents[2]
MAILS = 800
PORTION = 500
UP_MAX_S = 0.05  # from the order of the second batch until it is killed: about as long as one takes
ENDED_MAX_S = 60.0
KILLS_MIN = 3

pytestmark = pytest.mark.long


@pytest.mark.timeout(400)
def test_killed_followers_lose_and_double_nothing(database: Database, store_url: str) -> None:
    sealer, dice = Sealer(bytes(MASTER_KEY_BYTES)), random.Random(f"{time.time_ns()}")
    world = World(database, make_account(database, sealer).organization_id)
    words = subscribe(world, sealer)
    ledger, mails = Ledger(), []
    told: list[Event] = []
    for mail in make_mails(world, random.Random(MAILS), MAILS):
        mails.append(mail)
        told += life(world, dice, mail, ledger)
    for start in range(0, len(told), PORTION):
        database.write_now(journal.record, told[start : start + PORTION])
    kills = 0
    while world.database.read_now(journal.tail_length, 1):
        kills += follow_and_kill(store_url, dice)
        database.write_now(journal.release_shards, [OWNER])  # as whoever buries it does
    assert kills >= KILLS_MIN, "the kills came too late to prove anything"
    check_rollups(world, ledger)
    check_messages(world, mails)
    assert insight.rebuild(database) == 0
    due = Counter(word for event in told for word in FORMATS["mailerlogic"].words.get(event.kind, ()))
    wanted = {word: count for word, count in due.items() if word in words}
    assert database.read_now(queued) == wanted


def follow_and_kill(store_url: str, dice: random.Random) -> bool:
    """Whether it was killed, in its second batch or just behind it; it ends itself when nothing waits."""
    command = [sys.executable, "-m", "tests.flow.followers", store_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        order_batch(process.stdin)
        if process.stdout.readline():
            order_batch(process.stdin)
            time.sleep(dice.uniform(0, UP_MAX_S))
            process.kill()
        return process.wait(ENDED_MAX_S) == -signal.SIGKILL


def order_batch(orders: IO[bytes]) -> None:
    """It goes no further than what was ordered, however long its parent sleeps."""
    orders.write(b"on\n")
    orders.flush()


def subscribe(world: World, sealer: Sealer) -> tuple[str, ...]:
    """A webhook for every word of a format; answers the words."""
    format_ = FORMATS["mailerlogic"]
    told = webhooks.Changes(url="https://shop.test/hook", events=format_.names, secret="s3cret")
    world.database.write_now(
        lambda tx: webhooks.create_endpoint(
            tx, world.principal, format_, sealer=sealer, allow_private=False, **told
        )
    )
    return format_.names


def queued(tx: Tx) -> dict[str, int]:
    rows = tx.exec_driver_sql("SELECT word, count(*) FROM webhook_queue GROUP BY word")
    return {row[0]: row[1] for row in rows}
