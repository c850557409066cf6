"""The first minute: a first account where there is none, and lines to paste that work."""

import json
from dataclasses import asdict, dataclass

from rich.console import Console

from postrider.app import KEY_KINDS, SURFACES, Installation
from postrider.engine import accounts, domains
from postrider.engine.domains.keys import generate
from postrider.engine.principal import Principal
from postrider.kit.ids import random_text
from postrider.settings import Settings

EMAIL = "owner@example.test"
DOMAIN = "mail.example.test"
FILE = "first-account.json"


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """What `make run` prints; kept in DATA_DIR with mode 600 so that the next run can print it again."""

    organization_id: int
    domain: str
    keys: dict[str, str]
    smtp_username: str
    smtp_password: str
    password: str


def ensure_first_account(settings: Settings) -> FirstAccount:
    path = settings.data_dir / FILE
    if path.exists():
        return FirstAccount(**json.loads(path.read_text()))
    installation = Installation(settings)
    installation.migrate()
    password = random_text(16)
    made = installation.db.write_now(
        accounts.create,
        name="My organization",
        email=EMAIL,
        password_hash=accounts.hash_password(password),
        plan="enterprise",
        kinds=KEY_KINDS,
        sealer=installation.sealer,
    )
    key = generate(installation.sealer)
    principal = Principal(made.organization_id)
    domain = installation.db.write_now(domains.add, principal, DOMAIN, key=key, verified=True)
    of_domain = installation.db.write_now(
        accounts.create_domain_keys, principal, domain.id, KEY_KINDS, installation.sealer
    )
    installation.db.close()
    account = FirstAccount(
        made.organization_id, DOMAIN, made.keys | of_domain, made.smtp_username, made.smtp_password, password
    )
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(account)))
    return account


def print_welcome(settings: Settings, account: FirstAccount) -> None:
    """Where things are, the account, and one line for each dialect."""
    console = Console(highlight=False, soft_wrap=True)
    base = settings.base_url
    where = "captured in the inbox, nothing leaves this machine"
    console.print()
    console.print("[bold]Postrider is running.[/bold]")
    console.print(f"  Inbox     {base}/inbox")
    console.print(f"  Console   {base}/console/v1")
    console.print(
        f"  SMTP      localhost:{settings.smtp_port}  {account.smtp_username}  {account.smtp_password}"
    )
    console.print(f"  Data      {settings.data_dir.resolve()}")
    if settings.delivery == "capture":
        console.print(f"  Delivery  {where}")
    console.print()
    console.print(f"[bold]Organization {account.organization_id}[/bold], sending domain {account.domain}")
    for name, key in account.keys.items():
        console.print(f"  {name:18} {key}")
    console.print()
    console.print("[bold]Try it[/bold] (then look at the inbox)")
    for surface in SURFACES:
        if surface.curl is not None:
            console.print()
            key = account.keys[surface.curl_key or surface.name]
            console.print(surface.curl(base, key, account.domain), markup=False)
    console.print()
