"""From hits to events: what hits say of each other, what comes late, and that everything happens once."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.engine.engagement.world import CHROME, HOME, OFFICE, START, Watched

from postrider.engine import engagement, insight
from postrider.engine.engagement.sources import Ranges, Sources
from postrider.engine.insight import Measure, Who
from postrider.engine.journal import EventKind
from postrider.kit import clock

CLICKED, RECLASSIFIED = EventKind.CLICKED, EventKind.RECLASSIFIED
MPP = "Mozilla/5.0"
LATE = 10 * clock.SECOND


async def test_who_fetches_all_links_at_once_is_no_reader(watched: Watched) -> None:
    message_id = watched.delivered()
    for link in (None, 0, 1, 2):
        watched.hit(message_id, link, after_ms=100 * (link or 0), ip=OFFICE)
    watched.hit(message_id, after_ms=500)
    watched.hit(message_id, 1, after_ms=1_000)
    watched.record_until(LATE)
    assert watched.verdicts(message_id) == [False, True]
    assert watched.verdicts(message_id, CLICKED) == [False, False, False, True]
    assert watched.reasons(message_id, CLICKED)[0] == ["all-links-at-once"]
    row = watched.row(message_id)
    assert (row.first_opened_at, row.first_human_opened_at) == (START, START + 500)
    assert (row.first_human_clicked_at, row.opens, row.clicks) == (START + 1_000, 2, 4)
    humans, scanners = await watched.counts(Who.HUMAN), await watched.counts(Who.SCANNER)
    assert (humans.opens, humans.unique_opens, humans.clicks, humans.unique_clicks) == (1, 1, 1, 1)
    assert (scanners.opens, scanners.clicks) == (1, 3)


@pytest.mark.parametrize(("apart_ms", "human"), [(600, False), (2_500, True)])
def test_links_that_are_read_one_by_one_are_a_readers(watched: Watched, apart_ms: int, human: bool) -> None:
    message_id = watched.delivered()
    for link in range(3):
        watched.hit(message_id, link, after_ms=link * apart_ms)
    watched.record_until(LATE)
    assert set(watched.verdicts(message_id, CLICKED)) == {human}


def test_three_readers_with_a_link_each_are_no_scanner(watched: Watched) -> None:
    message_id = watched.delivered()
    for link in range(3):
        watched.hit(message_id, link, ip=f"203.0.113.{link}")
    watched.record_until(LATE)
    assert watched.verdicts(message_id, CLICKED) == [True, True, True]


def test_hits_whose_time_has_not_come_are_evidence_already(watched: Watched) -> None:
    message_id = watched.delivered()
    for link, after_ms in ((0, 0), (1, 1_800), (2, 1_900)):
        watched.hit(message_id, link, after_ms=after_ms)
    watched.record_until(engagement.follow.WINDOW_MS)
    assert watched.verdicts(message_id, CLICKED) == [False]
    watched.record_until(LATE)
    assert watched.verdicts(message_id, CLICKED) == [False, False, False]
    assert watched.seen(message_id, RECLASSIFIED) == []


async def test_the_hidden_link_tells_of_what_its_source_did_near_it(watched: Watched) -> None:
    message_id = watched.delivered()
    watched.hit(message_id, ip=OFFICE)
    watched.hit(message_id, 0, ip=OFFICE, after_ms=500)
    watched.hit(message_id, hidden=True, ip=OFFICE, after_ms=1_000)
    watched.hit(message_id, after_ms=1_000)
    watched.hit(message_id, ip=OFFICE, after_ms=2 * clock.HOUR)  # the reader behind the same address
    watched.record_until(3 * clock.HOUR)
    assert watched.verdicts(message_id) == [False, True, True]
    assert watched.reasons(message_id, CLICKED) == [["hidden-link"]]
    told = watched.seen(message_id, RECLASSIFIED)
    assert [(event.data or {})["hidden"] for event in told] == [True]
    assert (await watched.counts()).clicks == 1, "the hidden link is no click"


async def test_evidence_that_comes_later_corrects_what_was_recorded(watched: Watched) -> None:
    message_id = watched.delivered()
    watched.hit(message_id)
    watched.hit(message_id, 0, after_ms=100)
    watched.record_until(LATE)
    assert watched.verdicts(message_id) == watched.verdicts(message_id, CLICKED) == [True]
    before = await watched.counts(Who.HUMAN)
    assert (before.opens, before.unique_opens, before.clicks, before.unique_clicks) == (1, 1, 1, 1)
    watched.hit(message_id, hidden=True, after_ms=LATE)
    watched.record_until(2 * LATE)
    assert watched.verdicts(message_id) == watched.verdicts(message_id, CLICKED) == [False]
    assert watched.reasons(message_id) == [["hidden-link"]]
    row = watched.row(message_id)
    assert (row.first_human_opened_at, row.first_human_clicked_at) == (None, None)
    assert (row.first_opened_at, row.opens, row.clicks) == (START, 1, 1)
    after, scanners = await watched.counts(Who.HUMAN), await watched.counts(Who.SCANNER)
    assert (after.opens, after.unique_opens, after.clicks, after.unique_clicks) == (0, 0, 0, 0)
    assert (scanners.opens, scanners.clicks, after[Measure.OPENED_UNIQUE]) == (1, 1, 1)
    assert insight.rebuild(watched.database) == 0


async def test_after_a_correction_the_next_reader_is_the_first(watched: Watched) -> None:
    message_id = watched.delivered()
    watched.hit(message_id, ip=OFFICE)
    watched.hit(message_id, after_ms=20 * clock.MINUTE)
    watched.record_until(20 * clock.MINUTE + LATE)
    assert watched.row(message_id).first_human_opened_at == START
    hidden_ms = 30 * clock.SECOND
    watched.hit(message_id, hidden=True, ip=OFFICE, after_ms=hidden_ms)  # a node that was away hands it in
    watched.record_until(20 * clock.MINUTE + 2 * LATE)
    assert watched.verdicts(message_id) == [False, True]
    assert watched.row(message_id).first_human_opened_at == START + 20 * clock.MINUTE
    humans = await watched.counts(Who.HUMAN)
    assert (humans.opens, humans.unique_opens) == (1, 1)
    assert insight.rebuild(watched.database) == 0


async def test_a_correction_is_made_once_however_often_its_evidence_comes(watched: Watched) -> None:
    message_id = watched.delivered()
    watched.hit(message_id)
    watched.record_until(LATE)
    for again in range(3):
        watched.hit(message_id, hidden=True, after_ms=LATE * (again + 1))
        watched.record_until(LATE * (again + 2))
    corrections = [event for event in watched.seen(message_id, RECLASSIFIED) if "event" in (event.data or {})]
    assert len(corrections) == 1
    assert (await watched.counts(Who.SCANNER)).opens == 1


def test_evidence_is_kept_for_hits_that_come_after_it(watched: Watched) -> None:
    message_id = watched.delivered()
    watched.hit(message_id, hidden=True)
    watched.record_until(LATE)
    watched.hit(message_id, 0, after_ms=LATE)
    watched.hit(message_id, 0, after_ms=2 * clock.MINUTE)
    watched.record_until(clock.HOUR)
    assert watched.verdicts(message_id, CLICKED) == [False, True]


async def test_a_proxys_opening_is_neither_a_readers_nor_a_scanners(watched: Watched) -> None:
    message_id = watched.delivered(at=START - 500)
    watched.hit(message_id, agent=MPP)
    watched.record_until(LATE)
    (opened,) = watched.seen(message_id)
    data = opened.data or {}
    assert (data.get("human"), data["prefetched"], data["scanner"]["score"]) == (None, True, 50)
    assert data["scanner"]["reasons"] == ["privacy-proxy"]
    assert data["device"] == {"type": None, "os": None, "browser": None, "client": "Apple Mail"}
    assert watched.row(message_id).first_human_opened_at is None
    everybody = await watched.counts()
    assert (everybody.opens, everybody[Measure.OPENED_SUSPICIOUS], everybody[Measure.OPENED_HUMAN]) == (
        1,
        1,
        0,
    )
    assert everybody[Measure.OPENED_IN_APPLE_MAIL] == 1


def test_an_operators_range_is_a_scanners(watched: Watched) -> None:
    watched.sources = Sources(Ranges.read(f"{OFFICE}/32 Example Shield"))
    message_id = watched.delivered()
    watched.hit(message_id, ip=OFFICE)
    watched.hit(message_id, after_ms=1)
    watched.record_until(LATE)
    assert watched.verdicts(message_id) == [False, True]
    assert (watched.seen(message_id)[0].data or {})["scanner"]["name"] == "Example Shield"
    assert (watched.seen(message_id)[1].data or {})["device"]["browser"] == "Chrome"


def test_time_since_delivery_and_head_requests_tell(watched: Watched) -> None:
    early, soon = watched.delivered(at=START + 1_000), watched.delivered(at=START - 500)
    watched.hit(early)
    watched.hit(soon)
    watched.hit(soon, after_ms=clock.MINUTE, method="HEAD")
    watched.record_until(clock.HOUR)
    assert watched.reasons(early) == [["before-delivery"]]
    assert watched.reasons(soon) == [["very-soon-after-delivery"], ["head-request"]]
    assert watched.verdicts(soon) == [True, None]


def test_a_message_that_is_hit_all_day_is_read_in_part(watched: Watched) -> None:
    message_id = watched.delivered()
    for number in range(engagement.follow.HITS_MAX + 5):
        watched.hit(message_id, after_ms=number)
    watched.record_until(LATE)
    watched.hit(message_id, hidden=True, after_ms=LATE)
    watched.record_until(2 * LATE)
    assert set(watched.verdicts(message_id)) == {True}, "too many to be looked at again"
    watched.hit(message_id, after_ms=2 * LATE)
    watched.hit(message_id, hidden=True, after_ms=2 * LATE)
    watched.record_until(3 * LATE)
    assert watched.verdicts(message_id)[-1] is False


def test_hits_of_a_message_that_is_gone_are_dropped(watched: Watched) -> None:
    watched.hit(b"\0" * 16)
    watched.hit(b"\0" * 16, hidden=True)
    watched.record_until(LATE)
    assert not watched.database.read_now(engagement.due_hits, watched.sources)


async def test_two_nodes_record_every_hit_once_and_one_first(watched: Watched) -> None:
    message_ids = [watched.delivered() for _ in range(3)]
    for number in range(120):
        watched.hit(message_ids[number % 3], after_ms=number % 7, ip=HOME)
    watched.now = START + LATE

    def record() -> int:
        return sum(iter(lambda: watched.database.write_now(engagement.record_hits, watched.sources), 0))

    if watched.database.is_sqlite:  # one process writes
        assert record() == 120
    else:
        with ThreadPoolExecutor(3) as nodes:
            assert sum(nodes.map(lambda _: record(), range(3))) == 120
    humans = await watched.counts(Who.HUMAN)
    assert (humans.opens, humans.unique_opens) == (120, 3)
    assert insight.rebuild(watched.database) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_a_rebuild_agrees_with_whatever_was_corrected(watched: Watched, seed: int) -> None:
    dice = random.Random(seed)
    message_ids = [watched.delivered() for _ in range(5)]
    for number in range(160):
        watched.hit(
            dice.choice(message_ids),
            dice.choice([None, None, 0, 1, 2]),
            after_ms=number * 400 + dice.randrange(3),
            ip=dice.choice([HOME, OFFICE, "192.0.2.1"]),
            agent=dice.choice([CHROME, CHROME, MPP, "Reader/1"]),
            hidden=dice.random() < 0.06,
        )
        if dice.random() < 0.1:
            watched.record_until(number * 400)
        if dice.random() < 0.1:
            await watched.follow()
    watched.record_until(clock.HOUR)
    await watched.follow()
    made = [event for each in message_ids for event in watched.seen(each, RECLASSIFIED)]
    assert any("event" in (event.data or {}) for event in made), "something was corrected"
    assert insight.rebuild(watched.database) == 0
    humans = await watched.counts(Who.HUMAN)
    firsts = [min((e.at for e in watched.seen(each) if (e.data or {}).get("human")), default=None)
              for each in message_ids]  # fmt: skip
    assert [watched.row(each).first_human_opened_at for each in message_ids] == firsts
    assert humans.unique_opens == sum(first is not None for first in firsts)
    assert humans.opens == sum(watched.verdicts(each).count(True) for each in message_ids)
    assert humans.clicks == sum(watched.verdicts(each, CLICKED).count(True) for each in message_ids)
