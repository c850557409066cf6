"""/track/p/{token}: the lists a recipient is on, a pause, and a way out of all; the token is a message's."""

from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine.audience import privacy
from postrider.engine.audience.privacy import PAUSES_DAYS
from postrider.engine.audience.privacy import Preferences as Found
from postrider.kit import clock
from postrider.surfaces.common.body import read_body
from postrider.surfaces.common.services import Services
from postrider.surfaces.track.render import page

FORM_MAX_BYTES = 16_384
_DAYS = {str(days): days for days in PAUSES_DAYS}


class Preferences:
    """GET and HEAD change nothing."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Response:
        db = self._services.db
        known = self._services.sealer.read_message_token(request.path_params["token"])
        found = None if known is None else await db.read(privacy.preferences_of, *known)
        if known is None or found is None:
            return page("unknown.html", status=404)
        if request.method != "POST":
            return _shown(found)
        said = parse_qs((await read_body(request, FORM_MAX_BYTES)).decode("utf-8", "replace"))
        action, chosen = said.get("action"), set(said.get("list", ()))
        days = _DAYS.get(said.get("days", [""])[0])

        def write(tx: Any) -> Found | None:
            fresh = privacy.preferences_of(tx, *known)
            if fresh is None:
                return None
            match action:
                case ["leave"]:
                    privacy.leave_all(tx, fresh)
                case ["choose"] if not fresh.is_out:
                    privacy.choose(tx, fresh, {each.id for each in fresh.lists if each.id.hex() in chosen})
                case ["pause"] if days is not None:
                    privacy.pause(tx, fresh, days)
                case ["resume"]:
                    privacy.resume(tx, fresh)
            return privacy.preferences_of(tx, *known)

        saved = await db.write_first(write)
        return _shown(saved or found, saved="yes")


def _shown(found: Found, *, saved: str = "") -> Response:
    return page(
        "preferences.html",
        sender=found.sender,
        color=found.color,
        recipient=found.contact.email,
        lists=found.lists,
        chosen=found.contact.lists,
        is_out=found.is_out,
        may_pause=found.may_pause,
        paused_until=found.paused_until and f"{clock.to_datetime(found.paused_until):%-d %B %Y}",
        pauses_days=PAUSES_DAYS,
        saved=saved,
    )
