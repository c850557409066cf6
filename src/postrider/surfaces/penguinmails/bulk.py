"""A campaign to many whom the request names, in batches: each is told at once, taken (by an id) or not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from postrider.engine.errors import NotFound
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import Batch, Campaign, Once, Target
from postrider.surfaces.common.errors import Fault, faults_of, invalid, invalid_body
from postrider.surfaces.common.idempotency import fingerprint, read_key
from postrider.surfaces.common.operations import Call, Operation, sized
from postrider.surfaces.penguinmails.answers import done, time
from postrider.surfaces.penguinmails.auth import LABEL
from postrider.surfaces.penguinmails.campaign_wire import Bulk, Recipient, cost, plain_number
from postrider.surfaces.penguinmails.campaigns import WRITE, reader
from postrider.surfaces.penguinmails.errors import sentence_of
from postrider.surfaces.penguinmails.ids import BULK, CAMPAIGN, MESSAGE, from_id, to_id
from postrider.surfaces.penguinmails.limits import (
    BATCH_SIZE,
    BODY_MAX_BYTES,
    COST_PER_MESSAGE_USD,
    ESTIMATED_DELIVERY_MS,
)
from postrider.surfaces.penguinmails.vocabulary import QUEUED

RECIPIENTS = "recipients"
_TWICE = "The address is named more than once"


@dataclass(slots=True)
class Named:
    """Whom a request names: each address once, in order, and (address, why) of what is left out."""

    targets: dict[str, Target] = field(default_factory=dict)  # by address key
    errors: list[tuple[str | None, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


async def send_bulk(call: Call, bulk: Bulk) -> Response:
    """A repeat under the same Idempotency-Key is answered as the first one was."""
    campaign_id = from_id(CAMPAIGN, bulk.campaign_id)
    if campaign_id is None:
        raise NotFound(noun="campaign")
    principal = call.caller.principal
    campaign = await call.services.db.read(campaigns.get_campaign, reader(principal), campaign_id)
    named = await sized(len(call.raw), read_recipients, bulk.recipients)
    if not named.targets:
        raise invalid(named.faults)
    size, delay_s = _pace(bulk, campaign)
    batch = await call.services.sender.send_batch(
        principal,
        campaign_id,
        list(named.targets.values()),
        once=_once(call),
        batch_size=size,
        batch_delay_s=delay_s,
    )
    return done(_shown(call, batch, named, len(bulk.recipients), size, delay_s))


def read_recipients(rows: Sequence[Any]) -> Named:
    """Each by itself: who is malformed, or named again, costs no other."""
    named = Named()
    for index, row in enumerate(rows):
        email = row.get("email") if isinstance(row, dict) else None
        shown = email if isinstance(email, str) else None
        try:
            target = Recipient.model_validate(row).target()
        except ValidationError as error:
            faults = faults_of(invalid_body(error))
            named.errors.append((shown, "; ".join(map(_said, faults))))
            named.faults += [Fault(f"{RECIPIENTS}.{index}.{each.field}", each.message) for each in faults]
            continue
        if named.targets.setdefault(target.address_key, target) is not target:
            named.errors.append((shown, _TWICE))
    return named


OPERATIONS = (
    Operation(
        "sendBulkEmails", "POST", ("/api/v1/emails/send-bulk",), "Queue a campaign to many in batches", WRITE,
        send_bulk, body=Bulk, body_max_bytes=BODY_MAX_BYTES,
    ),
)  # fmt: skip


def _pace(bulk: Bulk, campaign: Campaign) -> tuple[int, float]:
    """What the body does not say is as the campaign has it."""
    own, delay_s = campaign.definition, bulk.delay_between_batches
    size = bulk.batch_size or own.batch_size or BATCH_SIZE
    return size, own.batch_delay_s if delay_s is None else delay_s


def _once(call: Call) -> Once | None:
    key = read_key(call.request, f"{LABEL}:{call.operation.id}")
    return (
        None
        if key is None
        else Once(key, fingerprint(call.operation.method, call.operation.paths[0], call.raw))
    )


def _said(fault: Fault) -> str:
    sentence = sentence_of(fault)
    return sentence if fault.field in ("email", "body") else f"{fault.field}: {sentence}"


def _shown(call: Call, batch: Batch, named: Named, total: int, size: int, delay_s: float) -> dict[str, Any]:
    refused = {address for address, _ in batch.refused}
    free = [each for each in named.targets.values() if each.address not in refused]
    batches = -(-batch.accepted // size)
    last_at = batch.created_at + round(max(0, batches - 1) * delay_s * 1000)
    return {
        "bulk_id": to_id(BULK, batch.run_id),
        "campaign_id": to_id(CAMPAIGN, batch.campaign_id),
        "status": QUEUED,
        "total_recipients": total,
        "accepted": batch.accepted,
        "rejected": total - batch.accepted,
        "batches": batches,
        "batch_size": size,
        "delay_between_batches": plain_number(delay_s),
        "estimated_delivery": time(last_at + ESTIMATED_DELIVERY_MS),
        "cost": cost(batch.accepted, COST_PER_MESSAGE_USD[call.caller.organization.plan]),
        "messages": [
            {"email": each.address, "message_id": to_id(MESSAGE, batch.message_id(number)), "status": QUEUED}
            for number, each in enumerate(free)
        ],
        "errors": [
            {"email": email, "message": message} for email, message in [*named.errors, *batch.refused]
        ],
    }
