"""What a surface may call. One object for the process, filled by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from postrider.db.database import Database, Unavailable
from postrider.engine.accounts import KeyKind, Keyring, Sessions
from postrider.engine.audience.transfer import Folder
from postrider.engine.deliverability import Validator
from postrider.engine.engagement import Intake
from postrider.engine.notices import Letterhead
from postrider.engine.sending import Sender
from postrider.engine.webhooks import Format
from postrider.kit.dns import Resolver
from postrider.kit.outgoing import Outgoing
from postrider.kit.seal import Sealer

__all__ = ["Services", "Surface", "Unavailable"]


@dataclass(frozen=True, slots=True)
class Services:
    """The engine's doors and the few facts of the installation that answers show."""

    db: Database
    sealer: Sealer
    keyring: Keyring
    sessions: Sessions
    sender: Sender
    letterhead: Letterhead  # of mail that the platform itself writes
    intake: Intake
    resolver: Resolver
    validator: Validator  # of addresses, by the same resolver
    outgoing: Outgoing  # HTTP to addresses that customers name
    folder: Folder  # of files that are imported and exported
    import_max_bytes: int
    base_url: str  # of the web server, no slash at the end
    hostname: str
    smtp_port: int
    is_capture: bool  # mail is kept in the inbox instead of sent
    is_local: bool  # the web server listens on this machine only
    wake: Callable[[], None] = field(default=lambda: None)  # mail was put back on its lane


@dataclass(frozen=True, slots=True)
class Surface:
    """An HTTP surface as the composition root mounts it: at /name, and at the root of its Host names."""

    name: str
    make: Callable[[Services], ASGIApp]
    keys: tuple[KeyKind, ...] = ()
    hosts: tuple[str, ...] = ()
    curl: Callable[[str, str, str], str] | None = None  # (base_url, key, sending domain) -> a line that works
    webhooks: Format | None = None  # how its webhooks are worded
    curl_key: str = ""  # which of `keys` that line uses; the surface's own name where it is empty
