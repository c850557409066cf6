"""What became of a campaign: counted once whatever comes twice, late or is corrected; and what it reads."""

import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.engine.insight.world import World

from postrider.db import portable
from postrider.db.database import Tx
from postrider.engine import insight, journal
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput
from postrider.engine.errors import Forbidden, Invalid, NotFound
from postrider.engine.insight import Measure, Who, campaigns
from postrider.engine.insight.campaigns import Grain, Standing
from postrider.engine.insight.campaigns.rebuild import mend
from postrider.engine.insight.campaigns.refill import refill
from postrider.engine.insight.rebuild import apply, compare
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

START = 1_795_000_000_000 - 1_795_000_000_000 % clock.DAY
SHOP, SALE = "https://example.com/shop", "https://example.com/sale"
LINKS = (SHOP, SALE, SHOP)
PHONE = {"device": {"type": "mobile", "client": "Apple Mail"}, "scanner": {"score": 0, "reasons": []}}


def read(world: World, function: Callable[..., Any], *args: Any, **asked: Any) -> Any:
    return world.database.read_now(lambda tx: function(tx, world.principal, *args, **asked))


def judged(human: bool | None, **data: Any) -> dict[str, Any]:
    told = {"scanner": {"score": 0, "reasons": []}, **data}
    return told if human is None else {**told, "human": human}


def mended(world: World) -> int:
    """How many rows of campaigns a rebuild finds wrong; of other counts test_rebuild tells."""
    missing = refill(world.database, world.organization_id)
    correction = world.database.snapshot_now(compare, world.organization_id)
    apply(world.database, correction)
    rows = len(correction.campaign_rows)
    return missing + rows + mend(world.database, world.organization_id, correction.sums)


async def test_a_campaign_is_counted_with_its_links_devices_and_times(world: World) -> None:
    campaign_id = world.new_campaign(total=3)
    first, second, third = (
        world.mail(START, recipient=f"{name}@example.com", links=LINKS, campaign_id=campaign_id)
        for name in ("ann", "bob", "eve")
    )
    other = world.mail(START)
    for mail in (first, second, third, other):
        world.happen(EventKind.ACCEPTED, START, mail)
        world.happen(EventKind.OPENED, START + 3, mail, **judged(human=False))
    for mail in (first, second):
        world.happen(EventKind.SENT, START + 5, mail)
        world.happen(EventKind.DELIVERED, START + 5, mail)
    world.happen(EventKind.BOUNCED, START + 9, third, **{"class": "hard", "code": 550, "reply": "nobody"})
    world.happen(EventKind.OPENED, START + clock.HOUR, first, human=True, **PHONE)
    for link, at in ((0, 1), (2, 2), (1, 3), (7, 4)):
        world.happen(EventKind.CLICKED, START + clock.DAY + at, first, **judged(human=True, link=link))
    world.happen(EventKind.CLICKED, START + 2 * clock.DAY, second, **judged(human=False, link=0))
    world.happen(EventKind.UNSUBSCRIBED, START + clock.DAY, first)
    world.happen(EventKind.COMPLAINED, START + clock.DAY, first)
    await world.follow()

    report = read(world, campaigns.report, campaign_id)
    counts = report.counts
    assert (report.kind, report.name, report.status, report.total) == ("bulk", "News", "sending", 3)
    assert (report.sent, counts[Measure.DELIVERED], counts.bounced) == (3, 2, 1)
    assert (counts.opens, counts.unique_opens, counts.clicks, counts.unique_clicks) == (4, 3, 5, 2)
    assert (counts[Measure.COMPLAINED], counts[Measure.UNSUBSCRIBED]) == (1, 1)
    assert (report.first_sent_at, report.last_sent_at) == (START + 5, START + 9)
    assert (counts[Measure.OPENED_ON_MOBILE], counts[Measure.OPENED_ON_UNKNOWN]) == (1, 3)
    assert counts[Measure.OPENED_IN_APPLE_MAIL] == 1
    humans, scanners = (
        read(world, campaigns.report, campaign_id, who).counts for who in (Who.HUMAN, Who.SCANNER)
    )
    assert (humans.opens, humans.unique_opens, humans.clicks, humans.unique_clicks) == (1, 1, 4, 1)
    assert (scanners.opens, scanners.unique_opens, scanners.clicks, scanners.unique_clicks) == (3, 3, 1, 1)

    links = read(world, campaigns.links, campaign_id)
    assert [(link.url, link.clicks, link.unique_clicks) for link in links] == [(SHOP, 3, 2), (SALE, 1, 1)]
    assert (links[0].first_clicked_at, links[0].last_clicked_at) == (
        START + clock.DAY + 1,
        START + 2 * clock.DAY,
    )
    assert [link.clicks for link in read(world, campaigns.links, campaign_id, Who.SCANNER)] == [1]

    both = read(world, insight.report, start=START, end=START + clock.DAY).total
    assert (both.opens, both.unique_opens) == (5, 4)


