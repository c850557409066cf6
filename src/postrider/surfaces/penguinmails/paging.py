"""Lists by page number: reading page, per_page, sort, order and filters from a query, all faults at once."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from starlette.requests import Request

from postrider.surfaces.common.errors import invalid_body
from postrider.surfaces.common.fields import fault
from postrider.surfaces.penguinmails.limits import PAGE_MAX_DIGITS, PER_PAGE, PER_PAGE_MAX

_NUMBER = re.compile(rf"[0-9]{{1,{PAGE_MAX_DIGITS}}}")


def _number(value: Any) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise fault(f"Input should be a whole number of at most {PAGE_MAX_DIGITS} digits")
    return int(value)


Number = Annotated[int, BeforeValidator(_number)]


class Page(BaseModel):
    """Which part of a list is asked for; a page past the end is empty."""

    page: Annotated[Number, Field(ge=1)] = 1
    per_page: Annotated[Number, Field(ge=1, le=PER_PAGE_MAX)] = PER_PAGE
    order: Literal["asc", "desc"] = "desc"

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.per_page

    def of(self, total: int) -> int:
        """How many pages `total` items make, at least one."""
        return max(1, -(-total // self.per_page))


Query = TypeVar("Query", bound=Page)


def read_query(request: Request, model: type[Query]) -> Query:
    """The query as `model`, empty values as absent, unknown names passed over; raises Invalid."""
    given = {name: value for name, value in request.query_params.items() if value}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_body(error) from None
