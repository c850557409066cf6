"""POST /send-segment: one mail to a saved segment, or to whoever its filters find."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from starlette.responses import Response

from postrider.engine.audience import segments
from postrider.engine.audience.segments import Criteria
from postrider.engine.audience.segments.model import DAYS_MAX
from postrider.engine.messages import Stream
from postrider.engine.sending import Submission, prepare
from postrider.engine.sending.expand import variables_of
from postrider.engine.sending.segments import UNENGAGED_DAYS, VALUES_MAX_BYTES, SegmentCommand
from postrider.kit.address import Mailbox
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.body import BODY_MAX_BYTES
from postrider.surfaces.common.fields import Address, OneLine, fault, metadata_within
from postrider.surfaces.common.idempotency import fingerprint, read_key
from postrider.surfaces.common.operations import Call, Operation, answer, sized
from postrider.surfaces.mailerlogic.auth import LABEL
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.segment_words import read
from postrider.surfaces.mailerlogic.segments import Filters
from postrider.surfaces.mailerlogic.vocabulary import STREAMS
from postrider.surfaces.mailerlogic.wire import Letter

SCOPE = "messages:send"
_STREAM = "broadcast"
_EACH = Mailbox("each@segment.invalid")  # stands where every copy has its own recipient
MergeFields = Annotated[dict[str, Any], AfterValidator(metadata_within(VALUES_MAX_BYTES))]


class SegmentMail(Letter):
    """A mail to a segment: saved, or told as filters."""

    segment_id: str | None = None
    segment_filters: Filters | None = None
    from_email: Address | None = None
    from_name: OneLine | None = None
    account_merge_fields: MergeFields = Field(default_factory=dict)
    exclude_unengaged: bool = False
    unengaged_days: int = Field(UNENGAGED_DAYS, ge=1, le=DAYS_MAX)

    @model_validator(mode="after")
    def _one_segment(self) -> "SegmentMail":
        if (self.segment_id is None) == (self.segment_filters is None):
            raise fault("Either segment_id or segment_filters is required")
        if self.from_ is None and self.from_email is not None:
            self.from_ = Mailbox(self.from_email.address, self.from_name or self.from_email.name)
        if self.domain and self.from_ and self.from_.domain != self.domain:
            raise fault("domain must be the domain of from")
        return self

    def _stream(self) -> Stream:
        return STREAMS[self.stream_type or (self.metadata or {}).get("stream_type") or _STREAM]


async def send_segment(call: Call, mail: SegmentMail) -> Response:
    """Accepted whole; who is no longer subscribed when a page is expanded is left out."""
    criteria = await _whom(call, mail)
    command = await sized(len(call.raw), _command, call, mail, criteria)
    receipt = await call.services.sender.send_segment(command)
    return answer(
        {
            "message": "Segment send accepted",
            "job_id": to_uuid(receipt.campaign_id),
            "status": "queued",
            "segment_id": mail.segment_id,
            "total_recipients": receipt.accepted,
        },
        202,
    )


OPERATIONS = (
    Operation(
        "sendSegment", "POST", ("/api/v1/send-segment",), "Send to a saved segment or inline filters",
        SCOPE, send_segment, body=SegmentMail, body_max_bytes=BODY_MAX_BYTES, status=202,
    ),
)  # fmt: skip


async def _whom(call: Call, mail: SegmentMail) -> Criteria:
    """Raises NotFound, Invalid."""
    if mail.segment_filters is not None:
        filters = mail.segment_filters
        return read(filters.model_dump(exclude_none=True), path="segment_filters.")
    segment_id = path_id(mail.segment_id or "", "segment")
    return segments.whom(await call.services.db.read(segments.get, call.caller.principal, segment_id))


def _command(call: Call, mail: SegmentMail, criteria: Criteria) -> SegmentCommand:
    asked = mail.command([_EACH])
    prepared, _ = prepare(asked, merge=True)
    key = read_key(call.request, f"{LABEL}:{call.operation.id}")
    told = fingerprint(call.operation.method, call.operation.paths[0], call.raw) if key else b""
    return SegmentCommand(
        Submission(call.caller.principal, prepared, [], idempotency_key=key, fingerprint=told),
        criteria,
        variables_of(asked),
        mail.account_merge_fields,
        engaged_days=mail.unengaged_days if mail.exclude_unengaged else None,
    )
