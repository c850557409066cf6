"""Counts from the journal: rollups per quarter of an hour, from which every report is summed."""

from postrider.engine.insight.follow import count
from postrider.engine.insight.model import PLATFORMS, Counts, Measure, Report, Span, Step, Who
from postrider.engine.insight.rebuild import rebuild
from postrider.engine.insight.report import report, report_streams, report_tags

__all__ = [
    "PLATFORMS",
    "Counts",
    "Measure",
    "Report",
    "Span",
    "Step",
    "Who",
    "count",
    "rebuild",
    "report",
    "report_streams",
    "report_tags",
]
