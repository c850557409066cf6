"""Checks before anything is sent: content and addresses. Pure, but for counting them against the plan."""

from postrider.engine.deliverability.address import Verdict
from postrider.engine.deliverability.content import CONTENT_MAX_CHARS, Content
from postrider.engine.deliverability.quota import CHECK, READ, Kind, Quota, quota_of, spend
from postrider.engine.deliverability.rules import SPAM_WORD
from postrider.engine.deliverability.score import Issue, Score, score
from postrider.engine.deliverability.validate import BATCH_MAX, Validator

__all__ = [
    "BATCH_MAX",
    "CHECK",
    "CONTENT_MAX_CHARS",
    "READ",
    "SPAM_WORD",
    "Content",
    "Issue",
    "Kind",
    "Quota",
    "Score",
    "Validator",
    "Verdict",
    "quota_of",
    "score",
    "spend",
]
