"""Time to first attempt: a transactional mail beside another tenant's backlog of a million.

Nine tenths of the backlog wait for a site at which nobody answers, and which rests; the others wait at the
site that the mail measured goes to as well. Delivery is direct, so that the two are sites of their own.
Measured from the request's first byte to the moment the mail is in the sink.
"""

import time

from tests.sink.client import Sink
from tests.sink.dns import served

from bench import load, mail, report
from bench.load import RECIPIENT
from bench.postrider_server import Server
from bench.report import Options, Sample, Verdict
from postrider.kit.address import domain_of

BACKLOG = 1_000_000
BULK = 10_000
RESTING_OF_TEN = 9
PROBES = 200
PAUSE_S = 0.05
SINK_DELAY_MS = 20  # a far end that takes its time, so that the backlog stays
ARRIVAL_TIMEOUT_S = 60.0
P50_MS, P99_MS = 250, 2_000
WHAT = "time to first attempt beside a backlog"
NAME = "Postrider HTTP"
OTHER_DOMAIN = "other.test"
RESTING = "user@resting.test"


def run(options: Options) -> list[Verdict]:
    runs = 1 if options.is_quick else min(options.runs, 3)  # filling the queue takes minutes
    results = report.interleave({NAME: lambda: measure(options.count(BACKLOG))}, runs)
    report.print_medians(results)
    return [
        report.at_most(f"{WHAT}: p50", P50_MS, report.median(results, NAME, "p50 ms")),
        report.at_most(f"{WHAT}: p99", P99_MS, report.median(results, NAME, "p99 ms")),
    ]


def measure(backlog: int) -> Sample:
    records = {
        (domain_of(RECIPIENT), "A"): ["127.0.0.1"],
        (domain_of(RESTING), "A"): ["127.0.0.9"],  # nobody listens there
    }
    with Sink(delay_ms=SINK_DELAY_MS) as sink, served(records) as dns_port:
        server = Server(sink.port, settings=_direct(sink.port, dns_port))
        other = server.add_account("other@other.test", OTHER_DOMAIN)
        with server:
            sender = f"news@{OTHER_DOMAIN}"
            requests = (
                mail.bulk(other, first, BULK, sender=sender, recipient=_recipient(first // BULK))
                for first in range(0, backlog, BULK)
            )
            load.http(server.http_port, requests, 1)
            sent_at: dict[str, int] = {}
            for number, request in enumerate(mail.sends(server.key, PROBES, prefix="probe")):
                sent_at[f"probe{number}{RECIPIENT}"] = time.time_ns() // 1_000_000
                load.http(server.http_port, iter([request]), 1)
                time.sleep(PAUSE_S)
            return _waits(sink, sent_at)


def _direct(port: int, dns_port: int) -> dict[str, str]:
    return {
        "POSTRIDER_DELIVERY": "direct",
        "POSTRIDER_HOSTNAME": "mx.bench.test",
        "POSTRIDER_DELIVERY_PORT": str(port),
        "POSTRIDER_DELIVERY_ALLOW_PRIVATE": "true",
        "POSTRIDER_DNS_SERVERS": f"127.0.0.1:{dns_port}",
    }


def _recipient(number: int) -> str:
    return RESTING if number % 10 < RESTING_OF_TEN else RECIPIENT


def _waits(sink: Sink, sent_at: dict[str, int]) -> Sample:
    deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
    arrived: dict[str, int] = {}
    while len(arrived) < len(sent_at):
        if time.monotonic() > deadline:
            raise load.BadAnswer(f"{len(sent_at) - len(arrived)} of {len(sent_at)} probes never arrived")
        time.sleep(1)
        arrived = {found.recipient: found.at for found in sink.received() if found.recipient in sent_at}
    seen = load.Load(latencies_ms=[arrived[name] - at for name, at in sent_at.items()])
    return {"p50 ms": seen.percentile(50), "p99 ms": seen.percentile(99)}
