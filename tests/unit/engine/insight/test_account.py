"""An account as a whole: days of a zone, what mail is read with and where, how an audience grows."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.factories import make_account
from tests.unit.engine.insight.orders import HUMAN, NOW, SCANNER, Shop

from postrider.db.database import Database
from postrider.engine import insight
from postrider.engine.audience import contacts
from postrider.engine.audience.model import Status
from postrider.engine.errors import Forbidden, Invalid
from postrider.engine.insight import account
from postrider.engine.insight.account import Change, Mail, Trait
from postrider.engine.insight.account.censuses import take
from postrider.engine.insight.account.model import CampaignRates, Engagement, Hits
from postrider.engine.insight.account.report import stretches
from postrider.engine.journal import EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.seal import Sealer
from postrider.workers.census import Censuses

BERLIN, KOLKATA, LORD_HOWE = map(ZoneInfo, ("Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"))
AUTUMN = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")  # the 25 hours of the 25th of October in Berlin


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    yield Shop(database, make_account(database, Sealer(b"k" * 32)).organization_id)
    clock.set_source(None)


def at(text: str) -> int:
    return clock.from_iso(text)


def overview(shop: Shop, start: str, end: str, zone: ZoneInfo = BERLIN) -> account.Overview:
    asked: dict[str, Any] = {"start": at(start), "end": at(end), "zone": zone}
    return shop.database.read_now(lambda tx: account.overview(tx, shop.principal, **asked))


async def test_a_day_is_one_of_the_zone_also_when_its_clocks_are_changed(shop: Shop) -> None:
    for moment in ("2026-10-24T21:59:00Z", AUTUMN[0], "2026-10-25T22:59:00Z", AUTUMN[1]):
        shop.mail_of(None, at=at(moment))
    await shop.follow()
    found = overview(shop, *AUTUMN)
    assert [(day.end - day.start) // clock.HOUR for day in found.days] == [25]
    assert (found.total, found.by_weekday) == (Mail(2, 2), {6: Mail(2, 2)})
    assert found.by_hour == {0: Mail(1, 1), 23: Mail(1, 1)}, "before and after the change"
    spring = overview(shop, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
    assert [(day.end - day.start) // clock.HOUR for day in spring.days] == [23]


async def test_what_was_opened_counts_where_it_was_delivered(shop: Shop) -> None:
    """Two of four mails of a Monday at nine are opened, on Tuesday: Monday has the rate."""
    monday, tuesday = at("2026-06-08T07:10:00Z"), at("2026-06-09T12:00:00Z")
    mails = [shop.mail_of(None, at=monday) for _ in range(4)]
    for message_id in mails[:2]:
        for later in (0, 1_000):
            shop.happen(EventKind.OPENED, tuesday + later, message_id, **HUMAN)
    shop.happen(EventKind.OPENED, monday + clock.MINUTE, shop.mail_of(None, at=monday), **SCANNER)
    await shop.follow()
    found = overview(shop, "2026-06-07T22:00:00Z", "2026-06-14T22:00:00Z")
    assert {day: (its.delivered, its.read) for day, its in found.by_weekday.items()} == {0: (5, 3), 1: (0, 0)}
    assert found.by_hour == {9: Mail(5, 5, 1, 0, 3), 14: Mail(opened=2)}
    assert [day.mail.opened for day in found.days] == [1, 2, 0, 0, 0, 0, 0]
    in_india = overview(shop, "2026-06-07T18:30:00Z", "2026-06-14T18:30:00Z", KOLKATA)
    assert {hour: its.read for hour, its in in_india.by_hour.items()} == {12: 3, 17: 0}


async def test_the_campaigns_that_began_in_the_time_stand_by_their_openings(shop: Shop) -> None:
    start = at("2026-06-08T00:00:00Z")
    rates = {
        "None": (2, 0),
        "All": (1, 1),
        "Half": (2, 1),
        "More": (4, 3),
        "Half of four": (4, 2),
        "Few": (9, 1),
    }
    shop.now = start
    ids = {name: shop.campaign(name) for name in [*rates, "Before", "Draft"]}
    for name, (sent, opened) in rates.items():
        mails = [shop.mail_of(ids[name], at=start + 1_000) for _ in range(sent)]
        for message_id in mails[:opened]:
            shop.happen(EventKind.OPENED, start + clock.HOUR, message_id, **HUMAN)
            shop.happen(EventKind.CLICKED, start + clock.HOUR, message_id, **HUMAN)
    early = shop.mail_of(ids["Before"], at=start - clock.HOUR)
    shop.happen(EventKind.OPENED, start + clock.HOUR, early, **HUMAN)
    await shop.follow()
    shop.now = at("2026-06-09T00:00:00Z")
    found = overview(shop, "2026-06-08T00:00:00Z", "2026-06-09T00:00:00Z").campaigns
    assert [each.name for each in found] == ["All", "More", "Half of four", "Half", "Few"]
    assert found[1] == CampaignRates(ids["More"], "More", 4, 3, 3)


@pytest.mark.parametrize(
    ("zone", "day", "offsets"),
    [
        (BERLIN, "2026-10-25", [(3, 2.0), (22, 1.0)]),
        (BERLIN, "2026-03-29", [(2, 1.0), (21, 2.0)]),
        (LORD_HOWE, "2026-04-05", [(2, 11.0), (22.5, 10.5)]),
        (KOLKATA, "2026-06-08", [(24, 5.5)]),
    ],
)
def test_a_time_falls_into_stretches_of_one_distance_from_utc(
    zone: ZoneInfo, day: str, offsets: list[tuple[float, float]]
) -> None:
    begin = clock.from_iso(f"{day}T00:00:00", zone)
    end = begin + round(sum(hours for hours, _ in offsets) * clock.HOUR)
    found = list(stretches(begin, end, zone))
    assert [((until - since) / clock.HOUR, ahead / clock.HOUR) for since, until, ahead in found] == offsets
    assert list(stretches(begin, begin, zone)) == []


async def test_traits_are_told_the_most_opened_first(shop: Shop) -> None:
    message_id, other = shop.mail_of(None, at=NOW), shop.mail_of(None, at=NOW)
    berlin = {"country": "DE", "country_name": "Germany", "city": "Berlin"}
    phone = {"type": "mobile", "os": "iOS", "browser": None, "client": "Apple Mail"}
    desk = {"type": "desktop", "os": "Windows", "browser": None, "client": "Outlook"}
    for its, device, place in (
        (message_id, phone, berlin), (message_id, phone, {"country": "DE"}), (other, desk, {"country": "US"}),
        (other, None, None),
    ):  # fmt: skip
        data = {**({"device": device} if device else {}), **({"place": place} if place else {})}
        shop.happen(EventKind.OPENED, NOW, its, **HUMAN, **data)
    shop.happen(EventKind.CLICKED, NOW, other, **SCANNER, device=desk, place=berlin)
    shop.happen(EventKind.OPENED, NOW - clock.DAY, message_id, **HUMAN, device=desk)
    await shop.follow()

    def told(trait: Trait, start: int = NOW - clock.HOUR) -> tuple[Hits, list[tuple[str, Hits]]]:
        found = shop.database.read_now(
            lambda tx: account.traits(tx, shop.principal, trait, start=start, end=NOW + clock.HOUR)
        )
        return found.total, list(found.values)

    assert told(Trait.DEVICE) == (
        Hits(4, 1), [("mobile", Hits(2, 0)), ("desktop", Hits(1, 1)), ("", Hits(1, 0))],
    )  # fmt: skip
    assert told(Trait.CLIENT)[1][0] == ("Apple Mail", Hits(2, 0))
    assert told(Trait.COUNTRY)[1] == [("DE", Hits(2, 1)), ("", Hits(1, 0)), ("US", Hits(1, 0))]
    assert told(Trait.CITY)[1] == [("", Hits(3, 0)), ("DE/Berlin", Hits(1, 1))]
    longer = told(Trait.DEVICE, NOW - 400 * clock.DAY)
    assert longer[1][:2] == [("desktop", Hits(2, 1)), ("mobile", Hits(2, 0))]
    assert shop.database.read_now(
        lambda tx: account.traits(tx, Principal(99), Trait.DEVICE, start=0, end=NOW * 2)
    ) == account.Traits(Hits(0, 0), [])


async def test_an_audience_grows_and_shrinks_day_by_day(shop: Shop) -> None:
    shop.now = at("2026-06-08T10:00:00Z")
    for name in "abc":
        shop.contact(f"{name}@example.com", source="import" if name == "a" else None)
    shop.now = at("2026-06-09T10:00:00Z")
    gone, left = shop.contact("d@example.com"), shop.contact("e@example.com")
    shop.now = at("2026-06-10T10:00:00Z")
    shop.database.write_now(contacts.delete, shop.principal, gone)
    shop.database.write_now(lambda tx: contacts.unsubscribe(tx, shop.principal, left))
    lost = shop.mail_of(None, at=shop.now, recipient="a@example.com")
    shop.happen(EventKind.BOUNCED, shop.now, lost, **{"class": "hard"})
    shop.happen(EventKind.BOUNCED, shop.now, shop.mail_of(None, at=shop.now), **{"class": "hard"})
    shop.happen(EventKind.COMPLAINED, shop.now, shop.mail_of(None, at=shop.now, recipient="b@example.com"))
    await shop.follow()
    found = shop.database.read_now(account.census, shop.principal)
    assert found is not None
    assert (found.total, found.sources) == (4, {"import": 1, "api": 3})

    def growth(start: str, end: str) -> account.Growth:
        asked: dict[str, Any] = {"start": at(start), "end": at(end), "zone": BERLIN}
        return shop.database.read_now(lambda tx: account.growth(tx, shop.principal, found, **asked))

    whole = growth("2026-06-07T22:00:00Z", "2026-06-12T22:00:00Z")
    assert [total for _, total in whole.days] == [3, 5, 4], "days to come have no total"
    assert whole.at_start == 0
    assert whole.changes == {
        Change.CREATED: 5, Change.DELETED: 1, Change.UNSUBSCRIBED: 2, Change.BOUNCED: 1,
    }  # fmt: skip
    second = growth("2026-06-08T22:00:00Z", "2026-06-09T22:00:00Z")
    assert ([total for _, total in second.days], second.at_start) == ([5], 3)
    with pytest.raises(Invalid):
        growth("1990-01-01T00:00:00Z", "2026-06-09T22:00:00Z")


async def test_contacts_are_told_apart_by_what_they_did_of_late(shop: Shop) -> None:
    for name, ago, times in (
        ("often", 29, 5), ("seldom", 29, 4), ("earlier", 31, 9), ("long", 89, 1), ("before", 91, 9),
    ):  # fmt: skip
        shop.contact(f"{name}@example.com")
        moment = NOW - ago * clock.DAY
        message_id = shop.mail_of(None, at=moment - clock.DAY, recipient=f"{name}@example.com")
        for number in range(times):
            kind = EventKind.CLICKED if number % 2 else EventKind.OPENED
            shop.happen(kind, moment + number, message_id, **HUMAN)
    shop.contact("never@example.com")
    shop.contact("scanned@example.com")
    scanned = shop.mail_of(None, at=NOW - clock.DAY, recipient="scanned@example.com")
    for number in range(9):
        shop.happen(EventKind.OPENED, NOW - clock.HOUR + number, scanned, **SCANNER)
    await shop.follow()
    found = shop.database.read_now(account.census, shop.principal)
    assert found is not None
    assert found.engagement == Engagement(1, 3, 1, 2)
    assert found.statuses == {Status.SUBSCRIBED: 7}


async def test_a_large_audience_is_counted_by_a_worker(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take, "LIVE_MAX", 2)
    monkeypatch.setattr(take, "SLICE", 2)
    worker = Censuses(shop.database)
    for name in "ab":
        shop.contact(f"{name}@example.com")
    await worker.once()
    assert shop.sql("SELECT * FROM contact_censuses") == [], "few are counted when they are asked about"
    for name in "cde":
        shop.contact(f"{name}@example.com", source="manual")
    assert shop.database.read_now(account.census, shop.principal) is None
    await worker.once()
    shop.now += 30 * clock.MINUTE
    shop.contact("f@example.com")
    await worker.once()
    found = shop.database.read_now(account.census, shop.principal)
    assert found is not None
    assert (found.total, found.taken_at, found.sources) == (5, NOW, {"api": 2, "manual": 3})
    assert found.engagement == Engagement(never_engaged=5)
    await shop.follow()
    asked: dict[str, Any] = {"start": NOW - clock.DAY, "end": NOW + clock.DAY}
    growth = shop.database.read_now(lambda tx: account.growth(tx, shop.principal, found, **asked))
    assert growth.days[-1][1] == 6, "what changed since it was counted is added"
    shop.now += clock.HOUR
    await worker.once()
    assert shop.sql("SELECT taken_at FROM contact_censuses") == [(shop.now,)]


def test_reports_ask_for_the_right_to_read(shop: Shop) -> None:
    nobody = Principal(shop.organization_id, scopes=frozenset({"contacts:read"}))
    asked: dict[str, Any] = {"start": 0, "end": clock.DAY}
    for report in (
        lambda tx: account.overview(tx, nobody, **asked),
        lambda tx: account.traits(tx, nobody, Trait.CITY, **asked),
        lambda tx: account.census(tx, nobody),
    ):
        with pytest.raises(Forbidden):
            shop.database.read_now(report)


async def test_another_organizations_doings_count_elsewhere(shop: Shop, database: Database) -> None:
    other = Shop(database, make_account(database, Sealer(b"k" * 32), email="b@example.test").organization_id)
    other.contact("x@example.com")
    campaign = other.campaign("Theirs")
    other.happen(EventKind.OPENED, NOW, other.mail_of(campaign, at=NOW), **HUMAN)
    await other.follow()
    start, end = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
    mine, theirs = overview(shop, start, end), overview(other, start, end)
    assert (mine.by_hour, mine.campaigns, mine.total) == ({}, [], Mail())
    assert (len(theirs.campaigns), theirs.total.opened) == (1, 1)
    found = shop.database.read_now(account.census, shop.principal)
    assert found is not None
    assert found.total == 0


async def test_counts_made_anew_are_the_same(shop: Shop) -> None:
    tables = ("trait_rollups", "mail_rollups", "contact_rollups")

    def kept() -> list[list[tuple[Any, ...]]]:
        return [sorted(tuple(row) for row in shop.sql(f"SELECT * FROM {table}")) for table in tables]

    shop.contact()
    for ago in (3 * clock.DAY, 2 * clock.HOUR, 0):
        message_id = shop.mail_of(None, at=NOW - ago)
        for kind in (EventKind.OPENED, EventKind.OPENED, EventKind.CLICKED):
            shop.happen(kind, NOW - ago + 1, message_id, **HUMAN, place={"country": "DE"})
    await shop.follow()
    right = kept()
    assert all(right)
    assert insight.rebuild(shop.database) == 0
    shop.sql("UPDATE trait_rollups SET opens = opens + 1 WHERE value = 'DE'")
    shop.sql("DELETE FROM mail_rollups WHERE bucket > :at", at=NOW - clock.DAY)
    shop.happen(EventKind.OPENED, NOW + 5, shop.mail_of(None, at=NOW), **HUMAN)
    waiting = len(kept()[0])
    assert insight.rebuild(shop.database) > 0
    assert len(kept()[0]) == waiting, "what followers have not taken is left to them"
    await shop.follow()
    shop.sql("DELETE FROM trait_rollups WHERE value = ''")
    insight.rebuild(shop.database)
    again = kept()
    assert insight.rebuild(shop.database) == 0
    assert sum(row[-2] for row in again[0] if row[1] == clock.DAY and row[2] == Trait.DEVICE) == 7
    assert sum(row[4] for row in again[1] if row[1] == clock.DAY) == 4
    assert again[2] == right[2]
