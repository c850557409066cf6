"""Public endpoints in mail: pixel, click, unsubscribe."""

from postrider.surfaces.track.app import make

__all__ = ["make"]
