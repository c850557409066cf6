"""The composition root: opens the store, lists surfaces, followers and workers. It alone sees all."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route

from postrider.db import lease, marks, migrate
from postrider.db.database import Database, Tx, Unavailable
from postrider.db.notices import Listener
from postrider.engine import insight, journal, notices, sending, webhooks
from postrider.engine.accounts import KeyKind, Keyring, Sessions
from postrider.engine.audience import follow as audience
from postrider.engine.audience import transfer
from postrider.engine.deliverability import Validator
from postrider.engine.delivery import sites
from postrider.engine.delivery.attempt import Workshop
from postrider.engine.delivery.couriers import CaptureCourier, Courier, Relay, SimulatorCourier, SmtpCourier
from postrider.engine.delivery.direct import Direct, DirectCourier
from postrider.engine.delivery.signing import Signers
from postrider.engine.engagement import Intake, Sources
from postrider.engine.journal import bounces
from postrider.engine.notices.webhooks import tell_disabled
from postrider.engine.sending import campaigns, guards
from postrider.engine.sending.bulk import KIND as EXPAND
from postrider.engine.sending.bulk import expand_page
from postrider.engine.sending.expand import KIND as RUN
from postrider.engine.sending.expand import expand
from postrider.engine.sending.routes import Delivery
from postrider.kit import clock
from postrider.kit.dns import Resolver
from postrider.kit.outgoing import Outgoing
from postrider.kit.seal import Sealer, load_or_make_master_key
from postrider.metrics import Metrics
from postrider.settings import Settings
from postrider.surfaces import console, inbox, mailerlogic, nudgecampaign, octeth, penguinmails, track
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.common.smtp import tls
from postrider.surfaces.common.smtp.options import SmtpOptions
from postrider.surfaces.common.smtp.server import SmtpServer
from postrider.surfaces.inbound import post
from postrider.surfaces.smtp.door import Door
from postrider.workers.alerts import Alerts, Place
from postrider.workers.audience import Scores, Segments, Statuses
from postrider.workers.campaigns import Campaigns
from postrider.workers.census import Censuses
from postrider.workers.deliver import Deliver
from postrider.workers.follow import Follow
from postrider.workers.guards import Guards
from postrider.workers.jobs import Jobs, sweep
from postrider.workers.loop import Loop
from postrider.workers.notify import Notify
from postrider.workers.recheck import Recheck
from postrider.workers.retention import Retention
from postrider.workers.timers import Timers, release
from postrider.workers.transfers import Transfers

ROLES = ("web", "smtp", "inbound", "deliver", "follow", "notify", "jobs", "timers")
STOP_TIMEOUT_S = 30.0
NOTIFY_STOP_S = 5.0  # posts that are cut off are made again
INBOUND_STOP_S = 5.0  # mail servers that are cut off try again, and what was taken twice counts once
SWITCH_INTERVAL_S = 0.001  # how long a busy thread keeps the writer from the interpreter

SURFACES: tuple[Surface, ...] = (
    mailerlogic.SURFACE,
    nudgecampaign.SURFACE,
    octeth.SURFACE,
    penguinmails.SURFACE,
    console.SURFACE,
)
KEY_KINDS: tuple[KeyKind, ...] = tuple(kind for surface in SURFACES for kind in surface.keys)
FORMATS: webhooks.Formats = {each.webhooks.name: each.webhooks for each in SURFACES if each.webhooks}
FOLLOWERS: tuple[journal.Follower, ...] = (
    journal.Follower("insight", insight.count),
    journal.Follower("soft-bounces", bounces.suppress_soft),
    guards.follower,
    audience.follower,
    webhooks.follower(FORMATS),
)

_log = structlog.get_logger("postrider")


class AlreadyRunning(Exception):
    """Another process serves this DATA_DIR."""


class WrongMasterKey(Exception):
    """Another master key has sealed what this store holds."""


class Installation:
    """What every command needs: settings, store, seals. Made anew in an empty DATA_DIR."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.folder = transfer.Folder(settings.transfers_folder)
        self.sealer = Sealer(load_or_make_master_key(settings.data_dir / "master.key"))
        self.db = Database(settings.store_url)
        self.routes = sending.Routes(
            settings.delivery,
            settings.site_connections,
            settings.relay_connections,
            slots_of=sites.slots_of,
            connections_to=sites.connections_of,
        )
        self.letterhead = notices.Letterhead(settings.notices_mailbox, settings.base_url, self.routes)

    def migrate(self) -> None:
        """Raises WrongMasterKey: with another key every secret in the store would be lost, unnoticed."""
        migrate.upgrade(self.db)
        ours = self.sealer.fingerprint
        if self.db.write_now(marks.remember, "master_key", ours) != ours:
            raise WrongMasterKey(
                f"{self.settings.data_dir / 'master.key'} is not the key of this store: all nodes share one, "
                "so copy the file from the node that made it"
            )


