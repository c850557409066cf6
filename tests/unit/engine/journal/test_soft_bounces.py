"""Soft bounces in a row suppress an address; what breaks the row, and what does not."""

import threading
from typing import Any

import pytest
from tests.factories import make_account, make_domain

from postrider.db.database import Database
from postrider.engine import journal, sending, suppression
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal.bounces import SOFT_BOUNCES_MAX, SOFT_BOUNCES_WITHIN_MS, suppress_soft
from postrider.engine.principal import Principal
from postrider.engine.sending import Receipt, SendCommand, Submission
from postrider.engine.sending.routes import Delivery
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId
from postrider.kit.seal import Sealer

ANN = "ann@example.com"
ROUTES = sending.Routes(Delivery.CAPTURE, 5)


class Mails:
    """An organization's mails, and what befalls them at a time of the test's choice."""

    def __init__(self, database: Database) -> None:
        sealer = Sealer(bytes(32))
        self.database = database
        self.principal = Principal(make_account(database, sealer).organization_id)
        make_domain(database, sealer, self.principal.organization_id)
        self.now = clock.now_ms()
        clock.set_source(lambda: self.now)

    def send(self, to: str = ANN) -> RowId:
        prepared, recipients = sending.prepare(SendCommand(to=[Mailbox(to)], subject="S", text="T"))
        submission = Submission(self.principal, prepared, recipients)
        (receipt,) = self.database.write_now(sending.submit, [submission], ROUTES)
        assert isinstance(receipt, Receipt), receipt
        return receipt.accepted[0].message_id

    def event(self, message_id: RowId, kind: EventKind, class_: str | None = None) -> Event:
        self.now += clock.MINUTE
        data = None if class_ is None else {"class": class_, "reply": 'Full, "class":"hard"'}
        return Event(self.principal.organization_id, kind, self.now, message_id, data=data)

    def bounce(self, class_: str = "soft", to: str = ANN) -> RowId:
        message_id = self.send(to)
        self.record(self.event(message_id, EventKind.BOUNCED, class_))
        return message_id

    def deliver(self, to: str = ANN) -> RowId:
        message_id = self.send(to)
        self.record(self.event(message_id, EventKind.DELIVERED))
        return message_id

    def record(self, *events: Event) -> None:
        """Record them, and let the follower have them."""
        self.database.write_now(journal.record, events)
        self.follow(*events)

    def follow(self, *events: Event) -> None:
        self.database.write_now(suppress_soft, 0, events)

    def reasons(self, address: str = ANN) -> list[str]:
        pair = (self.principal.organization_id, address)
        return [entry.reason for entry in self.database.read_now(suppression.check, [pair]).get(pair, [])]


@pytest.fixture
def mails(database: Database) -> Mails:
    return Mails(database)


def test_the_third_soft_bounce_in_a_row_suppresses_the_address(mails: Mails) -> None:
    mails.bounce(to="ben@example.com")
    for _ in range(SOFT_BOUNCES_MAX - 1):
        mails.bounce()
        assert mails.reasons() == []
    last = mails.bounce()
    assert (mails.reasons(), mails.reasons("ben@example.com")) == (["soft_bounces"], [])
    pair = (mails.principal.organization_id, ANN)
    (entry,) = mails.database.read_now(suppression.check, [pair])[pair]
    assert (entry.source, entry.message_id, entry.scope) == ("system", last, suppression.Scope.ORGANIZATION)


def test_three_at_once_are_in_a_row_too(mails: Mails) -> None:
    ids = [mails.send() for _ in range(3)]
    mails.record(*(mails.event(id_, EventKind.BOUNCED, "soft") for id_ in ids))
    assert mails.reasons() == ["soft_bounces"]


def test_a_delivery_begins_the_row_anew(mails: Mails) -> None:
    mails.bounce()
    mails.bounce()
    mails.deliver()
    mails.bounce()
    mails.bounce()
    assert mails.reasons() == []
    mails.bounce()
    assert mails.reasons() == ["soft_bounces"]


def test_a_delivery_that_a_bounce_took_back_does_not(mails: Mails) -> None:
    mails.bounce()
    mails.bounce()
    taken_back = mails.deliver()
    mails.record(mails.event(taken_back, EventKind.BOUNCED, "soft"))
    assert mails.reasons() == ["soft_bounces"]


def test_bounces_of_one_message_or_of_another_class_count_for_nothing(mails: Mails) -> None:
    message_id = mails.bounce()
    for _ in range(3):
        mails.record(mails.event(message_id, EventKind.BOUNCED, "soft"))
    mails.bounce("block")
    mails.bounce("block")
    mails.bounce()
    assert mails.reasons() == []
    mails.bounce("hard", to="ben@example.com")
    assert mails.reasons("ben@example.com") == ["hard_bounce"]


def test_bounces_of_long_ago_are_forgotten(mails: Mails) -> None:
    mails.bounce()
    mails.bounce()
    mails.now += SOFT_BOUNCES_WITHIN_MS
    mails.bounce()
    assert mails.reasons() == []
    mails.bounce()
    mails.bounce()
    assert mails.reasons() == ["soft_bounces"]


def test_what_is_lifted_comes_back_with_the_next_soft_bounce_unless_mail_was_delivered(mails: Mails) -> None:
    mails.bounce()
    mails.bounce()
    mails.bounce()

    def lift() -> None:
        (entry,) = mails.database.read_now(lambda tx: suppression.browse(tx, mails.principal, limit=9))
        mails.database.write_now(suppression.take_back, mails.principal, entry.id)

    lift()
    mails.bounce()
    assert mails.reasons() == ["soft_bounces"]
    lift()
    mails.deliver()
    mails.bounce()
    assert mails.reasons() == []


def test_bounces_settled_at_the_same_time_are_counted_together(mails: Mails) -> None:
    if mails.database.is_sqlite:
        pytest.skip("it has one writer: nothing is settled at the same time")
    mails.bounce()
    ids = [mails.send(), mails.send()]
    events = [mails.event(message_id, EventKind.BOUNCED, "soft") for message_id in ids]
    both_recorded = threading.Barrier(2, timeout=10)

    def settle(tx: Any, event: Event) -> None:
        journal.record(tx, [event])
        both_recorded.wait()

    settling = [threading.Thread(target=mails.database.write_now, args=(settle, each)) for each in events]
    for thread in settling:
        thread.start()
    for thread in settling:
        thread.join()
    assert mails.reasons() == []
    mails.follow(events[0])
    mails.follow(events[1])
    assert mails.reasons() == ["soft_bounces"]
