"""What may be said of a contact, and what its status follows from. Pure; faults are values."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from postrider.engine.audience.model import Consent, ContactInput, Fault, Status
from postrider.engine.audience.tags import check_names
from postrider.engine.audience.text import is_plain
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId
from postrider.kit.record import record

TEXTS = ("first_name", "last_name", "company", "phone", "city", "country")
_texts_of = attrgetter(*TEXTS)
TEXT_MAX_CHARS = 200
SOURCE_MAX_CHARS = 100
LISTS_MAX = 1_000  # of one contact
IP_MAX_CHARS = 64
AGENT_MAX_CHARS = 500
NEEDLE_MAX_CHARS = 254
TRIGRAM = 3  # characters that an index of parts needs
BAD_EMAIL = "Invalid email address"
_BOUNCES = (Reason.HARD_BOUNCE, Reason.SOFT_BOUNCES)
# The stronger comes first: what stops more.
STANDING = (Status.UNSUBSCRIBED, Status.COMPLAINED, Status.BOUNCED)
ENTRIES = {
    Status.UNSUBSCRIBED: (Class.OPTOUT, Reason.UNSUBSCRIBED),
    Status.COMPLAINED: (Class.BLOCK, Reason.COMPLAINT),
    Status.BOUNCED: (Class.BLOCK, Reason.HARD_BOUNCE),
}


@record
class Draft:
    """One input as it was read: `texts` holds what was said, "" as None; tags and lists None: not a word."""

    email: str
    address_key: str
    texts: dict[str, str | None]
    given: ContactInput
    tags: Sequence[str] | None
    lists: Sequence[RowId] | None


Read = Draft | list[Fault]


def read(given: ContactInput) -> Read:
    """The draft of one input, or all that is wrong with it; its properties and lists are checked later."""
    faults: list[Fault] = []
    email, key = _address(given.email, faults)
    texts = _texts(given, faults)
    tags: Sequence[str] | None = None
    if given.tags is not None:
        try:
            tags = check_names(given.tags)
        except ValueError as bad:
            faults.append(Fault("tags", str(bad)))
    lists = None if given.lists is None else list(dict.fromkeys(given.lists))
    if lists is not None and len(lists) > LISTS_MAX:
        faults.append(Fault("lists", f"A contact is on at most {LISTS_MAX} lists"))
    if given.consent is not None:
        _check_consent(given.consent, faults)
    return faults or Draft(email, key, texts, given, tags, lists)


OPTOUT_SCOPES = (Scope.ORGANIZATION, Scope.DOMAIN)


def status_of(entries: Iterable[Entry]) -> Status | None:
    """What the entries on an address make of its contact; None where they leave it free.

    An opt-out first, also one from mail of a single sending domain: who says no to one is not asked again by
    another. Then a complaint, then bounces, those of the whole organization; allowing an address lifts them.
    The operator's own list is told to nobody.
    """
    found: set[Status] = set()
    allowed = False
    for entry in entries:
        if entry.class_ is Class.OPTOUT and entry.scope in OPTOUT_SCOPES:
            return Status.UNSUBSCRIBED
        if entry.scope is not Scope.ORGANIZATION:
            continue
        match entry.class_:
            case Class.ALLOW:
                allowed = True
            case Class.BLOCK if entry.reason == Reason.COMPLAINT:
                found.add(Status.COMPLAINED)
            case Class.BLOCK if entry.reason in _BOUNCES:
                found.add(Status.BOUNCED)
    return None if allowed else next((status for status in STANDING if status in found), None)


def moved(now: Status, asked: Status | None) -> Status:
    """The status of a known contact after a save that asked for one.

    What stops mail is entered, and the stronger reason shows; to subscribe confirms who is pending, and
    never takes back an opt-out, a bounce or a complaint.
    """
    if asked in STANDING:
        return min((status for status in STANDING if status in (now, asked)), key=STANDING.index)
    if now is Status.PENDING and asked is Status.SUBSCRIBED:
        return Status.SUBSCRIBED
    return now


def search_text(email: str, key: str, first_name: str | None, last_name: str | None) -> str:
    """What a search looks in: the address in both its forms, and the name, each a line."""
    lines = [email.casefold()]
    if key != lines[0]:
        lines.append(key)
    name = " ".join(part for part in (first_name, last_name) if part)
    if name:
        lines.append(name.casefold())
    return "\n".join(lines)


def _address(given: str, faults: list[Fault]) -> tuple[str, str]:
    text = given.strip() if isinstance(given, str) else ""
    if not text:
        faults.append(Fault("email", BAD_EMAIL, "required"))
        return "", ""
    try:
        email = parse_address(text)
        return email, address_key(email)
    except InvalidAddress:
        faults.append(Fault("email", BAD_EMAIL))
        return "", ""


def _texts(given: ContactInput, faults: list[Fault]) -> dict[str, str | None]:
    said: Iterable[tuple[str, str | None]] = zip(TEXTS, _texts_of(given), strict=True)
    if given.name is not None and given.first_name is None and given.last_name is None:
        first, _, last = given.name.strip().partition(" ")
        said = [*said, ("first_name", first), ("last_name", last)]
    found: dict[str, str | None] = {}
    for name, value in said:
        if value is None:
            continue
        text = value.strip()
        if len(text) > TEXT_MAX_CHARS or not is_plain(text):
            faults.append(Fault(name, f"should be one line of at most {TEXT_MAX_CHARS} characters"))
        found[name] = text or None
    if given.source:
        source = given.source.strip()
        if not 1 <= len(source) <= SOURCE_MAX_CHARS or not is_plain(source):
            faults.append(Fault("source", f"should be one line of at most {SOURCE_MAX_CHARS} characters"))
        found["source"] = source
    return found


def _check_consent(consent: Consent, faults: list[Fault]) -> None:
    for name, value, limit in (
        ("ip_address", consent.ip_address, IP_MAX_CHARS),
        ("user_agent", consent.user_agent, AGENT_MAX_CHARS),
    ):
        if value is not None and (len(value) > limit or not is_plain(value)):
            faults.append(Fault(f"consent.{name}", f"should be one line of at most {limit} characters"))
