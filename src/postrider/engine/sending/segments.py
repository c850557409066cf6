"""One content to everybody who matches criteria: accepted at once, expanded in the background.

Nobody is written down beforehand: contacts are read in the order of their ids, and the id of the last one
is the job's place. Who was not there when the mail was accepted is not mailed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from postrider.db.database import Database, Tx
from postrider.engine import accounts, jobs, suppression
from postrider.engine.audience import contacts, segments
from postrider.engine.audience.model import Contact, Status
from postrider.engine.audience.segments import Condition, Criteria, Field, Match, Op
from postrider.engine.content.render import Escape, compile
from postrider.engine.errors import Invalid
from postrider.engine.jobs import Job
from postrider.engine.messages import Stream
from postrider.engine.sending.bulk import (
    BulkReceipt,
    Copy,
    enqueue_copies,
    keep_answer,
    kept_answer,
    open_campaign,
)
from postrider.engine.sending.model import SendCommand, Submission
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.submit import Draft, check_organizations, choose_domains
from postrider.engine.suppression.rules import Going
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor

KIND = "segment"
UNENGAGED_DAYS = 90  # where none are named
VALUES_MAX_BYTES = 16 * 1024  # of what is the same for all
FOUND_AT_ONCE = 50_000  # ids of one reading
WRITTEN_AT_ONCE = 1_000  # messages of one write
_FIRST = b""


class Lost(Exception):
    """Another worker holds the job by now: what was written with this is undone."""


@dataclass(frozen=True, slots=True)
class SegmentCommand:
    """A prepared content (merge on) without recipients, whom it is for, and what fills all copies alike."""

    submission: Submission
    criteria: Criteria
    variables: frozenset[str]  # that the content uses
    values: Mapping[str, Any] = field(default_factory=dict)
    engaged_days: int | None = None  # only who opened or clicked within so many


@dataclass(frozen=True, slots=True)
class CheckedSegment:
    """What the reading half found; the writing half takes it as it is."""

    command: SegmentCommand
    draft: Draft
    total: int


def variables_of(command: SendCommand) -> frozenset[str]:
    """The names a content is filled with. Raises TemplateFault."""
    parts = (
        (command.subject, Escape.NONE, "subject"),
        (command.html, Escape.HTML, "html"),
        (command.text, Escape.NONE, "text"),
    )
    return frozenset().union(
        *(compile(source or "", escape, field=name).variables for source, escape, name in parts)
    )


def check_segment(tx: Tx, command: SegmentCommand, routes: Routes) -> CheckedSegment:
    """The reading half: organization, domain, and how many there are. Raises EngineError."""
    submission = command.submission
    if command.engaged_days is not None and submission.prepared.stream is Stream.TRANSACTIONAL:
        message = "Transactional mail goes to the unengaged, too"
        raise Invalid(field="exclude_unengaged", message=message)
    draft = Draft(submission, clock.now_ms())
    for step in (check_organizations, choose_domains):
        step(tx, [draft], routes)
        if draft.error is not None:
            raise draft.error
    whom = _whom(command.criteria, command.engaged_days)
    return CheckedSegment(command, draft, segments.count(tx, submission.principal, whom))


def submit_segment(tx: Tx, checked: CheckedSegment) -> BulkReceipt:
    """The writing half: quota, content, campaign, job. Raises QuotaExceeded or IdempotencyConflict."""
    command, draft = checked.command, checked.draft
    if (kept := kept_answer(tx, draft)) is not None:
        return kept
    total = checked.total
    campaign_id, facts = open_campaign(tx, draft, kind=KIND, total=total, amount=total)
    told = {
        "criteria": segments.to_json(command.criteria),
        "engaged_days": command.engaged_days,
        "accepted_at": draft.now,
        "variables": sorted(command.variables),
        "values": {name: value for name, value in command.values.items() if name in command.variables},
        "after": _FIRST.hex(),
    }
    jobs.insert_job(
        tx,
        organization_id=draft.organization_id,
        job_id=campaign_id,
        kind=KIND,
        facts=facts | told,
        pages=(),
    )
    receipt = BulkReceipt(campaign_id, total, total, [])
    keep_answer(tx, draft, receipt)
    return receipt


async def expand(db: Database, job: Job, owner: str, is_over: Callable[[], bool], routes: Routes) -> None:
    """Go on with a job until it is done, or `is_over`, which is asked after each page; then let it go.

    Raises Lost where it is another worker's by now.
    """
    facts = job.facts
    accepted_at: int = facts["accepted_at"]
    whom = _whom(segments.parse(facts["criteria"]), facts["engaged_days"])
    while True:
        after = bytes.fromhex(job.facts["after"])
        found = await db.read(
            segments.matching,
            job.organization_id,
            whom,
            after=after,
            before=id_floor(accepted_at + 1),
            now=accepted_at,
            limit=FOUND_AT_ONCE,
        )
        for start in range(0, len(found), WRITTEN_AT_ONCE):
            ids = found[start : start + WRITTEN_AT_ONCE]
            copies = await db.read(make_copies, job, ids)
            job = await db.write(write_copies, job, owner, ids[-1], copies, routes)
            if is_over():
                await db.write(jobs.pass_on, job, owner)
                return
        if len(found) < FOUND_AT_ONCE:
            await db.write(jobs.end_job, job, owner)
            return


def make_copies(tx: Tx, job: Job, ids: Sequence[RowId]) -> list[Copy]:
    """The copies of contacts, in order; left out: who is no longer subscribed."""
    found = contacts.many(tx, job.organization_id, ids)
    asked = [each for each in found.values() if each.status is Status.SUBSCRIBED]
    free = _free(tx, job, asked)
    variables, values = frozenset(job.facts["variables"]), job.facts["values"]
    return [
        Copy(each.email, each.address_key, _filled(each, variables) | values, each.address_key in free)
        for each in asked
    ]


def write_copies(tx: Tx, job: Job, owner: str, last: RowId, copies: Sequence[Copy], routes: Routes) -> Job:
    """A page's messages and the job's new place, in one transaction. Raises Lost."""
    moved = jobs.keep_place(tx, job, owner, {**job.facts, "after": last.hex()})
    if moved is None:
        raise Lost
    if copies:
        enqueue_copies(tx, job, copies, routes)
    return moved


def _whom(criteria: Criteria, engaged_days: int | None) -> Criteria:
    subscribed = Condition(Field.STATUS, Op.EQUALS, Status.SUBSCRIBED.name.lower())
    if engaged_days is None:
        return Criteria(Match.ALL, (subscribed, criteria))
    engaged = tuple(
        Condition(field, Op.WITHIN_DAYS, engaged_days)
        for field in (Field.LAST_OPENED_AT, Field.LAST_CLICKED_AT)
    )
    return Criteria(Match.ALL, (subscribed, criteria, Criteria(Match.ANY, engaged)))


def _free(tx: Tx, job: Job, asked: Sequence[Contact]) -> set[str]:
    """The address keys that may be mailed: an opt-out may reach one domain or stream only."""
    organization = accounts.organizations(tx, [job.organization_id])[job.organization_id]
    entries = suppression.check(tx, [(job.organization_id, each.address_key) for each in asked])
    stream, domain_id = Stream(job.facts["stream"]), job.facts["domain_id"]
    going = Going(
        domain_id=bytes.fromhex(domain_id) if domain_id else None,
        stream=stream.name.lower(),
        is_transactional=stream is Stream.TRANSACTIONAL,
    )
    free = set()
    for each in asked:
        verdict, _ = suppression.decide(
            entries.get((job.organization_id, each.address_key), ()),
            going,
            optouts_stop_transactional=organization.settings.optouts_stop_transactional,
        )
        if verdict is suppression.Verdict.FREE:
            free.add(each.address_key)
    return free


def _filled(contact: Contact, variables: frozenset[str]) -> dict[str, Any]:
    """Its properties, its own fields over them: those that the content uses."""
    own = {
        "email": contact.email,
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "name": contact.name,
        "company": contact.company,
        "phone": contact.phone,
        "city": contact.city,
        "country": contact.country,
    }
    return {name: value for name, value in {**contact.properties, **own}.items() if name in variables}
