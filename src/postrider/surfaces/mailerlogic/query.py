"""Lists by page number: page, limit and filters read from a query with all faults at once, and told back."""

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from starlette.requests import Request

from postrider.kit import clock
from postrider.kit.address import InvalidAddress, address_key
from postrider.kit.ids import from_uuid
from postrider.surfaces.common.errors import invalid_body
from postrider.surfaces.common.fields import BAD_ADDRESS, fault, parse_address
from postrider.surfaces.mailerlogic.limits import (
    PAGE_LIMIT,
    PAGE_LIMIT_MAX,
    PAGE_MAX_DIGITS,
    SEARCH_MAX_CHARS,
)

_NUMBER = re.compile(rf"[0-9]{{1,{PAGE_MAX_DIGITS}}}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _number(value: Any) -> int:
    if not _NUMBER.fullmatch(value):
        raise fault(f"Input should be a whole number of at most {PAGE_MAX_DIGITS} digits")
    return int(value)


def _since(value: Any) -> int:
    """A time, or the beginning of a day, in UTC."""
    try:
        return clock.from_iso(value)
    except (ValueError, OverflowError):
        raise fault("Input should be a date or an ISO 8601 time") from None


def _until(value: Any) -> int:
    """The first ms that is past a time, or past a day: the end of a range counts to it."""
    at = _since(value)
    try:
        if not _DAY.fullmatch(value.strip()):
            return at + 1
        following = datetime.combine(date.fromisoformat(value.strip()) + timedelta(days=1), time())
        return clock.from_iso(following.isoformat())
    except OverflowError:
        raise fault("Input should be a date or an ISO 8601 time") from None


def _key(value: Any) -> str:
    try:
        return address_key(parse_address(value).address)
    except InvalidAddress:
        raise fault(BAD_ADDRESS) from None


def _uuid(value: Any) -> bytes:
    row_id = from_uuid(value) if isinstance(value, str) else None
    if row_id is None:
        raise fault("Input should be a UUID")
    return row_id


def _search(value: Any) -> str:
    if "\0" in value or "*" in value or len(value) > SEARCH_MAX_CHARS:
        raise fault(f"Input should be a part of an address, at most {SEARCH_MAX_CHARS} characters")
    return str(value)


Number = Annotated[int, BeforeValidator(_number)]
Since = Annotated[int, BeforeValidator(_since)]
Until = Annotated[int, BeforeValidator(_until)]
AddressKey = Annotated[str, BeforeValidator(_key)]
Uuid = Annotated[bytes, BeforeValidator(_uuid)]
DomainId = Uuid
Search = Annotated[str, BeforeValidator(_search)]


class Page(BaseModel):
    """Which part of a list is asked for, of which time; a page past the end is empty."""

    page: Annotated[Number, Field(ge=1)] = 1
    limit: Annotated[Number, Field(ge=1, le=PAGE_LIMIT_MAX)] = PAGE_LIMIT
    from_date: Since | None = None
    to_date: Until | None = None

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit

    @property
    def times(self) -> dict[str, int | None]:
        """As the engine's filters have them."""
        return {"since": self.from_date, "until": self.to_date}

    def told(self, total: int) -> dict[str, int]:
        """The answer's `pagination`."""
        pages = -(-total // self.limit)
        return {"page": self.page, "limit": self.limit, "total": total, "pages": pages}


Query = TypeVar("Query", bound=BaseModel)


def read_query(request: Request, model: type[Query]) -> Query:
    """The query as `model`, empty values as absent, unknown names passed over; raises Invalid."""
    given = {name: value for name, value in request.query_params.items() if value}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_body(error) from None
