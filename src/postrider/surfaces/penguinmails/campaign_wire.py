"""How a campaign looks here, in a request and in an answer; who is named in it, one by one or in bulk."""

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from postrider.engine.content.text import to_text
from postrider.engine.insight import Counts
from postrider.engine.sending.campaigns import Campaign, Target
from postrider.engine.sending.campaigns.write import BATCH_DELAY_MAX_S, LABEL_MAX_CHARS, NAME_MAX_CHARS
from postrider.kit import clock
from postrider.kit.address import address_key
from postrider.kit.zones import zone
from postrider.surfaces.common.fields import OneLine, Subject, check_finite, fault
from postrider.surfaces.penguinmails.analytics import overview
from postrider.surfaces.penguinmails.answers import CURRENCY, money, time, time_or_none
from postrider.surfaces.penguinmails.contact_wire import Tags
from postrider.surfaces.penguinmails.ids import CAMPAIGN, TEMPLATE, to_id
from postrider.surfaces.penguinmails.limits import (
    BATCH_SIZE_MAX,
    DEFAULTS_MAX_BYTES,
    RECIPIENTS_MAX,
)
from postrider.surfaces.penguinmails.paging import Page
from postrider.surfaces.penguinmails.vocabulary import CAMPAIGN_FILTERS, CAMPAIGN_STATUSES, SWITCHES
from postrider.surfaces.penguinmails.wire import Address, AnyContent, Body, Content, Personalization, word_of

TAGS = "tags"  # what a recipient's tags are called among the values its copy is filled with
SCHEDULE = "schedule"
_UNKNOWN_ZONE = "Input should be an IANA time zone such as Europe/Paris"
_NO_TIME = "Input should be an ISO 8601 date and time"


def _zone_name(name: str) -> str:
    if zone(name) is None:
        raise fault(_UNKNOWN_ZONE)
    return name


def _name(value: str) -> str:
    if not value.strip():
        raise fault("Input should not be empty")
    if len(value) > NAME_MAX_CHARS:
        raise fault(f"Input should have at most {NAME_MAX_CHARS} characters")
    return value


def _seconds(value: Any) -> Any:
    """Whole seconds are a number too, though types are strict."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _few_defaults(content: Content) -> Content:
    """Each copy has its own of them."""
    if check_finite([variable.default_value for variable in content.variables]) > DEFAULTS_MAX_BYTES:
        raise fault(f"The default values must have at most {DEFAULTS_MAX_BYTES} bytes as JSON")
    return content


Name = Annotated[OneLine, AfterValidator(_name)]
Label = Annotated[OneLine, Field(max_length=LABEL_MAX_CHARS)]
BatchSize = Annotated[int, Field(ge=1, le=BATCH_SIZE_MAX)]
Delay = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=BATCH_DELAY_MAX_S, allow_inf_nan=False)]
CampaignContent = Annotated[AnyContent, AfterValidator(_few_defaults)]


class Recipient(Body):
    """Somebody a campaign names; tags may be asked for in content, as any value may."""

    email: Address
    personalization: Personalization = Field(default_factory=dict)
    tags: Tags | None = None

    def target(self) -> Target:
        values = dict(self.personalization)
        if self.tags is not None:
            values[TAGS] = self.tags
        return Target(self.email.address, address_key(self.email.address), values or None)


class Schedule(Body):
    """A time; without an offset it is one of the zone beside it."""

    timezone: Annotated[str, AfterValidator(_zone_name)] | None = None
    send_at: str = Field(min_length=1)

    @field_validator("send_at")
    @classmethod
    def _is_time(cls, value: str, info: ValidationInfo) -> str:
        try:
            clock.to_datetime(clock.from_iso(value))  # one that can be shown again
        except (ValueError, OverflowError):
            raise fault(_NO_TIME) from None
        return value

    @property
    def at(self) -> int:
        return clock.from_iso(self.send_at, zone(self.timezone) or UTC)


class CampaignSettings(Body):
    """What is said of how it is sent and watched; what is not there stays, or is on but for AI."""

    analytics_enabled: bool | None = None
    ai_optimization: bool | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    unsubscribe_enabled: bool | None = None
    batch_size: BatchSize | None = None
    delay_between_batches: Delay | None = None

    def switches(self) -> dict[str, bool]:
        """As the engine knows them: those that are said."""
        said = self.model_dump(exclude_none=True)
        return {switch: said[name] for name, (switch, _) in SWITCHES.items() if name in said}

    def pace(self) -> dict[str, Any]:
        said = {"batch_size": self.batch_size, "batch_delay_s": self.delay_between_batches}
        return {name: value for name, value in said.items() if value is not None}


class CampaignFields(Body):
    """What may be said of a campaign; what is not there stays."""

    recipients: list[Recipient] | None = Field(None, max_length=RECIPIENTS_MAX)
    schedule: Schedule | None = None
    settings: CampaignSettings = CampaignSettings()
    type: Label | None = None

    def targets(self) -> list[Target] | None:
        return None if self.recipients is None else [each.target() for each in self.recipients]


class NewCampaign(CampaignFields):
    name: Name
    subject: Subject
    content: CampaignContent


class CampaignChanges(CampaignFields):
    """Content and recipients replace what was there, settings are merged; a null schedule is taken back."""

    name: Name | None = None
    subject: Subject | None = None
    content: CampaignContent | None = None
    _is_taken_back: bool = PrivateAttr(False)

    @model_validator(mode="wrap")
    @classmethod
    def _look_for_null(cls, value: Any, handler: ModelWrapValidatorHandler["CampaignChanges"]) -> Any:
        changes = handler(value)
        changes._is_taken_back = isinstance(value, dict) and value.get(SCHEDULE, ...) is None
        return changes

    @property
    def is_taken_back(self) -> bool:
        return self._is_taken_back


class Start(Body):
    action: Literal["start"] = "start"


class Bulk(Body):
    """Recipients are read one by one, so that one's faults are its own."""

    campaign_id: str = Field(min_length=1)
    recipients: list[Any] = Field(min_length=1, max_length=RECIPIENTS_MAX)
    batch_size: BatchSize | None = None
    delay_between_batches: Delay | None = None


