"""A campaign on its way: scheduled, stopped, let go on, called off, and what a worker does of itself.

Whoever claims mail asks which campaigns are halted, so that a pause holds at the next claim however much is
queued; what was claimed then is laid aside (paused) or ends (cancelled). Jobs follow with all the rest.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import Enum

from postrider.db.database import Tx
from postrider.engine import accounts, jobs, journal
from postrider.engine.errors import Invalid
from postrider.engine.jobs import Job
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Claimed, queue
from postrider.engine.principal import Principal
from postrider.engine.sending.campaigns import rules, store
from postrider.engine.sending.campaigns.find import columns_of, read
from postrider.engine.sending.campaigns.model import KIND, WRITE, Campaign, CampaignStatus, Part
from postrider.engine.sending.campaigns.rules import Step
from postrider.engine.sending.campaigns.write import held, tell
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.kit.zones import zone

SENT_KINDS = (KIND, "bulk", "segment")  # what can be halted
REQUEUE, CALL_OFF = "campaign-requeue", "campaign-call-off"  # kinds of jobs
SWEPT_AT_ONCE = 300  # messages of one write
DUE_AT_ONCE = 20
HELD_MS = 30 * clock.SECOND  # a campaign that a worker looks after
LOOK_AGAIN_MS = clock.SECOND
REASON_MAX_CHARS = 500
_FIRST = b""


class Look(Enum):
    """What a worker finds when it looks after a campaign that is being sent."""

    WAIT = "wait"
    CHOOSE = "choose"  # the winner of its split test is due
    ENDED = "ended"


def schedule_campaign(
    tx: Tx, principal: Principal, campaign_id: RowId, /, *, at: int, **changes: object
) -> Campaign:
    """It begins at `at` (ms); one that is scheduled moves. `changes` are fields of its Definition.

    A time that has passed means at once. Raises NotFound, Invalid, NotAllowedNow.
    """
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id)
    status = rules.after(campaign.status, Step.SCHEDULE)
    definition = replace(campaign.definition, **changes)  # type: ignore[arg-type]
    if definition.timezone is not None and zone(definition.timezone) is None:
        raise Invalid(field="timezone", message="timezone must be an IANA name such as Europe/Paris")
    campaign = replace(campaign, status=status, scheduled_at=at, definition=definition)
    _settle(tx, campaign, next_at=rules.begins_at(at, definition.timing))
    tell(tx, campaign, EventKind.CAMPAIGN_SCHEDULED)
    return campaign


def unschedule_campaign(tx: Tx, principal: Principal, campaign_id: RowId) -> Campaign:
    """A draft again. Raises NotFound, NotAllowedNow."""
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id)
    campaign = replace(campaign, status=rules.after(campaign.status, Step.UNSCHEDULE), scheduled_at=None)
    _settle(tx, campaign, next_at=None)
    return campaign


def pause_campaign(
    tx: Tx, principal: Principal, campaign_id: RowId, *, reason: str | None = None
) -> Campaign:
    """Nothing more of it is claimed. Raises NotFound, NotAllowedNow."""
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id, SENT_KINDS)
    status = rules.after(campaign.status, Step.PAUSE)
    campaign = replace(campaign, status=status, reason=reason and reason[:REASON_MAX_CHARS])
    _settle(tx, campaign, next_at=None)
    tell(tx, campaign, EventKind.CAMPAIGN_PAUSED, reason=campaign.reason)
    return campaign


def resume_campaign(tx: Tx, principal: Principal, campaign_id: RowId) -> Campaign:
    """It goes on where it stood. Raises NotFound, NotAllowedNow."""
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id, SENT_KINDS)
    status = rules.after(campaign.status, Step.RESUME)
    campaign = replace(campaign, status=status, reason=None, resumed_at=clock.now_ms())
    _settle(tx, campaign, next_at=clock.now_ms() + LOOK_AGAIN_MS)
    _wake_runs(tx, campaign)
    _sweep(tx, campaign, REQUEUE)
    tell(tx, campaign, EventKind.CAMPAIGN_RESUMED)
    return campaign


def cancel_campaign(tx: Tx, principal: Principal, campaign_id: RowId) -> Campaign:
    """What was not sent is called back; what was stays sent. Raises NotFound, NotAllowedNow."""
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id, SENT_KINDS)
    status = rules.after(campaign.status, Step.CANCEL)
    campaign = replace(campaign, status=status, ended_at=clock.now_ms(), reason=None)
    _settle(tx, campaign, next_at=None)
    if campaign.started_at is not None:
        _wake_runs(tx, campaign)  # to find that they have to end
        _sweep(tx, campaign, CALL_OFF)
        unmade = campaign.total - campaign.accepted - campaign.skipped
        if unmade > 0:
            accounts.give_back(tx, {campaign.organization_id: unmade})
    tell(tx, campaign, EventKind.CAMPAIGN_CANCELLED)
    return campaign


def fail_campaign(tx: Tx, campaign: Campaign, reason: str) -> None:
    """It cannot go on, or could not begin."""
    campaign = replace(
        campaign,
        status=rules.after(campaign.status, Step.FAIL),
        ended_at=clock.now_ms(),
        reason=reason[:REASON_MAX_CHARS],
    )
    _settle(tx, campaign, next_at=None)
    tell(tx, campaign, EventKind.CAMPAIGN_FAILED, reason=campaign.reason)


def open_sending(
    tx: Tx, organization_id: int, campaign_id: RowId, *, kind: str, name: str, total: int, skipped: int
) -> None:
    """A campaign that begins as it is accepted, and was never a draft; its job bears its id."""
    now = clock.now_ms()
    store.insert_campaign(
        tx,
        organization_id=organization_id,
        id=campaign_id,
        kind=kind,
        name=name,
        status=CampaignStatus.SENDING.value,
        total=total,
        accepted=total - skipped,
        skipped=skipped,
        created_at=now,
        started_at=now,
        run_id=campaign_id,
        next_at=now + LOOK_AGAIN_MS,
    )


def all_made(tx: Tx, organization_id: int, campaign_id: RowId) -> None:
    """Its last message was made: a worker looks now whether all have been tried."""
    store.change(tx, organization_id, campaign_id, expanded_at=clock.now_ms())


def claim_due(tx: Tx) -> list[Campaign]:
    """Campaigns to look after now: they are this worker's for HELD_MS, DUE_AT_ONCE at most."""
    return [read(row) for row in store.claim_due(tx, DUE_AT_ONCE, HELD_MS)]


