"""`postrider doctor`: looks for what would keep this installation from working, and says what to do."""

import asyncio
import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from postrider.app import Installation
from postrider.db import lease, migrate
from postrider.db.database import Unavailable
from postrider.engine.delivery.couriers import Relay
from postrider.engine.delivery.smtp import Connection, Tls
from postrider.engine.sending.routes import Delivery
from postrider.kit.dns import Resolver
from postrider.settings import Settings

FREE_MIN_BYTES = 1024**3
FILES_MIN = 4_096
CONNECT_TIMEOUT_S = 3.0
SMTP_PORT = 25
PROBE = ("gmail-smtp-in.l.google.com", SMTP_PORT)  # a mail host that is always there


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Literal["ok", "warn", "fail"]
    subject: str
    says: str


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding after the other, as they are made."""
    for look in LOOKS:
        yield from look(settings)


def data_dir(settings: Settings) -> Iterator[Finding]:
    where = settings.data_dir.resolve()
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        (settings.data_dir / ".doctor").write_text("x")
        (settings.data_dir / ".doctor").unlink()
    except OSError as fault:
        yield Finding("fail", "data", f"{where} cannot be written: {fault.strerror}. Set POSTRIDER_DATA_DIR.")
        return
    free = shutil.disk_usage(where).free
    if free < FREE_MIN_BYTES:
        yield Finding("warn", "data", f"{where} has only {free // 1024**2} MB free")
    else:
        yield Finding("ok", "data", f"{where}, {free // 1024**3} GB free")


def store(settings: Settings) -> Iterator[Finding]:
    kind = "PostgreSQL" if settings.database_url else "SQLite"
    try:
        installation = Installation(settings)
        current = migrate.is_current(installation.db)
        workers = installation.db.read_now(lease.ping) if current else 0
        installation.db.close()
    except (Unavailable, OSError) as fault:
        yield Finding("fail", "store", f"{kind} does not answer: {str(fault).splitlines()[0]}")
        return
    if current:
        yield Finding("ok", "store", f"{kind}, {workers} workers known")
    else:
        yield Finding(
            "warn", "store", f"{kind} is empty: `postrider migrate` or `postrider serve` sets it up"
        )


def ports(settings: Settings) -> Iterator[Finding]:
    for name, host, port in (
        ("web", settings.http_host, settings.http_port),
        ("smtp", settings.smtp_host, settings.smtp_port),
        ("inbound", settings.inbound_host or settings.smtp_host, settings.inbound_port),
    ):
        if _is_listening(host, port):
            yield Finding("ok", name, f"{host}:{port} answers")
            continue
        fault = _why_not_bind(host, port)
        if fault:
            yield Finding("fail", name, f"{host}:{port} cannot be used: {fault}")
        else:
            yield Finding("ok", name, f"{host}:{port} is free")


def names(settings: Settings) -> Iterator[Finding]:
    if settings.delivery is Delivery.CAPTURE:
        yield Finding("ok", "delivery", "capture: mail is kept in the inbox, nothing leaves")
        return
    if settings.hostname.startswith("localhost"):
        yield Finding("fail", "hostname", "set POSTRIDER_HOSTNAME to this server's name in the DNS")
    else:
        yield Finding("ok", "hostname", settings.hostname)
    if not settings.public_url.startswith("https://"):
        yield Finding(
            "warn", "public url", "set POSTRIDER_PUBLIC_URL to https://…: links in mail point there"
        )
    else:
        yield Finding("ok", "public url", settings.public_url)


def relay(settings: Settings) -> Iterator[Finding]:
    if settings.delivery is not Delivery.RELAY:
        return
    try:
        found = Relay.from_url(settings.relay_url)
    except ValueError as fault:
        yield Finding("fail", "relay", f"POSTRIDER_RELAY_URL: {fault}")
        return
    failure = asyncio.run(_try_relay(found, settings.hostname))
    where = f"{found.host}:{found.port}"
    yield Finding("fail" if failure else "ok", "relay", f"{where} {failure or 'greets us'}")


def direct(settings: Settings) -> Iterator[Finding]:
    """Whether receivers can be reached, and will find who we say we are."""
    if settings.delivery is not Delivery.DIRECT:
        return
    address, says = asyncio.run(_address_of(settings))
    if address is None:
        yield Finding("fail", "hostname", f"{settings.hostname} has no address in the DNS: {says}")
    elif not says:
        yield Finding("warn", "hostname", f"{address} has no name in the DNS: receivers refuse its mail")
    elif says != settings.hostname:
        yield Finding("warn", "hostname", f"{address} is named {says}, not {settings.hostname}")
    if settings.delivery_port == SMTP_PORT and not _is_listening(*PROBE):
        yield Finding("fail", "port 25", f"{PROBE[0]} cannot be reached: many providers block port 25")
    elif settings.delivery_port == SMTP_PORT:
        yield Finding("ok", "port 25", f"{PROBE[0]} can be reached")


def resolvers(settings: Settings) -> Iterator[Finding]:
    try:
        servers = settings.resolvers
    except ValueError:
        yield Finding("fail", "dns", "POSTRIDER_DNS_SERVERS must read host:port,host:port")
        return
    answer = asyncio.run(_look_up(servers))
    if answer:
        yield Finding("warn", "dns", f"look-ups fail: {answer}. Domains cannot be verified.")
    else:
        yield Finding("ok", "dns", "look-ups are answered")


def files(settings: Settings) -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_MIN:
        yield Finding("warn", "open files", f"limited to {soft}: raise it (ulimit -n {FILES_MIN})")
    else:
        yield Finding("ok", "open files", f"limited to {soft}")
    if os.geteuid() == 0:
        yield Finding("warn", "user", "running as root: a user of its own is safer")


LOOKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    data_dir,
    store,
    ports,
    names,
    relay,
    direct,
    resolvers,
    files,
)


async def _try_relay(relay: Relay, hostname: str) -> str | None:
    opened = await Connection.open(relay.host, relay.port, hostname=hostname, tls=Tls.NEVER)
    if isinstance(opened, Connection):
        await opened.close()
        return None
    return f"does not take us: {opened.text}"


async def _address_of(settings: Settings) -> tuple[str | None, str]:
    """(address of HOSTNAME, the name that address has), or (None, why not)."""
    resolver = Resolver(settings.resolvers)
    found = await resolver.a(settings.hostname)
    if not found.records:
        return None, found.reason or found.outcome.value
    address = found.records[0]
    named = await resolver.ptr(address)
    return address, named.records[0] if named.records else ""


async def _look_up(servers: list[tuple[str, int]]) -> str | None:
    answer = await Resolver(servers).mx("example.com")
    return None if answer.is_known else answer.reason


def _is_listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _why_not_bind(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as fault:
            return fault.strerror or str(fault)
    return None
