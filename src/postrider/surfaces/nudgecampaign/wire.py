"""What stands in a request's body, as models that find every fault at once and tell its documented code."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from postrider.kit import clock
from postrider.surfaces.common import fields
from postrider.surfaces.common.errors import FAULTS_MAX
from postrider.surfaces.common.fields import BAD_ADDRESS, OneLine, check_finite, fault, parse_address
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
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


def _nothing_yet(text: str) -> str:
    raise PydanticCustomError("not_found", "There is no such resource")


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
NoSuchId = Annotated[str, AfterValidator(_nothing_yet)]  # until a campaign may have a list or template
Personalization = Annotated[dict[str, Any], AfterValidator(_personalization)]
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
    html_content: Content = Field(default_factory=str)
    text_content: Annotated[str, StringConstraints(max_length=CONTENT_MAX_CHARS)] | None = None
    recipient_list_id: NoSuchId | None = None
    template_id: NoSuchId | None = None
    settings: Switches = Field(default_factory=Switches)


class NewCampaign(CampaignChanges):
    """A draft as its author writes it."""

    name: Text
    subject: Text
    html_content: Content


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
