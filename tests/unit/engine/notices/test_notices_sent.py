"""The platform's own mail: whom it reaches, what stops it, what it leaves alone."""

from typing import Any

import pytest
from sqlalchemy import text
from tests.factories import DOMAIN, make_account, make_domain
from tests.tidy.source import PACKAGE, imports, python_files

from postrider.db.database import Database
from postrider.engine import accounts, domains, messages, notices, suppression
from postrider.engine.accounts import store as accounts_store
from postrider.engine.delivery.load import Library, load
from postrider.engine.messages import Stream, queue
from postrider.engine.notices import FORMS, Audience, Kind, Letterhead, Notice, render
from postrider.engine.notices.send import KEPT_MS
from postrider.engine.principal import Principal
from postrider.engine.sending import Routes
from postrider.engine.sending.routes import Delivery
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import new_id
from postrider.kit.seal import Sealer

ROUTES = Routes(Delivery.CAPTURE, 5)
STRANGER = Letterhead(Mailbox("postrider@mx.postrider.test", "Postrider"), "https://post.test", ROUTES)
RESIDENT = Letterhead(Mailbox(f"postrider@{DOMAIN}", "Postrider"), "https://post.test", ROUTES)
WEBHOOK = {
    "host": "shop.test",
    "url": "https://shop.test/hook",
    "failing_since": 1_900_000_000_000,
    "failures": 12,
    "last_answer": "status 500",
}
RATE = {
    "stream": "broadcast", "complained": 7, "delivered": 1000, "rate": 0.007, "window": "24 hours",
    "warn_at": 0.001, "pause_at": 0.003, "pauses": True,
}  # fmt: skip
ALERT = {
    "title": "mail is stuck at relay", "rows": [["About", "relay"]], "raised_at": 1_900_000_000_000,
    "cleared_at": 1_900_000_060_000, "told": "Told.", "told_over": "Over.", "advice": "Do.",
}  # fmt: skip
FACTS: dict[Kind, dict[str, Any]] = {
    Kind.WEBHOOK_DISABLED: WEBHOOK,
    Kind.COMPLAINTS_HIGH: RATE,
    Kind.STREAM_PAUSED: RATE,
    Kind.CAMPAIGN_PAUSED: {"name": "Spring", "reason": "9 of 60 mails bounced", "campaign_id": "0197"},
    Kind.ALERT_RAISED: ALERT,
    Kind.ALERT_CLEARED: ALERT,
    Kind.OPT_IN: {"sender": "Example Ltd", "email": "ann@example.com", "url": "https://example.com/confirm"},
}


