"""Reading a mail that came back: what it says, and which message of ours it is about."""

import re
from collections.abc import Sequence
from dataclasses import replace

from postrider.engine.delivery.classify import BounceClass, Category
from postrider.engine.delivery.feedback import freeform
from postrider.engine.delivery.feedback.arf import read_complaint
from postrider.engine.delivery.feedback.autoreply import (
    answers_for_a_person,
    auto_reply_kind,
    is_automatic,
    is_receipt,
)
from postrider.engine.delivery.feedback.diagnose import UNEXPLAINED, Diagnosis, diagnose, says_nothing
from postrider.engine.delivery.feedback.dsn import Recipient, Status, find_loose_status, find_status
from postrider.engine.delivery.feedback.model import (
    Action,
    AutoReply,
    AutoReplyKind,
    Bounce,
    Delayed,
    Delivered,
    Reason,
    Report,
    Unknown,
    Unsubscribe,
)
from postrider.engine.delivery.feedback.parts import Part, read_mail, read_words
from postrider.engine.delivery.feedback.tables import bounces
from postrider.engine.delivery.feedback.tokens import (
    Door,
    door_of,
    find_token,
    genuine,
    message_id_of,
    returned_mail,
)
from postrider.kit.seal import Sealer

REFUSED_BY_A_MAILBOX = "refused-by-a-mailbox"  # for reasons that are its owner's

_ANGLED = re.compile(r"<([^<>]*)>")
_REPLY = re.compile(r"\s*(?:re|aw|sv|antw|odp|vs|tr|fwd?|wg|rv)\s*:", re.IGNORECASE)


def read(recipient_local_part: str, raw: bytes, sealer: Sealer | None = None) -> Report:
    """What the mail says that came to `recipient_local_part`; never raises, reads READ_MAX_BYTES of it.

    With a sealer only tokens that this installation made count; without one, whatever has their shape. A
    token in the address opens its own door only: one that opts out does not name a bounced message. Where
    the last hop wrote a Return-Path (RFC 5321 4.4), its null sender counts as a sign of a mail system.
    """
    mail = read_mail(raw)
    door, addressed = door_of(recipient_local_part)
    token = find_token(mail, addressed if door is Door.RETURN_PATH else "", sealer)
    return (
        read_complaint(mail, token)
        or _notification(mail, token)
        or _rejected_receipt(mail, token)
        or _opt_out(mail, door, addressed, sealer)
        or _from_a_mail_system(mail, token)
        or _automatic(mail)
        or Unknown(Reason.REPLY if door is Door.RETURN_PATH else Reason.UNRECOGNIZED)
    )


def _notification(mail: Part, token: str | None) -> Report | None:
    status = find_status(mail)
    return None if status is None else _from_status(mail, token, status)


def _rejected_receipt(mail: Part, token: str | None) -> Report | None:
    """A receipt tells that a mail was read or thrown away, or that a mailbox refused it (RFC 5429)."""
    if not is_receipt(mail):
        return None
    words = freeform.own_words(mail)
    if bounces().refused.search(words) is None:
        return AutoReply(AutoReplyKind.RECEIPT)
    found = freeform.find(mail, words)
    report = None if found is None else _from_words(mail, token, found)
    if isinstance(report, Bounce) and report.rule == UNEXPLAINED:
        return replace(
            report, bounce_class=BounceClass.BLOCK, category=Category.POLICY, rule=REFUSED_BY_A_MAILBOX
        )
    return report


def _opt_out(mail: Part, door: Door, addressed: str, sealer: Sealer | None) -> Report | None:
    if door is not Door.OPT_OUT or _is_from_a_daemon(mail) or answers_for_a_person(mail):
        return None
    token = genuine(addressed, sealer)
    return Unknown(Reason.NOT_OURS) if token is None else Unsubscribe(token)


def _from_a_mail_system(mail: Part, token: str | None) -> Report | None:
    is_named = _is_named_as_one(mail)
    if answers_for_a_person(mail) or not (is_named or _has_no_sender(mail)):
        return None
    words = freeform.own_words(mail)
    if (status := find_loose_status(words)) is not None:
        return _from_status(mail, token, status)
    found = freeform.find(mail, words)
    if found is not None and (is_named or found.is_sure):
        return _from_words(mail, token, found)
    return Unknown(Reason.UNREADABLE) if _is_from_a_daemon(mail) else None


def _automatic(mail: Part) -> Report | None:
    kind = auto_reply_kind(mail)
    return None if kind is None else AutoReply(kind)


