"""The inbox as a page: one template, one style sheet, one script, served from memory; and its login."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from postrider.engine import accounts, domains
from postrider.kit.seal import fingerprint
from postrider.surfaces.common.body import read_body
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.inbox import policy
from postrider.surfaces.inbox.viewer import COOKIE, SESSION_S, Viewer, session_of, viewer_of

FORM_MAX_BYTES = 4_096
EXAMPLE_DOMAIN = "your-domain.example"
KEY_HERE = "YOUR_KEY"
_FOLDER = Path(__file__).parent
_TYPES = {
    "inbox.css": "text/css; charset=utf-8",
    "inbox.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Try:
    """A line that sends a first mail."""

    title: str
    note: str
    line: str


class Pages:
    """Renders the pages of one process; `version` stands in the addresses of style sheet and script."""

    def __init__(self, services: Services, surfaces: Sequence[Surface]) -> None:
        self._services = services
        self._surfaces = surfaces
        self._files = {name: (_FOLDER / "static" / name).read_bytes() for name in _TYPES}
        self._version = fingerprint(*self._files.values()).hex()[:12]
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER / "pages"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
        )

    def routes(self) -> list[Route]:
        return [
            Route("/", self.inbox),
            Route("/login", self.login, methods=["GET", "POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/static/{name}", self.static),
        ]

    async def inbox(self, request: Request) -> Response:
        viewer = await viewer_of(self._services, request)
        return self.render(
            "inbox.html",
            root=_root(request),
            viewer=viewer,
            services=self._services,
            tries=await self._tries(viewer),
        )

    async def login(self, request: Request) -> Response:
        """A form that takes a console key; a wrong one is answered 401 with the form again."""
        root = _root(request)
        if request.method != "POST":
            return self.render("login.html", root=root, wrong=False)
        form = parse_qs((await read_body(request, FORM_MAX_BYTES)).decode("utf-8", "replace"))
        session = await session_of(self._services, (form.get("key") or [""])[0].strip())
        if session is None:
            return self.render("login.html", status=401, root=root, wrong=True)
        answer = RedirectResponse(f"{root}/", 303, policy.PRIVATE)
        is_secure = self._services.base_url.startswith("https:")
        answer.set_cookie(
            COOKIE, session, SESSION_S, path=root or "/", secure=is_secure, httponly=True, samesite="lax"
        )
        return answer

    async def logout(self, request: Request) -> Response:
        answer = RedirectResponse(f"{_root(request)}/login", 303, policy.PRIVATE)
        answer.delete_cookie(COOKIE, path=_root(request) or "/", httponly=True, samesite="lax")
        return answer

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files:
            return Response(status_code=404)
        return Response(self._files[name], headers=policy.STATIC, media_type=_TYPES[name])

    def render(self, name: str, *, status: int = 200, **facts: object) -> HTMLResponse:
        """`root` is where the inbox is mounted."""
        html = self._templates.get_template(name).render(version=self._version, **facts)
        return HTMLResponse(html, status, policy.PAGE)

    async def _tries(self, viewer: Viewer) -> list[Try]:
        services = self._services
        domain = await services.db.read(domains.first_verified, viewer.organization.id)
        name = domain.name if domain is not None else EXAMPLE_DOMAIN
        logins = await services.db.read(accounts.list_smtp, viewer.principal)
        username = next((login.username for login in logins if login.is_master), None) or "USERNAME"
        curls = [surface.curl for surface in self._surfaces if surface.curl is not None]
        tries = [
            Try("By HTTP", f"Put your key where it says {KEY_HERE}.", curl(services.base_url, KEY_HERE, name))
            for curl in curls[:1]
        ]
        host = "localhost" if services.is_local else services.hostname
        line = _SMTP.format(host=host, port=services.smtp_port, username=username, domain=name)
        return [*tries, Try("By SMTP", "curl asks for the password.", line)]


_SMTP = """printf 'From: hello@{domain}\\nTo: ann@example.com\\nSubject: My first mail\\n\\nIt works.\\n' |
curl smtp://{host}:{port} --ssl-reqd --insecure \\
  --user '{username}' --mail-from hello@{domain} --mail-rcpt ann@example.com -T -"""


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
