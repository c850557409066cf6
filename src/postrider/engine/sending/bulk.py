"""One content to very many: accepted at once as pages of a job, expanded into messages in the background.

The answer is given when content, recipients and job are on disk; quota is counted whole or refused whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from postrider.db.database import Tx
from postrider.engine import accounts, jobs, messages
from postrider.engine.accounts import Organization
from postrider.engine.domains import Domain
from postrider.engine.errors import IdempotencyConflict, QuotaExceeded
from postrider.engine.jobs import Job
from postrider.engine.messages import Role
from postrider.engine.sending import campaigns, store
from postrider.engine.sending.expand import Copy, Order, enqueue_copies, order_from_json, order_to_json
from postrider.engine.sending.model import Recipient, Refused, Submission
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.submit import (
    Draft,
    check_organizations,
    check_recipients,
    choose_domains,
    content_of,
    is_sandbox,
)
from postrider.kit import clock, json
from postrider.kit.ids import RowId, new_id

BULK_MAX = 50_000
KIND = "expand"


@dataclass(frozen=True, slots=True)
class BulkCommand:
    """A prepared content (merge on) with its recipients and what each one's copy is filled with."""

    submission: Submission  # recipients in order
    vars: list[dict[str, Any] | None] = field(default_factory=list)  # one per recipient


@dataclass(frozen=True, slots=True)
class BulkReceipt:
    campaign_id: RowId
    total: int
    accepted: int
    refused: list[Refused]
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class CheckedBulk:
    """What the reading half found; the writing half takes it as it is."""

    command: BulkCommand
    organization: Organization
    domain: Domain | None
    draft: Draft


def check_bulk(tx: Tx, command: BulkCommand, routes: Routes) -> CheckedBulk:
    """The reading half: organization, domain and every recipient. Raises EngineError."""
    draft = Draft(command.submission, clock.now_ms())
    for step in (check_organizations, choose_domains):
        step(tx, [draft], routes)
        if draft.error is not None:
            raise draft.error
    check_recipients(tx, [draft], routes)
    draft.error = None  # nobody left to mail is an answer here, not a refusal
    assert draft.organization is not None
    return CheckedBulk(command, draft.organization, draft.domain, draft)


def submit_bulk(tx: Tx, checked: CheckedBulk) -> BulkReceipt:
    """The writing half: quota, content, campaign, the job's pages.

    Raises QuotaExceeded or IdempotencyConflict.
    """
    draft = checked.draft
    if (kept := kept_answer(tx, draft)) is not None:
        return kept
    total, amount = len(draft.submission.recipients), len(draft.free)
    order = open_campaign(
        tx, draft, kind="bulk", total=total, amount=amount, criteria=None, variables=frozenset()
    )
    jobs.insert_job(
        tx,
        organization_id=draft.organization_id,
        job_id=order.campaign_id,
        kind=KIND,
        facts=order_to_json(order),
        pages=_pages(checked),
    )
    receipt = BulkReceipt(order.campaign_id, total, amount, draft.refused)
    keep_answer(tx, draft, receipt)
    return receipt


def open_campaign(tx: Tx, draft: Draft, *, kind: str, total: int, amount: int, **facts: Any) -> Order:
    """Quota for `amount` messages, content and campaign; answers what its job must know of it, `facts` too.

    Raises QuotaExceeded.
    """
    assert draft.organization is not None
    allowed = accounts.PLANS[draft.organization.plan].monthly_messages
    if amount and not accounts.use(tx, {draft.organization_id: (amount, allowed)}):
        raise QuotaExceeded(limit=allowed)
    campaign_id = new_id()
    prepared = draft.submission.prepared
    messages.insert_contents(tx, [(replace(content_of(draft), messages=total), prepared.body)])
    if prepared.attachments:
        messages.insert_attachments(
            tx, [(draft.organization_id, ref.hash, body, draft.now) for ref, body in prepared.attachments]
        )
    campaigns.open_sending(
        tx,
        draft.organization_id,
        campaign_id,
        kind=kind,
        name=prepared.subject,
        total=total,
        skipped=total - amount,
    )
    return Order(
        campaign_id=campaign_id,
        content_ids=[draft.content_id],
        domain_id=draft.domain.id if draft.domain else None,
        stream=prepared.stream,
        is_sandbox=is_sandbox(draft),
        accepted_at=draft.now,
        **facts,
    )


def expand_page(tx: Tx, job: Job, routes: Routes) -> int:
    """One page of a bulk job into messages, in the transaction that moves the job on; answers how many."""
    order = order_from_json(job.facts)
    rows = json.loads(jobs.page_body(tx, job))
    enqueue_copies(tx, job.organization_id, order, [Copy(*row) for row in rows], routes)
    if job.position + 1 == job.pages:
        campaigns.all_made(tx, job.organization_id, order.campaign_id)
    return len(rows)


def _pages(checked: CheckedBulk) -> list[bytes]:
    free = {recipient.address_key for recipient in checked.draft.free}
    rows = [
        [recipient.address, recipient.address_key, values, recipient.address_key in free]
        for recipient, values in zip(checked.draft.submission.recipients, checked.command.vars, strict=True)
    ]
    return [
        json.dump_bytes(rows[start : start + jobs.PAGE_ROWS]) for start in range(0, len(rows), jobs.PAGE_ROWS)
    ]


def unique_recipients(
    rows: Sequence[tuple[str, str, dict[str, Any] | None]],
) -> tuple[list[Recipient], list[dict[str, Any] | None]]:
    """(address, key, vars) rows without repeats of a key: the first stands."""
    found: dict[str, tuple[Recipient, dict[str, Any] | None]] = {}
    for address, key, values in rows:
        found.setdefault(key, (Recipient(address, key, Role.TO), values))
    return [recipient for recipient, _ in found.values()], [values for _, values in found.values()]


def kept_answer(tx: Tx, draft: Draft) -> BulkReceipt | None:
    """What was answered under the request's key; raises IdempotencyConflict for another request's."""
    if draft.key is None or store.reserve_keys(tx, [(*draft.key, draft.submission.fingerprint)]):
        return None
    fingerprint, answer = store.find_keys(tx, [draft.key])[draft.key]
    if fingerprint != draft.submission.fingerprint:
        raise IdempotencyConflict
    return BulkReceipt(
        bytes.fromhex(answer["campaign_id"]), answer["total"], answer["accepted"], [], is_replay=True
    )


def keep_answer(tx: Tx, draft: Draft, receipt: BulkReceipt) -> None:
    """Under the request's key, where it has one."""
    if draft.key is not None:
        answer = {
            "campaign_id": receipt.campaign_id.hex(),
            "total": receipt.total,
            "accepted": receipt.accepted,
        }
        store.answer_keys(tx, [(*draft.key, answer)])
