"""The one matrix: which entries stop a message."""

from collections.abc import Iterable
from dataclasses import dataclass

from postrider.engine.suppression.model import Class, Entry, Reason, Scope, Verdict
from postrider.kit.ids import RowId


@dataclass(frozen=True, slots=True)
class Going:
    """What the matrix needs to know of a message. `stream` by its name; ids as in messages."""

    domain_id: RowId | None
    stream: str
    list_id: RowId | None = None
    is_transactional: bool = False
    is_platform: bool = False  # the platform's own word to the people of an organization


def decide(
    entries: Iterable[Entry], going: Going, *, optouts_stop_transactional: bool
) -> tuple[Verdict, str]:
    """The verdict on one address and the reason of the entry that decided it.

    An opt-out in reach stops the message whatever else is said, unless the organization exempts transactional
    mail, or the mail is the platform's own; a block in reach stops it unless an allow is in reach too.
    """
    blocked: Entry | None = None
    allowed = False
    for entry in entries:
        if not _reaches(entry, going):
            continue
        match entry.class_:
            case Class.OPTOUT:
                if going.is_platform:
                    continue
                if optouts_stop_transactional or not going.is_transactional:
                    return Verdict.UNSUBSCRIBED, entry.reason
            case Class.ALLOW:
                allowed = True
            case Class.BLOCK if entry.reason == Reason.OPERATOR:
                return Verdict.SUPPRESSED, entry.reason
            case Class.BLOCK:
                blocked = blocked or entry
    if blocked is not None and not allowed:
        return Verdict.SUPPRESSED, blocked.reason
    return Verdict.FREE, ""


def is_allowed(entry: Entry, entries: Iterable[Entry]) -> bool:
    """Whether a block has no effect anywhere, for an allow among `entries` reaches as far as it does."""
    return entry.class_ is Class.BLOCK and any(
        other.class_ is Class.ALLOW
        and (
            other.scope is Scope.ORGANIZATION
            or (other.scope, other.scope_id) == (entry.scope, entry.scope_id)
        )
        for other in entries
    )


def _reaches(entry: Entry, going: Going) -> bool:
    match entry.scope:
        case Scope.ORGANIZATION:
            return True
        case Scope.DOMAIN:
            return going.domain_id is not None and entry.scope_id == going.domain_id.hex()
        case Scope.LIST:
            return going.list_id is not None and entry.scope_id == going.list_id.hex()
        case Scope.STREAM:
            return entry.scope_id == going.stream
