"""What stands in a request's body, as models that find every fault at once and hand on engine values.

Types are strict: a number is no text. Fields that nobody knows are passed over.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from postrider.engine.content.calendar import make_calendar
from postrider.engine.errors import Invalid
from postrider.engine.messages import Stream
from postrider.engine.sending import SendCommand
from postrider.engine.sending.bulk import BULK_MAX
from postrider.engine.suppression.put import NOTE_MAX_CHARS
from postrider.kit.address import Mailbox
from postrider.surfaces.common.fields import (
    Address,
    AttachedFile,
    DomainName,
    Headers,
    Metadata,
    OneLine,
    Subject,
    Wire,
    fault,
)
from postrider.surfaces.mailerlogic.limits import BATCH_MAX, TAG_MAX_CHARS
from postrider.surfaces.mailerlogic.vocabulary import STREAMS


def _calendar(value: Any) -> str:
    if not isinstance(value, dict):
        raise fault("Input should be an object")
    try:
        return make_calendar(value)
    except Invalid as error:
        field = str(error.facts["field"]).removeprefix("calendar.")
        raise fault(f"{field}: {error.sentence}") from None


class CalendarEvent(BaseModel):
    """An invitation, as the description shows it; `engine.content.calendar` reads it."""

    summary: str
    start: str
    end: str | None = None
    location: str | None = None
    description: str | None = None
    organizer: dict[str, str] | str | None = None
    attendees: list[dict[str, str] | str] = []
    method: Literal["REQUEST", "CANCEL"] = "REQUEST"
    uid: str | None = None


Calendar = Annotated[str, PlainValidator(_calendar, json_schema_input_type=CalendarEvent)]
Tag = Annotated[OneLine, StringConstraints(min_length=1, max_length=TAG_MAX_CHARS)]
Why = Annotated[OneLine, StringConstraints(max_length=NOTE_MAX_CHARS)]
StreamType = Literal["transactional", "broadcast", "shared"]
PerTime = Annotated[int, Field(ge=1, le=1_000_000)]
TEST_SUBJECT = "Test Email"
TEST_TEXT = "This is a test email."


class Letter(Wire):
    """What single and bulk mail have in common."""

    domain: DomainName | None = None
    from_: Address | None = Field(None, alias="from")
    reply_to: Address | None = None
    subject: Subject
    html: str | None = None
    text: str | None = Field(None, validate_default=True)
    track_opens: bool | None = None
    track_clicks: bool | None = None
    headers: Headers | None = None
    tag: Tag | None = None
    stream_type: StreamType | None = None
    metadata: Metadata | None = None
    attachments: list[AttachedFile] | None = None
    calendar_event: Calendar | None = None

    @field_validator("text")
    @classmethod
    def _some_body(cls, value: str | None, info: ValidationInfo) -> str | None:
        if not value and "html" in info.data and not info.data["html"]:
            raise fault("html or text is required")
        return value

    @field_validator("metadata")
    @classmethod
    def _known_stream(cls, value: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        word = (value or {}).get("stream_type")
        if word is not None and info.data.get("stream_type") is None and word not in list(STREAMS):
            raise fault(f"stream_type should be one of {', '.join(STREAMS)}")
        return value

    def command(
        self, to: list[Mailbox], cc: list[Mailbox] | None = None, bcc: list[Mailbox] | None = None
    ) -> SendCommand:
        """The engine's command for these recipients."""
        return SendCommand(
            to=to,
            cc=cc or [],
            bcc=bcc or [],
            subject=self.subject,
            html=self.html,
            text=self.text,
            from_=self.from_,
            domain=self.domain,
            reply_to=[self.reply_to] if self.reply_to else [],
            headers=self.headers or {},
            tags=[self.tag] if self.tag else [],
            metadata=self.metadata,
            track_opens=self.track_opens,
            track_clicks=self.track_clicks,
            stream=self._stream(),
            attachments=[file.attachment() for file in self.attachments or ()],
            calendar=self.calendar_event,
        )

    def _stream(self) -> Stream:
        return STREAMS[self.stream_type or (self.metadata or {}).get("stream_type") or "shared"]


class Mail(Letter):
    """One mail to one recipient, with copies."""

    to: Address
    cc: list[Address] | None = None
    bcc: list[Address] | None = None


class Batch(Wire):
    """Up to BATCH_MAX mails; each is read as a Mail on its own, so that one's faults are its own."""

    emails: list[Any] = Field(min_length=1, max_length=BATCH_MAX)


class BulkMail(Letter):
    """One mail to many; recipients, {email, vars} each, are read one by one: the malformed are counted."""

    recipients: list[Any] = Field(min_length=1, max_length=BULK_MAX)

    @model_validator(mode="after")
    def _own_domain(self) -> "BulkMail":
        if self.domain and self.from_ and self.from_.domain != self.domain:
            raise fault("domain must be the domain of from")
        return self


class NewCredential(Wire):
    name: str
    sending_domain_id: str | None = None
    smtp_hostname_id: str | None = None
    rate_limit_per_minute: PerTime | None = None
    rate_limit_per_hour: PerTime | None = None


class CredentialChanges(NewCredential):
    """What is not there stays; null clears a restriction."""

    name: str = ""


class CredentialStatus(Wire):
    """`is_active`; `enabled` and `status` are understood too."""

    is_active: bool = Field(validation_alias=AliasChoices("is_active", "enabled", "status"))

    @field_validator("is_active", mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"active": True, "disabled": False}.get(value, value) if isinstance(value, str) else value


class NewDomain(Wire):
    domain: DomainName


class DomainTracking(Wire):
    """What is not there stays; null inherits the account's setting."""

    tracking_enabled: bool | None = None
    open_tracking_enabled: bool | None = None
    click_tracking_enabled: bool | None = None
    unsubscribe_header_enabled: bool | None = None


class DomainChanges(DomainTracking):
    tracking_domain_id: str | None = None


class NewUnsubscribe(Wire):
    """An address that opted out, of one domain's mail or of all."""

    email: Address
    domain_id: str | None = None
    reason: Why | None = None


class NewSuppression(NewUnsubscribe):
    type: Literal["bounce", "complaint", "unsubscribe"] = "bounce"


class NewTest(Wire):
    """A test email; a body that is missing is made up, for its way is what is tested."""

    domain_id: str
    from_: Address = Field(alias="from")
    to: Address
    subject: Subject = TEST_SUBJECT
    html: str | None = None
    text: str | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    test_mode: Literal["basic", "standard", "full"] | None = None
    analyze_content: bool = False

    def command(self, domain: str, *, opens: bool | None, clicks: bool | None) -> SendCommand:
        """The engine's command, with the tracking that the test mode allows."""
        has_body = bool(self.html or self.text)
        return SendCommand(
            to=[self.to],
            subject=self.subject,
            html=self.html,
            text=self.text if has_body else TEST_TEXT,
            from_=self.from_,
            domain=domain,
            track_opens=opens,
            track_clicks=clicks,
            stream=Stream.TRANSACTIONAL,
        )
