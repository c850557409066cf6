"""What stands in a request's body, as models that find every fault at once and tell its documented code."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from postrider.engine.errors import NotFound
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.kit.zones import zone
from postrider.surfaces.common import fields
from postrider.surfaces.common.errors import FAULTS_MAX
from postrider.surfaces.common.fields import BAD_ADDRESS, OneLine, check_finite, fault, parse_address
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, path_id
from postrider.surfaces.nudgecampaign.limits import (
    CONTENT_MAX_CHARS,
    KEY_NAME_MAX_CHARS,
    PERSONALIZATION_MAX_BYTES,
    SCOPES_MAX,
    SECRET_MAX_CHARS,
    TEST_RECIPIENTS_MAX,
    TEXT_MAX_CHARS,
)
from postrider.surfaces.nudgecampaign.resources import Misread, read_at
from postrider.surfaces.nudgecampaign.vocabulary import SCOPES
from postrider.surfaces.nudgecampaign.webhook_format import NAMES

_CODES = {
    "missing": "required",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "invalid_format": "invalid_format",
    "not_found": "not_found",
}


class Body(fields.Wire):
    """A JSON object; what is no JSON is a 400, what is wrong in it a 422."""

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise _refused(error) from None


class OptionalBody(Body):
    """A body that may be left out: nothing is said then."""

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        return super().model_validate_json(json_data or b"{}", **options)


class MayBeEmpty(Body):
    """As Body; a request without a body says nothing."""

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        return super().model_validate_json(json_data or b"{}", **options)


def _moment(text: Any) -> int:
    try:
        return read_at(text if isinstance(text, str) else "")
    except Misread as misread:
        raise PydanticCustomError(misread.code, str(misread)) from None


def _future(at: int) -> int:
    if at <= clock.now_ms():
        raise fault("Input should be in the future")
    return at


def _email(text: str) -> str:
    mailbox = parse_address(text)
    if mailbox.name or "<" in text:
        raise fault(BAD_ADDRESS)
    return mailbox.address


def _scope(word: str) -> str:
    if word not in SCOPES:
        raise fault(f"Input should be one of {', '.join(SCOPES)}")
    return word


def _event(word: str) -> str:
    if word not in NAMES:
        raise fault(f"Input should be one of {', '.join(NAMES)}")
    return word


def _zone(name: str) -> str:
    if zone(name) is None:
        raise fault("Input should be an IANA time zone such as Europe/Paris")
    return name


def _id_of(noun: Noun) -> Callable[[Any], RowId]:
    """Reads the id of a resource; that there is one is for the engine to say."""

    def read(given: Any) -> RowId:
        if not isinstance(given, str):
            raise PydanticCustomError("string_type", "Input should be a valid string")
        try:
            return path_id(noun, given)
        except NotFound:
            raise PydanticCustomError("not_found", "There is no such resource") from None

    return read


def _scheduled(text: Any) -> str:
    """A date and time, whose zone may stand beside it: only shape is looked at here."""
    if not isinstance(text, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    _moment(text)
    return text


def _personalization(values: dict[str, Any]) -> dict[str, Any]:
    if check_finite(values) > PERSONALIZATION_MAX_BYTES:
        raise PydanticCustomError(
            "too_long",
            "Input should have at most {limit} bytes as JSON",
            {"limit": PERSONALIZATION_MAX_BYTES},
        )
    return values


Moment = Annotated[int, PlainValidator(_moment, json_schema_input_type=datetime)]
FutureMoment = Annotated[Moment, AfterValidator(_future)]
Email = Annotated[str, AfterValidator(_email)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=SECRET_MAX_CHARS)]
KeyName = Annotated[OneLine, StringConstraints(min_length=1, max_length=KEY_NAME_MAX_CHARS)]
Text = Annotated[OneLine, StringConstraints(min_length=1, max_length=TEXT_MAX_CHARS)]
Content = Annotated[str, StringConstraints(min_length=1, max_length=CONTENT_MAX_CHARS)]
ListId = Annotated[bytes, PlainValidator(_id_of(Noun.LIST), json_schema_input_type=str)]
TemplateId = Annotated[bytes, PlainValidator(_id_of(Noun.TEMPLATE), json_schema_input_type=str)]
Zone = Annotated[str, AfterValidator(_zone)]
Personalization = Annotated[dict[str, Any], AfterValidator(_personalization)]
ScheduledAt = Annotated[str, PlainValidator(_scheduled, json_schema_input_type=datetime)]
EventName = Annotated[str, AfterValidator(_event), WithJsonSchema({"type": "string", "enum": list(NAMES)})]
EventNames = Annotated[list[EventName], Field(min_length=1, max_length=2 * len(NAMES))]
Scope = Annotated[str, AfterValidator(_scope), WithJsonSchema({"type": "string", "enum": list(SCOPES)})]


class Login(Body):
    email: Email
    password: Secret


class Refresh(Body):
    refresh_token: Secret


class NewApiKey(Body):
    """A key's name, what it may do, and until when: without a time, until it is revoked."""

    name: KeyName
    scopes: list[Scope] = Field(min_length=1, max_length=SCOPES_MAX)
    expires_at: FutureMoment | None = None