class Node:
    """One running process of the installation: `start`, then `stop`."""

    def __init__(self, settings: Settings, roles: Sequence[str] = ROLES) -> None:
        self.settings = settings
        self.roles = roles
        self._lock = _lock_node(settings.data_dir)
        self.installation = Installation(settings)
        self.db = self.installation.db
        self.metrics = Metrics()
        self.worker = lease.Worker(f"{secrets.token_hex(6)}-{os.getpid()}", _node_name(settings.data_dir))
        self.signers = Signers()
        self.resolver = Resolver(settings.resolvers)  # one cache for checks and deliveries
        self.validator = Validator(self.resolver)
        self.outgoing = Outgoing(self.resolver, allow_private=settings.webhook_allow_private)
        self.lost = asyncio.Event()  # our lease has ended: stop, others hold our work
        self._tasks: list[asyncio.Task[None]] = []
        self._loops: list[Loop] = []
        self._stops: list[Callable[[], Awaitable[None]]] = []  # run in reverse order
        self._listener: Listener | None = None
        self.http_port = 0
        self.smtp_port = 0
        self.inbound_port = 0

    async def start(self) -> None:
        """Migrate, take over what an earlier process of this node left, and begin every role."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        await asyncio.to_thread(self.installation.migrate)
        freed = await self.db.write(self._enter)
        if freed:
            _log.info("took_over", messages=freed)
        self.keyring = Keyring(self.db, self.installation.sealer)
        self.sessions = Sessions(self.db, self.installation.sealer)
        self.intake = Intake(self.db)
        self.sender = sending.Sender(
            self.db, self.installation.routes, self._accepted, lambda: self.jobs.loop.wake()
        )
        self.deliver = self._make_deliver()
        self.follow = Follow(self.db, self.worker.id, FOLLOWERS, self._sources())
        self.jobs = self._make_jobs()
        self.notify = Notify(
            self.db,
            self.worker.id,
            FORMATS,
            self.outgoing,
            self.installation.sealer,
            self.metrics.posted,
            partial(tell_disabled, self.installation.letterhead),
        )
        self.transfers = Transfers(self.db, self.worker.id, self.installation.folder)
        self.timers = Timers(self.db, self.worker, self.keyring, self.lost.set)
        self._run(self.timers.loop)
        if not self.db.is_sqlite:
            self._listener = Listener(self.db, self._wake)
        for role, loop in self._roles():
            if role in self.roles:
                self._run(loop)
        if "smtp" in self.roles:
            await self._start_smtp()
        if "inbound" in self.roles:
            await self._start_inbound()
        if "web" in self.roles:
            await self._start_web()

    def _roles(self) -> list[tuple[str, Loop]]:
        """Every worker with the role it belongs to."""
        settings, installation = self.settings, self.installation
        letterhead = installation.letterhead
        return [
            ("follow", self.follow.loop),
            ("follow", Statuses(self.db).loop),
            ("timers", Scores(self.db).loop),
            ("timers", Censuses(self.db).loop),
            ("timers", Segments(self.db).loop),
            ("notify", self.notify.loop),
            ("jobs", self.jobs.loop),
            ("jobs", self.transfers.loop),
            ("deliver", self.deliver.loop),
            ("timers", Retention(self.db, body_kept_ms=settings.body_retention_days * clock.DAY).loop),
            ("timers", Recheck(self.db, self.resolver, settings.hostname).loop),
            ("timers", Guards(self.db, letterhead).loop),
            ("timers", Campaigns(self.db, installation.routes, letterhead, self._wake).loop),
            ("timers", self._make_alerts().loop),
        ]

    async def stop(self) -> None:
        """Refuse new work, finish what is in flight, give back the rest."""
        for stop in reversed(self._stops):
            await stop()
        for loop in self._loops:
            loop.stop()
        await asyncio.gather(*self._tasks)
        await self.sender.drain()
        await self.intake.drain(STOP_TIMEOUT_S)
        try:
            await self.notify.finish(NOTIFY_STOP_S)
            await self.deliver.finish(STOP_TIMEOUT_S)
            await self.db.write(self._leave)
        except Unavailable as lost:  # the next start of this node, or the others, free what we held
            _log.warning("left_without_word", reason=str(lost))
        if self._listener is not None:
            await asyncio.to_thread(self._listener.stop)
        await self.outgoing.close()
        self.signers.close()
        self.db.close()
        self._lock.close()

    def services(self) -> Services:
        settings = self.settings
        return Services(
            db=self.db,
            sealer=self.installation.sealer,
            keyring=self.keyring,
            sessions=self.sessions,
            sender=self.sender,
            letterhead=self.installation.letterhead,
            intake=self.intake,
            resolver=self.resolver,
            validator=self.validator,
            outgoing=self.outgoing,
            folder=self.installation.folder,
            import_max_bytes=settings.import_max_bytes,
            base_url=settings.base_url,
            hostname=settings.hostname,
            smtp_port=self.smtp_port or settings.smtp_port,
            is_capture=settings.delivery is Delivery.CAPTURE,
            is_local=settings.http_host in ("127.0.0.1", "::1", "localhost"),
            wake=self._wake,
        )

    def _sources(self) -> Sources:
        settings = self.settings
        return Sources.load(ranges_file=settings.scanner_ranges, geoip_file=settings.geoip_file)

    def _make_jobs(self) -> Jobs:
        routes = self.installation.routes
        return Jobs(
            self.db,
            self.worker.id,
            {EXPAND: lambda tx, job: expand_page(tx, job, routes)},
            self._wake,
            {
                RUN: partial(expand, routes=routes),
                campaigns.REQUEUE: partial(sweep, step=campaigns.requeue),
                campaigns.CALL_OFF: partial(sweep, step=campaigns.call_off),
            },
        )

    def _make_deliver(self) -> Deliver:
        settings = self.settings
        workshop = Workshop(self.installation.sealer, self.signers, settings.base_url, settings.hostname)
        relay = Relay.from_url(settings.relay_url) if settings.relay_url else None
        context = relay.context() if relay is not None else None
        direct = Direct(
            settings.hostname,
            self.resolver,
            port=settings.delivery_port,
            allow_private=settings.delivery_allow_private,
        )

        def courier(site: str) -> Courier:
            if site == "capture":
                return CaptureCourier()
            if site.startswith(sites.PREFIX):
                return DirectCourier(direct, site)
            if site == "relay" and relay is not None and context is not None:
                return SmtpCourier(relay, settings.hostname, context)
            return SimulatorCourier()

        return Deliver(
            self.db,
            self.worker.id,
            workshop,
            courier,
            self.installation.routes,
            self.metrics.observe,
            self.follow_soon,
        )

    def _make_alerts(self) -> Alerts:
        settings = self.settings
        place = Place(
            node=f"{socket.gethostname()} {settings.data_dir.resolve()}",
            hostname=settings.hostname,
            data_dir=settings.data_dir,
            certificate=self._certificate().certificate if {"smtp", "inbound"} & set(self.roles) else None,
            blocklists=settings.blocklist_zones,
        )
        return Alerts(self.db, self.installation.letterhead, self.resolver, place)

    def follow_soon(self) -> None:
        self.follow.loop.wake()

    def _accepted(self, count: int) -> None:
        self.metrics.accepted.inc(count)
        self._wake()

    def _wake(self) -> None:
        self.deliver.loop.wake()
        self.follow.loop.wake()

    def _run(self, loop: Loop) -> None:
        self._loops.append(loop)
        self._tasks.append(asyncio.get_running_loop().create_task(loop.run(), name=loop.name))

    def _enter(self, tx: Tx) -> int:
        journal.add_shards(tx, journal.SHARDS)
        return release(tx, lease.register(tx, self.worker, ",".join(self.roles)))

    def _leave(self, tx: Tx) -> None:
        lease.leave(tx, self.worker)
        release(tx, [self.worker.id])

    async def _start_smtp(self) -> None:
        settings = self.settings
        door = Door(self.services(), settings.trusted_networks)
        options = SmtpOptions(hostname=settings.hostname)
        server = SmtpServer(door, options, tls.server_context(self._certificate()))
        self.smtp_port = await server.start(settings.smtp_host, settings.smtp_port)
        self._stops.append(lambda: server.stop(STOP_TIMEOUT_S))

    async def _start_inbound(self) -> None:
        settings = self.settings
        backend = post.Post(self.services(), self.metrics.came_back)
        options = post.options(settings.hostname)
        host = settings.inbound_host or settings.smtp_host
        server = SmtpServer(backend, options, tls.server_context(self._certificate()))
        self.inbound_port = await server.start(host, settings.inbound_port)
        self._stops.append(lambda: server.stop(INBOUND_STOP_S))

    def _certificate(self) -> tls.CertificateFiles:
        settings = self.settings
        if settings.smtp_certificate:
            return tls.CertificateFiles(Path(settings.smtp_certificate), Path(settings.smtp_certificate_key))
        return tls.ensure_self_signed(settings.data_dir, settings.hostname)

    async def _start_web(self) -> None:
        settings = self.settings
        config = uvicorn.Config(
            web(self),
            host=settings.http_host,
            port=settings.http_port,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(STOP_TIMEOUT_S),
        )
        server = _Server(config)
        task = asyncio.get_running_loop().create_task(server.serve(), name="web")
        ready = asyncio.get_running_loop().create_task(server.ready.wait())
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if not server.started:  # the port is taken: say so
            ready.cancel()
            await task
        self.http_port = server.servers[0].sockets[0].getsockname()[1]

        async def stop() -> None:
            server.should_exit = True
            await task

        self._stops.append(stop)


class _Server(uvicorn.Server):
    """uvicorn inside our own loop: signals are ours, and we are told when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # as uvicorn declares it
        yield


