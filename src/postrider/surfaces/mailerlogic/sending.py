"""POST /send, /batch and /bulk-send: read, hand to the engine, say what became of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError
from starlette.responses import Response

from postrider.engine.errors import EngineError
from postrider.engine.messages import Status
from postrider.engine.sending import BulkCommand, Receipt, Submission, prepare
from postrider.engine.sending.bulk import unique_recipients
from postrider.kit import clock, json
from postrider.kit.address import Mailbox, address_key
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.body import BODY_MAX_BYTES
from postrider.surfaces.common.errors import Fault, invalid
from postrider.surfaces.common.fields import check_finite, parse_address
from postrider.surfaces.common.idempotency import fingerprint, read_key
from postrider.surfaces.common.operations import Call, Operation, answer, parse, sized
from postrider.surfaces.mailerlogic.auth import LABEL
from postrider.surfaces.mailerlogic.errors import told
from postrider.surfaces.mailerlogic.limits import BULK_ERRORS_MAX
from postrider.surfaces.mailerlogic.vocabulary import STATUSES
from postrider.surfaces.mailerlogic.wire import Batch, BulkMail, Mail

SCOPE = "messages:send"
_QUEUED = STATUSES[Status.QUEUED]
_FAILED = STATUSES[Status.FAILED]


async def send_email(call: Call, mail: Mail) -> Response:
    key = _idempotency_key(call)
    submission = await sized(len(call.raw), _submission, call, mail, call.raw, key)
    receipt = await call.services.sender.send(submission)
    return answer(_sent(mail.to.address, receipt))


async def send_batch(call: Call, batch: Batch) -> Response:
    """Each mail for itself: what is wrong with one stands in its own result."""
    items = await sized(len(call.raw), _items, call, batch)
    good = [(index, item) for index, item in enumerate(items) if isinstance(item, Submission)]
    answers = await call.services.sender.send_many([item for _, item in good])
    outcomes: list[Submission | Receipt | EngineError] = list(items)
    for (index, _), outcome in zip(good, answers, strict=True):
        outcomes[index] = outcome
    results = [_result(index, batch.emails[index], outcome) for index, outcome in enumerate(outcomes)]
    queued = sum(isinstance(outcome, Receipt) for outcome in outcomes)
    return answer(
        {"total": len(results), "queued": queued, "failed": len(results) - queued, "results": results}
    )


async def send_bulk(call: Call, bulk: BulkMail) -> Response:
    """A copy for each recipient; malformed ones are failed, suppressed and repeated ones skipped."""
    key = _idempotency_key(call)
    command, faults = await sized(len(call.raw), _bulk_command, call, bulk, key)
    receipt = await call.services.sender.send_bulk(command)
    campaign_id, total = to_uuid(receipt.campaign_id), len(bulk.recipients)
    return answer(
        {
            "message": "Bulk send queued",
            "campaign_id": campaign_id,
            "bulk_session_id": campaign_id,
            "total": total,
            "queued": receipt.accepted,
            "failed": len(faults),
            "skipped": total - receipt.accepted - len(faults),
            "errors": [fault.told() for fault in faults[:BULK_ERRORS_MAX]],
        }
    )


OPERATIONS = (
    Operation(
        "sendEmail", "POST", ("/api/v1/send", "/api/send"), "Send one email", SCOPE,
        send_email, body=Mail, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation(
        "sendBatch", "POST", ("/api/v1/batch", "/api/batch"), "Send up to 500 different emails", SCOPE,
        send_batch, body=Batch, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation(
        "sendBulk", "POST", ("/api/v1/bulk-send", "/api/bulk-send"), "Send one template to many",
        SCOPE, send_bulk, body=BulkMail, body_max_bytes=BODY_MAX_BYTES,
    ),
)  # fmt: skip


class _BadRecipient(NamedTuple):
    """A recipient of a bulk send that was left out, by its place in the request."""

    place: int
    email: Any
    error: str

    def told(self) -> dict[str, Any]:
        email = self.email if isinstance(self.email, str) else None
        return {"index": self.place, "email": email, "error": self.error}


def _idempotency_key(call: Call) -> str | None:
    return read_key(call.request, f"{LABEL}:{call.operation.id}")


def _submission(call: Call, mail: Mail, raw: bytes, key: str | None) -> Submission:
    prepared, recipients = prepare(mail.command([mail.to], mail.cc, mail.bcc))
    return Submission(
        call.caller.principal,
        prepared,
        recipients,
        idempotency_key=key,
        fingerprint=_fingerprint(call, raw) if key else b"",
    )


def _fingerprint(call: Call, raw: bytes) -> bytes:
    return fingerprint(call.operation.method, call.operation.paths[0], raw)


def _items(call: Call, batch: Batch) -> list[Submission | EngineError]:
    """Under an idempotency key each item has its own, by its place: a repeat sends only what was not sent."""
    key = _idempotency_key(call)
    items: list[Submission | EngineError] = []
    for index, item in enumerate(batch.emails):
        raw = json.dump_bytes(item)
        try:
            items.append(_submission(call, parse(Mail, raw), raw, f"{key}:{index}" if key else None))
        except EngineError as error:
            items.append(error)
    return items


def _sent(to: str, receipt: Receipt) -> dict[str, Any]:
    """Copies that may not be mailed do not stop the mail: they are named."""
    sent: dict[str, Any] = {
        "messageId": to_uuid(receipt.group_id),
        "status": _QUEUED,
        "to": to,
        "submitted_at": clock.to_iso(receipt.created_at),
    }
    if receipt.refused:
        sent["skipped"] = [{"email": refused.address, **told(refused.error)} for refused in receipt.refused]
    return sent


def _result(index: int, item: Any, outcome: Submission | Receipt | EngineError) -> dict[str, Any]:
    to = item.get("to") if isinstance(item, dict) else None
    match outcome:
        case Receipt():
            return {"index": index, **_sent(str(to), outcome)}
        case EngineError():
            shown = to if isinstance(to, str) else None
            return {"index": index, "to": shown, "messageId": None, "status": _FAILED, **told(outcome)}
        case Submission():
            raise AssertionError("a submission without its answer")


def _bulk_command(call: Call, bulk: BulkMail, key: str | None) -> tuple[BulkCommand, list[_BadRecipient]]:
    rows, bad = _read_recipients(bulk.recipients)
    if not rows:
        raise invalid([Fault(f"recipients.{index}", error) for index, _, error in bad])
    _check_values(rows)
    recipients, values = unique_recipients(rows)
    prepared, _ = prepare(bulk.command([Mailbox(rows[0][0])]), merge=True)
    submission = Submission(
        call.caller.principal,
        prepared,
        recipients,
        idempotency_key=key,
        fingerprint=_fingerprint(call, call.raw) if key else b"",
    )
    return BulkCommand(submission, values), bad


_Row = tuple[str, str, dict[str, Any] | None]  # address, its key, what its copy is filled with


def _read_recipients(recipients: Sequence[Any]) -> tuple[list[_Row], list[_BadRecipient]]:
    rows: list[_Row] = []
    bad: list[_BadRecipient] = []
    for index, recipient in enumerate(recipients):
        match recipient:
            case {"email": email}:
                values = recipient.get("vars")
            case _:
                email, values = None, None
        if values is not None and not isinstance(values, dict):
            bad.append(_BadRecipient(index, email, "vars should be an object"))
            continue
        try:
            address = parse_address(email).address
        except PydanticCustomError as fault:
            bad.append(_BadRecipient(index, email, fault.message()))
            continue
        rows.append((address, address_key(address), values))
    return rows, bad


def _check_values(rows: Sequence[_Row]) -> None:
    try:
        check_finite([values for _, _, values in rows])
    except PydanticCustomError as fault:
        raise invalid([Fault("recipients", fault.message())]) from None
