"""Calendar invitations (RFC 5545, RFC 5546) from the few facts an API call gives."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from icalendar import Calendar, Event, vCalAddress

from postrider.engine.errors import Invalid
from postrider.kit import clock
from postrider.kit.address import InvalidAddress, Mailbox, parse_address, parse_mailbox
from postrider.kit.ids import new_id, to_uuid

ATTENDEES_MAX = 200
TEXT_MAX_CHARS = 10_000
METHODS = ("REQUEST", "CANCEL")


def make_calendar(invite: Mapping[str, Any]) -> str:
    """An iCalendar object with CRLF line ends.

    Takes summary, start, end (ISO 8601; a date alone is a whole day), location, description, organizer and
    attendees (mailbox text or {email, name}), method (REQUEST, CANCEL), and uid, by which a CANCEL names its
    REQUEST. Raises Invalid with the field that is wrong.
    """
    method = str(invite.get("method") or METHODS[0]).upper()
    if method not in METHODS:
        raise _invalid("method", f"The method is one of {', '.join(METHODS)}.")
    calendar = Calendar()
    calendar.add("prodid", "-//Postrider//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(_event(invite, cancelled=method == "CANCEL"))
    ical: bytes = calendar.to_ical()
    return ical.decode()


def _event(invite: Mapping[str, Any], *, cancelled: bool) -> Event:
    event = Event()
    event.add("uid", _text(invite, "uid") or to_uuid(new_id()))
    event.add("dtstamp", clock.to_datetime(clock.now_ms()).replace(microsecond=0))
    event.add("summary", _text(invite, "summary", required=True))
    start = _moment(invite, "start")
    if start is None:
        raise _invalid("start", "The invitation has no start.")
    event.add("dtstart", start)
    end = _moment(invite, "end")
    if end is not None:
        if type(end) is not type(start) or end < start:
            raise _invalid("end", "The end is before the start, or only one of them is a whole day.")
        event.add("dtend", end)
    for name in ("location", "description"):
        if text := _text(invite, name):
            event.add(name, text)
    if cancelled:
        event.add("status", "CANCELLED")
        event.add("sequence", 1)
    _add_people(event, invite)
    return event


def _add_people(event: Event, invite: Mapping[str, Any]) -> None:
    if organizer := invite.get("organizer"):
        event.add("organizer", _person(organizer, "organizer"))
    attendees = invite.get("attendees") or []
    if not isinstance(attendees, list) or len(attendees) > ATTENDEES_MAX:
        raise _invalid("attendees", f"Attendees are a list of at most {ATTENDEES_MAX}.")
    for number, attendee in enumerate(attendees):
        person = _person(attendee, f"attendees.{number}")
        person.params["PARTSTAT"] = "NEEDS-ACTION"
        person.params["RSVP"] = "TRUE"
        event.add("attendee", person)


def _person(value: Any, field: str) -> vCalAddress:
    try:
        match value:
            case str():
                mailbox = parse_mailbox(value)
            case {"email": str(address)}:
                mailbox = Mailbox(parse_address(address), str(value.get("name") or ""))
            case _:
                raise InvalidAddress
    except InvalidAddress:
        raise _invalid(field, "An address is a text or an object with email and name.") from None
    person = vCalAddress(f"mailto:{mailbox.address}")
    if mailbox.name:
        # A parameter holds neither quotes nor control characters (RFC 5545 3.2).
        name = "".join([char for char in mailbox.name if char.isprintable()])
        person.params["CN"] = name.replace('"', "'")
    return person


def _moment(invite: Mapping[str, Any], field: str) -> date | None:
    """A datetime in UTC, or a date for a whole day."""
    value = invite.get(field)
    if value is None:
        return None
    try:
        if len(str(value)) == len("2026-01-18"):
            return date.fromisoformat(str(value))
        return clock.to_datetime(clock.from_iso(str(value))).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise _invalid(field, "Times are in ISO 8601.") from None


def _text(invite: Mapping[str, Any], field: str, *, required: bool = False) -> str:
    value = invite.get(field) or ""
    if not isinstance(value, str) or len(value) > TEXT_MAX_CHARS:
        raise _invalid(field, f"The {field} is a text of at most {TEXT_MAX_CHARS} characters.")
    if required and not value.strip():
        raise _invalid(field, f"The invitation has no {field}.")
    return value.replace("\0", "")


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(field=f"calendar.{field}", message=message)
