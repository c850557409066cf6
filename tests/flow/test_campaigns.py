"""Campaigns on their way: begun, paused, let go on, called off, ended; each recipient once."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from sqlalchemy import text
from tests.factories import Running
from tests.flow.crowds import address, draw_up, fill_list, look, people, start, statuses_of, until

from postrider.db.database import Tx
from postrider.engine import journal, messages
from postrider.engine.accounts import month_of
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput
from postrider.engine.delivery import control, couriers
from postrider.engine.errors import DomainNotVerified, EngineError, Invalid, NotAllowedNow, QuotaExceeded
from postrider.engine.journal import EventKind
from postrider.engine.messages import Status
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import (
    Campaign,
    CampaignStatus,
    SplitTest,
    Target,
    Timing,
    Variant,
    Yardstick,
)
from postrider.kit import clock, json

MANY = 1_200


@pytest.fixture(autouse=True)
def _quick_slowness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "SLOW_S", 0.3)


def kinds(node: Running, campaign: Campaign) -> list[EventKind]:
    def read(tx: Tx) -> list[EventKind]:
        asked = text("SELECT kind FROM events WHERE campaign_id = :id AND message_id IS NULL ORDER BY id")
        return [EventKind(row[0]) for row in tx.execute(asked, {"id": campaign.id})]

    return node.database.read_now(read)


def is_(node: Running, campaign: Campaign, status: CampaignStatus) -> bool:
    return look(node.database, campaign).status is status


def set_up(node: Running, settings: dict[str, Any]) -> None:
    asked = text("UPDATE organizations SET settings = :settings")
    node.database.write_now(lambda tx: tx.execute(asked, {"settings": json.dumps(settings)}))


def newest_mail(tx: Tx, organization_id: int) -> str:
    (newest, *_) = control.list_captured(tx, [organization_id], limit=1)
    found = control.one_captured(tx, [organization_id], newest.id)
    assert found is not None
    return str(message_from_bytes(found[1], policy=default).get_body(("html",)).get_content())  # type: ignore[union-attr]


async def test_a_campaign_to_a_list_reaches_everybody_on_it_once(node: Running) -> None:
    list_id = fill_list(node.database, node.principal, people(30))
    gone = contacts.by_address
    left = node.database.read_now(gone, node.principal, address(7))
    node.database.write_now(contacts.unsubscribe, node.principal, left.id)
    campaign = draw_up(node.database, node.principal, list_id=list_id)
    begun = await start(node, campaign)
    assert (begun.status, begun.total) == (CampaignStatus.SENDING, 29)
    await until(lambda: is_(node, campaign, CampaignStatus.SENT), "all sent")
    ended = look(node.database, campaign)
    assert (ended.accepted, ended.skipped) == (29, 0)
    assert ended.sent_at is not None
    found = node.database.read_now(messages.search, node.principal.organization_id, limit=100)
    assert Counter(row.address_key for row in found) == {address(n): 1 for n in range(30) if n != 7}
    assert {row.contact_id is not None for row in found} == {True}
    assert kinds(node, campaign) == [
        EventKind.CAMPAIGN_CREATED,
        EventKind.CAMPAIGN_STARTED,
        EventKind.CAMPAIGN_FINISHED,
    ]


async def test_named_recipients_are_filled_with_what_is_said_of_them(node: Running) -> None:
    fill_list(node.database, node.principal, [ContactInput(email=address(1), first_name="Ann")])
    targets = [
        Target(address(1), address(1), {"email": "kept"}),
        Target(address(2), address(2), {"first_name": "Bob"}),
        Target(address(1), address(1), None),
    ]
    campaign = draw_up(node.database, node.principal, targets)
    assert (await start(node, campaign)).total == 2
    await until(lambda: is_(node, campaign, CampaignStatus.SENT), "all sent")
    found = node.database.read_now(messages.search, node.principal.organization_id, limit=9)
    assert {row.address_key: row.vars for row in found} == {
        address(1): {"first_name": "Ann", "email": "kept"},
        address(2): {"first_name": "Bob", "email": address(2)},
    }


async def test_a_paused_campaign_rests_and_goes_on_where_it_stood(node: Running) -> None:
    slow = [ContactInput(email=f"slow+{number}@simulator.postrider.test") for number in range(MANY)]
    list_id = fill_list(node.database, node.principal, slow)
    campaign = draw_up(node.database, node.principal, list_id=list_id)
    await start(node, campaign)
    await until(lambda: statuses_of(node.database, campaign.id).get(Status.DELIVERED, 0) > 0, "some sent")
    node.database.write_now(campaigns.pause_campaign, node.principal, campaign.id)
    await asyncio.sleep(2)
    then = statuses_of(node.database, campaign.id)
    await asyncio.sleep(1)
    assert statuses_of(node.database, campaign.id) == then, "it was not paused within two seconds"
    assert then.get(Status.DELIVERED, 0) < MANY
    node.database.write_now(campaigns.resume_campaign, node.principal, campaign.id)
    await until(lambda: is_(node, campaign, CampaignStatus.SENT), "all sent", 60)
    assert statuses_of(node.database, campaign.id) == {Status.DELIVERED: MANY}


async def test_a_cancelled_campaign_ends_with_every_message_told(node: Running) -> None:
    slow = [ContactInput(email=f"slow+{number}@simulator.postrider.test") for number in range(MANY)]
    list_id = fill_list(node.database, node.principal, slow)
    campaign = draw_up(node.database, node.principal, list_id=list_id)
    await start(node, campaign)
    await until(lambda: statuses_of(node.database, campaign.id).get(Status.DELIVERED, 0) > 0, "some sent")
    node.database.write_now(campaigns.cancel_campaign, node.principal, campaign.id)

    def is_settled() -> bool:
        return set(statuses_of(node.database, campaign.id)) <= {Status.DELIVERED, Status.CANCELLED}

    await until(is_settled, "all cancelled")
    counts = statuses_of(node.database, campaign.id)
    assert sum(counts.values()) == look(node.database, campaign).accepted
    assert counts[Status.CANCELLED] > 0
    for act in (campaigns.resume_campaign, campaigns.pause_campaign, campaigns.cancel_campaign):
        with pytest.raises(NotAllowedNow):
            node.database.write_now(act, node.principal, campaign.id)


async def test_a_campaign_begins_at_its_time(node: Running) -> None:
    list_id = fill_list(node.database, node.principal, people(3))
    campaign = draw_up(node.database, node.principal, list_id=list_id)
    at = clock.now_ms() + 1_500
    node.database.write_now(campaigns.schedule_campaign, node.principal, campaign.id, at=at)
    await asyncio.sleep(0.7)
    assert is_(node, campaign, CampaignStatus.SCHEDULED)
    await until(lambda: is_(node, campaign, CampaignStatus.SENT), "all sent")
    assert (look(node.database, campaign).started_at or 0) >= at


async def test_what_cannot_begin_at_its_time_has_failed_and_says_why(node: Running) -> None:
    list_id = fill_list(node.database, node.principal, people(3))
    campaign = draw_up(node.database, node.principal, list_id=list_id, from_email="a@foreign.example")
    node.database.write_now(campaigns.schedule_campaign, node.principal, campaign.id, at=clock.now_ms())
    await until(lambda: is_(node, campaign, CampaignStatus.FAILED), "it failed")
    assert "foreign.example" in (look(node.database, campaign).reason or "")
    assert kinds(node, campaign)[-1] is EventKind.CAMPAIGN_FAILED


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"from_email": "a@foreign.example"}, DomainNotVerified),
        ({"list_id": None}, Invalid),
        ({"html": "{% if %}"}, EngineError),
    ],
)
async def test_what_cannot_begin_stays_a_draft(
    node: Running, said: dict[str, Any], refusal: type[EngineError]
) -> None:
    list_id = fill_list(node.database, node.principal, people(3))
    campaign = draw_up(node.database, node.principal, **{"list_id": list_id, **said})
    with pytest.raises(refusal):
        await start(node, campaign)
    assert is_(node, campaign, CampaignStatus.DRAFT)
    assert statuses_of(node.database, campaign.id) == {}


async def test_a_campaign_over_the_quota_is_refused_whole(node: Running) -> None:
    node.database.write_now(lambda tx: tx.execute(text("UPDATE organizations SET plan = 'free'")))
    used = text("INSERT INTO usage (organization_id, month, messages) VALUES (:id, :month, 99999999)")

    def use_up(tx: Tx) -> None:
        tx.execute(used, {"id": node.principal.organization_id, "month": month_of(clock.now_ms())})

    node.database.write_now(use_up)
    campaign = draw_up(
        node.database, node.principal, list_id=fill_list(node.database, node.principal, people(3))
    )
    with pytest.raises(QuotaExceeded):
        await start(node, campaign)
    assert is_(node, campaign, CampaignStatus.DRAFT)


async def test_batches_are_due_one_after_the_other(node: Running) -> None:
    targets = [Target(address(n), address(n), None) for n in range(7)]
    campaign = draw_up(node.database, node.principal, targets, batch_size=3, batch_delay_s=600.0)
    await start(node, campaign)
    await until(lambda: sum(statuses_of(node.database, campaign.id).values()) == 7, "all made")

    def waiting(tx: Tx) -> list[int]:
        asked = text("SELECT due_at FROM messages WHERE due_at IS NOT NULL ORDER BY due_at")
        return list(tx.execute(asked).scalars())

    await until(lambda: len(node.database.read_now(waiting)) == 4, "the first batch is sent")
    due = node.database.read_now(waiting)
    assert (due[3] - due[0], due[0] == due[2]) == (600_000, True)
    assert is_(node, campaign, CampaignStatus.SENDING)


async def test_each_gets_it_when_its_own_clock_shows_the_time(node: Running) -> None:
    at = round(datetime(2030, 7, 1, 9, tzinfo=UTC).timestamp() * 1000)
    zones = {"a": "Asia/Tokyo", "b": "America/New_York", "c": "nowhere/at_all", "d": None}
    given = [
        ContactInput(email=f"{name}@example.com", properties={"timezone": zone} if zone else {})
        for name, zone in zones.items()
    ]
    list_id = fill_list(node.database, node.principal, given)
    campaign = draw_up(node.database, node.principal, list_id=list_id, timing=Timing.LOCAL)
    routes = node.node.installation.routes
    await campaigns.start_campaign(node.database, node.principal, campaign.id, routes, due_at=at)
    await until(lambda: sum(statuses_of(node.database, campaign.id).values()) == 4, "all made")

    def due(tx: Tx) -> dict[str, float]:
        rows = tx.execute(text("SELECT address_key, due_at FROM messages"))
        return {row[0][0]: (row[1] - at) / clock.HOUR for row in rows}

    assert node.database.read_now(due) == {"a": -9, "b": 4, "c": 0, "d": 0}


async def test_the_variant_that_more_people_open_goes_to_the_rest(node: Running) -> None:
    list_id = fill_list(node.database, node.principal, people(60))
    test = SplitTest((Variant("B", subject="Better"),), 50, Yardstick.OPENS, 1)
    campaign = draw_up(node.database, node.principal, list_id=list_id, subject="Good", split_test=test)
    await start(node, campaign)

    def rows(tx: Tx) -> list[tuple[bytes, int]]:
        asked = text("SELECT id, variant FROM messages WHERE campaign_id = :id AND status = 3 ORDER BY id")
        return [(row[0], row[1]) for row in tx.execute(asked, {"id": campaign.id})]

    def has_run_ended(tx: Tx) -> bool:
        return bool(
            tx.execute(text("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL")).scalar_one() == 1
        )

    await until(lambda: node.database.read_now(has_run_ended), "the test is made")
    made = sum(statuses_of(node.database, campaign.id).values())
    assert 15 <= made <= 45
    await until(lambda: len(node.database.read_now(rows)) == made, "the test is sent")
    tested = node.database.read_now(rows)
    assert {variant for _, variant in tested} == {1, 2}
    opened = [
        journal.Event(
            organization_id=node.principal.organization_id,
            kind=EventKind.OPENED,
            at=clock.now_ms(),
            message_id=message_id,
            campaign_id=campaign.id,
            data={"human": True, "score": 0},
        )
        for message_id, variant in tested
        if variant == 2
    ]
    node.database.write_now(journal.record, opened)
    await asyncio.sleep(1)  # until they are counted
    ended = text("UPDATE runs SET ended_at = ended_at - 60000")
    node.database.write_now(lambda tx: tx.execute(ended))
    node.database.write_now(lambda tx: tx.execute(text("UPDATE campaigns SET next_at = 1")))
    await until(lambda: is_(node, campaign, CampaignStatus.SENT), "the rest is sent")
    assert look(node.database, campaign).winner == 2
    everything = node.database.read_now(rows)
    assert len(everything) == 60
    assert {variant for message_id, variant in everything if (message_id, variant) not in tested} == {2}


async def test_a_campaign_that_bounces_is_paused_once_and_says_so(node: Running) -> None:
    bad = [ContactInput(email=f"bounce+{number}@simulator.postrider.test") for number in range(150)]
    late = [Target(each.email, each.email, None) for each in bad]
    late += [Target(address(n), address(n), None) for n in range(50)]
    campaign = draw_up(node.database, node.principal, late, batch_size=150, batch_delay_s=600.0)
    await start(node, campaign)
    await until(lambda: is_(node, campaign, CampaignStatus.PAUSED), "it was paused")
    assert "bounced for good" in (look(node.database, campaign).reason or "")

    def told(tx: Tx) -> int:
        asked = text("SELECT count(*) FROM messages m WHERE campaign_id IS NULL")
        return int(tx.execute(asked).scalar_one())

    await until(lambda: node.database.read_now(told) == 1, "its owner was told")
    node.database.write_now(campaigns.resume_campaign, node.principal, campaign.id)
    await asyncio.sleep(2)
    assert is_(node, campaign, CampaignStatus.SENDING)


async def test_who_had_enough_mail_is_left_out_and_counted(node: Running) -> None:
    list_id = fill_list(node.database, node.principal, people(4))
    cap = text('UPDATE organizations SET settings = \'{"frequency_cap_count": 1, "frequency_cap_days": 2}\'')
    node.database.write_now(lambda tx: tx.execute(cap))
    first = draw_up(node.database, node.principal, [Target(address(2), address(2), None)])
    await start(node, first)
    await until(lambda: is_(node, first, CampaignStatus.SENT), "the first is sent")
    second = draw_up(node.database, node.principal, list_id=list_id)
    await start(node, second)
    await until(lambda: is_(node, second, CampaignStatus.SENT), "the second is sent")
    ended = look(node.database, second)
    assert (ended.total, ended.accepted, ended.skipped) == (4, 3, 1)
    assert statuses_of(node.database, second.id) == {Status.DELIVERED: 3}


async def test_links_are_tagged_and_the_way_out_stands_below(node: Running) -> None:
    node.database.write_now(
        lambda tx: tx.execute(text('UPDATE organizations SET settings = \'{"postal_address": "1 High St"}\''))
    )
    html = '<html><body><a href="https://shop.test/x">Shop</a></body></html>'
    for switches, has_tags, has_footer in (
        ({"google_analytics": True, "track_clicks": False}, True, True),
        ({"auto_footer": False, "track_clicks": False}, False, False),
    ):
        campaign = draw_up(
            node.database,
            node.principal,
            [Target(address(1), address(1), None)],
            html=html,
            switches=switches,
        )
        await start(node, campaign)
        await until(lambda: is_(node, campaign, CampaignStatus.SENT), "it is sent")  # noqa: B023
        mail = node.database.read_now(newest_mail, node.principal.organization_id)
        assert ("utm_campaign=Spring" in mail, "1 High St" in mail) == (has_tags, has_footer)
