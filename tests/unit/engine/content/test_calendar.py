"""Invitations, read back by icalendar's parser."""

from typing import Any

import icalendar
import pytest

from postrider.engine.content.calendar import make_calendar
from postrider.engine.errors import Invalid
from postrider.kit import clock

INVITE = {
    "summary": "Tea; cake, and\r\nmore: Jörg",
    "start": "2026-01-18T10:00:00+01:00",
    "end": "2026-01-18T10:30:00Z",
    "location": "Café",
    "description": "Long " * 50,
    "organizer": "Ann <ann@example.test>",
    "attendees": [{"email": "bob@example.test", "name": 'Bob "B"'}, "eve@example.test"],
}


def event(**given: object) -> tuple[Any, Any]:
    text = make_calendar({**INVITE, **given})
    assert text.count("\n") == text.count("\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    calendar = icalendar.Calendar.from_ical(text)
    return calendar, calendar.walk("VEVENT")[0]


def test_an_invitation_is_a_request_with_all_its_facts() -> None:
    calendar, found = event(uid="u-1")
    assert calendar["METHOD"] == "REQUEST"
    assert found["SUMMARY"] == "Tea; cake, and\nmore: Jörg"
    assert found["UID"] == "u-1"
    assert clock.to_iso(int(found["DTSTART"].dt.timestamp() * 1000)) == "2026-01-18T09:00:00.000Z"
    assert found["ORGANIZER"] == "mailto:ann@example.test"
    assert [str(attendee) for attendee in found["ATTENDEE"]] == [
        "mailto:bob@example.test",
        "mailto:eve@example.test",
    ]
    assert found["ATTENDEE"][0].params["CN"] == "Bob 'B'"


def test_a_cancellation_says_so() -> None:
    calendar, found = event(method="cancel")
    assert (calendar["METHOD"], found["STATUS"]) == ("CANCEL", "CANCELLED")


def test_a_date_alone_is_a_whole_day() -> None:
    _, found = event(start="2026-01-18", end="2026-01-19")
    assert found["DTSTART"].dt.isoformat() == "2026-01-18"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"summary": " "}, "calendar.summary"),
        ({"start": None}, "calendar.start"),
        ({"start": "soon"}, "calendar.start"),
        ({"end": "2026-01-18T08:00:00Z"}, "calendar.end"),
        ({"end": "2026-01-19"}, "calendar.end"),
        ({"method": "PUBLISH"}, "calendar.method"),
        ({"organizer": "nobody"}, "calendar.organizer"),
        ({"attendees": "a@b.test"}, "calendar.attendees"),
        ({"attendees": [{"name": "x"}]}, "calendar.attendees.0"),
        ({"attendees": ["a@b.test\r\nX:1"]}, "calendar.attendees.0"),
        ({"location": 7}, "calendar.location"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        make_calendar({**INVITE, **given})
    assert caught.value.facts["field"] == field
