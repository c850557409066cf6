"""StartDate and EndDate: days, times or Unix seconds in UTC, the end included. What is none is no limit."""

from typing import Any

from postrider.kit import clock
from postrider.surfaces.octeth.command import Parameter
from postrider.surfaces.octeth.parameters import Kind, moment

_DAY_CHARS = len("2023-01-31")


def _start(value: Any) -> int | None:
    try:
        return moment(value)
    except ValueError:
        return None


def _end(value: Any) -> int | None:
    """The first ms past the day, or past the second."""
    at = _start(value)
    if at is None:
        return None
    text = str(value).strip()
    is_day = len(text) == _DAY_CHARS and "-" in text
    return at + (clock.DAY if is_day else clock.SECOND)


START_DATE = Kind(_start, str | int)
END_DATE = Kind(_end, str | int)
PERIOD = (Parameter("StartDate", START_DATE), Parameter("EndDate", END_DATE))
