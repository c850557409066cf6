"""Pixels and clicks, beside the emptiest handler under the same server, and how soon they are events."""

import itertools
import json
import quopri
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from tests.sink.client import Sink

from bench import load, mail, processes, report
from bench.postrider_server import API, Server
from bench.report import Options, Sample, Verdict

REQUESTS = 20_000
CONNECTIONS = 32
MAILS = 200
EMPTY = "/empty"
START_TIMEOUT_S = 30.0
ARRIVAL_TIMEOUT_S = 60.0
RECORDED_TIMEOUT_S = 30.0
POLL_S = 0.1
_PIXEL = re.compile(rb"(/track/o/[\w.~-]+)")
_CLICK = re.compile(rb"(/track/c/[\w.~-]+)")
NAME = "Postrider"


def run(options: Options) -> list[Verdict]:
    results = report.interleave({NAME: lambda: measure(options.count(REQUESTS))}, options.runs)
    report.print_medians(results)
    verdicts = [
        report.at_least(
            f"{what}s beside the empty handler", 60, report.median(results, NAME, f"{what} %"), "%"
        )
        for what in ("pixel", "click")
    ]
    recorded_s = report.median(results, NAME, "recorded s")
    return [*verdicts, report.at_most("a hit is an event", 3, recorded_s, "s")]


def measure(count: int) -> Sample:
    with Sink(keep=True) as sink, Server(sink.port) as server:
        recorded_s = _seconds_until_recorded(sink, server)
        load.http(server.http_port, mail.sends(server.key, MAILS), 4)
        bodies = _bodies(sink, MAILS + 1)
        pixels, clicks = _paths(bodies, _PIXEL), _paths(bodies, _CLICK)
        with _emptiest() as empty_port:
            emptiest = _rate(empty_port, [EMPTY], count)
        pixel, click = (_rate(server.http_port, paths, count) for paths in (pixels, clicks))
        return {
            "empty/s": emptiest,
            "pixels/s": pixel,
            "clicks/s": click,
            "pixel %": pixel / emptiest * 100,
            "click %": click / emptiest * 100,
            "recorded s": recorded_s,
        }


class Empty:
    """Nothing but an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


empty = Starlette(routes=[Route(EMPTY, Empty())])


@contextmanager
def _emptiest() -> Iterator[int]:
    """The port of a process in which uvicorn, as Postrider sets it, serves `empty` alone."""
    port = processes.free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.hits:empty", "--port", str(port), "--lifespan", "off"]
    command += ["--no-access-log", "--no-server-header", "--log-level", "warning"]
    with subprocess.Popen(command) as server:
        try:
            processes.wait_until(lambda: processes.listens(port), "uvicorn", timeout_s=START_TIMEOUT_S)
            yield port
        finally:
            server.terminate()


def _rate(port: int, paths: list[str], count: int) -> float:
    requests = (load.get(path) for path in itertools.islice(itertools.cycle(paths), count))
    return load.http(port, requests, CONNECTIONS).rate


def _bodies(sink: Sink, count: int) -> list[bytes]:
    return [quopri.decodestring(found.mail) for found in sink.wait_for(count, timeout_s=ARRIVAL_TIMEOUT_S)]


def _paths(bodies: list[bytes], pattern: re.Pattern[bytes]) -> list[str]:
    found = [match[1].decode() for body in bodies for match in pattern.finditer(body)]
    if not found:
        raise load.BadAnswer(f"no mail holds {pattern.pattern.decode()}")
    return found


def _seconds_until_recorded(sink: Sink, server: Server) -> float:
    """From a pixel's answer until its event is listed."""
    sent = load.http(server.http_port, mail.sends(server.key, 1, prefix="one"), 1, keep_bodies=True)
    message_id = json.loads(sent.bodies[0])["messageId"]
    pixel = _paths(_bodies(sink, 1), _PIXEL)[0]
    load.http(server.http_port, iter([load.get(pixel)]), 1)
    started = time.monotonic()
    while time.monotonic() - started < RECORDED_TIMEOUT_S:
        if server.call("GET", f"{API}/emails/{message_id}/events")["summary"]["opens"]:
            return time.monotonic() - started
        time.sleep(POLL_S)
    raise load.BadAnswer("the pixel never became an event")
