"""The body of POST /api/v1/email as a model: every fault at once, each under its documented number.

Fields stand in the order in which the contract checks them (rule 26). What has no number of its own is 422.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from postrider.engine.audience.model import Contact
from postrider.engine.content import templates
from postrider.engine.content.templates import Template
from postrider.engine.messages import Stream
from postrider.engine.sending import SendCommand
from postrider.engine.sending.prepare import SUBJECT_MAX_CHARS
from postrider.kit.address import NAME_MAX_CHARS, InvalidAddress, Mailbox, address_key, parse_address
from postrider.surfaces.common.fields import AttachedFile, ContentId, Headers, OneLine, Wire, fault
from postrider.surfaces.octeth.errors import Code, Faulty, Form, Told, documented
from postrider.surfaces.octeth.limits import ADDRESSES_MAX, TAG_MAX_CHARS, TAGS_MAX
from postrider.surfaces.octeth.parameters import Parameters, moment, number, switch

UNNUMBERED = 422
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

CODES = {
    1: Code("Missing SenderAPIKey", 401),
    2: Code("Invalid DomainID", 404),
    3: Code(
        "From parameter is either missing or invalid. Make sure you pass both name and email address for the "
        "from field",
        422,
    ),
    8: Code("Missing Subject", 422),
    9: Code("Missing ContentType", 422),
    10: Code("Missing HTMLContent", 422),
    11: Code("Missing PlainContent", 422),
    12: Code("Invalid or deactivated user account", 404),
    13: Code("Invalid SenderAPIKey", 401),
    14: Code("Email address is in the suppression list. Email delivery is blocked.", 409),
    15: Code("Invalid TemplateID", 422),
    16: Code("Invalid TargetListID", 422),
    17: Code("Email sending limit reached", 420),
    18: Code("Recipient name or email address is missing", 422),
    19: Code("Recipient email address is invalid.", 422),
    20: Code("There is no recipient set for the email.", 422),
    21: Code("CC name or email address is missing", 422),
    22: Code("CC email address is invalid.", 422),
    23: Code("Invalid from email address format", 422),
    24: Code("BCC email addresses must be set as an array", 422),
    25: Code("BCC name or email address is missing", 422),
    26: Code("BCC email address is invalid.", 422),
    27: Code("The number of BCC email addresses exceed the allowed email address count", 422),
    28: Code("Reply-To email addresses must be set as an array", 422),
    29: Code("Reply-To name or email address is missing", 422),
    30: Code("Reply-To email address is invalid.", 422),
    31: Code("The number of Reply-To email addresses exceed the allowed email address count", 422),
    32: Code("Domain is not activated", 403),
    34: Code("User account is not verified", 403),
    35: Code("Invalid ListID", 422),
    36: Code("Invalid SubscriberID", 422),
    37: Code("Invalid JourneyID", 422),
    38: Code("Invalid ActionID", 422),
    429: Code("Too many requests. Wait for {retry_after_s} seconds for another {attempts} attempts.", 429),
}


class Book(NamedTuple):
    """The numbers of one address field's faults."""

    no_list: int
    incomplete: int
    malformed: int
    too_many: int


TO, CC, BCC, REPLY_TO = Book(20, 18, 19, 20), Book(20, 21, 22, 23), Book(24, 25, 26, 27), Book(28, 29, 30, 31)


Targets = Sequence[Contact]  # of a list, those who are mailed


class Named(NamedTuple):
    """What the numbers of a request name; None for what they do not."""

    template: Template | None = None
    targets: Targets | None = None


NOTHING = Named()


class Address(BaseModel):
    """An address as the description shows it: both are needed."""

    email: str
    name: str


def _wrong(*numbers: int) -> PydanticCustomError:
    return PydanticCustomError("numbered", "numbered", {"numbers": numbers})


def _is_empty(value: Any) -> bool:
    return value is None or value == ""


def _entry(value: Any) -> Mailbox | int:
    """A mailbox, or what it lacks: 0 a name or address, 1 an address that is one."""
    given = {str(name).lower(): each for name, each in value.items()} if isinstance(value, dict) else {}
    name, written = given.get("name"), given.get("email")
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_MAX_CHARS or _CONTROL.search(name):
        return 0
    if _is_empty(written):
        return 0
    try:
        address = parse_address(written.strip(" ") if isinstance(written, str) else "")
        address_key(address)
    except InvalidAddress:
        return 1
    return Mailbox(address, name.strip())


def _sender(value: Any) -> Mailbox:
    match _entry(value):
        case Mailbox() as mailbox:
            return mailbox
        case 1:
            raise _wrong(23)
        case _:
            raise _wrong(3)