class CampaignQuery(Page):
    """Which campaigns are listed, and in which order."""

    status: Annotated[str, word_of(CAMPAIGN_FILTERS)] | None = None
    sort: Literal["created_at", "updated_at", "name", "scheduled_at", "sent_at", "status"] = "created_at"


def summary(campaign: Campaign, counts: Counts, price: Decimal, named: int | None) -> dict[str, Any]:
    """A campaign without its content and its recipients; `named`: how many it names, if any."""
    definition, recipients = campaign.definition, _estimated(campaign, named)
    figures = overview(counts)
    return {
        "id": to_id(CAMPAIGN, campaign.id),
        "name": campaign.name,
        "subject": definition.subject,
        "type": definition.label,
        "status": CAMPAIGN_STATUSES[campaign.status],
        "created_at": time(campaign.created_at),
        "updated_at": time(campaign.updated_at),
        "scheduled_at": time_or_none(campaign.scheduled_at),
        "sent_at": time_or_none(campaign.sent_at),
        "settings": _settings(campaign),
        "metrics": {**estimate(recipients, price), **figures},
        "cost": cost(figures["sent"], price),
        "ai_optimization": _optimization(is_enabled=_settings(campaign)["ai_optimization"]),
    }


def whole(summed: Mapping[str, Any], campaign: Campaign, targets: list[Target]) -> dict[str, Any]:
    """With its content and whom it names."""
    definition = campaign.definition
    text = definition.text if definition.text is not None else to_text(definition.html or "")
    content = {
        "html": definition.html or "",
        "text": text,
        "template_id": definition.template_id and to_id(TEMPLATE, definition.template_id),
        "variables": [{"name": name, "default_value": value} for name, value in definition.defaults.items()],
    }
    return {**summed, "content": content, "recipients": [_recipient(each) for each in targets]}


def estimate(recipients: int | None, price: Decimal) -> dict[str, Any]:
    """How many it is for, and what they would cost; null where nobody has counted them yet."""
    total = None if recipients is None else money(recipients * price)
    return {"estimated_recipients": recipients, "estimated_cost": total}


def cost(messages: int, price: Decimal) -> dict[str, str]:
    return {"total": money(messages * price), "per_recipient": money(price), "currency": CURRENCY}


def _estimated(campaign: Campaign, named: int | None) -> int | None:
    """Whom a list or segment holds is counted when it begins."""
    definition = campaign.definition
    if campaign.total or campaign.started_at is not None:
        return campaign.total
    return None if definition.list_id or definition.segment_id else named or 0


def _settings(campaign: Campaign) -> dict[str, Any]:
    definition = campaign.definition
    said = {name: definition.switches.get(switch, usual) for name, (switch, usual) in SWITCHES.items()}
    return {
        **said,
        "batch_size": definition.batch_size,
        "delay_between_batches": plain_number(definition.batch_delay_s),
    }


def plain_number(seconds: float) -> float:
    """Whole seconds without a point."""
    return int(seconds) if seconds == int(seconds) else seconds


def _optimization(*, is_enabled: bool) -> dict[str, Any]:
    """What was asked for; what nothing has computed is null."""
    if not is_enabled:
        return {"enabled": False}
    return {
        "enabled": True,
        "improvement_score": None,
        "suggestions": [],
        "optimization_score": None,
        "improvement_predictions": {"open_rate_increase": None, "click_rate_increase": None},
        "recommendations": [],
    }


def _recipient(target: Target) -> dict[str, Any]:
    values = dict(target.values or {})
    tags = values.pop(TAGS) if _is_tags(values.get(TAGS)) else []
    return {"email": target.address, "personalization": values, "tags": tags}


def _is_tags(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
