"""Durable accept with every check on, while delivering, beside Postfix that accepts to HOLD."""

from collections.abc import Callable
from functools import partial

from bench import load, mail, postgres, report
from bench.peers import CountingSink, Postfix, Variant
from bench.postrider_server import Server
from bench.processes import free_port
from bench.report import Options, Sample, Verdict

MAILS = 8_000
CONNECTIONS = 32
HELD = Variant.HOLD.value
P99_MS = 100


def run(options: Options) -> list[Verdict]:
    count = options.count(MAILS)
    contenders: dict[str, Callable[[], Sample]] = {
        HELD: partial(peer, count),
        "Postrider SMTP": partial(over_smtp, count),
        "Postrider HTTP": partial(over_http, count),
    }
    if postgres.programs():
        contenders["Postrider HTTP, PostgreSQL"] = partial(on_postgresql, count)
    results = report.interleave(contenders, options.runs)
    report.print_medians(results)
    verdicts = []
    for name in list(results)[1:]:
        promise = 2 if name.endswith("PostgreSQL") else 4
        beside = report.ratio(results, name, HELD, "accepts/s")
        verdicts.append(report.at_least(f"{name}: accept, {HELD}", promise, beside))
        if "p99 ms" in results[name][0]:
            verdicts.append(report.at_most(f"{name}: p99", P99_MS, report.median(results, name, "p99 ms")))
    return verdicts


def peer(count: int) -> Sample:
    with Postfix(Variant.HOLD, free_port()) as postfix:
        return {"accepts/s": count / load.smtp_source(postfix.port, count, CONNECTIONS)}


def over_smtp(count: int) -> Sample:
    sink_port = free_port()
    with CountingSink(sink_port, count + 1), Server(sink_port) as server:
        return {"accepts/s": count / load.smtp_source(server.smtp_port, count, CONNECTIONS)}


def over_http(count: int, database_url: str | None = None) -> Sample:
    sink_port = free_port()
    with CountingSink(sink_port, count + 1), Server(sink_port, database_url=database_url) as server:
        seen = load.http(server.http_port, mail.sends(server.key, count), CONNECTIONS)
        return {"accepts/s": seen.rate, "p50 ms": seen.percentile(50), "p99 ms": seen.percentile(99)}


def on_postgresql(count: int) -> Sample:
    with postgres.Cluster() as cluster:
        return over_http(count, cluster.url)
