"""What stands in a request's body, as models that find every fault at once and hand on engine values.

Types are strict: a number is no text. Fields that nobody knows are passed over.
"""

import binascii
import mimetypes
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from postrider.engine.content.calendar import make_calendar
from postrider.engine.content.headers import check_custom_headers
from postrider.engine.content.model import Attachment
from postrider.engine.domains.rules import domain_name
from postrider.engine.errors import Invalid
from postrider.engine.messages import Stream
from postrider.engine.sending import SendCommand
from postrider.engine.sending.bulk import BULK_MAX
from postrider.engine.sending.prepare import SUBJECT_MAX_CHARS
from postrider.kit import json
from postrider.kit.address import InvalidAddress, Mailbox, address_key, parse_mailbox
from postrider.surfaces.mailerlogic.errors import BAD_ADDRESS
from postrider.surfaces.mailerlogic.limits import (
    BATCH_MAX,
    FILENAME_MAX_CHARS,
    METADATA_MAX_BYTES,
    TAG_MAX_CHARS,
)
from postrider.surfaces.mailerlogic.vocabulary import STREAMS

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?:;[\x20-\x7e]{0,200})?", re.ASCII)
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}")
UNKNOWN_TYPE = "application/octet-stream"


def parse_address(value: Any) -> Mailbox:
    """`a@b` or `Name <a@b>` whose address can also be compared and looked up."""
    try:
        mailbox = parse_mailbox(value if isinstance(value, str) else "")
        if not mailbox.address.isascii():
            address_key(mailbox.address)
    except InvalidAddress:
        raise _fault(BAD_ADDRESS) from None
    return mailbox


def check_finite(value: Any) -> int:
    """The size of a JSON value in bytes; a fault for the numbers that JSON does not have."""
    body = json.dump_bytes(value)
    if b"NaN" in body or b"Infinity" in body:
        try:
            json.loads(body)
        except ValueError:
            raise _fault("Numbers must be finite") from None
    return len(body)


def _fault(message: str) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{message}", {"message": message})


def _one_line(value: str) -> str:
    if _CONTROL.search(value):
        raise _fault("Line breaks and control characters are not allowed")
    return value


def _domain(value: str) -> str:
    try:
        return domain_name(value)
    except Invalid as error:
        raise _fault(error.sentence) from None


def _headers(value: dict[str, str]) -> dict[str, str]:
    try:
        check_custom_headers(value)
    except Invalid as error:
        raise _fault(error.sentence) from None
    return value


def _calendar(value: Any) -> str:
    if not isinstance(value, dict):
        raise _fault("Input should be an object")
    try:
        return make_calendar(value)
    except Invalid as error:
        field = str(error.facts["field"]).removeprefix("calendar.")
        raise _fault(f"{field}: {error.sentence}") from None


def _base64(value: Any) -> bytes:
    try:
        if isinstance(value, str):
            return binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except ValueError:
        pass
    raise _fault("Input should be base64")


def _media_type(value: str) -> str:
    if not _MEDIA_TYPE.fullmatch(value):
        raise _fault("Input should be a media type, such as application/pdf")
    return value


def _content_id(value: str) -> str:
    value = value.removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.fullmatch(value):
        raise _fault("A content id has 1 to 200 ASCII characters without spaces")
    return value


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if check_finite(value) > METADATA_MAX_BYTES:
        raise _fault(f"Metadata must have at most {METADATA_MAX_BYTES} bytes as JSON")
    return value


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


Address = Annotated[Mailbox, PlainValidator(parse_address, json_schema_input_type=str)]
Calendar = Annotated[str, PlainValidator(_calendar, json_schema_input_type=CalendarEvent)]
Base64 = Annotated[bytes, PlainValidator(_base64, json_schema_input_type=str)]
OneLine = Annotated[str, AfterValidator(_one_line)]
Subject = Annotated[OneLine, StringConstraints(min_length=1, max_length=SUBJECT_MAX_CHARS)]
Tag = Annotated[OneLine, StringConstraints(min_length=1, max_length=TAG_MAX_CHARS)]
FileName = Annotated[OneLine, StringConstraints(min_length=1, max_length=FILENAME_MAX_CHARS)]
DomainName = Annotated[str, AfterValidator(_domain)]
MediaType = Annotated[str, AfterValidator(_media_type)]
ContentId = Annotated[str, AfterValidator(_content_id)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
StreamType = Literal["transactional", "broadcast", "shared"]
PerTime = Annotated[int, Field(ge=1, le=1_000_000)]


class Wire(BaseModel):
    model_config = ConfigDict(strict=True)


class AttachedFile(Wire):
    """An attachment; with a content id, or `disposition` inline, an image that the HTML shows."""

    filename: FileName
    content: Base64
    content_type: MediaType | None = Field(
        None, validation_alias=AliasChoices("content_type", "contentType", "type")
    )
    cid: ContentId | None = Field(None, validation_alias=AliasChoices("cid", "content_id"))
    disposition: Literal["attachment", "inline"] | None = None

    def attachment(self) -> Attachment:
        guessed = mimetypes.guess_type(self.filename)[0]
        return Attachment(
            self.filename, self.content_type or guessed or UNKNOWN_TYPE, self.content, self._cid()
        )

    def _cid(self) -> str | None:
        match self.disposition:
            case "attachment":
                return None
            case "inline" if self.cid is None:
                return "".join(char for char in self.filename if _CONTENT_ID.fullmatch(char)) or "inline"
            case _:
                return self.cid


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
            raise _fault("html or text is required")
        return value

    @field_validator("metadata")
    @classmethod
    def _known_stream(cls, value: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        word = (value or {}).get("stream_type")
        if word is not None and info.data.get("stream_type") is None and word not in list(STREAMS):
            raise _fault(f"stream_type should be one of {', '.join(STREAMS)}")
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
            raise _fault("domain must be the domain of from")
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
