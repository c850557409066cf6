"""What became of every send to many: counts, times, links and recipients of one campaign of any kind."""

from postrider.engine.insight.campaigns.model import (
    CampaignReport,
    End,
    Grain,
    LinkReport,
    Listed,
    MeanRates,
    Recipient,
    Seen,
    Standing,
    sent_of,
)
from postrider.engine.insight.campaigns.recipients import recipients
from postrider.engine.insight.campaigns.report import (
    by_variant,
    counts_of,
    links,
    mean_rates,
    report,
    report_between,
    timeline,
)

__all__ = [
    "CampaignReport",
    "End",
    "Grain",
    "LinkReport",
    "Listed",
    "MeanRates",
    "Recipient",
    "Seen",
    "Standing",
    "by_variant",
    "counts_of",
    "links",
    "mean_rates",
    "recipients",
    "report",
    "report_between",
    "sent_of",
    "timeline",
]
