"""The built-in inbox: captured mail in the browser and by JSON, and the page at the root of the web server."""

from postrider.surfaces.inbox.app import make
from postrider.surfaces.inbox.landing import landing

__all__ = ["landing", "make"]
