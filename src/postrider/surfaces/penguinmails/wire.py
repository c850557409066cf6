"""What stands in a request's body, as models that find every fault at once and hand on engine values.

Types are strict, null counts as absent, and fields that nobody knows are passed over (rule 12).
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from postrider.engine.sending import SendCommand
from postrider.kit.address import NAME_MAX_CHARS, Mailbox, address_key
from postrider.surfaces.common.fields import (
    BAD_ADDRESS,
    OneLine,
    Subject,
    Wire,
    check_finite,
    fault,
    parse_address,
)
from postrider.surfaces.penguinmails.errors import MISSING
from postrider.surfaces.penguinmails.limits import (
    CREDENTIAL_MAX_CHARS,
    PERSONALIZATION_MAX_BYTES,
    VARIABLES_MAX,
)
from postrider.surfaces.penguinmails.paging import Page
from postrider.surfaces.penguinmails.vocabulary import EMAIL_STATUSES, PERMISSIONS


def _bare_address(value: Any) -> Mailbox:
    """An address without a display name; what is no text, or empty, is not called a wrong address."""
    if not isinstance(value, str):
        raise fault("Input should be a valid string")
    if not value:
        raise fault("Input should not be empty")
    mailbox = parse_address(value)
    if "<" in value and mailbox.address != value.strip():
        raise fault(BAD_ADDRESS)
    return mailbox


def word_of(table: Any) -> AfterValidator:
    """One of a closed set of words."""

    def check(value: str) -> str:
        if value not in table:
            raise fault(f"Input should be one of {', '.join(table)}")
        return value

    return AfterValidator(check)


def _personalization(value: dict[str, Any]) -> dict[str, Any]:
    if check_finite(value) > PERSONALIZATION_MAX_BYTES:
        raise fault(f"Personalization must have at most {PERSONALIZATION_MAX_BYTES} bytes as JSON")
    return value


def _searched_address(value: str) -> str:
    try:
        return address_key(parse_address(value).address)
    except PydanticCustomError:
        raise fault("Input should be an email address") from None


def _html_alone(value: Any) -> Any:
    return {"html": value} if isinstance(value, str) else value


Address = Annotated[Mailbox, PlainValidator(_bare_address, json_schema_input_type=str)]
SearchedAddress = Annotated[str, AfterValidator(_searched_address)]  # as address keys are
Personalization = Annotated[dict[str, Any], AfterValidator(_personalization)]
Secret = Annotated[str, Field(min_length=1, max_length=CREDENTIAL_MAX_CHARS)]


class Body(Wire):
    """A body or an object within: what is null is as if it were not there."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: given for name, given in value.items() if given is not None}


class Credentials(Body):
    email: Secret
    password: Secret


class Refresh(Body):
    refresh_token: Secret


class Logout(Body):
    refresh_token: Secret | None = None


class NewKey(Body):
    name: str = Field(min_length=1)
    permissions: list[Annotated[str, word_of(PERMISSIONS)]] | None = Field(None, min_length=1)
    environment: Literal["live", "test"] = "live"


class Variable(Body):
    name: str = Field(min_length=1)
    default_value: Any = None


class Content(Body):
    """HTML and its text, derived where it is not given; or a template. HTML alone may be a plain string."""

    template_id: str | None = None
    html: str | None = Field(None, min_length=1, validate_default=True)
    text: str | None = None
    variables: list[Variable] = Field([], max_length=VARIABLES_MAX)

    @field_validator("html")
    @classmethod
    def _html_or_template(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("template_id") is None:
            raise PydanticCustomError("missing", MISSING)
        return value


AnyContent = Annotated[Content, BeforeValidator(_html_alone, json_schema_input_type=Content | str)]


class From(Body):
    email: Address
    name: Annotated[OneLine, Field(max_length=NAME_MAX_CHARS)] = ""


class Tracking(Body):
    track_opens: bool | None = None
    track_clicks: bool | None = None


class Mail(Body):
    """One mail to one recipient; tokens are filled from personalization, else with their own default."""

    to: Address
    subject: Subject
    content: AnyContent
    from_: From | None = Field(None, alias="from")
    reply_to: Address | None = None
    tracking: Tracking = Tracking()
    personalization: Personalization = Field(default_factory=dict)

    def command(self) -> SendCommand:
        return SendCommand(
            to=[self.to],
            subject=self.subject,
            html=self.content.html,
            text=self.content.text or None,
            from_=Mailbox(self.from_.email.address, self.from_.name) if self.from_ else None,
            reply_to=[self.reply_to] if self.reply_to else [],
            track_opens=self.tracking.track_opens,
            track_clicks=self.tracking.track_clicks,
        )

    def values(self) -> dict[str, Any]:
        defaults = {variable.name: variable.default_value for variable in self.content.variables}
        return {**defaults, **self.personalization}


class EmailQuery(Page):
    """Which emails are listed."""

    status: Annotated[str, word_of(EMAIL_STATUSES)] | None = None
    campaign_id: str | None = None
    to: SearchedAddress | None = None
    sort: Literal["created_at"] = "created_at"
