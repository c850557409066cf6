"""A bulk send of 10,000 beside single sends, and what memory does while 100,000 are queued."""

import asyncio
import time
from collections.abc import Iterator

import uvloop

from bench import mail, report
from bench.load import Load, http_into
from bench.peers import CountingSink
from bench.postrider_server import Server
from bench.processes import free_port
from bench.report import Options, Sample, Verdict

RECIPIENTS = 10_000
QUEUED = 100_000
SINGLE_CONNECTIONS = 4
SINGLES_MAX = 1_000_000
SINK_WAIT_S = 5  # before each 354: the queue grows
MEMORY_GROWTH_MIB = 50
NAME = "Postrider HTTP"


def run(options: Options) -> list[Verdict]:
    results = report.interleave({NAME: lambda: measure(options.count(QUEUED))}, options.runs)
    report.print_medians(results)
    return [
        report.at_most("bulk send of 10,000: answered", 1_000, report.median(results, NAME, "bulk ms")),
        report.at_most("single sends beside bulk: p99", 100, report.median(results, NAME, "single p99 ms")),
        report.at_most(
            "memory: growth from 10,000 to 100,000 queued",
            MEMORY_GROWTH_MIB,
            report.median(results, NAME, "growth MiB"),
            "MiB",
        ),
    ]


def measure(queued: int) -> Sample:
    sink_port = free_port()
    with CountingSink(sink_port, queued * 10, wait_s=SINK_WAIT_S) as _, Server(sink_port) as server:
        bulk, singles = Load(), Load()
        uvloop.run(_side_by_side(server, bulk, singles, first=0))
        after_first = server.resident_mib()
        for first in range(RECIPIENTS, queued, RECIPIENTS):
            uvloop.run(_side_by_side(server, bulk, singles, first=first))
        return {
            "bulk ms": max(bulk.latencies_ms),
            "single p99 ms": singles.percentile(99),
            "singles": len(singles.latencies_ms),
            "growth MiB": server.resident_mib() - after_first,
        }


async def _side_by_side(server: Server, bulk: Load, singles: Load, *, first: int) -> None:
    done = asyncio.Event()
    request = mail.bulk(server.key, first, RECIPIENTS)
    async with asyncio.TaskGroup() as group:
        single = http_into(singles, server.http_port, _until(done, server.key), SINGLE_CONNECTIONS)
        group.create_task(single)
        await http_into(bulk, server.http_port, iter([request]), 1)
        # Its expansion goes on behind the answer: single sends must not feel that either.
        await asyncio.to_thread(time.sleep, 1)
        done.set()


def _until(done: asyncio.Event, key: str) -> Iterator[bytes]:
    for request in mail.sends(key, SINGLES_MAX):
        if done.is_set():
            return
        yield request
