"""One content to everybody who matches criteria: accepted at once, expanded in the background."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from postrider.db.database import Tx
from postrider.engine import jobs
from postrider.engine.audience import segments
from postrider.engine.audience.segments import Criteria
from postrider.engine.errors import Invalid
from postrider.engine.messages import Stream
from postrider.engine.sending.bulk import BulkReceipt, keep_answer, kept_answer, open_campaign
from postrider.engine.sending.expand import KIND as EXPANDED
from postrider.engine.sending.expand import order_to_json, subscribed
from postrider.engine.sending.model import Submission
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.submit import Draft, check_organizations, choose_domains
from postrider.kit import clock

KIND = "segment"
UNENGAGED_DAYS = 90  # where none are named
VALUES_MAX_BYTES = 16 * 1024  # of what is the same for all


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
    whom = subscribed(command.criteria, command.engaged_days)
    return CheckedSegment(command, draft, segments.count(tx, submission.principal, whom))


def submit_segment(tx: Tx, checked: CheckedSegment) -> BulkReceipt:
    """The writing half: quota, content, campaign, job. Raises QuotaExceeded or IdempotencyConflict."""
    command, draft = checked.command, checked.draft
    if (kept := kept_answer(tx, draft)) is not None:
        return kept
    total = checked.total
    order = open_campaign(
        tx,
        draft,
        kind=KIND,
        total=total,
        amount=total,
        criteria=command.criteria,
        engaged_days=command.engaged_days,
        variables=command.variables,
        values={name: value for name, value in command.values.items() if name in command.variables},
    )
    jobs.insert_job(
        tx,
        organization_id=draft.organization_id,
        job_id=order.campaign_id,
        kind=EXPANDED,
        facts=order_to_json(order),
        pages=(),
    )
    receipt = BulkReceipt(order.campaign_id, total, total, [])
    keep_answer(tx, draft, receipt)
    return receipt
