"""The records of conversions. Amounts are mils, thousandths of the currency's unit (kit.money)."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from enum import IntEnum
from typing import Any

from postrider.kit.ids import RowId
from postrider.kit.record import record

CURRENCY = "USD"  # where nobody says another


class Kind(IntEnum):
    """What a sum is of. Stored numbers: never renumber."""

    GOAL = 1  # the value of goals that were met
    ORDER = 2  # revenue


class Attribution(IntEnum):
    """Why a campaign has the credit. Stored numbers: never renumber."""

    NONE = 0
    EXPLICIT = 1
    LAST_CLICK = 2
    LAST_OPEN = 3


@record
class Goal:
    """What people are to do; `campaign_id` where it is about one campaign alone."""

    organization_id: int
    id: RowId
    name: str
    value_mils: int | None
    currency: str
    campaign_id: RowId | None
    conversions: int
    created_at: int


@record
class Conversion:
    """Somebody met a goal, or (without one) ordered."""

    organization_id: int
    id: RowId
    goal_id: RowId | None
    contact_id: RowId | None
    campaign_id: RowId | None
    attribution: Attribution
    amount_mils: int
    currency: str
    order_id: str | None
    metadata: Mapping[str, Any] | None
    occurred_at: int
    created_at: int


@record
class NewConversion:
    """What is told of a conversion; `contact_id` wins over `email`; without `campaign_id` a rule decides."""

    _: KW_ONLY
    amount_mils: int | None = None  # None: the goal's value
    currency: str | None = None  # None: the goal's, the organization's
    contact_id: RowId | None = None
    email: str | None = None
    campaign_id: RowId | None = None
    order_id: str | None = None
    occurred_at: int | None = None  # None: now
    metadata: Mapping[str, Any] | None = None
    needs_contact: bool = False  # an address that is no contact is refused


@record
class Recorded:
    """A conversion as it stands; not new: it was told before, and nothing was changed.

    `total_mils` is what its campaign has of its kind and currency by now, 0 without a campaign.
    """

    conversion: Conversion
    is_new: bool
    total_mils: int


@record
class Sum:
    """How often, and how much together."""

    times: int = 0
    amount_mils: int = 0


@record
class RevenueSpan:
    """A part of a report's time, its end not included."""

    start: int
    end: int
    sum: Sum


@record
class CampaignRevenue:
    """What one campaign brought; its name, None where it is gone."""

    campaign_id: RowId
    name: str | None
    sum: Sum


@record
class Revenue:
    """Revenue of a time: spans without gaps, their sum, and the campaigns that brought most."""

    spans: Sequence[RevenueSpan]
    total: Sum
    campaigns: Sequence[CampaignRevenue]
