"""What the platform writes to people about: a line for each kind of notice says who gets it."""

from enum import Enum, StrEnum, auto
from typing import Any

from postrider.engine.sending import Routes
from postrider.kit.address import Mailbox
from postrider.kit.record import record


class Kind(StrEnum):
    """Stored, and the name of the templates: never rename one, only add."""

    WEBHOOK_DISABLED = "webhook_disabled"
    COMPLAINTS_HIGH = "complaints_high"
    STREAM_PAUSED = "stream_paused"
    CAMPAIGN_PAUSED = "campaign_paused"
    ALERT_RAISED = "alert_raised"
    ALERT_CLEARED = "alert_cleared"
    OPT_IN = "opt_in"


class Audience(Enum):
    """Who a kind of notice is for."""

    OWNERS = auto()
    KEEPERS = auto()  # owners and admins
    NAMED = auto()  # whoever the notice itself names: an invited person, one who forgot a password


@record
class Form:
    """How a kind of notice is made."""

    audience: Audience
    subject: str  # a template, as the two files of the kind's name in templates/


FORMS: dict[Kind, Form] = {
    Kind.WEBHOOK_DISABLED: Form(Audience.KEEPERS, "Your webhook to {{ host }} was disabled"),
    Kind.COMPLAINTS_HIGH: Form(Audience.KEEPERS, "Recipients complain about your {{ stream }} mail"),
    Kind.STREAM_PAUSED: Form(Audience.KEEPERS, "Your {{ stream }} mail is paused: too many complaints"),
    Kind.CAMPAIGN_PAUSED: Form(Audience.KEEPERS, "Your campaign {{ name }} is paused: it bounces"),
    Kind.ALERT_RAISED: Form(Audience.OWNERS, "Postrider: {{ title }}"),
    Kind.ALERT_CLEARED: Form(Audience.OWNERS, "Postrider: over: {{ title }}"),
    Kind.OPT_IN: Form(Audience.NAMED, "Please confirm your subscription to {{ sender }}"),
}


@record
class Letterhead:
    """What every notice of an installation shares."""

    from_: Mailbox
    base_url: str  # of the web server, no slash at the end
    routes: Routes


@record
class Notice:
    """One thing to tell an organization. `source_id` names its cause, which is mailed once."""

    organization_id: int
    kind: Kind
    source_id: str
    facts: dict[str, Any]  # what the templates name
    to: tuple[str, ...] = ()  # addresses, where the audience is NAMED
