"""/track/f/{form}: somebody asks for mail; /track/confirm/{token}: the address's owner says yes.

Either is asked on GET and done on POST, since programs follow every link of a mail. A form answers everybody
alike: who is on a list is told to nobody who types an address.
"""

from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from postrider.engine.audience import privacy
from postrider.engine.audience.model import ContactInput
from postrider.engine.audience.privacy import Form, Use, Visitor, tokens
from postrider.engine.errors import Invalid, NotAllowedNow
from postrider.kit import clock
from postrider.kit.recent import Recent
from postrider.surfaces.common.body import read_body
from postrider.surfaces.common.optin import ask
from postrider.surfaces.common.services import Services
from postrider.surfaces.track.render import page

FORM_MAX_BYTES = 4_096
SIGN_UPS_MAX = 10  # of one form, from one client address, within SIGN_UPS_MS
SIGN_UPS_MS = clock.HOUR
BAIT = "website"  # a field that people do not see, and programs fill in
_BAD = "Please enter your email address."


class Confirm:
    """A link counts once; what was said since stands."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Response:
        db = self._services.db
        token = tokens.read(self._services.sealer, Use.CONFIRM, request.path_params["token"])
        contact = None if token is None else await db.read(privacy.asked_of, token)
        if token is None or contact is None:
            return page("unknown.html", status=404)
        sender, color = await db.read(privacy.sender_of, token.organization_id)
        if request.method == "POST":
            try:
                contact = await db.write_first(privacy.confirm, token, _visitor(request)) or contact
            except NotAllowedNow:
                return page("unknown.html", status=404)
        name = "confirmed.html" if privacy.is_confirmed(contact, token) else "confirm.html"
        return page(name, sender=sender, color=color, recipient=contact.email)


class SignUp:
    """Whoever signs up is asked by mail: always, for an address that is typed proves nothing.

    So that nobody has strangers mailed by the hundred, a client address may do it SIGN_UPS_MAX times an hour.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sign_ups = Recent(SIGN_UPS_MS)

    async def __call__(self, request: Request) -> Response:
        token = tokens.read(self._services.sealer, Use.FORM, request.path_params["token"])
        form = None if token is None else await self._services.db.read(privacy.form_of, token)
        if token is None or form is None:
            return page("unknown.html", status=404)
        if request.method != "POST":
            return _shown(form)
        raw = (await read_body(request, FORM_MAX_BYTES)).decode("utf-8", "replace")
        said = {name: values[0].strip() for name, values in parse_qs(raw).items()}
        if not said.get(BAIT):
            given = ContactInput(email=said.get("email", ""), name=said.get("name") or None)
            visitor, services = _visitor(request), self._services
            key = token.organization_id, token.list_id, visitor.ip_address
            if wait_ms := self._sign_ups.wait_ms(key, SIGN_UPS_MAX):
                return _too_many(form, wait_ms)
            self._sign_ups.add(key, kept=SIGN_UPS_MAX)

            def write(tx: Any) -> None:
                contact = privacy.sign_up(tx, token, given, visitor)
                ask(services, tx, contact, sender=form.sender, list_id=token.list_id)

            try:
                await services.db.write_first(write)
            except Invalid:
                return _shown(form, fault=_BAD, email=given.email)
            services.wake()
        return page("mailed.html", sender=form.sender, color=form.color)


def _shown(form: Form, *, fault: str = "", email: str = "") -> Response:
    return page(
        "signup.html",
        status=400 if fault else 200,
        sender=form.sender,
        color=form.color,
        list=form.list.name,
        fault=fault,
        email=email,
    )


def _too_many(form: Form, wait_ms: int) -> Response:
    minutes = wait_ms // clock.MINUTE + 1
    answer = page("toomany.html", status=429, sender=form.sender, color=form.color, minutes=minutes)
    answer.headers["Retry-After"] = str(wait_ms // clock.SECOND + 1)
    return answer


def _visitor(request: Request) -> Visitor:
    agent = request.headers.get("user-agent", "").replace("\x00", "")
    return Visitor(request.client.host if request.client else "", agent)