class Switches(Body):
    """What a campaign's mail does; what is not set is on."""

    track_opens: bool = True
    track_clicks: bool = True
    google_analytics: bool = True
    auto_footer: bool = True


class CampaignChanges(Body):
    """What of a campaign is to change; null takes away what it may be without. Settings are merged."""

    name: Text = Field(default_factory=str)
    subject: Text = Field(default_factory=str)
    from_name: Annotated[OneLine, StringConstraints(max_length=TEXT_MAX_CHARS)] | None = None
    from_email: Email | None = None
    reply_to: Email | None = None
    template_id: TemplateId | None = None
    html_content: Content = Field(default_factory=str)
    text_content: Annotated[str, StringConstraints(max_length=CONTENT_MAX_CHARS)] | None = None
    recipient_list_id: ListId | None = None
    settings: Switches = Field(default_factory=Switches)


class NewCampaign(CampaignChanges):
    """A draft as its author writes it; a template stands for the content that is left out."""

    name: Text
    subject: Text

    html_content: Annotated[str, StringConstraints(max_length=CONTENT_MAX_CHARS)] = Field(
        default_factory=str, validate_default=True
    )

    @field_validator("html_content", mode="before")
    @classmethod
    def _has_content(cls, given: Any, info: ValidationInfo) -> Any:
        if given == "" and "template_id" in info.data and info.data["template_id"] is None:
            raise PydanticCustomError("missing", "Field required, or template_id")
        return given


class Departure(Body):
    """When a campaign goes; without a time, now."""

    scheduled_at: ScheduledAt | None = None
    timezone: Zone | None = None
    send_time_optimization: bool = False

    def at(self, own_zone: str) -> int | None:
        """The instant: a time without an offset is read in the body's zone, else in `own_zone`."""
        if self.scheduled_at is None:
            return None
        return clock.from_iso(self.scheduled_at, zone(self.timezone or own_zone) or UTC)


class Schedule(Departure):
    """As Departure, in the future."""

    scheduled_at: ScheduledAt


class Leave(MayBeEmpty, Departure):
    """As Departure; without a body, now."""


class Twin(MayBeEmpty):
    """How a copy of a campaign is called, and whether it keeps its list."""

    name: Text | None = None
    include_recipients: bool = False


class WebhookChanges(Body):
    """What of a webhook is to change; the events replace those before."""

    url: str = ""
    events: EventNames = Field(default_factory=list)
    description: str | None = None
    active: bool = True


class NewWebhook(WebhookChanges):
    url: str
    events: EventNames


class Rehearsal(Body):
    """Which event is to be played to a webhook."""

    event: EventName


class CopyTo(Body):
    """To whom a copy goes, and what its variables are filled with."""

    recipients: list[Email] = Field(min_length=1, max_length=TEST_RECIPIENTS_MAX)
    personalization: Personalization = Field(default_factory=dict)


def _refused(error: ValidationError) -> Faulty:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Faulty(400, [Detail("body", found[0]["msg"], "invalid_format")])
    return Faulty(
        422,
        [
            Detail(".".join(map(str, each["loc"])) or "body", each["msg"], _code(each["type"], each["msg"]))
            for each in found[:FAULTS_MAX]
        ],
    )


def _code(kind: str, message: str) -> str:
    if message == BAD_ADDRESS:
        return "invalid_format"
    return "invalid_type" if kind.endswith("_type") else _CODES.get(kind, "invalid_value")
