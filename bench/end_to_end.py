"""Accepted, composed, signed with RSA-2048 and taken by the sink, beside Postfix and Postfix with OpenDKIM.

The clock stops when the sink has all mails and, for Postrider, when its followers have caught up too.
"""

import time
from collections.abc import Callable
from functools import partial

from bench import load, mail, postgres, report
from bench.peers import CountingSink, Postfix, Variant
from bench.postrider_server import Server
from bench.processes import free_port
from bench.report import Options, Sample, Verdict

MAILS = 6_000
CONNECTIONS = 20
TIMEOUT_S = 300.0
PLAIN, SIGNED = Variant.TUNED.value, Variant.DKIM.value


def run(options: Options) -> list[Verdict]:
    count = options.count(MAILS)
    contenders: dict[str, Callable[[], Sample]] = {
        variant.value: partial(peer, variant, count) for variant in (Variant.TUNED, Variant.DKIM)
    }
    contenders |= {f"Postrider {way}": partial(postrider, way, count) for way in WAYS}
    if postgres.programs():
        contenders |= {f"Postrider {way}, PostgreSQL": partial(on_postgresql, way, count) for way in WAYS}
    results = report.interleave(contenders, options.runs)
    report.print_medians(results)
    return [verdict for name in results if name.startswith("Postrider") for verdict in judge(results, name)]


def judge(results: report.Results, name: str) -> list[Verdict]:
    against_signed = report.ratio(results, name, SIGNED, "mails/s")
    if name.endswith("PostgreSQL"):
        return [report.at_least(f"{name}: end to end, {SIGNED}", 2, against_signed)]
    against_plain = report.ratio(results, name, PLAIN, "mails/s")
    cpu = report.ratio(results, name, SIGNED, "CPU us/mail")
    return [
        report.at_least(f"{name}: end to end, {SIGNED}", 4, against_signed),
        report.at_least(f"{name}: end to end, {PLAIN}", 2, against_plain),
        report.at_most(f"{name}: CPU, {SIGNED}", 0.25, cpu, "x"),
    ]


def peer(variant: Variant, count: int) -> Sample:
    sink_port = free_port()
    with CountingSink(sink_port, count) as sink, Postfix(variant, sink_port) as postfix:
        cpu, started = postfix.cpu_seconds(), time.monotonic()
        accepting = load.smtp_source(postfix.port, count, CONNECTIONS)
        ended = sink.wait(TIMEOUT_S)
        return sample(count, accepting, ended - started, postfix.cpu_seconds() - cpu)


def postrider(way: str, count: int, cluster: postgres.Cluster | None = None) -> Sample:
    sink_port = free_port()
    url = cluster.url if cluster else None
    with CountingSink(sink_port, count) as sink, Server(sink_port, database_url=url) as server:
        cpu, started = server.cpu_seconds(), time.monotonic()
        WAYS[way](server, count)
        accepting = time.monotonic() - started
        sink.wait(TIMEOUT_S)
        ended = server.wait_until_followed()
        return sample(count, accepting, ended - started, server.cpu_seconds() - cpu)


def on_postgresql(way: str, count: int) -> Sample:
    with postgres.Cluster() as cluster:
        before = cluster.cpu_seconds()
        found = postrider(way, count, cluster)
        return found | {"PostgreSQL CPU us/mail": (cluster.cpu_seconds() - before) / count * 1e6}


def smtp(server: Server, count: int) -> None:
    load.smtp_source(server.smtp_port, count, CONNECTIONS)


def submission(server: Server, count: int) -> None:
    username, password = server.smtp_credential()
    load.submit(server.smtp_port, username, password, count, CONNECTIONS)


def http(server: Server, count: int) -> None:
    load.http(server.http_port, mail.sends(server.key, count), CONNECTIONS)


WAYS: dict[str, Callable[[Server, int], None]] = {
    "SMTP": smtp,
    "SMTP with TLS and AUTH": submission,
    "HTTP": http,
}


def sample(count: int, accept_s: float, all_s: float, cpu_s: float) -> Sample:
    return {"accepts/s": count / accept_s, "mails/s": count / all_s, "CPU us/mail": cpu_s / count * 1e6}