def web(node: Node) -> Starlette:
    """Every HTTP surface: at /name, and a dialect at the root of its Host names."""
    services = node.services()
    made = [(surface, surface.make(services)) for surface in SURFACES]

    async def healthz(request: Request) -> Response:
        """200 when ready: the store answers."""
        await node.db.read(_ping)
        return PlainTextResponse("ok\n")

    async def metrics(request: Request) -> Response:
        node.metrics.held.set(node.deliver.held)
        node.metrics.lost_hits.set(node.intake.lost)
        text = await node.db.read(node.metrics.ask)
        return Response(text, media_type="text/plain; version=0.0.4")

    routes: list[BaseRoute] = [
        Mount("/track", track.make(services)),
        *(Host(host, app) for surface, app in made for host in surface.hosts),
        *(Mount(f"/{surface.name}", app) for surface, app in made),
        Mount("/inbox", inbox.make(services, SURFACES)),
        Route("/healthz", healthz),
        Route("/metrics", metrics),
        Route("/", inbox.landing(services, SURFACES)),
    ]
    return Starlette(routes=routes, exception_handlers={Unavailable: _unavailable})


async def _unavailable(request: Request, lost: Exception) -> Response:
    return PlainTextResponse("store unavailable\n", 503)


def _ping(tx: Tx) -> int:
    return lease.ping(tx)


def _node_name(data_dir: Path) -> str:
    """This DATA_DIR's name among the nodes of an installation, made once."""
    path = data_dir / "node"
    if not path.exists():
        path.write_text(secrets.token_hex(8) + "\n")
    return path.read_text().strip()


def _lock_node(data_dir: Path) -> IO[str]:
    """Hold DATA_DIR against a second process; raises AlreadyRunning."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = (data_dir / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunning(f"another postrider serves {data_dir.resolve()}") from None
    return file
