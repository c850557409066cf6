"""The built-in inbox: captured mail in the browser and by JSON; and the web server's root page."""

from postrider.surfaces.inbox.app import make
from postrider.surfaces.inbox.landing import landing

__all__ = ["landing", "make"]
