"""The status of a contact is what the entries on its address make of it, soon after they change."""

import threading

import pytest
from tests.unit.engine.audience.people import OURS, THEIRS, get, make, save

from postrider.db.database import Database, Tx
from postrider.engine import suppression
from postrider.engine.audience import contacts, follow
from postrider.engine.audience.model import Contact, ContactFilter, Status
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit import clock
from postrider.kit.ids import new_id
from postrider.workers.audience import Statuses

AT = 1_795_000_000_000
WAIT_S = 5.0
ADDRESS = "ann@example.com"
OPTOUT = (Class.OPTOUT, Reason.UNSUBSCRIBED)
COMPLAINT, HARD = (Class.BLOCK, Reason.COMPLAINT), (Class.BLOCK, Reason.HARD_BOUNCE)
SOFT = (Class.BLOCK, Reason.SOFT_BOUNCES)


def enter(
    database: Database,
    *given: tuple[Class, Reason],
    organization_id: int = 1,
    scope: Scope = Scope.ORGANIZATION,
) -> None:
    scope_id = "" if scope is Scope.ORGANIZATION else new_id().hex()
    entries = [
        Entry(organization_id, ADDRESS, scope, scope_id, class_, reason.value, "api")
        for class_, reason in given
    ]
    database.write_now(suppression.add, entries)


def lift(database: Database, class_: Class) -> None:
    database.write_now(suppression.store.remove_address, 1, ADDRESS, [class_], None)


def projected(database: Database, contact_id: bytes) -> Contact:
    while database.write_now(follow.project):
        pass
    return get(database, contact_id)


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([OPTOUT], Status.UNSUBSCRIBED),
        ([COMPLAINT], Status.COMPLAINED),
        ([HARD], Status.BOUNCED),
        ([SOFT], Status.BOUNCED),
        ([HARD, OPTOUT], Status.UNSUBSCRIBED),
        ([(Class.ALLOW, Reason.MANUAL)], Status.SUBSCRIBED),
    ],
)
async def test_an_entry_of_the_organization_moves_its_contact_alone(
    database: Database, entries: list[tuple[Class, Reason]], status: Status
) -> None:
    contact_id, other = make(database), make(database, by=THEIRS)
    enter(database, *entries)
    assert projected(database, contact_id).status is status
    assert get(database, other, THEIRS).status is Status.SUBSCRIBED


async def test_who_opted_out_and_came_back_has_the_times_of_both(database: Database) -> None:
    clock.set_source(lambda: AT)
    contact_id = make(database)
    clock.set_source(lambda: AT + 10)
    enter(database, OPTOUT)
    contact = projected(database, contact_id)
    assert (contact.subscribed_at, contact.unsubscribed_at, contact.updated_at) == (AT, AT + 10, AT + 10)
    clock.set_source(lambda: AT + 20)
    lift(database, Class.OPTOUT)
    contact = projected(database, contact_id)
    assert (contact.status, contact.subscribed_at, contact.unsubscribed_at) == (
        Status.SUBSCRIBED,
        AT + 20,
        None,
    )


async def test_who_only_bounced_has_been_subscribed_all_the_time(database: Database) -> None:
    clock.set_source(lambda: AT)
    contact_id = make(database)
    clock.set_source(lambda: AT + 10)
    enter(database, HARD)
    projected(database, contact_id)
    lift(database, Class.BLOCK)
    contact = projected(database, contact_id)
    assert (contact.status, contact.subscribed_at) == (Status.SUBSCRIBED, AT)


async def test_who_has_not_confirmed_stays_so_until_something_stops_mail(database: Database) -> None:
    contact_id = make(database, status=Status.PENDING)
    enter(database, (Class.ALLOW, Reason.MANUAL))
    assert projected(database, contact_id).status is Status.PENDING
    lift(database, Class.ALLOW)
    assert projected(database, contact_id).status is Status.PENDING
    enter(database, COMPLAINT)
    assert projected(database, contact_id).status is Status.COMPLAINED


@pytest.mark.parametrize(
    ("entry", "scope", "status"),
    [
        (OPTOUT, Scope.DOMAIN, Status.UNSUBSCRIBED),
        (OPTOUT, Scope.LIST, Status.SUBSCRIBED),
        (OPTOUT, Scope.STREAM, Status.SUBSCRIBED),
        (HARD, Scope.DOMAIN, Status.SUBSCRIBED),
    ],
)
async def test_of_a_part_of_the_mail_only_an_opt_out_of_a_domains_counts(
    database: Database, entry: tuple[Class, Reason], scope: Scope, status: Status
) -> None:
    contact_id = make(database)
    enter(database, entry, scope=scope)
    assert projected(database, contact_id).status is status


async def test_the_worker_goes_through_any_number_of_marks(database: Database) -> None:
    addresses = [f"p{number}@example.com" for number in range(follow.PROJECTED_AT_ONCE + 5)]
    save(database, *addresses)
    hard = Reason.HARD_BOUNCE.value
    entries = [Entry(1, each, Scope.ORGANIZATION, "", Class.BLOCK, hard, "api") for each in addresses]
    database.write_now(suppression.add, entries)
    worker = Statuses(database)
    assert await worker.once()
    assert not await worker.once()
    assert not await worker.once()
    asked = ContactFilter(status=[Status.BOUNCED])
    assert database.read_now(contacts.count, OURS, asked).count == len(addresses)
    assert not database.read_now(follow.has_changes)


def test_an_entry_made_while_marks_are_taken_up_is_not_missed(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    contact_id = make(database)
    enter(database, HARD)
    entered, finish = threading.Event(), threading.Event()

    def opt_out(tx: Tx) -> None:
        class_, reason = OPTOUT
        suppression.add(tx, [Entry(1, ADDRESS, Scope.ORGANIZATION, "", class_, reason.value, "api")])
        entered.set()
        finish.wait(WAIT_S)

    slow = threading.Thread(target=database.write_now, args=(opt_out,))
    slow.start()
    assert entered.wait(WAIT_S)
    meanwhile = threading.Thread(target=database.write_now, args=(follow.project,))
    meanwhile.start()
    meanwhile.join(0.3)
    finish.set()
    slow.join()
    meanwhile.join()
    assert projected(database, contact_id).status is Status.UNSUBSCRIBED
