"""Interleaved runs, medians, ratios against the peer of the same run, and which promises are met."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Sample = dict[str, float]
Results = dict[str, list[Sample]]


@dataclass(frozen=True, slots=True)
class Options:
    runs: int
    is_quick: bool

    def count(self, full: int) -> int:
        """A tenth of it in a quick bench."""
        return full // 10 if self.is_quick else full


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promise, what was measured, and whether it holds; None: only reported."""

    figure: str
    promise: str
    measured: str
    is_met: bool | None


def interleave(contenders: Mapping[str, Callable[[], Sample]], runs: int) -> Results:
    """Run 1 of all, run 2 of all, …: what else the machine does falls on all alike."""
    results: Results = {name: [] for name in contenders}
    for number in range(1, runs + 1):
        for name, measure in contenders.items():
            sample = measure()
            results[name].append(sample)
            told = "  ".join(f"{key} {value:,.1f}" for key, value in sample.items())
            print(f"  run {number}  {name:<40} {told}", flush=True)
    return results


def median(results: Results, name: str, measure: str) -> float:
    return statistics.median(sample[measure] for sample in results[name])


def ratio(results: Results, name: str, peer: str, measure: str) -> float:
    """The median of the runs' ratios."""
    pairs = zip(results[name], results[peer], strict=True)
    return statistics.median(mine[measure] / theirs[measure] for mine, theirs in pairs)


def at_least(figure: str, promise: float, measured: float, unit: str = "x") -> Verdict:
    return Verdict(figure, f">= {promise:g} {unit}", f"{measured:,.2f} {unit}", measured >= promise)


def at_most(figure: str, promise: float, measured: float, unit: str = "ms") -> Verdict:
    return Verdict(figure, f"<= {promise:g} {unit}", f"{measured:,.2f} {unit}", measured <= promise)


def print_medians(results: Results) -> None:
    for name, samples in results.items():
        told = [f"{key} {median(results, name, key):,.1f} {_spread(samples, key)}" for key in samples[0]]
        print(f"  median {name:<40} {'  '.join(told)}")


def print_verdicts(verdicts: list[Verdict]) -> None:
    words = {True: "met", False: "NOT MET", None: ""}
    for verdict in verdicts:
        line = f"{verdict.figure:<64} {verdict.promise:>14} {verdict.measured:>16}  {words[verdict.is_met]}"
        print(line.rstrip())


def _spread(samples: list[Sample], key: str) -> str:
    values = [sample[key] for sample in samples]
    return f"[{min(values):,.1f}-{max(values):,.1f}]"
