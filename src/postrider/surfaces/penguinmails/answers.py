"""The envelope of what succeeded, and how times and money are written in it."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from starlette.responses import Response

from postrider.kit import clock
from postrider.surfaces.common.operations import answer
from postrider.surfaces.penguinmails.paging import Page

CURRENCY = "USD"  # of all money here


def done(data: Any, status: int = 200) -> Response:
    return answer({"success": True, "data": data}, status)


def listed(items: Sequence[Any], page: Page, total: int, **meta: Any) -> Response:
    """One page of `total` items; `meta` stands beside the pagination."""
    pagination = {"page": page.page, "per_page": page.per_page, "total": total, "pages": page.of(total)}
    return answer({"success": True, "data": items, "meta": {"pagination": pagination, **meta}})


def time(at_ms: int) -> str:
    """ISO 8601, UTC, whole seconds: 2025-12-01T09:00:00Z."""
    return clock.to_datetime(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_or_none(at_ms: int | None) -> str | None:
    return None if at_ms is None else time(at_ms)


def money(amount: Decimal) -> str:
    """US dollars with a thousands comma and 2 decimals, 3 when the third is not zero: $77.00, $0.077."""
    rounded = amount.quantize(Decimal("0.001"), ROUND_HALF_UP)
    text = f"{abs(rounded):,}"
    return f"{'-' if rounded < 0 else ''}${text.removesuffix('0')}"