async def test_what_is_told_twice_counts_once(world: World) -> None:
    campaign_id = world.new_campaign()
    mail = world.mail(START, links=LINKS, campaign_id=campaign_id)
    opened = Event(
        world.organization_id, EventKind.OPENED, START, mail, data=judged(human=True), source_id="hit:1"
    )
    for _ in range(2):
        world.record(opened)
        await world.follow()
    counts = read(world, campaigns.report, campaign_id).counts
    assert (counts.opens, counts.unique_opens) == (1, 1)


async def test_an_earlier_opening_that_is_told_late_is_the_first(world: World) -> None:
    campaign_id = world.new_campaign()
    mail = world.mail(START, campaign_id=campaign_id)
    for at in (clock.HOUR, 2 * clock.HOUR, 0):
        world.happen(EventKind.OPENED, START + at, mail, **judged(human=None))
        await world.follow()
    spans = read(world, campaigns.timeline, campaign_id, Grain.HOUR, [Measure.OPENED_UNIQUE, Measure.OPENED])
    assert [(span.start - START, span.counts.unique_opens, span.counts.opens) for span in spans] == [
        (0, 1, 1), (clock.HOUR, 0, 1), (2 * clock.HOUR, 0, 1),
    ]  # fmt: skip


async def test_what_turns_out_to_be_a_scanners_is_no_humans_any_more(world: World) -> None:
    campaign_id = world.new_campaign()
    mail = world.mail(START, links=LINKS, campaign_id=campaign_id)
    early = world.event(EventKind.CLICKED, START, mail, **judged(human=True, link=0))
    late = world.event(EventKind.CLICKED, START + clock.HOUR, mail, **judged(human=True, link=0))
    world.record(early)
    world.record(late)
    await world.follow()
    world.correct(early, Whose.SCANNER)
    await world.follow()
    humans = read(world, campaigns.report, campaign_id, Who.HUMAN).counts
    assert (humans.clicks, humans.unique_clicks) == (1, 1)
    [row] = read(world, campaigns.recipients, campaign_id, Standing.CLICKED, Who.HUMAN, limit=5).rows
    assert (row.clicked.times, row.clicked.first_at) == (1, START + clock.HOUR)
    [span] = read(
        world, campaigns.timeline, campaign_id, Grain.HOUR, [Measure.CLICKED_HUMAN_UNIQUE], Who.HUMAN
    )
    assert (span.start, span.counts.unique_clicks) == (START + clock.HOUR, 1)
    world.correct(late, Whose.SUSPICIOUS)
    await world.follow()
    humans, scanners, everybody = (
        read(world, campaigns.report, campaign_id, who).counts for who in (Who.HUMAN, Who.SCANNER, Who.ALL)
    )
    assert (humans.clicks, humans.unique_clicks) == (0, 0)
    assert (scanners.clicks, scanners.unique_clicks) == (1, 1)
    assert (everybody.clicks, everybody.unique_clicks, everybody[Measure.CLICKED_SUSPICIOUS]) == (2, 1, 1)
    assert read(world, campaigns.links, campaign_id, Who.HUMAN) == []
    assert read(world, campaigns.recipients, campaign_id, Standing.CLICKED, Who.HUMAN, limit=5).rows == []
    assert mended(world) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_counts_are_those_of_the_journal_in_whatever_portions(world: World, seed: int) -> None:
    """Counted once more by hand, from the events as they are seen now."""
    dice = random.Random(seed)
    sends = [world.new_campaign(), world.new_campaign("segment")]
    mails = {
        world.mail(START, links=LINKS, campaign_id=sends[number % 2], variant=number % 3): sends[number % 2]
        for number in range(8)
    }
    recorded: list[Event] = []
    for _ in range(250):
        if recorded and dice.random() < 0.2:
            world.correct(dice.choice(recorded), dice.choice([Whose.SUSPICIOUS, Whose.SCANNER]))
        else:
            kind = dice.choice(journal.HITS)
            data = judged(dice.choice([True, True, False, None]))
            if kind is EventKind.CLICKED:
                data["link"] = dice.randrange(3)
            at = START + dice.randrange(40) * 10 * clock.MINUTE + dice.randrange(3)
            event = world.event(kind, at, dice.choice([*mails]), **data)
            world.record(event)
            recorded.append(event)
        if dice.random() < 0.15:
            await world.follow()
    await world.follow()
    assert mended(world) == 0
    for campaign_id in sends:
        assert seen(world, campaign_id) == by_hand(
            world, [m for m, its in mails.items() if its == campaign_id]
        )


