"""`python -m bench [figure…] [--runs 5] [--quick]`: print every run, then which promises are met."""

import argparse
import importlib
import os
import platform
import sys

from bench import peers, report

FIGURES = (
    "end_to_end",
    "accept",
    "bulk",
    "latency",
    "hits",
    "claim",
    "journal",
    "follow",
    "statistics",
    "reports",
    "webhooks",
    "imports",
    "audience",
    "campaigns",
)
RUNS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], help="all, if none is named")
    parser.add_argument("--runs", type=int, help="5, or 1 in a quick bench")
    parser.add_argument("--quick", action="store_true", help="a tenth of the mails")
    arguments = parser.parse_args()
    lacking = peers.missing()
    if lacking:
        print(f"the peers need: {', '.join(lacking)}", file=sys.stderr)
        return 2
    options = report.Options(
        runs=arguments.runs or (1 if arguments.quick else RUNS), is_quick=arguments.quick
    )
    print_settings(options)
    verdicts: list[report.Verdict] = []
    for name in arguments.figures or FIGURES:
        print(f"\n{name}")
        verdicts += importlib.import_module(f"bench.{name}").run(options)
    print()
    report.print_verdicts(verdicts)
    return 0 if all(verdict.is_met is not False for verdict in verdicts) else 1


def print_settings(options: report.Options) -> None:
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    size = "a tenth of the mails" if options.is_quick else "all mails"
    print(f"{options.runs} interleaved runs, {size}; load average {os.getloadavg()[0]:.2f}")
    print("peers: own Postfix instance, relayhost = smtp-sink, no TLS, 100 smtpd; tuned:")
    print("  " + ", ".join(peers.TUNED.strip().splitlines()) + "; OpenDKIM over a unix socket")
    print("Postrider: postrider serve, all roles, DELIVERY=relay to the same smtp-sink, SQLite unless said")


if __name__ == "__main__":
    sys.exit(main())
