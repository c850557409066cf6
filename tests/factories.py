"""What tests build their world from: accounts with domains, and whole nodes in this process."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from postrider.app import KEY_KINDS, Installation, Node
from postrider.db import migrate
from postrider.db.database import Database
from postrider.engine import accounts, domains
from postrider.engine.accounts import NewAccount
from postrider.engine.domains import Domain, keys
from postrider.engine.domains.model import Algorithm, NewKey
from postrider.engine.principal import Principal
from postrider.kit.ids import new_id
from postrider.kit.seal import Sealer
from postrider.settings import Settings

PASSWORD = "correct horse battery staple"
DOMAIN = "mail.example.test"


@cache
def password_hash() -> str:
    """argon2 is slow on purpose: once is enough."""
    return accounts.hash_password(PASSWORD)


@cache
def key_pair() -> tuple[bytes, str]:
    """So is an RSA key; every domain of the tests has this one, sealed for its own row."""
    return keys.make_pair(Algorithm.RSA)


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "postrider.db")
        database = Database(f"sqlite:///{path}")
        migrate.upgrade(database)
        database.close()
        return path.read_bytes()


def lay_migrated(path: Path) -> None:
    """A SQLite store with all tables and nothing in them, unless there is one: far sooner than migrating."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_migrated())


def make_account(
    db: Database, sealer: Sealer, *, email: str = "owner@example.test", plan: str = "enterprise"
) -> NewAccount:
    return db.write_now(
        accounts.create,
        name="Example Ltd",
        email=email,
        password_hash=password_hash(),
        plan=plan,
        kinds=KEY_KINDS,
        sealer=sealer,
    )


def make_domain(
    db: Database, sealer: Sealer, organization_id: int, name: str = DOMAIN, *, verified: bool = True
) -> Domain:
    (der, public), key_id = key_pair(), new_id()
    key = NewKey(key_id, Algorithm.RSA, sealer.seal(der, key_id), public)
    return db.write_now(domains.add, Principal(organization_id), name, key=key, verified=verified)


@dataclass(frozen=True)
class Running:
    """A node that runs in this process, and the account in it."""

    node: Node
    account: NewAccount
    domain: Domain

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.node.http_port}"

    @property
    def smtp_port(self) -> int:
        return self.node.smtp_port

    @property
    def database(self) -> Database:
        return self.node.db

    @property
    def sealer(self) -> Sealer:
        return self.node.installation.sealer

    @property
    def principal(self) -> Principal:
        return Principal(self.account.organization_id)


@asynccontextmanager
async def running_node(store_url: str, data_dir: Path, **settings: Any) -> AsyncIterator[Running]:
    """Start a node on free ports with an account and a verified domain; `settings` as in Settings."""
    chosen = {
        "data_dir": data_dir,
        "database_url": "" if store_url.startswith("sqlite") else store_url,
        "http_port": 0,
        "smtp_port": 0,
        "inbound_port": 0,
        "hostname": "mx.postrider.test",
        **settings,
    }
    if store_url.startswith("sqlite"):
        lay_migrated(data_dir / "postrider.db")
    configured = Settings(**chosen)
    installation = Installation(configured)
    installation.migrate()
    account = make_account(installation.db, installation.sealer)
    domain = make_domain(installation.db, installation.sealer, account.organization_id)
    installation.db.close()
    node = Node(configured)
    await node.start()
    try:
        yield Running(node, account, domain)
    finally:
        await node.stop()
