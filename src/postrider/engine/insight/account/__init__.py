"""An account as a whole: its days, what its mail is read with and where, how its audience grows."""

from postrider.engine.insight.account.censuses import Count, begin, census, go_on, is_large, keep, taken_at
from postrider.engine.insight.account.model import (
    Census,
    Change,
    Growth,
    Mail,
    Overview,
    Trait,
    Traits,
)
from postrider.engine.insight.account.rebuild import mend
from postrider.engine.insight.account.report import growth, overview, traits

__all__ = [
    "Census",
    "Change",
    "Count",
    "Growth",
    "Mail",
    "Overview",
    "Trait",
    "Traits",
    "begin",
    "census",
    "go_on",
    "growth",
    "is_large",
    "keep",
    "mend",
    "overview",
    "taken_at",
    "traits",
]