def _addresses(book: Book) -> Callable[[Any], list[Mailbox]]:
    """A list of addresses, one alone tolerated (contract: rule 11)."""

    def read(value: Any) -> list[Mailbox]:
        if _is_empty(value):
            return []
        entries = [value] if isinstance(value, dict) else value
        if not isinstance(entries, list):
            raise _wrong(book.no_list)
        found = [_entry(entry) for entry in entries[: ADDRESSES_MAX + 1]]
        lacking = {each for each in found if isinstance(each, int)}
        numbers = [(book.incomplete, book.malformed)[lack] for lack in sorted(lacking)]
        if len(entries) > ADDRESSES_MAX:
            numbers.append(book.too_many)
        if numbers:
            raise _wrong(*numbers)
        return [each for each in found if isinstance(each, Mailbox)]

    return read


def _recipients(value: Any, info: ValidationInfo) -> list[Mailbox]:
    found = _addresses(TO)(value)
    # Where a list is named that there is not, its own fault is told.
    if not found and "targets" in info.data and not info.data["targets"]:
        raise _wrong(TO.no_list)
    return found


def _copies(book: Book) -> Callable[[Any, ValidationInfo], list[Mailbox]]:
    def read(value: Any, info: ValidationInfo) -> list[Mailbox]:
        if not _is_empty(value) and info.data.get("targets") is not None:
            raise fault("Mail to a list has no copies")
        return _addresses(book)(value)

    return read


def _subject(value: Any) -> str:
    is_text = isinstance(value, str) and bool(value.strip()) and len(value) <= SUBJECT_MAX_CHARS
    if not is_text or _CONTROL.search(value.replace("\t", " ")):
        raise _wrong(8)
    return str(value)


def _content_type(value: Any) -> str:
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in ("html", "plain"):
        raise _wrong(9)
    return word


def _content(needed_for: str, missing: int) -> Callable[[Any, ValidationInfo], str | None]:
    """A text, which must be there for its content type, unless a template was named."""

    def read(value: Any, info: ValidationInfo) -> str | None:
        has_none = "template" in info.data and info.data["template"] is None
        is_needed = info.data.get("content_type") == needed_for and has_none
        if _is_empty(value):
            if is_needed:
                raise _wrong(missing)
            return None
        if not isinstance(value, str) or "\0" in value:
            raise _wrong(missing)
        return value

    return read


def _template(value: Any, info: ValidationInfo) -> Template | None:
    """The template of the number, as it was looked up; what must be filled has nothing here but a list's."""
    if _is_empty(value):
        return None
    named: Named = info.context or NOTHING
    if named.template is None:
        raise _wrong(15)
    lacking = templates.unfit(named.template, {}) if named.targets is None else []
    if lacking:
        raise fault("; ".join(each.message for each in lacking))
    return named.template


def _targets(value: Any, info: ValidationInfo) -> Targets | None:
    if _is_empty(value):
        return None
    named: Named = info.context or NOTHING
    if named.targets is None:
        raise _wrong(16)
    return named.targets


def _context(invalid: int) -> Callable[[Any], int | None]:
    """A number that is kept with the mail as it came (contract: rule 13)."""

    def read(value: Any) -> int | None:
        try:
            return None if _is_empty(value) else number(value)
        except ValueError:
            raise _wrong(invalid) from None

    return read


def _optional(read: Callable[[Any], Any], sentence: str) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        try:
            return None if _is_empty(value) else read(value)
        except ValueError:
            raise fault(sentence) from None

    return checked


def _lower_names(value: Any) -> Any:
    return {str(name).lower(): each for name, each in value.items()} if isinstance(value, dict) else value


def _plain(read: Callable[..., Any], shown: Any) -> Any:
    return PlainValidator(read, json_schema_input_type=shown)


Addresses = list[Address] | Address
Tag = Annotated[OneLine, StringConstraints(min_length=1, max_length=TAG_MAX_CHARS)]
Switch = Annotated[
    bool | None, _plain(_optional(switch, "Input should be true, false, 1, 0, yes or no"), bool | int | str)
]
SendAt = Annotated[
    int | None,
    _plain(
        _optional(moment, "Input should be Unix seconds or YYYY-MM-DD HH:MM:SS, a year ahead at most"),
        int | str,
    ),
]


class File(AttachedFile):
    """An attachment; its names in any case."""

    cid: ContentId | None = Field(None, validation_alias=AliasChoices("contentid", "cid"))


