"""Postrider's own JSON API, in engine words: what no dialect offers, and what a dashboard needs."""

from postrider.surfaces.console.app import SURFACE

__all__ = ["SURFACE"]
