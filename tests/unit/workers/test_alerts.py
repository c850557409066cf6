"""Alerts: raised once, cleared once, each an event and a mail; and what each look sees."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import event
from tests.factories import make_account
from tests.sink.dns import DnsServer
from tests.unit.workers.test_guards import LETTERHEAD, World

from postrider.db.database import Database
from postrider.engine import journal, messages
from postrider.engine.errors import Forbidden
from postrider.engine.journal import EventKind
from postrider.engine.messages import Stream, queue
from postrider.engine.notices import alerts
from postrider.engine.notices.alerts import Alert, AlertKind, Look, Sight
from postrider.engine.notices.alerts.tell import MAILS_MAX, UNSEEN_MS
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.dns import Resolver
from postrider.kit.ids import id_floor
from postrider.metrics import Metrics
from postrider.workers.alerts import (
    CERTIFICATE_MS,
    LAG_MS,
    STUCK_MS,
    Alerts,
    Place,
    look_at_lists,
    look_at_node,
    look_at_store,
)

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
SICK = Look(AlertKind.FOLLOWER_LAG, (Sight("events", {"waiting_for_seconds": 400}),))
WELL = Look(AlertKind.FOLLOWER_LAG, ())


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def settle(world: World, *looks: Look) -> None:
    world.database.write_now(alerts.settle, LETTERHEAD, looks)


def browse(world: World, *, is_open: bool | None = None) -> list[Alert]:
    return world.database.read_now(lambda tx: alerts.browse(tx, world.principal, is_open=is_open, limit=50))


def told(world: World) -> list[tuple[str, str]]:
    """(event, kind of alert) of the operator's journal."""
    events = world.database.read_now(journal.page_after, world.organization_id, id_floor(0), 500)
    kinds = (EventKind.ALERT_RAISED, EventKind.ALERT_CLEARED)
    return [(each.kind.name, (each.data or {})["kind"]) for each in events if each.kind in kinds]


def test_an_alert_is_raised_once_and_cleared_once(world: World) -> None:
    for _ in range(3):
        settle(world, SICK)
        world.now += clock.MINUTE
    (alert,) = browse(world, is_open=True)
    assert (alert.raised_at, alert.seen_at) == (world.now - 3 * clock.MINUTE, world.now - clock.MINUTE)
    assert told(world) == [("ALERT_RAISED", "follower_lag")]
    for _ in range(2):
        settle(world, WELL)
    assert told(world) == [("ALERT_RAISED", "follower_lag"), ("ALERT_CLEARED", "follower_lag")]
    assert browse(world, is_open=True) == []
    assert [each.cleared_at for each in browse(world, is_open=False)] == [world.now]
    assert sorted(world.subjects()) == [
        "Postrider: Events are not followed up",
        "Postrider: over: Events are not followed up",
    ]
    settle(world, SICK)
    assert len(browse(world)) == 2


def test_what_was_not_looked_for_stays_for_a_while(world: World) -> None:
    settle(world, SICK)
    other = Look(AlertKind.DISK_FULL, (), "another node")
    settle(world, other)
    assert len(browse(world, is_open=True)) == 1
    world.now += UNSEEN_MS + 1
    settle(world, other)
    assert browse(world, is_open=True) == []


def test_nodes_do_not_clear_each_others_alerts(world: World) -> None:
    full = Look(AlertKind.DISK_FULL, (Sight("a", {"free_mb": 1}),), "a")
    settle(world, full, Look(AlertKind.DISK_FULL, (), "b"))
    settle(world, Look(AlertKind.DISK_FULL, (), "b"))
    assert [each.subject for each in browse(world, is_open=True)] == ["a"]
    settle(world, Look(AlertKind.DISK_FULL, (), "a"))
    assert browse(world, is_open=True) == []


