"""Conversions: kept once, counted, journalled, and credited to the mail that brought them about."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.factories import make_account
from tests.unit.engine.insight.orders import HUMAN, NOW, SCANNER, Shop

from postrider.db.database import Database
from postrider.engine import journal
from postrider.engine.audience import contacts
from postrider.engine.errors import Conflict, Forbidden, Invalid, NotFound, PlanLimitReached
from postrider.engine.insight import Step, conversions
from postrider.engine.insight.conversions import Attribution, Goal, Kind, NewConversion, Sum
from postrider.engine.insight.conversions.goals import GOALS_MAX
from postrider.engine.insight.conversions.rules import Touch, Windows, credit, milestone
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.kit.seal import Sealer

A, B = bytes(15) + b"a", bytes(15) + b"b"


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    yield Shop(database, make_account(database, Sealer(b"k" * 32)).organization_id)
    clock.set_source(None)


def days(number: float) -> int:
    return round(number * clock.DAY)


@pytest.mark.parametrize(
    ("clicked", "opened", "windows", "expected"),
    [
        (6.9, None, (7, 3), (A, Attribution.LAST_CLICK)),
        (7.0, None, (7, 3), (A, Attribution.LAST_CLICK)),
        (7.1, None, (7, 3), (None, Attribution.NONE)),
        (None, 2.9, (7, 3), (B, Attribution.LAST_OPEN)),
        (None, 3.1, (7, 3), (None, Attribution.NONE)),
        (6.9, 0.1, (7, 3), (A, Attribution.LAST_CLICK)),
        (7.1, 2.9, (7, 3), (B, Attribution.LAST_OPEN)),
        (7.1, None, (8, 3), (A, Attribution.LAST_CLICK)),
        (0.5, 0.9, (0, 1), (B, Attribution.LAST_OPEN)),
        (-0.1, None, (7, 3), (None, Attribution.NONE)),
        (None, None, (7, 3), (None, Attribution.NONE)),
    ],
)
def test_the_last_click_has_the_credit_else_the_last_opening(
    clicked: float | None,
    opened: float | None,
    windows: tuple[int, int],
    expected: tuple[RowId | None, Attribution],
) -> None:
    touches = [None if ago is None else Touch(NOW - days(ago), of) for ago, of in ((clicked, A), (opened, B))]
    found = credit(*touches, at=NOW, windows=Windows(*(days(each) for each in windows)))
    assert found == expected


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [(0, 99, None), (0, 100, 100), (100, 499, None), (99, 600, 500), (400, 500, 500), (500, 500, None),
     (0, 4_999, 1_000), (4_000, 12_000, 10_000), (9_999, 10_000, 10_000), (10_000, 50_000, 50_000)],
)  # fmt: skip
def test_milestones_are_one_and_five_with_noughts(before: int, after: int, passed: int | None) -> None:
    assert milestone(before * 1_000, after * 1_000) == (None if passed is None else passed * 1_000)


CASES = [
    # days ago: a click, an opening; whose they are; the contact's or a stranger's; the expected credit
    (6.9, None, HUMAN, "last_click"),
    (7.1, None, HUMAN, "none"),
    (None, 2.9, HUMAN, "last_open"),
    (None, 3.1, HUMAN, "none"),
    (1.0, 0.5, HUMAN, "last_click"),
    (7.1, 2.9, HUMAN, "last_open"),
    (1.0, None, SCANNER, "none"),
    (None, 1.0, SCANNER, "none"),
    (1.0, None, {}, "none"),
]


@pytest.mark.parametrize("is_contact", [True, False])
async def test_what_was_read_by_a_human_has_the_credit(shop: Shop, *, is_contact: bool) -> None:
    """Of a contact its engagements tell, of another address the journal: both come to the same."""
    for number, (clicked, opened, data, expected) in enumerate(CASES):
        campaign, email = shop.campaign(), f"reader{number}@example.com"
        if is_contact:
            shop.contact(email)
        message_id = shop.mail_of(campaign, at=NOW - days(8), recipient=email)
        for kind, ago in ((EventKind.CLICKED, clicked), (EventKind.OPENED, opened)):
            if ago is not None:
                shop.happen(kind, NOW - days(ago), message_id, **data)
        await shop.follow()
        made = shop.order(email=email).conversion
        assert made.attribution.name.lower() == expected, CASES[number]
        assert made.campaign_id == (None if expected == "none" else campaign)
        assert (made.contact_id is not None) is is_contact


async def test_of_several_campaigns_the_last_before_the_order_has_the_credit(shop: Shop) -> None:
    first, second, third, later = (shop.campaign() for _ in range(4))
    contact = shop.contact()
    for campaign, clicked in ((first, 3.0), (second, 2.0), (later, 0.5)):
        message_id = shop.mail_of(campaign, at=NOW - days(4))
        shop.happen(EventKind.CLICKED, NOW - days(clicked), message_id, **HUMAN)
    shop.happen(EventKind.OPENED, NOW - days(1.5), shop.mail_of(third, at=NOW - days(4)), **HUMAN)
    shop.happen(EventKind.CLICKED, NOW - days(1.2), shop.mail_of(None, at=NOW - days(4)), **HUMAN)
    await shop.follow()
    at = NOW - days(1)
    assert shop.order(contact_id=contact, occurred_at=at).conversion.campaign_id == second
    assert shop.order(contact_id=contact).conversion.campaign_id == later
    assert shop.order(contact_id=contact, occurred_at=NOW - days(2.5)).conversion.campaign_id == first
    named = shop.order(contact_id=contact, campaign_id=third).conversion
    assert (named.campaign_id, named.attribution) == (third, Attribution.EXPLICIT)


async def test_a_click_that_turns_out_to_be_a_scanners_has_no_credit(shop: Shop) -> None:
    shop.contact()
    message_id = shop.mail_of(shop.campaign(), at=NOW - days(2))
    click = shop.event(EventKind.CLICKED, NOW - days(1), message_id, **HUMAN)
    shop.record(click)
    shop.record(journal.correct(click, Whose.SCANNER, at=NOW, scanner={}, first=(click.at, None)))
    await shop.follow()
    assert shop.order(email="ANN@example.com").conversion.attribution is Attribution.NONE


async def test_windows_are_the_organizations_own(shop: Shop) -> None:
    shop.contact()
    campaign = shop.campaign()
    shop.happen(EventKind.CLICKED, NOW - days(9), shop.mail_of(campaign, at=NOW - days(10)), **HUMAN)
    await shop.follow()
    assert shop.order(email="ann@example.com").conversion.campaign_id is None
    shop.settings(attribution_click_days=10)
    assert shop.order(email="ann@example.com").conversion.campaign_id == campaign
    shop.settings(attribution_click_days=0, attribution_open_days=30)
    shop.happen(EventKind.OPENED, NOW - days(9), shop.mail_of(campaign, at=NOW - days(10)), **HUMAN)
    await shop.follow()
    assert shop.order(email="ann@example.com").conversion.attribution is Attribution.LAST_OPEN


def test_an_order_counts_once(shop: Shop) -> None:
    campaign = shop.campaign()
    told = {"campaign_id": campaign, "order_id": "order_1001"}
    first, again = shop.order(**told, metadata={"shop": "north"}), shop.order(**told, amount_mils=1)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.conversion == first.conversion
    assert first.total_mils == again.total_mils == 49_000
    assert totals(shop, campaign) == {Kind.GOAL: Sum(), Kind.ORDER: Sum(1, 49_000)}
    assert shop.order(campaign_id=campaign).total_mils == 98_000, "without an order id each is one"
    assert [event.kind for event in events(shop)] == [EventKind.REVENUE_RECORDED] * 2


def test_a_goal_counts_what_it_is_worth(shop: Shop) -> None:
    campaign = shop.campaign()
    goal = make_goal(shop, "purchase", value_mils=49_000)
    about = make_goal(shop, "sign-up", campaign_id=campaign)
    for new in (
        NewConversion(campaign_id=campaign),
        NewConversion(campaign_id=campaign, amount_mils=500, order_id="order_1"),
        NewConversion(campaign_id=campaign, amount_mils=500, order_id="order_1"),
    ):
        shop.database.write_now(conversions.record_conversion, shop.principal, goal.id, new)
    its = shop.database.write_now(
        conversions.record_conversion, shop.principal, about.id, NewConversion(order_id="order_1")
    ).conversion
    assert (its.campaign_id, its.attribution, its.amount_mils) == (campaign, Attribution.EXPLICIT, 0)
    assert totals(shop, campaign) == {Kind.GOAL: Sum(3, 49_500), Kind.ORDER: Sum()}
    found, total = shop.database.read_now(lambda tx: conversions.list_goals(tx, shop.principal, limit=1))
    assert ([(each.name, each.conversions) for each in found], total) == ([("sign-up", 1)], 2)
    told = events(shop)
    assert [(each.kind, (each.data or {})["goal_name"]) for each in told] == [
        (EventKind.GOAL_CONVERTED, "purchase"), (EventKind.GOAL_CONVERTED, "purchase"),
        (EventKind.GOAL_CONVERTED, "sign-up"),
    ]  # fmt: skip


def test_only_the_revenue_that_passes_a_milestone_says_so(shop: Shop) -> None:
    campaign = shop.campaign()
    for units in (60, 39, 1, 10, 900):
        shop.order(campaign_id=campaign, amount_mils=units * 1_000)
    shop.order(amount_mils=5_000_000)
    told = [((each.data or {}).get("total"), (each.data or {}).get("milestone")) for each in events(shop)]
    assert told == [
        (60_000, None), (99_000, None), (100_000, 100_000), (110_000, None), (1_010_000, 1_000_000),
        (None, None),
    ]  # fmt: skip


def test_revenue_is_told_by_days_of_a_zone_also_when_clocks_change(shop: Shop) -> None:
    """The 25th of October 2026 has 25 hours in Berlin."""
    berlin = ZoneInfo("Europe/Berlin")
    start, end = clock.from_iso("2026-10-24T22:00:00Z"), clock.from_iso("2026-10-26T23:00:00Z")
    best, other = shop.campaign("Best"), shop.campaign("Other")
    for at, campaign, amount in (
        ("2026-10-24T21:59:00Z", best, 1), ("2026-10-24T22:00:00Z", other, 2),
        ("2026-10-25T22:59:00Z", best, 4), ("2026-10-25T23:00:00Z", best, 8),
        ("2026-10-26T22:59:00Z", None, 16), ("2026-10-26T23:00:00Z", best, 32),
    ):  # fmt: skip
        shop.order(campaign_id=campaign, amount_mils=amount, occurred_at=clock.from_iso(at))
    shop.order(campaign_id=best, amount_mils=64, currency="EUR", occurred_at=start)

    def told(currency: str) -> conversions.Revenue:
        asked: dict[str, Any] = {"start": start, "end": end, "zone": berlin, "bucket": Step.DAY}
        return shop.database.read_now(
            lambda tx: conversions.revenue(tx, shop.principal, currency=currency, **asked)
        )

    found = told("USD")
    assert [(span.end - span.start) // clock.HOUR for span in found.spans] == [25, 24]
    assert [span.sum for span in found.spans] == [Sum(2, 6), Sum(2, 24)]
    assert found.total == Sum(4, 30)
    assert [(each.name, each.sum) for each in found.campaigns] == [("Best", Sum(2, 12)), ("Other", Sum(1, 2))]
    assert told("EUR").total == Sum(1, 64)
    of_best = shop.database.read_now(
        lambda tx: conversions.revenue_of(tx, shop.principal, best, start=start, end=end, currency="USD")
    )
    assert of_best == {Kind.GOAL: Sum(), Kind.ORDER: Sum(2, 12)}


def test_currencies_are_never_added_up(shop: Shop) -> None:
    campaign = shop.campaign()
    shop.settings(currency="EUR")
    assert shop.order(campaign_id=campaign).conversion.currency == "EUR"
    assert shop.order(campaign_id=campaign, currency="USD").total_mils == 49_000
    assert totals(shop, campaign) == {Kind.GOAL: Sum(), Kind.ORDER: Sum(1, 49_000)}
    assert make_goal(shop, "purchase").currency == "EUR"


@pytest.mark.parametrize(
    ("told", "fields"),
    [
        ({"order_id": ""}, ["order_id"]),
        ({"order_id": "x" * 256, "occurred_at": NOW + 2 * clock.HOUR}, ["order_id", "occurred_at"]),
        ({"occurred_at": -1, "metadata": {"x": "y" * 17_000}}, ["occurred_at", "metadata"]),
        ({"email": "no address"}, ["email"]),
    ],
)
def test_all_that_is_wrong_is_told_at_once(shop: Shop, told: dict[str, object], fields: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        shop.order(**told)
    found = refused.value.facts.get("faults", [refused.value.facts])
    assert [each["field"] for each in found] == fields


def test_strangers_are_not_found(shop: Shop, database: Database) -> None:
    other = Shop(database, make_account(database, Sealer(b"k" * 32), email="b@example.test").organization_id)
    theirs, goal = other.campaign(), make_goal(other, "theirs")
    contact = other.contact("theirs@example.com")
    for told in ({"campaign_id": theirs}, {"contact_id": contact}, {"campaign_id": new_id()}):
        with pytest.raises(NotFound):
            shop.order(**told)
    with pytest.raises(NotFound):
        database.write_now(conversions.record_conversion, shop.principal, goal.id, NewConversion())
    with pytest.raises(NotFound):
        make_goal(shop, "mine", campaign_id=theirs)
    assert shop.order(email="theirs@example.com").conversion.contact_id is None
    other.order(campaign_id=theirs, order_id="order_1")
    assert shop.order(order_id="order_1").is_new, "order ids are each organization's own"
    assert totals(shop, theirs) == {Kind.GOAL: Sum(), Kind.ORDER: Sum()}
    assert database.read_now(lambda tx: conversions.list_goals(tx, shop.principal, limit=9)) == ([], 0)


def test_a_goal_has_a_name_of_its_own(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    make_goal(shop, " purchase ")
    with pytest.raises(Conflict):
        make_goal(shop, "purchase")
    for name in ("", " ", "x" * 256, "two\nlines"):
        with pytest.raises(Invalid):
            make_goal(shop, name)
    reader = Principal(shop.organization_id, scopes=frozenset({"campaigns:read"}))
    with pytest.raises(Forbidden):
        shop.database.write_now(lambda tx: conversions.create_goal(tx, reader, "mine"))
    assert GOALS_MAX > 1
    monkeypatch.setattr("postrider.engine.insight.conversions.goals.GOALS_MAX", 1)
    with pytest.raises(PlanLimitReached):
        make_goal(shop, "one more")


async def test_who_is_deleted_leaves_sums_behind(shop: Shop) -> None:
    campaign, contact = shop.campaign(), shop.contact()
    shop.order(campaign_id=campaign, contact_id=contact, order_id="o", metadata={"name": "Ann"})
    shop.database.write_now(contacts.delete, shop.principal, contact)
    await shop.follow()
    assert [tuple(row) for row in shop.sql("SELECT contact_id, metadata FROM conversions")] == [(None, None)]
    assert totals(shop, campaign)[Kind.ORDER] == Sum(1, 49_000)


def make_goal(shop: Shop, name: str, **more: Any) -> Goal:
    return shop.database.write_now(lambda tx: conversions.create_goal(tx, shop.principal, name, **more))


def totals(shop: Shop, campaign_id: RowId) -> dict[Kind, Sum]:
    currency = shop.sql("SELECT settings FROM organizations WHERE id = :organization_id")[0][0] or ""
    return shop.database.read_now(
        lambda tx: conversions.totals_of(
            tx, shop.principal, [campaign_id], currency="EUR" if "EUR" in currency else "USD"
        )
    )[campaign_id]


def events(shop: Shop) -> list[Event]:
    found = shop.database.read_now(lambda tx: journal.page_after(tx, shop.organization_id, b"", 100))
    kinds = (EventKind.GOAL_CONVERTED, EventKind.REVENUE_RECORDED)
    return [event for event in found if event.kind in kinds]