class Mail(Wire):
    """One mail from the key's domain to a few recipients."""

    from_: Annotated[Mailbox, _plain(_sender, Address)] = Field(None, alias="From", validate_default=True)
    subject: Annotated[str, _plain(_subject, str)] = Field(None, alias="Subject", validate_default=True)
    content_type: Annotated[str, _plain(_content_type, str)] = Field(
        None, alias="ContentType", validate_default=True
    )
    template: Annotated[Template | None, _plain(_template, int)] = Field(None, alias="TemplateID")
    html: Annotated[str | None, _plain(_content("html", 10), str)] = Field(
        None, alias="HtmlContent", validate_default=True
    )
    text: Annotated[str | None, _plain(_content("plain", 11), str)] = Field(
        None, alias="PlainContent", validate_default=True
    )
    targets: Annotated[Targets | None, _plain(_targets, int)] = Field(None, alias="TargetListID")
    to: Annotated[list[Mailbox], _plain(_recipients, Addresses)] = Field(
        None, alias="To", validate_default=True
    )
    cc: Annotated[list[Mailbox], _plain(_copies(CC), Addresses)] = Field([], alias="CC")
    bcc: Annotated[list[Mailbox], _plain(_copies(BCC), Addresses)] = Field([], alias="BCC")
    reply_to: Annotated[list[Mailbox], _plain(_addresses(REPLY_TO), Addresses)] = Field([], alias="ReplyTo")
    list_id: Annotated[int | None, _plain(_context(35), int)] = Field(None, alias="ListID")
    subscriber_id: Annotated[int | None, _plain(_context(36), int)] = Field(None, alias="SubscriberID")
    journey_id: Annotated[int | None, _plain(_context(37), int)] = Field(None, alias="JourneyID")
    action_id: Annotated[int | None, _plain(_context(38), int)] = Field(None, alias="ActionID")
    attachments: list[Annotated[File, BeforeValidator(_lower_names)]] | None = Field(
        None, alias="Attachments"
    )
    headers: Headers | None = Field(None, alias="Headers")
    tags: Annotated[list[Tag], Field(max_length=TAGS_MAX)] | None = Field(None, alias="Tags")
    track_links: Switch = Field(None, alias="TrackLinks")
    track_opens: Switch = Field(None, alias="TrackOpens")
    send_at: SendAt = Field(None, alias="SendAt")
    sender_api_key: Any = Field(None, alias="SenderAPIKey", json_schema_extra={"type": "string"})

    def command(self) -> SendCommand:
        """The engine's command; HtmlContent is passed over where ContentType is plain, both with a template.

        Mail to a list is filled for each contact; a template for others is filled here, by its defaults.
        """
        context = {
            name: value
            for name, value in (
                ("ListID", self.list_id),
                ("SubscriberID", self.subscriber_id),
                ("JourneyID", self.journey_id),
                ("ActionID", self.action_id),
            )
            if value is not None
        }
        html, text, to = self.html, self.text, self.to
        if self.template is not None:
            whole = templates.whole(self.template, {}) if self.targets is None else None
            _, html, text = whole or self.template.content
        if self.targets is not None:
            to = [*to, *(Mailbox(each.email) for each in self.targets)]
        return SendCommand(
            to=to,
            cc=self.cc,
            bcc=self.bcc,
            subject=self.subject,
            html=html if self.content_type == "html" else None,
            text=text,
            from_=self.from_,
            reply_to=self.reply_to,
            headers=self.headers or {},
            tags=self.tags or [],
            metadata=context or None,
            track_opens=self.track_opens,
            track_clicks=self.track_links,
            stream=Stream.SHARED if self.targets is None else Stream.BROADCAST,
            attachments=[file.attachment() for file in self.attachments or ()],
        )


_NAMES = {str(field.alias).lower(): str(field.alias) for field in Mail.model_fields.values()} | {
    "reply-to": "ReplyTo"
}


def read_mail(parameters: Parameters, named: Named = NOTHING) -> Mail:
    """Raises Faulty with everything that is wrong, in the order of the checks."""
    try:
        return Mail.model_validate(parameters.named(_NAMES), context=named)
    except ValidationError as error:
        told = _told(error.errors(include_url=False, include_input=False))
    raise Faulty(Form.ERRORS, told)


def _told(errors: Sequence[Any]) -> list[Told]:
    """Each number once; a fault without one names its place."""
    found: dict[tuple[int, str], Told] = {}
    for error in errors:
        numbers = error.get("ctx", {}).get("numbers", ())
        for each in numbers:
            found.setdefault((each, ""), documented(each, CODES))
        if not numbers:
            place = ".".join(map(str, error["loc"]))
            found.setdefault((UNNUMBERED, place), Told(422, UNNUMBERED, f"{place}: {error['msg']}"))
    return list(found.values())