class World:
    """An organization with its owner, and people of other roles."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sealer = Sealer(bytes(32))
        self.organization_id = make_account(database, self.sealer).organization_id
        for role in ("admin", "editor", "viewer"):
            self.join(role)

    def join(self, role: str) -> None:
        user_id, now, address = new_id(), clock.now_ms(), f"{role}@example.test"
        self.database.write_now(
            lambda tx: accounts_store.insert_user(
                tx, id=user_id, email=address, address_key=address, name=role, password_hash="x",
                created_at=now,
            )
        )  # fmt: skip
        self.database.write_now(
            lambda tx: accounts_store.insert_membership(
                tx, organization_id=self.organization_id, user_id=user_id, role=role, created_at=now
            )
        )

    def notice(self, source_id: str = "one", kind: Kind = Kind.WEBHOOK_DISABLED) -> Notice:
        return Notice(self.organization_id, kind, source_id, FACTS[kind])

    def tell(self, letterhead: Letterhead = STRANGER, source_id: str = "one", **changed: Kind) -> bool:
        return self.database.write_now(notices.send, letterhead, self.notice(source_id, **changed))

    def suppress(self, address: str, class_: Class, reason: Reason) -> None:
        entry = Entry(
            self.organization_id, address, Scope.ORGANIZATION, "", class_, reason.value, "manual", None, None
        )
        self.database.write_now(suppression.add, [entry])

    def recipients(self) -> list[str]:
        rows = self.database.read_now(messages.search, self.organization_id, limit=50)
        return sorted(row.recipient for row in rows)

    def stopped(self) -> dict[str, str | None]:
        """Whom the worker would not mail, and why."""
        (site,) = self.database.write_now(queue.lease_sites, "w", [], 5)
        claimed = self.database.write_now(queue.claim, "w", site.id, 50)
        loaded = self.database.read_now(load, claimed, frozenset[bytes]())
        return {job.claimed.recipient: job.suppressed for job in Library(self.sealer).jobs(claimed, loaded)}


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_owners_and_admins_are_told_once(world: World) -> None:
    assert world.tell()
    assert not world.tell()
    assert world.recipients() == ["admin@example.test", "owner@example.test"]
    assert world.tell(source_id="another")
    assert len(world.recipients()) == 4


def test_alerts_are_for_owners_only(world: World) -> None:
    assert world.tell(kind=Kind.ALERT_RAISED)
    assert world.recipients() == ["owner@example.test"]


def test_the_mail_is_transactional_and_neither_tracked_nor_counted(world: World) -> None:
    world.tell()
    row = world.database.read_now(messages.search, world.organization_id, limit=1)[0]
    assert (Stream(row.stream), row.domain_id) == (Stream.TRANSACTIONAL, None)
    found = world.database.read_now(messages.contents, [(world.organization_id, row.content_id)])
    (content,) = found.values()
    assert (content.track_opens, content.track_clicks, content.unsubscribe_header) == (False, False, False)
    assert ["Auto-Submitted", "auto-generated"] in content.headers["custom"]
    month = accounts.month_of(clock.now_ms())
    assert world.database.read_now(accounts.usage_of, Principal(world.organization_id), [month]) == {month: 0}


def test_an_opt_out_stops_it_neither_when_accepted_nor_when_sent(world: World) -> None:
    world.suppress("owner@example.test", Class.OPTOUT, Reason.UNSUBSCRIBED)
    world.tell()
    assert world.recipients() == ["admin@example.test", "owner@example.test"]
    world.suppress("admin@example.test", Class.OPTOUT, Reason.UNSUBSCRIBED)
    assert world.stopped() == {"admin@example.test": None, "owner@example.test": None}


def test_a_hard_bounce_stops_it(world: World) -> None:
    world.suppress("owner@example.test", Class.BLOCK, Reason.HARD_BOUNCE)
    assert world.tell()
    assert world.recipients() == ["admin@example.test"]
    world.suppress("admin@example.test", Class.BLOCK, Reason.HARD_BOUNCE)
    assert world.stopped() == {"admin@example.test": "hard_bounce"}
    assert not world.tell(source_id="another")


def test_it_is_signed_where_from_is_of_a_verified_domain_of_the_organization(world: World) -> None:
    pending = make_domain(world.database, world.sealer, world.organization_id, verified=False)
    world.tell(RESIDENT)
    rows = world.database.read_now(messages.search, world.organization_id, limit=9)
    assert {row.domain_id for row in rows} == {None}
    world.database.write_now(domains.remove, Principal(world.organization_id), pending.id)
    domain = make_domain(world.database, world.sealer, world.organization_id)
    world.tell(RESIDENT, "another")
    row = world.database.read_now(messages.search, world.organization_id, limit=1)[0]
    assert row.domain_id == domain.id


def test_of_a_suspended_organization_nobody_is_written_to(world: World) -> None:
    statement = text("UPDATE organizations SET status = 'suspended'")
    world.database.write_now(lambda tx: tx.execute(statement))
    assert not world.tell()
    assert world.recipients() == []


def test_those_a_notice_names_are_its_readers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    form = FORMS[Kind.WEBHOOK_DISABLED]
    monkeypatch.setitem(FORMS, Kind.WEBHOOK_DISABLED, type(form)(Audience.NAMED, form.subject))
    notice = Notice(world.organization_id, Kind.WEBHOOK_DISABLED, "n", WEBHOOK, to=("new@example.com",))
    assert world.database.write_now(notices.send, STRANGER, notice)
    assert world.recipients() == ["new@example.com"]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_written_in_both_ways(kind: Kind) -> None:
    written = render.write(STRANGER, Notice(1, kind, "s", FACTS[kind]), "Example Ltd")
    for part in written:
        assert part.strip()
        assert "{{" not in part
    assert "Example Ltd" in written.text
    assert '<html lang="en">' in written.html
    assert all(len(line) <= 300 for line in written.text.splitlines())


def test_names_are_shown_and_never_obeyed() -> None:
    name = "<script>alert(1)</script>\r\nBcc: all@example.com {{ 7 * 7 }}"
    written = render.write(STRANGER, Notice(1, Kind.WEBHOOK_DISABLED, "s", WEBHOOK | {"host": name}), name)
    assert "<script" not in written.html
    assert "&lt;script&gt;" in written.html
    assert not any(char in written.subject for char in "\r\n")
    assert "49" not in written.subject


def test_what_is_old_is_forgotten(world: World) -> None:
    world.tell()
    later = clock.now_ms() + KEPT_MS + 1
    clock.set_source(lambda: later)
    assert world.database.write_now(notices.drop_old) == 1
    assert world.tell()


@pytest.mark.parametrize("path", python_files(PACKAGE))
def test_no_door_reaches_the_platforms_way_in(path: str) -> None:
    """What it lets pass, a customer's mail may not."""
    reached = [name for name in imports(path) if name.startswith("postrider.engine.sending.platform")]
    assert not reached or "/engine/notices/" in path, path