Figures = dict[tuple[str, str], Any]


def seen(world: World, campaign_id: RowId) -> Figures:
    found: Figures = {}
    for who in Who:
        counts = read(world, campaigns.report, campaign_id, who).counts
        found["opened", who.name] = (counts.opens, counts.unique_opens)
        found["clicked", who.name] = (counts.clicks, counts.unique_clicks)
        for link in read(world, campaigns.links, campaign_id, who):
            found[link.url, who.name] = (link.clicks, link.unique_clicks)
        for verb, standing in (("opened", Standing.OPENED), ("clicked", Standing.CLICKED)):
            listed = read(world, campaigns.recipients, campaign_id, standing, who, limit=100)
            assert (listed.total, [row.message.id for row in listed.rows]) == (
                found[verb, who.name][1], sorted(row.message.id for row in listed.rows),
            )  # fmt: skip
            hits = [(row.message.id, getattr(row, verb)) for row in listed.rows]
            found[f"who {verb}", who.name] = {
                message_id: (its.times, its.first_at, its.last_at) for message_id, its in hits
            }
        for verb, unique in (("opened", "opens"), ("clicked", "clicks")):
            measures = [measure for measure in Measure if measure.startswith(verb)]
            spans = read(world, campaigns.timeline, campaign_id, Grain.HOUR, measures, who)
            found[f"hours {verb}", who.name] = {
                span.start: (getattr(span.counts, unique), getattr(span.counts, f"unique_{unique}"))
                for span in spans
                if getattr(span.counts, unique) or getattr(span.counts, f"unique_{unique}")
            }
    return found


