"""The time that analytics are asked for: a period up to now, or whole days, as a time zone has them."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from starlette.requests import Request

from postrider.engine.accounts import Organization
from postrider.engine.insight.report import SPANS_MAX
from postrider.kit import clock
from postrider.kit.zones import zone
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.query import read_parameters
from postrider.surfaces.nudgecampaign.resources import Misread, one_of

# How many days, of which today is the last; rolling, so that the first of a month is no empty report.
DAYS = {"today": 1, "week": 7, "month": 30, "year": 365}
DEFAULT, CUSTOM = "month", "custom"


class Period(NamedTuple):
    """From the start of a day to the end of another (ms), in a zone."""

    start: int
    end: int
    zone: tzinfo

    def date(self, at: int) -> str:
        """The day of a time, as this dialect writes days."""
        return datetime.fromtimestamp(at / clock.SECOND, self.zone).date().isoformat()


def read_period(request: Request, organization: Organization) -> Period:
    """What a report is asked for; raises Faulty (400) with all that is wrong."""
    faults: list[Detail] = []
    found = read_parameters(
        request,
        {"period": one_of([*DAYS, CUSTOM]), "start_date": _date, "end_date": _date, "timezone": _zone},
        faults,
    )
    its_zone: tzinfo = found.get("timezone") or zone(organization.settings.timezone) or UTC
    word = found.get("period", DEFAULT)
    if word == CUSTOM and not faults:
        faults += _missing(found)
    if faults:
        raise Faulty(400, faults)
    today = datetime.fromtimestamp(clock.now_ms() / clock.SECOND, its_zone).date()
    if word == CUSTOM:
        first, last = found["start_date"], found["end_date"]
    else:
        first, last = today - timedelta(days=DAYS[word] - 1), today
    return Period(_midnight(first, its_zone), _midnight(last + timedelta(days=1), its_zone), its_zone)


def _missing(found: dict[str, date]) -> list[Detail]:
    faults = [
        Detail(name, "A custom period needs both dates", "required")
        for name in ("start_date", "end_date")
        if name not in found
    ]
    if faults:
        return faults
    days = (found["end_date"] - found["start_date"]).days + 1
    if days < 1:
        return [Detail("end_date", "The end lies before the start", "invalid_value")]
    if days >= SPANS_MAX:
        return [Detail("end_date", f"A period has fewer than {SPANS_MAX} days", "out_of_range")]
    return []


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Misread("Input should be a date, such as 2024-01-31", "invalid_format") from None
    if not 1970 < day.year < 3000:
        raise Misread("Input should be a date from 1971 to 2999", "out_of_range")
    return day


def _zone(text: str) -> tzinfo:
    found = zone(text)
    if found is None:
        raise Misread("Input should be an IANA time zone, such as Europe/Berlin")
    return found


def _midnight(day: date, its_zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), its_zone).timestamp()) * clock.SECOND