def watch(tx: Tx, campaign: Campaign) -> Look:
    """How far a campaign has come; finish it where all of it has been tried.

    One window of its messages a time: what has been seen is never looked at again.
    """
    row = store.hold(tx, campaign.organization_id, campaign.id)
    if row is None or row.status != CampaignStatus.SENDING:
        return Look.ENDED
    now = clock.now_ms()
    if row.expanded_at is None:
        chosen_at = _choice_at(tx, read(row))
        if chosen_at is not None and chosen_at <= now:
            return Look.CHOOSE
        store.change(tx, campaign.organization_id, campaign.id, next_at=chosen_at or now + LOOK_AGAIN_MS)
        return Look.WAIT
    after = row.watched_id or _FIRST
    seen = queue.first_untried(tx, campaign.organization_id, campaign.id, after)
    if seen.last is None:
        _finish(tx, read(row))
        return Look.ENDED
    store.change(
        tx,
        campaign.organization_id,
        campaign.id,
        watched_id=row.watched_id if seen.ids else seen.last,
        next_at=now + LOOK_AGAIN_MS if seen.ids else now,
    )
    return Look.WAIT


def halt(tx: Tx, claimed: Sequence[Claimed], owner: str) -> set[RowId]:
    """Of claimed messages, those whose campaign is halted: no longer held. Answers their ids."""
    pairs = {(each.organization_id, each.campaign_id) for each in claimed if each.campaign_id is not None}
    halted = store.halted(tx, pairs) if pairs else {}
    if not halted:
        return set()
    stopped = [each for each in claimed if (each.organization_id, each.campaign_id) in halted]
    queue.lay_aside(tx, stopped, owner)
    over = [
        each
        for each in stopped
        if each.campaign_id is not None
        and halted[each.organization_id, each.campaign_id] is CampaignStatus.CANCELLED
    ]
    if over:
        _end(tx, [(each.organization_id, each.id, each.campaign_id) for each in over])
    return {each.id for each in stopped}


