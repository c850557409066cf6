"""`python -m bench [figure…] [--runs 5] [--quick]`: measure, print every run, then what was promised and what was met."""

import argparse
import importlib
import os
import platform
import sys

from bench import peers, report

FIGURES = ("end_to_end", "accept", "bulk", "latency", "hits")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], help="all, if none is named")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the mails and, unless told, one run")
    arguments = parser.parse_args()
    lacking = peers.missing()
    if lacking:
        print(f"the peers need: {', '.join(lacking)}", file=sys.stderr)
        return 2
    options = report.Options(runs=arguments.runs, is_quick=arguments.quick)
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
    print(
        f"{options.runs} interleaved runs{', a tenth of the mails' if options.is_quick else ''}; load {os.getloadavg()[0]:.2f}"
    )
    print("peers: own Postfix instance, relayhost = smtp-sink, no TLS, 100 smtpd; tuned:")
    print("  " + ", ".join(peers.TUNED.strip().splitlines()) + "; OpenDKIM over a unix socket")
    print("Postrider: postrider serve, all roles, DELIVERY=relay to the same smtp-sink, SQLite unless said")


if __name__ == "__main__":
    sys.exit(main())