def by_hand(world: World, mails: list[RowId]) -> Figures:
    every = world.database.read_now(
        lambda tx: journal.hits_since(tx, [(world.organization_id, mail, b"") for mail in mails])
    )
    events = [event for event in journal.corrected(every, every) if event.kind in journal.HITS]
    found: Figures = {}
    for who, human in ((Who.ALL, "any"), (Who.HUMAN, True), (Who.SCANNER, False)):
        its = [event for event in events if human == "any" or (event.data or {}).get("human") is human]
        for verb, kind in (("opened", EventKind.OPENED), ("clicked", EventKind.CLICKED)):
            times: dict[RowId, list[int]] = {}
            for event in its:
                if event.kind is kind:
                    times.setdefault(event.message_id or b"", []).append(event.at)
            found[verb, who.name] = (sum(map(len, times.values())), len(times))
            found[f"who {verb}", who.name] = {
                mail: (len(ats), min(ats), max(ats)) for mail, ats in times.items()
            }
            hours = Counter(at - at % clock.HOUR for ats in times.values() for at in ats)
            firsts = Counter(min(ats) - min(ats) % clock.HOUR for ats in times.values())
            found[f"hours {verb}", who.name] = {at: (hours[at], firsts[at]) for at in hours}
        for url in (SHOP, SALE):
            followed = [
                event.message_id
                for event in its
                if event.kind is EventKind.CLICKED and LINKS[(event.data or {})["link"]] == url
            ]
            if followed:
                found[url, who.name] = (len(followed), len(set(followed)))
    return found


async def test_hits_from_before_they_were_kept_are_taken_up_by_a_rebuild(world: World) -> None:
    campaign_id = world.new_campaign()
    first, second = (world.mail(START, campaign_id=campaign_id, variant=1, links=LINKS) for _ in range(2))
    clicked = world.event(EventKind.CLICKED, START, first, **judged(human=True, link=1))
    world.record(clicked)
    world.happen(EventKind.CLICKED, START + 1, second, **judged(human=True, link=0))
    world.happen(EventKind.BOUNCED, START + 2, second, **{"class": "hard"})
    await world.follow()
    world.correct(clicked, Whose.SCANNER)
    await world.follow()

    def hits() -> list[tuple[Any, ...]]:
        return world.database.read_now(
            lambda tx: sorted(map(tuple, tx.exec_driver_sql("SELECT * FROM campaign_hits")))
        )

    kept, rollups = hits(), world.rollups()
    assert len(kept) == 5

    def forget(tx: Tx) -> None:
        for table in ("campaign_hits", "campaign_rollups", "campaign_counts"):
            tx.exec_driver_sql(f"DELETE FROM {table}")

    world.database.write_now(forget)
    assert mended(world) > 0
    assert (hits(), world.rollups()) == (kept, rollups)
    world.happen(EventKind.CLICKED, START + 9, second, **judged(human=False, link=0))
    assert mended(world) == 0, "what waits for followers is theirs"


