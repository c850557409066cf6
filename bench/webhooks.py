"""Posts to a receiver in a process of its own: how many a second, how late, and what sending feels of them.

The worker's own pace is measured in this process, on deliveries that wait for the webhooks of one
organization and of a hundred. Then `serve` as shipped relays to the test sink: mails at 200 a second, and how
long posts were due meanwhile; and mails as fast as they are taken, with a webhook and without.
"""

import argparse
import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import uvloop
from aiohttp import web
from tests.sink.client import Sink

from bench import follow, load, mail, processes, report
from bench.postrider_server import API, Server
from bench.report import Options, Sample, Verdict
from postrider.app import FOLLOWERS, FORMATS
from postrider.db import migrate
from postrider.db.database import Database
from postrider.engine import journal
from postrider.engine.journal import EventKind
from postrider.engine.journal.follow import Dispatch
from postrider.kit.dns import Resolver
from postrider.kit.outgoing import Outgoing
from postrider.workers.notify import Notify

MAILS = 10_000
PACED_PER_S = 200
PACED_S = 15
CONNECTIONS = 16
POSTS_PER_S = 1_000
LAG_S = 1.0
SLOWED_PERCENT = 10
TIMEOUT_S = 180.0
SETTINGS = {"POSTRIDER_WEBHOOK_ALLOW_PRIVATE": "true"}
ORGANIZATIONS = 100
KINDS = (EventKind.DELIVERED,)
ONE, MANY = "one webhook", "one webhook in each of a hundred organizations"
WITH, WITHOUT = "sending with a webhook", "sending without"


def run(options: Options) -> list[Verdict]:
    count = options.count(MAILS)
    contenders: dict[str, Callable[[], Sample]] = {
        ONE: lambda: pace(count, 1),
        MANY: lambda: pace(count, ORGANIZATIONS),
        WITHOUT: lambda: without(count),
        WITH: lambda: measure(count, options.count(PACED_S * 10) / 10),
    }
    results = report.interleave(contenders, options.runs)
    report.print_medians(results)
    kept = report.ratio(results, WITH, WITHOUT, "delivered/s") * 100
    return [
        *(
            report.at_least(f"posts: {name}", POSTS_PER_S, report.median(results, name, "posts/s"), "/s")
            for name in (ONE, MANY)
        ),
        report.at_most(
            f"lag at {PACED_PER_S} events/s, worst second", LAG_S, report.median(results, WITH, "lag s"), "s"
        ),
        report.at_least("sending at full speed beside its webhooks", 100 - SLOWED_PERCENT, kept, "%"),
    ]


def without(count: int) -> Sample:
    with Sink() as sink, Server(sink.port, settings=SETTINGS) as server:
        return {"delivered/s": _full_speed(server, sink, count)}


def measure(count: int, paced_s: float) -> Sample:
    with Sink() as sink, Server(sink.port, settings=SETTINGS) as server, _receiver() as port:
        new = {"url": f"http://127.0.0.1:{port}/hook", "events": ["email.delivered"]}
        server.call("POST", f"{API}/customer/webhooks", new)
        lag_s = _paced(server, port, paced_s)
        before = _posts(port)
        started = time.monotonic()
        delivered_per_s = _full_speed(server, sink, count, already=before)
        processes.wait_until(lambda: _posts(port) >= before + count, "posts", timeout_s=TIMEOUT_S)
        posted_s = time.monotonic() - started
        return {
            "delivered/s": delivered_per_s,
            "posts/s beside": count / posted_s,
            "lag s": lag_s,
        }


def _paced(server: Server, port: int, seconds: float) -> float:
    """The highest lag that /metrics told of, asked twice a second while events came at the pace."""
    worst = 0.0
    for _ in range(int(seconds * 2)):
        started = time.monotonic()
        load.http(server.http_port, mail.sends(server.key, PACED_PER_S // 2), CONNECTIONS)
        worst = max(worst, server.metric("postrider_webhook_lag_seconds"))
        time.sleep(max(0.0, 0.5 - (time.monotonic() - started)))
    sent = int(seconds * 2) * (PACED_PER_S // 2)
    ended = time.monotonic()
    processes.wait_until(lambda: _posts(port) >= sent, "posts", timeout_s=TIMEOUT_S)
    return max(worst, time.monotonic() - ended)


def _full_speed(server: Server, sink: Sink, count: int, already: int = 0) -> float:
    started = time.monotonic()
    load.http(server.http_port, mail.sends(server.key, count), CONNECTIONS)
    sink.wait_for(already + count, timeout_s=TIMEOUT_S)
    return count / (time.monotonic() - started)


def pace(count: int, organizations: int) -> Sample:
    """Posts a second of what waits, while nothing else is done; and their CPU, the receiver's not counted."""
    with TemporaryDirectory() as folder, _receiver() as port:
        db = Database(f"sqlite:///{folder}/postrider.db")
        try:
            migrate.upgrade(db)
            db.write_now(journal.add_shards, journal.SHARDS)
            follow.fill(db, organizations, count, f"http://127.0.0.1:{port}/hook", KINDS)
            return uvloop.run(_pace(db, count))
        finally:
            db.close()


async def _pace(db: Database, count: int) -> Sample:
    dispatch = Dispatch(db, FOLLOWERS, follow.OWNER)
    while await dispatch.once():
        pass
    outgoing = Outgoing(Resolver(), allow_private=True)
    worker = Notify(db, follow.OWNER, FORMATS, outgoing, follow.SEALER)
    started, cpu = time.monotonic(), time.process_time()
    while follow.count(db, "webhook_queue"):
        if not await worker.once():
            await asyncio.sleep(0.001)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    await worker.finish(10)
    await outgoing.close()
    posted = follow.count(db, "webhook_attempts")
    if posted != count:
        raise AssertionError(f"{posted} of {count} posts")
    return {"posts/s": count / seconds, "CPU us/post": cpu / count * 1e6}


def _posts(port: int) -> int:
    """How many the receiver has taken."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=30) as answer:
        return int(answer.read())


@contextmanager
def _receiver() -> Iterator[int]:
    port = processes.free_port()
    command = [sys.executable, "-m", "bench.webhooks", "--port", str(port)]
    with subprocess.Popen(command) as receiver:
        try:
            processes.wait_until(lambda: processes.listens(port), "receiver", timeout_s=30)
            yield port
        finally:
            receiver.terminate()


def receive(port: int) -> None:
    """Take posts and say how many there were."""
    taken = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal taken
        await request.read()
        taken += 1
        return web.Response()

    async def count(request: web.Request) -> web.Response:
        return web.Response(text=str(taken))

    app = web.Application()
    app.router.add_post("/hook", take)
    app.router.add_get("/count", count)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    receive(parser.parse_args().port)
