"""A campaign's content to people who are named now: a run of its own, whatever else the campaign does.

Who may not be mailed is told at once and is no part of the run; each other's message has its id beforehand.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from postrider.db.database import Database, Tx
from postrider.engine.errors import IdempotencyConflict, NotAllowedNow
from postrider.engine.journal import EventKind
from postrider.engine.messages import Role
from postrider.engine.principal import Principal
from postrider.engine.sending import store as keys
from postrider.engine.sending.campaigns import rules, store
from postrider.engine.sending.campaigns.find import get_campaign
from postrider.engine.sending.campaigns.model import (
    WRITE,
    Batch,
    Campaign,
    CampaignStatus,
    Once,
    Part,
    Target,
)
from postrider.engine.sending.campaigns.rules import Step
from postrider.engine.sending.campaigns.start import Ready, make_ready, open_run, reader
from postrider.engine.sending.campaigns.write import held, kept_targets, tell, unique
from postrider.engine.sending.model import Recipient
from postrider.engine.sending.routes import Routes
from postrider.kit import clock
from postrider.kit.ids import RowId

# What a batch leads to; one that is scheduled still begins in its time, one that is paused holds its batch.
_LEADS_TO = {CampaignStatus.DRAFT: CampaignStatus.SENDING, CampaignStatus.SENT: CampaignStatus.SENDING}


async def send_batch(
    db: Database,
    principal: Principal,
    campaign_id: RowId,
    targets: Sequence[Target],
    routes: Routes,
    *,
    once: Once | None = None,
    **changes: Any,
) -> Batch:
    """A campaign's content to recipients named now, each address once, in a run of its own.

    `changes` (batch_size, batch_delay_s) hold for this run. A draft begins with it. A repeat under the same
    key answers what was answered. Raises EngineError; then nothing has happened.
    """
    principal.require(WRITE)
    if once is not None and (kept := await db.read(_kept, principal, once)) is not None:
        return kept
    campaign = await db.read(get_campaign, reader(principal), campaign_id)
    _check(campaign)
    named = replace(campaign, definition=replace(campaign.definition, **changes))
    targets = unique(targets)
    recipients = [Recipient(each.address, each.address_key, Role.TO) for each in targets]
    ready = await make_ready(db, principal, named, routes, named=recipients)
    free = {each.address_key for each in ready.drafts[0].free}
    ours = [each for each in targets if each.address_key in free]
    async with kept_targets(db, principal, ours) as list_id:
        return await db.write_first(_begin, principal, ready, list_id, once)


def _check(campaign: Campaign) -> None:
    """Raises NotAllowedNow."""
    if campaign.status in (CampaignStatus.CANCELLED, CampaignStatus.FAILED):
        rules.after(campaign.status, Step.START)
    if campaign.definition.split_test is not None and campaign.status is not CampaignStatus.SENT:
        raise NotAllowedNow(message="A split test goes to its own recipients until it has been sent")


def _begin(tx: Tx, principal: Principal, ready: Ready, list_id: RowId, once: Once | None) -> Batch:
    now = clock.now_ms()
    if once is not None and (kept := _reserved(tx, principal, once)) is not None:
        store.delete_recipients(tx, principal.organization_id, list_id)
        return kept
    campaign = held(tx, principal, ready.campaign.id)
    _check(campaign)
    status = _LEADS_TO.get(campaign.status, campaign.status)
    run_id = open_run(tx, ready, Part.BATCH, list_id=list_id, due_at=now)
    begun = replace(
        campaign,
        status=status,
        total=campaign.total + ready.total,
        started_at=campaign.started_at or now,
        run_id=run_id,
        ended_at=None,
        updated_at=now,
    )
    changes = {"next_at": now + clock.SECOND} if status is CampaignStatus.SENDING else {}
    store.change(
        tx,
        campaign.organization_id,
        campaign.id,
        status=status.value,
        total=begun.total,
        started_at=begun.started_at,
        updated_at=now,
        run_id=run_id,
        ended_at=None,
        expanded_at=None,
        **changes,
    )
    if campaign.status is CampaignStatus.DRAFT:
        tell(tx, begun, EventKind.CAMPAIGN_STARTED)
    refused = [(each.address, each.error.sentence) for each in ready.drafts[0].refused]
    batch = Batch(run_id, campaign.id, now, ready.total, refused)
    if once is not None:
        keys.answer_keys(tx, [(principal.organization_id, once.key, _to_json(batch))])
    return batch


def _kept(tx: Tx, principal: Principal, once: Once) -> Batch | None:
    """What was answered under a key; None where nothing was. Raises IdempotencyConflict."""
    place = principal.organization_id, once.key
    found = keys.find_keys(tx, [place]).get(place)
    if found is None:
        return None
    fingerprint, answer = found
    if fingerprint != once.fingerprint:
        raise IdempotencyConflict
    return None if answer is None else _from_json(answer)


def _reserved(tx: Tx, principal: Principal, once: Once) -> Batch | None:
    """The key is ours until this transaction ends, or another's who came first: then his answer."""
    mine = keys.reserve_keys(tx, [(principal.organization_id, once.key, once.fingerprint)])
    return None if mine else _kept(tx, principal, once)


def _to_json(batch: Batch) -> dict[str, Any]:
    return {
        "run_id": batch.run_id.hex(),
        "campaign_id": batch.campaign_id.hex(),
        "created_at": batch.created_at,
        "accepted": batch.accepted,
        "refused": batch.refused,
    }


def _from_json(answer: dict[str, Any]) -> Batch:
    return Batch(
        bytes.fromhex(answer["run_id"]),
        bytes.fromhex(answer["campaign_id"]),
        answer["created_at"],
        answer["accepted"],
        [(address, message) for address, message in answer["refused"]],
        is_replay=True,
    )