def requeue(tx: Tx, job: Job, owner: str) -> Job | None:
    """A slice of what was laid aside is due again; None when all is done, or the job is another's."""
    campaign_id, after = _place(job)
    found = queue.laid_aside(tx, job.organization_id, campaign_id, after)
    ids = found.ids[:SWEPT_AT_ONCE]
    if ids:
        queue.reschedule(tx, job.organization_id, ids, clock.now_ms())
    return _move(tx, job, owner, found, ids)


def call_off(tx: Tx, job: Job, owner: str) -> Job | None:
    """As requeue, of a cancelled campaign: a slice of what waits ends, and its quota is given back."""
    campaign_id, after = _place(job)
    found = queue.waiting(tx, job.organization_id, campaign_id, after)
    ids = found.ids[:SWEPT_AT_ONCE]
    # Moving their time holds the rows against every claim until this transaction ends.
    caught = queue.reschedule(tx, job.organization_id, ids, queue.FAR) if ids else []
    _end(tx, [(job.organization_id, each, campaign_id) for each in caught])
    return _move(tx, job, owner, found, ids)


def _end(tx: Tx, messages: Collection[tuple[int, RowId, RowId | None]]) -> None:
    now = clock.now_ms()
    journal.record(
        tx,
        [
            Event(organization_id, EventKind.CANCELLED, now, message_id=message_id, campaign_id=campaign_id)
            for organization_id, message_id, campaign_id in messages
        ],
    )
    amounts: dict[int, int] = {}
    for organization_id, _, _ in messages:
        amounts[organization_id] = amounts.get(organization_id, 0) + 1
    accounts.give_back(tx, amounts)


def _choice_at(tx: Tx, campaign: Campaign) -> int | None:
    """When the winner of its split test is chosen; None while the test is still being sent, or is none."""
    test = campaign.definition.split_test
    run = store.run(tx, campaign.organization_id, campaign.run_id) if campaign.run_id else None
    if test is None or run is None or run.part != Part.TEST or run.ended_at is None:
        return None
    ended_at: int = run.ended_at
    return ended_at + test.wait_minutes * clock.MINUTE


def _finish(tx: Tx, campaign: Campaign) -> None:
    campaign = replace(
        campaign, status=rules.after(campaign.status, Step.FINISH), ended_at=clock.now_ms(), reason=None
    )
    _settle(tx, campaign, next_at=None)
    tell(tx, campaign, EventKind.CAMPAIGN_FINISHED, total=campaign.accepted, skipped=campaign.skipped)


def _settle(tx: Tx, campaign: Campaign, *, next_at: int | None) -> None:
    store.change(
        tx,
        campaign.organization_id,
        campaign.id,
        status=campaign.status.value,
        scheduled_at=campaign.scheduled_at,
        resumed_at=campaign.resumed_at,
        ended_at=campaign.ended_at,
        **columns_of(campaign.definition),
        reason=campaign.reason,
        updated_at=clock.now_ms(),
        next_at=next_at,
    )


def _wake_runs(tx: Tx, campaign: Campaign) -> None:
    for run_id in store.open_runs(tx, campaign.organization_id, campaign.id):
        jobs.wake(tx, campaign.organization_id, run_id)


def _sweep(tx: Tx, campaign: Campaign, kind: str) -> None:
    facts = {"campaign_id": campaign.id.hex(), "after": _FIRST.hex()}
    jobs.insert_job(
        tx, organization_id=campaign.organization_id, job_id=new_id(), kind=kind, facts=facts, pages=()
    )


def _place(job: Job) -> tuple[RowId, RowId]:
    return bytes.fromhex(job.facts["campaign_id"]), bytes.fromhex(job.facts["after"])


def _move(tx: Tx, job: Job, owner: str, found: queue.Window, done: Sequence[RowId]) -> Job | None:
    """On past what was done; past the whole window where nothing of it is left."""
    if found.last is None:
        jobs.end_job(tx, job, owner)
        return None
    last = done[-1] if len(done) < len(found.ids) else found.last
    return jobs.keep_place(tx, job, owner, {**job.facts, "after": last.hex()})
