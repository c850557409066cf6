"""Reports over rollups: any zone's days, firsts counted once, whose openings; and what they read to do it."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event as sqlalchemy_event
from tests.unit.engine.insight.world import World

from postrider.db.database import Tx
from postrider.engine import insight
from postrider.engine.errors import Forbidden, Invalid
from postrider.engine.insight import Measure, Report, Step, Who
from postrider.engine.insight.platforms import platform_of
from postrider.engine.journal import EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import new_id

NOON = int(datetime(2026, 3, 29, 12, tzinfo=UTC).timestamp() * 1000)  # in Berlin a day of 23 hours
WEEK: dict[str, Any] = {"start": NOON - 3 * clock.DAY, "end": NOON + 3 * clock.DAY}


def ask(world: World, principal: Principal | None = None, **asked: Any) -> Report:
    whole = {**WEEK, **asked}
    return world.database.read_now(lambda tx: insight.report(tx, principal or world.principal, **whole))


async def test_a_first_is_counted_once_and_where_it_happened(world: World) -> None:
    message_id = world.mail(NOON)
    for at, human in ((NOON, None), (NOON, None), (NOON + clock.HOUR, True), (NOON + 2 * clock.HOUR, True)):
        data = {} if human is None else {"human": human}
        world.happen(EventKind.OPENED, at, message_id, **data)
        await world.follow()
    world.happen(EventKind.CLICKED, NOON, message_id, human=False)
    await world.follow()
    hours: dict[str, Any] = {"start": NOON, "end": NOON + 3 * clock.HOUR, "bucket": Step.HOUR}
    everybody, humans = ask(world, **hours), ask(world, **hours, who=Who.HUMAN)
    assert [(span.counts.opens, span.counts.unique_opens) for span in everybody.spans] == [
        (2, 1), (1, 0), (1, 0),
    ]  # fmt: skip
    assert [(span.counts.opens, span.counts.unique_opens) for span in humans.spans] == [
        (0, 0), (1, 1), (1, 0),
    ]  # fmt: skip
    scanners = ask(world, **hours, who=Who.SCANNER).total
    assert (scanners.opens, scanners.clicks, scanners.unique_clicks) == (0, 1, None)


async def test_two_firsts_of_one_moment_and_batch_are_one(world: World) -> None:
    message_id = world.mail(NOON)
    world.record(*(world.event(EventKind.CLICKED, NOON, message_id, human=True) for _ in range(3)))
    await world.follow()
    total = ask(world, who=Who.HUMAN).total
    assert (total.clicks, total.unique_clicks, total[Measure.CLICKED_UNIQUE]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("zone", "lengths"),
    [
        (UTC, [24, 24, 24]),
        (ZoneInfo("Europe/Berlin"), [24, 23, 24]),
        (timezone(timedelta(hours=5, minutes=45)), [24, 24, 24]),
    ],
    ids=str,
)
async def test_days_are_those_of_the_zone(world: World, zone: tzinfo, lengths: list[int]) -> None:
    midnight = datetime(2026, 3, 29, tzinfo=zone)
    before, after = midnight - timedelta(milliseconds=1), midnight
    for moment in (before, after, after):
        at = int(moment.timestamp() * 1000)
        world.happen(EventKind.DELIVERED, at, world.mail(at))
    await world.follow()
    first = int((midnight - timedelta(days=1)).timestamp() * 1000)
    last = int(datetime(2026, 3, 31, tzinfo=zone).timestamp() * 1000)
    found = ask(world, start=first, end=last, bucket=Step.DAY, zone=zone)
    assert [span.counts[Measure.DELIVERED] for span in found.spans] == [1, 2, 0]
    assert [(span.end - span.start) // clock.HOUR for span in found.spans] == lengths
    assert found.total[Measure.DELIVERED] == 3


async def test_a_report_is_of_one_organization_one_domain_one_tag(world: World) -> None:
    ours, other = new_id(), new_id()
    for domain_id, tags in ((ours, ("a", "b")), (ours, ("a",)), (other, ("a",)), (None, ())):
        message_id = world.mail(NOON, domain_id=domain_id, tags=tags)
        world.happen(EventKind.ACCEPTED, NOON, message_id)
        world.happen(EventKind.BOUNCED, NOON, message_id, **{"class": "block"})
    await world.follow()

    def accepted(**asked: Any) -> int:
        return ask(world, **asked).total[Measure.ACCEPTED]

    assert accepted() == 4
    assert (accepted(domain_id=ours), accepted(domain_id=other), accepted(domain_id=new_id())) == (2, 1, 0)
    assert (accepted(tag="a"), accepted(tag="b"), accepted(tag="c")) == (3, 1, 0)
    assert accepted(tag="a", domain_id=ours) == 2
    assert ask(world).total.bounced == 4
    assert accepted(principal=Principal(world.organization_id + 1)) == 0
    told = world.database.read_now(
        lambda tx: insight.report_tags(tx, world.principal, **WEEK, domain_id=ours)
    )
    assert {tag: counts[Measure.ACCEPTED] for tag, counts in told.items()} == {"a": 2, "b": 1}
    assert list(told) == ["a", "b"]


def test_a_report_asks_for_its_scope_and_has_a_limit(world: World) -> None:
    with pytest.raises(Forbidden):
        ask(world, Principal(world.organization_id, scopes=frozenset({"domains:read"})))
    with pytest.raises(Invalid):
        ask(world, start=0, bucket=Step.HOUR)
    with pytest.raises(Invalid):
        ask(world, start=0, bucket=Step.DAY)
    assert ask(world, start=0).total.opens == 0
    assert ask(world, start=NOON, end=NOON, bucket=Step.DAY).spans == []
    assert ask(world, start=NOON, end=NOON - clock.DAY, bucket=Step.DAY).spans == []


@pytest.mark.parametrize(
    ("user_agent", "platform"),
    [
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            Measure.OPENED_IN_GMAIL,
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", Measure.OPENED_IN_YAHOO),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            Measure.OPENED_IN_APPLE_MAIL,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Mobile/15E148",
            Measure.OPENED_IN_APPLE_MAIL,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.1 Safari/605.1.15",
            Measure.OPENED_ELSEWHERE,
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.5095; ms-office)",
            Measure.OPENED_IN_OUTLOOK,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko Thunderbird/115.5.1",
            Measure.OPENED_IN_THUNDERBIRD,
        ),
        ("Mozilla/5.0" + "(Macintosh" * 100_000, Measure.OPENED_ELSEWHERE),
        (None, Measure.OPENED_ELSEWHERE),
        (7, Measure.OPENED_ELSEWHERE),
    ],
)
def test_mail_programs_are_known_by_what_they_send(user_agent: object, platform: Measure) -> None:
    assert platform_of({"user_agent": user_agent}) is platform


FILL = """INSERT INTO rollups (organization_id, bucket, measure, domain_id, stream, shard, count)
    SELECT o.n, {start} + b.n * 900000, m.name, {domain}, 1, 1, 1
    FROM {organizations} o CROSS JOIN {buckets} b
    CROSS JOIN (SELECT 'opened' AS name UNION ALL SELECT 'delivered') m"""
TAG_FILL = """INSERT INTO tag_rollups (organization_id, bucket, domain_id, tag, measure, shard, count)
    SELECT organization_id, bucket, domain_id, 'news', measure, shard, count FROM rollups"""


def fill(tx: Tx) -> None:
    """100 organizations with 500 quarters of an hour each, on both tables."""
    is_sqlite = tx.dialect.name == "sqlite"

    def numbers(count: int) -> str:
        recursive = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count})"
        return recursive + " SELECT n FROM c)"

    zeros = f"X'{'00' * 16}'" if is_sqlite else f"'\\x{'00' * 16}'::bytea"
    tx.exec_driver_sql(
        FILL.format(start=WEEK["start"], domain=zeros, organizations=numbers(100), buckets=numbers(500))
    )
    tx.exec_driver_sql(TAG_FILL)
    for step in (clock.HOUR, clock.DAY, 7 * clock.DAY):
        for columns in ("", "tag, "):
            source = "tag_rollups" if columns else "rollups"
            grouped = f"organization_id, domain_id, bucket / {step} * {step}, {columns}measure"
            tx.exec_driver_sql(
                f"INSERT INTO coarse_{source} "
                f"(organization_id, domain_id, bucket, {columns}measure, step_ms, count) "
                f"SELECT {grouped}, {step}, SUM(count) FROM {source} GROUP BY {grouped}"
            )


async def test_no_report_scans_the_rollups(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.database.write_now(fill)
    with world.database.engine.connect() as tx:
        tx.exec_driver_sql("ANALYZE")
        tx.commit()
    from postrider.db import portable

    is_sqlite = world.database.is_sqlite
    plans: list[str] = []
    run = portable.run

    def explained(tx: Tx, statement: str, parameters: Any = ()) -> list[Any]:
        asked = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        plans.append("\n".join(str(row) for row in run(tx, asked + statement, parameters)))
        return run(tx, statement, parameters)

    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            driver = connection.connection.driver_connection
            asked = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
            rows = driver.execute(asked + statement, parameters).fetchall()
            plans.append("\n".join(str(row) for row in rows))

    monkeypatch.setattr(portable, "run", explained)
    sqlalchemy_event.listen(world.database.engine, "before_cursor_execute", listen)
    for step in Step:
        ask(world, bucket=step)
        ask(world, bucket=step, domain_id=new_id())
        ask(world, bucket=step, tag="news")
        ask(world, bucket=step, tag="news", domain_id=new_id())
    world.database.read_now(lambda tx: insight.report_tags(tx, world.principal, **WEEK))
    sqlalchemy_event.remove(world.database.engine, "before_cursor_execute", listen)
    assert len(plans) >= 13
    for plan in set(plans):
        assert not re.search(r"SCAN (?!parts|found|top|\(subquery)", plan.replace("Function Scan", "")), plan
        assert "Seq Scan on" not in plan, plan
        assert "PRIMARY KEY" in plan or "pk_" in plan, plan
        assert "AUTOMATIC" not in plan.replace("SEARCH found USING AUTOMATIC", ""), plan
