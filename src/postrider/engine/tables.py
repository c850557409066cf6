"""Every table there is; importing this fills `db.schema.metadata`."""

from postrider.db import tables as global_tables
from postrider.db.schema import metadata
from postrider.engine.accounts import tables as accounts
from postrider.engine.audience import tables as audience
from postrider.engine.content.templates import tables as templates
from postrider.engine.deliverability import tables as deliverability
from postrider.engine.delivery import tables as delivery
from postrider.engine.domains import tables as domains
from postrider.engine.engagement import tables as engagement
from postrider.engine.insight import tables as insight
from postrider.engine.insight.account import tables as account
from postrider.engine.insight.campaigns import tables as campaigns
from postrider.engine.insight.conversions import tables as conversions
from postrider.engine.jobs import tables as jobs
from postrider.engine.journal import tables as journal
from postrider.engine.messages import tables as messages
from postrider.engine.notices import tables as notices
from postrider.engine.sending import tables as sending
from postrider.engine.suppression import tables as suppression
from postrider.engine.webhooks import tables as webhooks

__all__ = [
    "account",
    "accounts",
    "audience",
    "campaigns",
    "conversions",
    "deliverability",
    "delivery",
    "domains",
    "engagement",
    "global_tables",
    "insight",
    "jobs",
    "journal",
    "messages",
    "metadata",
    "notices",
    "sending",
    "suppression",
    "templates",
    "webhooks",
]
