"""What a mail to our return path, opt-out address or feedback loop can be: one closed set of values.

A `token` is a message's seal as `kit.seal` makes it, in lower case; None where the mail names none of ours.
`message_id` is the Message-ID of the mail that came back: all copies of one request share it, and anyone who
got one knows it, so it is a hint and no proof.
"""

from enum import StrEnum

from postrider.engine.delivery.classify import BounceClass, Category
from postrider.kit.record import record


class Action(StrEnum):
    """What a mail system did with a recipient (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # handed to a system that sends no reports
    EXPANDED = "expanded"  # handed to the members of a list or alias


class FeedbackType(StrEnum):
    """RFC 5965 7.3 and what was registered after it; anything else is OTHER."""

    ABUSE = "abuse"
    FRAUD = "fraud"
    VIRUS = "virus"
    OPT_OUT = "opt-out"
    NOT_SPAM = "not-spam"
    AUTH_FAILURE = "auth-failure"  # RFC 6591: a machine's finding
    OTHER = "other"


class AutoReplyKind(StrEnum):
    VACATION = "vacation"
    CHALLENGE = "challenge"  # wants the sender to prove that it is a person
    RECEIPT = "receipt"  # a disposition notification (RFC 8098)
    OTHER = "other"


class Reason(StrEnum):
    """Why a mail is none of the other reports."""

    REPLY = "reply"  # a person wrote to the return path
    NOT_OURS = "not-ours"  # an opt-out without a token that we made
    UNREADABLE = "unreadable"  # a mail system wrote, and nobody knows what
    UNRECOGNIZED = "unrecognized"


@record
class Bounce:
    """A mail system has given up. `rule` names what decided its class, in classify.toml or bounces.toml.

    The class is never hard where the reason is unknown or temporary. `code` and `enhanced` are what was said;
    None where nothing was.
    """

    token: str | None
    original_recipient: str | None  # as we addressed it (RFC 3461)
    final_recipient: str | None  # as the reporting system knows it
    action: Action
    bounce_class: BounceClass
    category: Category
    code: int | None
    enhanced: str | None
    diagnostic: str
    rule: str
    reporting_mta: str | None
    message_id: str | None


@record
class Delayed:
    """A mail system still tries; `retried_until` is in ms."""

    token: str | None
    original_recipient: str | None
    final_recipient: str | None
    code: int | None
    enhanced: str | None
    diagnostic: str
    rule: str
    reporting_mta: str | None
    retried_until: int | None
    message_id: str | None


@record
class Delivered:
    """A mail system says that it has delivered, relayed or expanded."""

    token: str | None
    original_recipient: str | None
    final_recipient: str | None
    action: Action
    reporting_mta: str | None
    message_id: str | None


@record
class Complaint:
    """A feedback report (RFC 5965); `arrival_date` of the mail it is about is in ms."""

    token: str | None
    feedback_type: FeedbackType
    user_agent: str | None
    source_ip: str | None
    arrival_date: int | None
    original_recipient: str | None
    message_id: str | None

    @property
    def is_objection(self) -> bool:
        """Whether a person objects to the mail: not-spam and auth-failure say nothing of the kind."""
        return self.feedback_type not in {FeedbackType.NOT_SPAM, FeedbackType.AUTH_FAILURE}


@record
class AutoReply:
    """A machine answered for a person; it says nothing of the address."""

    kind: AutoReplyKind


@record
class Unsubscribe:
    """Somebody took the mailed way out (RFC 2369 3.2)."""

    token: str


@record
class Unknown:
    reason: Reason


Report = Bounce | Delayed | Delivered | Complaint | AutoReply | Unsubscribe | Unknown