async def test_variants_are_counted_apart_and_many_campaigns_in_one_query(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.new_campaign("campaign"), world.new_campaign("session")
    for campaign_id, variant, times in ((first, 1, 1), (first, 2, 2), (first, None, 1), (second, None, 3)):
        mail = world.mail(START, campaign_id=campaign_id, variant=variant)
        for number in range(times):
            world.happen(EventKind.OPENED, START + number, mail)
    await world.follow()
    told = world.database.read_now(campaigns.by_variant, world.organization_id, first)
    assert {variant: counts.opens for variant, counts in told.items()} == {0: 1, 1: 1, 2: 2}
    asked: list[str] = []
    run = portable.run

    def listen(tx: Tx, statement: str, parameters: Any = ()) -> list[Any]:
        asked.append(statement)
        return run(tx, statement, parameters)

    monkeypatch.setattr(portable, "run", listen)
    nobodys = new_id()
    found = world.database.read_now(campaigns.counts_of, world.organization_id, [first, second, nobodys])
    assert [found[each].opens for each in (first, second, nobodys)] == [4, 3, 0]
    assert len(asked) == 1
    strange = world.database.read_now(campaigns.counts_of, world.organization_id + 1, [first])
    assert strange[first].opens == 0


async def test_a_report_has_bounds_and_a_timeline_its_grains(world: World) -> None:
    campaign_id = world.new_campaign("step")
    mail = world.mail(START, campaign_id=campaign_id)
    days = (0, 1, 8, 40)
    for day in days:
        world.happen(EventKind.OPENED, START + day * clock.DAY + clock.HOUR, mail)
    await world.follow()

    def opens(start: int, end: int) -> tuple[int, int]:
        counts = read(world, campaigns.report_between, campaign_id, start=start, end=end).counts
        return counts.opens, counts.unique_opens

    assert opens(START, START + 9 * clock.DAY) == (3, 1)
    assert opens(START + clock.DAY, START + 9 * clock.DAY) == (2, 0)
    assert opens(0, START) == (0, 0)
    assert opens(START + clock.HOUR, START + clock.HOUR + 1) == (1, 1)

    def starts(grain: Grain, **asked: int) -> list[int]:
        spans = read(world, campaigns.timeline, campaign_id, grain, [Measure.OPENED], **asked)
        assert all(span.start < span.end for span in spans)
        return [span.start for span in spans]

    assert starts(Grain.QUARTER) == [START + day * clock.DAY + clock.HOUR for day in days]
    assert starts(Grain.DAY) == [START + day * clock.DAY for day in days]
    assert [clock.to_datetime(at).weekday() for at in starts(Grain.WEEK)] == [0] * len(starts(Grain.WEEK))
    assert [clock.to_datetime(at).day for at in starts(Grain.MONTH)] == [1] * len(starts(Grain.MONTH))
    assert 2 <= len(starts(Grain.MONTH)) <= 3 <= len(starts(Grain.WEEK)) <= 4
    bounded = starts(Grain.HOUR, start=START + clock.DAY, end=START + 9 * clock.DAY)
    assert bounded == [START + day * clock.DAY + clock.HOUR for day in (1, 8)]
    world.happen(EventKind.OPENED, START + 400 * clock.DAY, mail)
    await world.follow()
    assert starts(Grain.HOUR) == [START + 400 * clock.DAY], "of a long time the last three months"
    assert len(starts(Grain.DAY)) == 5


async def test_lists_tell_who_stands_how_and_why(world: World) -> None:
    campaign_id = world.new_campaign()
    known = ContactInput(email="Ann@example.com", first_name="Ann", last_name="Lee")
    world.database.write_now(lambda tx: contacts.create(tx, world.principal, known, source="api"))
    ann, bob, eve, joe, late = (
        world.mail(START + number, recipient=f"{name}@example.com", campaign_id=campaign_id, links=LINKS)
        for number, name in enumerate(("ann", "bob", "eve", "joe", "late"))
    )
    for mail in (ann, late):
        world.happen(EventKind.SENT, START + 9, mail)
        world.happen(EventKind.DELIVERED, START + 9, mail)
    world.happen(
        EventKind.BOUNCED,
        START + 9,
        bob,
        **{"class": "hard", "code": 550, "enhanced": "5.1.1", "reply": "no"},
    )
    world.happen(
        EventKind.BOUNCED, START + 99, late, **{"class": "soft", "reply": "full", "source": "report"}
    )
    world.happen(EventKind.FAILED, START + 9, eve, reason="connection timed out")
    world.happen(EventKind.OPENED, START + 10, ann, **judged(human=True))
    world.happen(EventKind.UNSUBSCRIBED, START + 10, ann)
    await world.follow()

    def listed(standing: Standing | None = None, **asked: Any) -> list[RowId]:
        found = read(world, campaigns.recipients, campaign_id, standing, **{"limit": 10, **asked})
        assert found.total >= len(found.rows)
        return [row.message.id for row in found.rows]

    assert listed() == [ann, bob, eve, joe, late]
    assert listed(limit=2, offset=2) == [eve, joe]
    assert listed(Standing.QUEUED) == [joe]
    assert listed(Standing.DELIVERED) == [ann, late]
    assert listed(Standing.SENT) == [ann, late, bob]
    assert listed(Standing.SENT, limit=1, offset=1) == [late]
    assert listed(Standing.SENT, limit=1, offset=2) == [bob]
    assert listed(Standing.BOUNCED) == [bob, late]
    assert listed(Standing.FAILED) == listed(Standing.NOT_SENT) == [eve]
    assert listed(Standing.OPENED) == listed(Standing.UNSUBSCRIBED) == [ann]
    assert listed(Standing.COMPLAINED) == listed(Standing.CLICKED) == []
    assert listed(search="lee") == listed(search="ANN@example.com") == [ann]
    assert listed(Standing.OPENED, search="lee") == [ann]
    assert listed(Standing.BOUNCED, search="lee") == listed(Standing.QUEUED, search="lee") == []
    assert listed(Standing.BOUNCED, search="bob@example.com") == [bob]
    first, _, third, *_ = read(world, campaigns.recipients, campaign_id, limit=10).rows
    assert (first.contact.name, first.opened.times, first.end) == ("Ann Lee", 1, None)
    assert (third.contact, third.end.reason, third.end.bounce_class) == (None, "connection timed out", None)
    rows = read(world, campaigns.recipients, campaign_id, Standing.BOUNCED, limit=10).rows
    assert [(row.end.bounce_class, row.end.reason, row.end.code, row.end.at) for row in rows] == [
        ("hard", "no", "550 5.1.1", START + 9), ("soft", "full", None, START + 99),
    ]  # fmt: skip


def test_reports_are_of_the_organizations_own_campaigns_and_ask_for_their_scope(world: World) -> None:
    campaign_id = world.new_campaign()
    stranger = Principal(world.organization_id + 1)
    blind = Principal(world.organization_id, scopes=frozenset({"messages:read"}))
    for ask in (
        lambda tx, who: campaigns.report(tx, who, campaign_id),
        lambda tx, who: campaigns.report_between(tx, who, campaign_id, start=0, end=1),
        lambda tx, who: campaigns.links(tx, who, campaign_id),
        lambda tx, who: campaigns.timeline(tx, who, campaign_id, Grain.DAY, [Measure.OPENED]),
        lambda tx, who: campaigns.recipients(tx, who, campaign_id, limit=1),
    ):
        with pytest.raises(NotFound):
            world.database.read_now(ask, stranger)
        with pytest.raises(Forbidden):
            world.database.read_now(ask, blind)
        world.database.read_now(ask, world.principal)
    with pytest.raises(Invalid):
        read(world, campaigns.recipients, campaign_id, search="x" * 255, limit=1)


async def test_no_report_scans_what_is_of_other_campaigns(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = world.new_campaign()
    mail = world.mail(START, campaign_id=campaign_id, links=LINKS)
    plans: list[str] = []
    run, is_sqlite = portable.run, world.database.is_sqlite

    def explained(tx: Tx, statement: str, parameters: Any = ()) -> list[Any]:
        asked = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        if not is_sqlite:
            run(tx, "SET LOCAL enable_seqscan = off")
        plans.append("\n".join(str(row[-1]) for row in run(tx, asked + statement, parameters)))
        return run(tx, statement, parameters)

    monkeypatch.setattr(portable, "run", explained)
    event = world.event(EventKind.CLICKED, START, mail, **judged(human=True, link=0))
    world.record(event)
    await world.follow()
    world.correct(event, Whose.SCANNER)
    await world.follow()
    for who in Who:
        read(world, campaigns.report_between, campaign_id, who, start=START, end=START + clock.DAY)
        read(world, campaigns.links, campaign_id, who)
        read(world, campaigns.timeline, campaign_id, Grain.HOUR, [Measure.OPENED], who)
        for standing in (None, *Standing):
            read(world, campaigns.recipients, campaign_id, standing, who, limit=10)
            read(world, campaigns.recipients, campaign_id, standing, who, search="ann@example.com", limit=10)
    of_ours = [plan for plan in plans if re.search(r"\b(campaign_\w+|messages)\b", plan)]
    assert len(of_ours) > 20
    for plan in set(of_ours):
        assert not re.search(r"SCAN (campaign_|messages|[mhrlc]\b)", plan), plan
        assert "Seq Scan on campaign_" not in plan, plan
        assert "Seq Scan on messages" not in plan, plan