def test_many_at_once_are_all_listed_and_a_few_are_mailed(world: World) -> None:
    settle(world, Look(AlertKind.QUEUE_STUCK, tuple(Sight(f"mx:{n}.test", {}) for n in range(20))))
    assert len(browse(world, is_open=True)) == 20
    assert len(world.subjects()) == MAILS_MAX


def test_only_the_operator_sees_alerts(world: World) -> None:
    settle(world, SICK)
    other = make_account(world.database, world.sealer, email="other@example.test")
    for principal in (
        Principal(other.organization_id),
        Principal(world.organization_id, scopes=frozenset({"messages:read"})),
    ):
        with pytest.raises(Forbidden):
            world.database.read_now(lambda tx, asking=principal: alerts.browse(tx, asking, limit=5))  # type: ignore[misc]


def test_without_an_operator_nothing_is_kept(database: Database) -> None:
    database.write_now(alerts.settle, LETTERHEAD, [SICK])
    assert sum(database.read_now(alerts.open_by_kind).values()) == 0


def test_metrics_count_what_goes_on(world: World) -> None:
    settle(world, SICK)
    metrics = world.database.read_now(Metrics().ask).decode()
    assert 'postrider_alerts{kind="follower_lag"} 1.0' in metrics
    assert 'postrider_alerts{kind="disk_full"} 0.0' in metrics


def test_mail_that_nobody_serves_is_stuck(world: World) -> None:
    def stuck() -> list[str]:
        (look, _) = world.database.read_now(look_at_store)
        return [sight.subject for sight in look.sights]

    world.send(Stream.SHARED)
    assert stuck() == []
    world.now += STUCK_MS - 1
    assert stuck() == []
    world.now += 1
    assert stuck() == ["capture"]
    (lane,) = world.database.read_now(queue.overview, world.organization_id, 10)
    world.database.write_now(queue.pause_lane, world.organization_id, lane["id"])
    assert stuck() == []
    world.database.write_now(queue.resume_lane, world.organization_id, lane["id"])
    assert stuck() == [], "it could not be served before"
    world.now += STUCK_MS
    assert stuck() == ["capture"]
    world.database.write_now(queue.throttle, lane["site_id"], world.now + clock.HOUR, 1)
    assert stuck() == []


def test_a_long_queue_that_is_served_is_not_stuck(world: World) -> None:
    world.send(Stream.SHARED, 60)
    for _ in range(4):
        world.now += STUCK_MS // 2
        sites = world.database.write_now(queue.lease_sites, "w", [], 5)
        held = [
            claimed for site in sites for claimed in world.database.write_now(queue.claim, "w", site.id, 5)
        ]
        assert len(held) == 5
        world.database.write_now(queue.park, "w", [site.id for site in sites])
    (look, _) = world.database.read_now(look_at_store)
    assert look.sights == ()


async def test_events_that_nobody_follows_are_a_lag(world: World) -> None:
    def lag() -> tuple[Sight, ...]:
        (_, look) = world.database.read_now(look_at_store)
        return look.sights

    clock.set_source(None)
    world.now = clock.now_ms()
    clock.set_source(lambda: world.now)
    world.send(Stream.SHARED)
    assert lag() == ()
    world.now += LAG_MS + clock.SECOND
    assert [sight.subject for sight in lag()] == ["events"]
    while await world.dispatch.once():
        pass
    assert lag() == ()


def certificate(path: Path, ends: datetime.datetime) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.postrider.test")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(ends - datetime.timedelta(days=90)).not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return path


def test_a_certificate_is_told_of_before_it_ends(tmp_path: Path) -> None:
    now = clock.to_datetime(clock.now_ms())

    def seen(days: float) -> int:
        file = certificate(tmp_path / "smtp.pem", now + datetime.timedelta(days=days))
        looks = look_at_node(Place("n", "mx.postrider.test", tmp_path, file))
        return sum(len(look.sights) for look in looks if look.kind is AlertKind.CERTIFICATE_ENDS)

    days = CERTIFICATE_MS / clock.DAY
    assert [seen(days + 1), seen(days - 1), seen(-1)] == [0, 1, 1]
    (tmp_path / "smtp.pem").write_text("nonsense")
    kinds = [look.kind for look in look_at_node(Place("n", "h", tmp_path, tmp_path / "smtp.pem"))]
    assert kinds == [AlertKind.DISK_FULL], "what cannot be read is not known"


