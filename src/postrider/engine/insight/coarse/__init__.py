"""Sums of rollups by whole hours and days, per domain and over all of them: what long reports read."""

from postrider.engine.insight.coarse.pieces import STEPS, TAG_STEPS, Piece, pieces_of
from postrider.engine.insight.coarse.rebuild import mend
from postrider.engine.insight.coarse.store import add, sums, tag_sums, top_tags

__all__ = [
    "STEPS",
    "TAG_STEPS",
    "Piece",
    "add",
    "mend",
    "pieces_of",
    "sums",
    "tag_sums",
    "top_tags",
]
