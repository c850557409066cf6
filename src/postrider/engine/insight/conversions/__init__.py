"""Goals, conversions and revenue: told through the API, credited to the campaign that brought them about."""

from postrider.engine.insight.conversions.goals import create_goal, list_goals
from postrider.engine.insight.conversions.model import (
    Attribution,
    Conversion,
    Goal,
    Kind,
    NewConversion,
    Recorded,
    Revenue,
    Sum,
)
from postrider.engine.insight.conversions.record import record_conversion, record_order
from postrider.engine.insight.conversions.report import revenue, revenue_of, totals_of
from postrider.engine.insight.conversions.store import forget

__all__ = [
    "Attribution",
    "Conversion",
    "Goal",
    "Kind",
    "NewConversion",
    "Recorded",
    "Revenue",
    "Sum",
    "create_goal",
    "forget",
    "list_goals",
    "record_conversion",
    "record_order",
    "revenue",
    "revenue_of",
    "totals_of",
]
