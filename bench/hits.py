"""Pixels and clicks, beside the same server's emptiest handler, and how soon they stand in the journal."""

import itertools
import json
import quopri
import re
import time

from tests.sink.client import Sink

from bench import load, mail, report
from bench.postrider_server import API, Server
from bench.report import Options, Sample, Verdict

REQUESTS = 20_000
CONNECTIONS = 32
MAILS = 200
EMPTY = "/healthz"
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
        empty = _rate(server, [EMPTY], count)
        pixel, click = _rate(server, pixels, count), _rate(server, clicks, count)
        return {
            "empty/s": empty,
            "pixels/s": pixel,
            "clicks/s": click,
            "pixel %": pixel / empty * 100,
            "click %": click / empty * 100,
            "recorded s": recorded_s,
        }


def _rate(server: Server, paths: list[str], count: int) -> float:
    requests = (load.get(path) for path in itertools.islice(itertools.cycle(paths), count))
    return load.http(server.http_port, requests, CONNECTIONS).rate


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
