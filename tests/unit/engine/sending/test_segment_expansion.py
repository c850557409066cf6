"""Expanding a send to a segment: page by page, in turns, each contact once, by one worker."""

import asyncio
from typing import Any

import pytest
from tests.factories import DOMAIN, make_account, make_domain

from postrider.db.database import Database
from postrider.engine import accounts, jobs, messages
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput, OnKnown, Status
from postrider.engine.audience.segments import parse
from postrider.engine.errors import Invalid, QuotaExceeded
from postrider.engine.jobs import Job
from postrider.engine.messages import Stream
from postrider.engine.principal import Principal
from postrider.engine.sending import Routes, SendCommand, Submission, expand, prepare, segments
from postrider.engine.sending.routes import Delivery
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId
from postrider.kit.seal import Sealer

ROUTES = Routes(Delivery.CAPTURE)
PEOPLE = [f"r{number}@example.com" for number in range(11)]
EVERYBODY = parse({"items": [{"field": "email", "op": "has_value"}]})
MAIL = SendCommand(
    to=[Mailbox("each@segment.invalid")],
    from_=Mailbox(f"news@{DOMAIN}"),
    subject="Hello {{first_name}}",
    text="{{size}} {{email}}",
    stream=Stream.BROADCAST,
)


@pytest.fixture
def principal(database: Database) -> Principal:
    sealer = Sealer(b"k" * 32)
    account = make_account(database, sealer)
    make_domain(database, sealer, account.organization_id)
    return Principal(account.organization_id)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "FOUND_AT_ONCE", 4)
    monkeypatch.setattr(expand, "WRITTEN_AT_ONCE", 3)


def save(database: Database, principal: Principal, *emails: str, **said: Any) -> list[RowId]:
    given = [ContactInput(email=email, **said) for email in emails]
    saved = database.write_now(contacts.save, principal, given, on_known=OnKnown.UPDATE, source="api")
    return [each.contact_id for each in saved if each.contact_id is not None]


def accept(database: Database, principal: Principal, mail: SendCommand = MAIL, **more: Any) -> int:
    prepared, _ = prepare(mail, merge=True)
    command = segments.SegmentCommand(
        Submission(principal, prepared, []), EVERYBODY, expand.variables_of(mail), **more
    )
    checked = database.read_now(segments.check_segment, command, ROUTES)
    return database.write_now(segments.submit_segment, checked).accepted


def claim(database: Database, owner: str = "us") -> Job:
    job = database.write_now(jobs.claim_job, owner, [expand.KIND])
    assert job is not None
    return job


async def run(database: Database, job: Job, owner: str = "us", *, is_over: bool = False) -> None:
    await expand.expand(database, job, owner, lambda: is_over, ROUTES)


def mailed(database: Database, principal: Principal) -> list[str]:
    found = database.read_now(messages.search, principal.organization_id, limit=100)
    return sorted(row.recipient for row in found)


async def test_everybody_is_mailed_once_however_many_turns_it_takes(
    database: Database, principal: Principal
) -> None:
    save(database, principal, *PEOPLE)
    assert accept(database, principal) == len(PEOPLE)
    for turn in range(1, 20):
        await run(database, claim(database), is_over=True)
        done = mailed(database, principal)
        assert len(done) == len(set(done))
        if len(done) == len(PEOPLE):
            break
        assert len(done) <= turn * 3
    await run(database, claim(database))
    assert mailed(database, principal) == sorted(PEOPLE)
    assert database.write_now(jobs.claim_job, "us", [expand.KIND]) is None


async def test_a_worker_that_lost_the_job_writes_nothing(database: Database, principal: Principal) -> None:
    save(database, principal, *PEOPLE)
    accept(database, principal)
    dead = claim(database, "dead")
    await run(database, dead, "dead", is_over=True)
    taken = claim(database, "us")
    with pytest.raises(expand.Lost):
        await run(database, dead, "dead")
    assert len(mailed(database, principal)) == 3
    await run(database, taken)
    assert mailed(database, principal) == sorted(PEOPLE)


async def test_who_comes_or_goes_after_the_request_is_not_mailed(
    database: Database, principal: Principal
) -> None:
    ids = save(database, principal, *PEOPLE)
    accept(database, principal)
    await asyncio.sleep(0.01)  # an id tells the ms it was made in
    save(database, principal, "late@example.com")
    database.write_now(contacts.unsubscribe, principal, ids[5])
    await run(database, claim(database))
    assert mailed(database, principal) == sorted(set(PEOPLE) - {PEOPLE[5]})


async def test_a_copy_is_filled_with_what_the_content_uses(database: Database, principal: Principal) -> None:
    save(
        database, principal, PEOPLE[0], first_name="Ann", properties={"size": 38, "first_name": "Eve", "x": 1}
    )
    accept(database, principal, values={"size": 40, "y": 2})
    await run(database, claim(database))
    (row,) = database.read_now(messages.search, principal.organization_id, limit=10)
    assert row.vars == {"first_name": "Ann", "email": PEOPLE[0], "size": 40}


def test_only_the_subscribed_and_engaged_are_counted(database: Database, principal: Principal) -> None:
    save(database, principal, *PEOPLE[:4])
    save(database, principal, *PEOPLE[4:6], status=Status.UNSUBSCRIBED)
    assert accept(database, principal) == 4
    assert accept(database, principal, engaged_days=90) == 0
    mail = SendCommand(to=MAIL.to, subject="Hi", text="Hi", stream=Stream.TRANSACTIONAL)
    with pytest.raises(Invalid):
        accept(database, principal, mail, engaged_days=90)


def test_a_plan_without_room_for_all_refuses_the_whole(database: Database, principal: Principal) -> None:
    save(database, principal, *PEOPLE)
    allowed = accounts.PLANS["enterprise"].monthly_messages
    database.write_now(accounts.use, {principal.organization_id: (allowed - 5, allowed)})
    with pytest.raises(QuotaExceeded):
        accept(database, principal)
    assert database.write_now(jobs.claim_job, "us", [expand.KIND]) is None
