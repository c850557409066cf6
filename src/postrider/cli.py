"""Every command. Heavy modules are imported inside the commands, so that --help is quick."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from postrider.app import Installation
    from postrider.settings import Settings

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Postrider: an email platform in one program."
)
account_app = typer.Typer(no_args_is_help=True, help="Accounts of this installation.")
domain_app = typer.Typer(no_args_is_help=True, help="Sending domains.")
rollups_app = typer.Typer(no_args_is_help=True, help="The counts that reports are made of.")
app.add_typer(account_app, name="account")
app.add_typer(domain_app, name="domain")
app.add_typer(rollups_app, name="rollups")


@app.command()
def serve(
    roles: Annotated[str, typer.Option(help="Comma separated; all by default.")] = "",
) -> None:
    """Run this node until SIGTERM or Ctrl-C."""
    from postrider.run import run_node

    run_node(_settings(), roles)


@app.command()
def start() -> None:
    """What `make run` does: a first account where there is none, then serve, saying what to try."""
    from postrider.run import run_node
    from postrider.welcome import ensure_first_account, print_welcome

    settings = _settings()
    account = ensure_first_account(settings)
    run_node(settings, "", on_ready=lambda: print_welcome(settings, account))


@app.command()
def migrate() -> None:
    """Bring the store to this program's revision."""
    _installation().migrate()
    typer.echo("The store is up to date.")


@account_app.command("create")
def account_create(
    name: Annotated[str, typer.Option(help="The organization's name.")],
    email: Annotated[str, typer.Option(help="Its owner's address, also the master SMTP username.")],
    password: Annotated[str, typer.Option(help="Its owner's password.")],
    plan: Annotated[str, typer.Option(help="free, starter, growth, professional or enterprise.")] = "free",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """An organization with its owner, its sandbox, and a key for every dialect."""
    from postrider.app import KEY_KINDS
    from postrider.engine import accounts

    installation = _installation()
    installation.migrate()
    made = _or_fail(
        lambda: installation.db.write_now(
            accounts.create,
            name=name,
            email=email,
            password_hash=accounts.hash_password(password),
            plan=plan,
            kinds=KEY_KINDS,
            sealer=installation.sealer,
        )
    )
    facts = {
        "organization_id": made.organization_id,
        "sandbox_organization_id": made.sandbox_id,
        "user_id": made.user_id.hex(),
        "keys": made.keys,
        "smtp": {"username": made.smtp_username, "password": made.smtp_password},
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"Organization {made.organization_id}: {name}")
    for kind, key in made.keys.items():
        typer.echo(f"  {kind:18} {key}")
    typer.echo(f"  {'smtp':18} {made.smtp_username}  {made.smtp_password}")
    typer.echo("These are shown once.")


@domain_app.command("add")
def domain_add(
    name: str,
    org: Annotated[int, typer.Option(help="The organization's id.")],
    verified: Annotated[
        bool, typer.Option("--verified", help="Vouch for it: no DNS check is asked for.")
    ] = False,
) -> None:
    """A sending domain, with the DNS records to publish."""
    from postrider.engine import domains
    from postrider.engine.domains.keys import generate
    from postrider.engine.principal import Principal

    installation = _installation()
    installation.migrate()
    principal = Principal(org)
    key = generate(installation.sealer)
    domain = _or_fail(
        lambda: installation.db.write_now(domains.add, principal, name, key=key, verified=verified)
    )
    keys = installation.db.read_now(domains.keys_of, principal, domain.id)
    typer.echo(f"{domain.name}: {domain.status}. Publish in DNS:")
    for record in domains.records(domain, keys, installation.settings.hostname):
        typer.echo(f"  {record.type:6}{record.name}  {record.value}")


@rollups_app.command("rebuild")
def rollups_rebuild() -> None:
    """Count anew what the journal still holds and correct the rest; nodes may run meanwhile."""
    from postrider.engine import insight

    installation = _installation()
    installation.migrate()
    typer.echo(f"Rows corrected: {insight.rebuild(installation.db)}")


@app.command()
def doctor() -> None:
    """Look for what would keep this installation from working, and say what to do."""
    from postrider.doctor import examine

    failed = False
    for finding in examine(_settings()):
        typer.echo(f"{finding.verdict:5} {finding.subject}: {finding.says}")
        failed = failed or finding.verdict == "fail"
    raise typer.Exit(1 if failed else 0)


def _settings() -> "Settings":
    from pydantic import ValidationError

    from postrider.settings import load

    try:
        return load()
    except ValidationError as fault:
        for error in fault.errors():
            where = "POSTRIDER_" + "_".join(str(part) for part in error["loc"]).upper()
            typer.echo(f"{where}: {error['msg']}", err=True)
        raise typer.Exit(2) from None


def _installation() -> "Installation":
    from postrider.app import Installation

    return Installation(_settings())


def _or_fail(run: Callable[[], T]) -> T:
    """The engine's refusals as one line on standard error."""
    from postrider.engine.errors import EngineError

    try:
        return run()
    except EngineError as refusal:
        typer.echo(refusal.sentence, err=True)
        raise typer.Exit(1) from None
