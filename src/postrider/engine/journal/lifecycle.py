"""What an event means for its message, and whom it suppresses: pure tables."""

from postrider.engine.journal.corrections import correction_of
from postrider.engine.journal.model import Event, EventKind
from postrider.engine.messages.rules import Mark
from postrider.engine.suppression.model import Class, Entry, Reason, Scope
from postrider.kit.ids import RowId

MARKS: dict[EventKind, Mark] = {
    EventKind.SENT: Mark.SENT,
    EventKind.DELIVERED: Mark.DELIVERED,
    EventKind.BOUNCED: Mark.BOUNCED,
    EventKind.FAILED: Mark.FAILED,
    EventKind.SUPPRESSED: Mark.SUPPRESSED,
    EventKind.CANCELLED: Mark.CANCELLED,
    EventKind.DEFERRED: Mark.DEFERRED,
    EventKind.OPENED: Mark.OPENED,
    EventKind.CLICKED: Mark.CLICKED,
    EventKind.COMPLAINED: Mark.COMPLAINED,
    EventKind.UNSUBSCRIBED: Mark.UNSUBSCRIBED,
}


def marks_of(event: Event) -> tuple[Mark, ...]:
    """The marks an event leaves on its message; an opening by a human leaves two."""
    mark = MARKS.get(event.kind)
    if mark is None or event.message_id is None:
        return ()
    if event.data and event.data.get("human"):
        human = {Mark.OPENED: Mark.HUMAN_OPENED, Mark.CLICKED: Mark.HUMAN_CLICKED}.get(mark)
        return (mark, human) if human is not None else (mark,)
    return (mark,)


def first_human_of(event: Event) -> tuple[int, RowId, Mark, int | None] | None:
    """(organization, message, mark, time): the first human time that a correction leaves, if it moves one."""
    correction = correction_of(event)
    if correction is None or correction.first is None or event.message_id is None:
        return None
    mark = Mark.HUMAN_OPENED if correction.kind is EventKind.OPENED else Mark.HUMAN_CLICKED
    return event.organization_id, event.message_id, mark, correction.first[1]


def suppression_of(event: Event, address_key: str, domain_hex: str | None) -> Entry | None:
    """What must hold before the next send: hard bounces and complaints block, an opt-out counts, at once."""
    match event.kind:
        case EventKind.BOUNCED if (event.data or {}).get("class") == "hard":
            return _entry(
                event, address_key, Scope.ORGANIZATION, "", Class.BLOCK, Reason.HARD_BOUNCE, "system"
            )
        case EventKind.COMPLAINED:
            return _entry(event, address_key, Scope.ORGANIZATION, "", Class.BLOCK, Reason.COMPLAINT, "system")
        case EventKind.UNSUBSCRIBED:
            source = str((event.data or {}).get("source", "link"))
            scope = Scope.DOMAIN if domain_hex else Scope.ORGANIZATION
            return _entry(
                event, address_key, scope, domain_hex or "", Class.OPTOUT, Reason.UNSUBSCRIBED, source
            )
        case _:
            return None


def is_soft_bounce(event: Event) -> bool:
    """One of which several in a row suppress an address; alone it says little."""
    return event.kind is EventKind.BOUNCED and (event.data or {}).get("class") == "soft"


def soft_bounces(event: Event, address_key: str) -> Entry:
    """The entry for the last of too many soft bounces in a row."""
    return _entry(event, address_key, Scope.ORGANIZATION, "", Class.BLOCK, Reason.SOFT_BOUNCES, "system")


def _entry(
    event: Event, address_key: str, scope: Scope, scope_id: str, class_: Class, reason: Reason, source: str
) -> Entry:
    note = (event.data or {}).get("reply")
    return Entry(
        event.organization_id,
        address_key,
        scope,
        scope_id,
        class_,
        reason.value,
        source,
        event.message_id,
        note,
    )
