"""Who is served when, proved through the claim with real rows, two workers and a fake clock."""

from collections import Counter
from collections.abc import Iterator

import pytest
from tests.flow.lanes import Place, claim, put, settle

from postrider.db.database import Database
from postrider.engine.messages import Claimed, Stream, queue
from postrider.kit import clock

NOON = 1_800_000_000_000
SMALL, LARGE = 1, 2  # organizations


@pytest.fixture(autouse=True)
def now() -> list[int]:
    """The time; a test adds to its only item."""
    time = [NOON]
    clock.set_source(lambda: time[0])
    return time


@pytest.fixture
def other(store_url: str, database: Database) -> Iterator[Database]:
    """The same store, as a second worker has it open."""
    opened = Database(store_url)
    yield opened
    opened.close()


def by_organization(claimed: list[Claimed]) -> Counter[int]:
    return Counter(each.organization_id for each in claimed)


def by_stream(claimed: list[Claimed]) -> Counter[Stream]:
    return Counter(each.stream for each in claimed)


def test_a_site_is_served_by_one_worker_at_a_time(database: Database, other: Database) -> None:
    put(database, Place(SMALL), 30)
    assert len(claim(database, "one", 10)) == 10
    assert claim(other, "two", 10) == []
    (site_id,) = {put(database, Place(SMALL), 1).site_id}
    database.write_now(queue.park, "one", [site_id])
    assert len(claim(other, "two", 10)) == 10


def test_a_claim_takes_no_more_than_it_has_places_for(database: Database) -> None:
    put(database, Place(SMALL), 30)
    put(database, Place(LARGE), 30)
    assert len(claim(database, "one", 7)) == 7
    assert len(claim(database, "one", 1)) == 1


def test_two_workers_share_sites_and_no_message_is_claimed_twice(database: Database, other: Database) -> None:
    for number in range(6):
        put(database, Place(SMALL, site=f"mx:{number}.test"), 10)
    taken = [claim(database, "one", 5, sites=3), claim(other, "two", 5, sites=64)]
    assert [len(part) for part in taken] == [15, 15]
    taken += claim(database, "one", 5), claim(other, "two", 5)
    ids = [each.id for part in taken for each in part]
    assert (len(ids), len(set(ids))) == (60, 60)


def test_a_throttled_site_is_skipped_until_its_rest_is_over(database: Database, now: list[int]) -> None:
    resting = put(database, Place(SMALL, site="mx:resting.test"), 500)
    put(database, Place(SMALL, site="mx:awake.test"), 3)
    database.write_now(queue.throttle, resting.site_id, NOON + 60_000, 1)
    claimed = claim(database, "one", 10)
    assert len(claimed) == 3
    assert {each.lane_id for each in claimed}.isdisjoint({resting.id})
    now[0] += 60_000
    assert {each.lane_id for each in claim(database, "one", 10)} == {resting.id}


def test_the_first_message_of_another_organization_goes_at_once_beside_5000_that_wait(
    database: Database, now: list[int]
) -> None:
    put(database, Place(LARGE), 5_000)
    for _ in range(3):
        settle(database, claim(database, "one", 40), "one")
        now[0] += 100
    put(database, Place(SMALL), 1)
    assert by_organization(claim(database, "one", 40))[SMALL] == 1


def test_organizations_take_turns_where_places_are_fewer_than_they(
    database: Database, now: list[int]
) -> None:
    for organization_id in range(1, 8):
        put(database, Place(organization_id), 20)
    served: Counter[int] = Counter()
    for _ in range(35):
        now[0] += 100
        served += by_organization(claim(database, "one", 2))
    assert set(served.values()) == {10}


def test_a_paused_lane_is_left_alone_and_resumes_where_it_stood(database: Database, now: list[int]) -> None:
    lane = put(database, Place(SMALL), 5)
    put(database, Place(LARGE), 5)
    assert database.write_now(queue.pause_lane, SMALL, lane.id)
    assert by_organization(claim(database, "one", 40)) == {LARGE: 5}
    put(database, Place(SMALL), 1)  # what is added to it waits too
    now[0] += 60_000
    assert claim(database, "one", 40) == []
    database.write_now(queue.park, "one", [lane.site_id])
    assert not database.write_now(queue.pause_lane, LARGE, lane.id)  # another organization's
    assert not database.write_now(queue.resume_lane, LARGE, lane.id)
    assert claim(database, "one", 40) == []
    assert database.write_now(queue.resume_lane, SMALL, lane.id)
    assert by_organization(claim(database, "one", 40)) == {SMALL: 6}


def test_transactional_mail_goes_first_and_broadcast_is_not_starved(
    database: Database, now: list[int]
) -> None:
    put(database, Place(SMALL, Stream.BROADCAST), 200)
    put(database, Place(SMALL, Stream.TRANSACTIONAL), 200)
    first = claim(database, "one", 40)
    assert first[0].stream is Stream.TRANSACTIONAL
    assert [each.stream for each in first] == sorted(each.stream for each in first)
    assert by_stream(first)[Stream.TRANSACTIONAL] >= 7 * by_stream(first)[Stream.BROADCAST]
    for _ in range(4):
        assert by_stream(claim(database, "one", 20))[Stream.BROADCAST] >= 1
        now[0] += 100


def test_broadcast_has_every_place_where_nothing_else_waits(database: Database) -> None:
    put(database, Place(SMALL, Stream.BROADCAST), 50)
    assert by_stream(claim(database, "one", 40)) == {Stream.BROADCAST: 40}


def test_what_a_dead_worker_held_goes_to_the_living(database: Database, other: Database) -> None:
    put(database, Place(SMALL), 20)
    lost = claim(database, "one", 15)
    assert other.write_now(queue.release_dead, ["one"]) == len(lost) == 15
    assert len(claim(other, "two", 40)) == 20
    settle(database, lost, "one")  # too late, yet the far end has them: not sent again
    assert claim(other, "two", 40) == []


def test_an_organization_that_mails_little_goes_before_those_with_a_backlog(
    database: Database, now: list[int]
) -> None:
    in_turn(database, now, organizations=119)
    put(database, Place(1_000), 1)
    assert by_organization(claim(database, "one", 40))[1_000] == 1


def test_a_newcomer_with_a_backlog_goes_first_once_and_then_takes_its_turn(
    database: Database, now: list[int]
) -> None:
    in_turn(database, now, organizations=119)
    put(database, Place(1_000), 500)
    assert [by_organization(claim(database, "one", 40))[1_000] for _ in range(3)] == [1, 0, 0]


def in_turn(database: Database, now: list[int], *, organizations: int) -> None:
    """Organizations with a backlog, all of which have had their first turn."""
    for organization_id in range(1, organizations + 1):
        put(database, Place(organization_id), 20)
    for _ in range(-(-organizations // 40)):
        now[0] += 100
        claim(database, "one", 40)
    now[0] += 100