def test_a_disk_is_told_of_when_it_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(total: int, free: int) -> bool:
        usage = type("Usage", (), {"total": total, "free": free})
        monkeypatch.setattr("postrider.workers.alerts.shutil.disk_usage", lambda path: usage)
        (look,) = look_at_node(Place("n", "h", tmp_path, None))
        return bool(look.sights)

    gib = 1 << 30
    assert (seen(100 * gib, 6 * gib), seen(100 * gib, 4 * gib)) == (False, True)
    assert (seen(10 * gib, 2 * gib), seen(10 * gib, gib - 1)) == (False, True)
    assert seen(gib // 2, gib // 4) is False, "a small disk is not full for being small"


async def test_a_listed_address_or_name_is_told_of(tmp_path: Path) -> None:
    records = {
        ("mx.postrider.test", "A"): ["192.0.2.99"],
        ("99.2.0.192.bl.test", "A"): ["127.0.0.2"],
        ("mx.postrider.test.names.test", "A"): ["127.0.1.2"],
        ("99.2.0.192.names.test", "A"): ["127.0.1.255"],  # as such lists answer who asks for an address
    }
    async with DnsServer(records) as dns:
        place = Place("n", "mx.postrider.test", tmp_path, None, ("bl.test", "names.test"))
        looks = await look_at_lists(Resolver([dns.address]), place)
    assert {look.scope: [sight.subject for sight in look.sights] for look in looks} == {
        "bl.test mx.postrider.test": [],
        "bl.test 192.0.2.99": ["192.0.2.99"],
        "names.test mx.postrider.test": ["mx.postrider.test"],
        "names.test 192.0.2.99": [],
    }


async def test_a_list_that_does_not_answer_leaves_things_as_they_were(tmp_path: Path) -> None:
    silent = Resolver([("127.0.0.1", 9)])
    place = Place("n", "mx.postrider.test", tmp_path, None, ("bl.test",))
    assert await look_at_lists(silent, place) == []
    assert await look_at_lists(silent, Place("n", "h", tmp_path, None)) == []


async def test_the_worker_looks_at_everything(world: World, tmp_path: Path) -> None:
    place = Place("n", "mx.postrider.test", tmp_path, None)
    world.send(Stream.SHARED)
    world.now += STUCK_MS
    worker = Alerts(world.database, LETTERHEAD, Resolver(), place)
    await worker.once()
    assert AlertKind.QUEUE_STUCK in {each.kind for each in browse(world, is_open=True)}
    rows = world.database.read_now(messages.search, world.organization_id, limit=10, address_key=world.owner)
    assert "Postrider: Mail is stuck at capture" in {row.subject for row in rows}


def test_the_search_for_stuck_mail_scans_no_messages(world: World) -> None:
    is_sqlite = world.database.is_sqlite
    found: list[str] = []

    def listen(connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        asked = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        driver = connection.connection.driver_connection  # type: ignore[attr-defined]
        if not is_sqlite:
            driver.execute("SET enable_seqscan = off")  # small tables are read whole
        found.extend(str(row) for row in driver.execute(asked + statement, parameters).fetchall())

    event.listen(world.database.engine, "before_cursor_execute", listen)
    world.database.read_now(queue.stuck, world.now)
    event.remove(world.database.engine, "before_cursor_execute", listen)
    plan = "\n".join(found)
    assert "ix_sites_next_due" in plan, plan
    assert "ix_messages_due" in plan, plan
    assert "SCAN lanes" not in plan
    assert "SCAN messages" not in plan