def _from_status(mail: Part, token: str | None, status: Status) -> Report:
    told = [_diagnosis(mail, each, status) for each in status.recipients]
    chosen, bounce_class = _decisive(status.recipients, told)
    recipient, diagnosis = status.recipients[chosen], told[chosen]
    message_id = message_id_of(returned_mail(mail))
    if recipient.action not in (Action.FAILED, Action.DELAYED):
        return Delivered(
            token=token,
            original_recipient=recipient.original,
            final_recipient=recipient.final,
            action=recipient.action,
            reporting_mta=status.reporting_mta,
            message_id=message_id,
        )
    return _undelivered(token, recipient, diagnosis, bounce_class, status.reporting_mta, message_id)


def _from_words(mail: Part, token: str | None, found: freeform.Finding) -> Bounce | Delayed:
    diagnosis = diagnose(found.said, beside=found.around)
    recipient = Recipient(None, found.recipient, found.action, None, found.said, None)
    message_id = message_id_of(returned_mail(mail))
    return _undelivered(token, recipient, diagnosis, diagnosis.bounce_class, None, message_id)


def _undelivered(
    token: str | None,
    recipient: Recipient,
    diagnosis: Diagnosis,
    bounce_class: BounceClass,
    reporting_mta: str | None,
    message_id: str | None,
) -> Bounce | Delayed:
    if recipient.action is Action.DELAYED:
        return Delayed(
            token=token,
            original_recipient=recipient.original,
            final_recipient=recipient.final,
            code=diagnosis.code,
            enhanced=diagnosis.enhanced,
            diagnostic=diagnosis.text,
            rule=diagnosis.rule,
            reporting_mta=reporting_mta,
            retried_until=recipient.retried_until,
            message_id=message_id,
        )
    return Bounce(
        token=token,
        original_recipient=recipient.original,
        final_recipient=recipient.final,
        action=recipient.action,
        bounce_class=bounce_class,
        category=diagnosis.category,
        code=diagnosis.code,
        enhanced=diagnosis.enhanced,
        diagnostic=diagnosis.text,
        rule=diagnosis.rule,
        reporting_mta=reporting_mta,
        message_id=message_id,
    )


def _decisive(recipients: Sequence[Recipient], told: Sequence[Diagnosis]) -> tuple[int, BounceClass]:
    """Which recipient to report, and as what bounce where it is one.

    Our mail has one recipient: several are where its address leads to. One that failed is told, but the
    address is dead only where all of them are.
    """
    failed = [at for at, each in enumerate(recipients) if each.action is Action.FAILED]
    if not failed:
        delayed = [at for at, each in enumerate(recipients) if each.action is Action.DELAYED]
        return (delayed or [0])[0], BounceClass.SOFT
    alive = [at for at in failed if told[at].bounce_class is not BounceClass.HARD]
    if alive or len(failed) == len(recipients):
        chosen = (alive or failed)[0]
        return chosen, told[chosen].bounce_class
    return failed[0], BounceClass.SOFT


def _diagnosis(mail: Part, recipient: Recipient, status: Status) -> Diagnosis:
    """By its diagnostic; what that leaves out, by the report's text where it speaks of no other recipient."""
    diagnostic, beside = recipient.diagnostic, ""
    if len(status.recipients) == 1 and recipient.action in (Action.FAILED, Action.DELAYED):
        words = freeform.own_words(mail)
        beside = freeform.telling(words)
        if says_nothing(diagnostic) and (found := freeform.find(mail, words)):
            diagnostic = found.said
    code = None if recipient.status and recipient.status.startswith("2") else recipient.status
    return diagnose(diagnostic, code, beside=beside)


def _is_named_as_one(mail: Part) -> bool:
    """Whether sender, type or subject say that a mail system reports."""
    if _is_from_a_daemon(mail) or mail.parameters.get("report-type", "").lower() == "delivery-status":
        return True
    subject = read_words(mail.get("subject"))
    return bounces().subjects.search(subject) is not None and _REPLY.match(subject) is None


def _has_no_sender(mail: Part) -> bool:
    """Automatic replies have none either (RFC 3834 3.3): where it calls itself one, that is no sign."""
    return mail.get("return-path") == "<>" and not is_automatic(mail)


def _is_from_a_daemon(mail: Part) -> bool:
    """Whether its From is one that only mail systems write under."""
    if mail.get("x-failed-recipients"):
        return True
    sender = read_words(mail.get("from"))
    angled = _ANGLED.search(sender)
    name = _ANGLED.sub("", sender).strip(' "')
    local = (angled[1] if angled else sender).partition("@")[0].strip(' "')
    if mail.get("in-reply-to") and _REPLY.match(mail.get("subject")):
        return local.lower() == "mailer-daemon"  # a postmaster may be a person who answers
    return any(bounces().senders.fullmatch(text) for text in (local, name) if text)
