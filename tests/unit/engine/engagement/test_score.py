"""What makes a scanner of a hit: every reason counts, the strong ones decide, and more never says less."""

from dataclasses import replace

import pytest

from postrider.engine.engagement.agents import AgentKind
from postrider.engine.engagement.score import POINTS, Band, Evidence, Reason, band_of, score
from postrider.kit import clock

READER = Evidence(AgentKind.READER, after_ms=clock.HOUR, links=3, at_once=1)
ONE_OF_EACH = {
    Reason.KNOWN_SCANNER: replace(READER, agent=AgentKind.SCANNER),
    Reason.AUTOMATED_TOOL: replace(READER, agent=AgentKind.TOOL),
    Reason.PRIVACY_PROXY: replace(READER, agent=AgentKind.PROXY),
    Reason.UNKNOWN_AGENT: replace(READER, agent=AgentKind.STRANGER),
    Reason.NO_AGENT: replace(READER, agent=AgentKind.NOBODY),
    Reason.SCANNER_RANGE: replace(READER, in_range=True),
    Reason.HIDDEN_LINK: replace(READER, near_hidden=True),
    Reason.ALL_LINKS_AT_ONCE: replace(READER, at_once=3),
    Reason.BOTH_LINKS_AT_ONCE: replace(READER, at_once=2, links=2),
    Reason.MANY_LINKS_AT_ONCE: replace(READER, at_once=5, links=9),
    Reason.BEFORE_DELIVERY: replace(READER, after_ms=-1),
    Reason.VERY_SOON_AFTER_DELIVERY: replace(READER, after_ms=1_999),
    Reason.SOON_AFTER_DELIVERY: replace(READER, after_ms=2_000),
    Reason.HEAD_REQUEST: replace(READER, is_head=True),
}


def test_a_reader_has_nothing_against_him() -> None:
    assert (score(READER).points, score(READER).reasons, score(READER).band) == (0, (), Band.HUMAN)
    assert score(replace(READER, after_ms=None)).points == 0
    assert score(replace(READER, after_ms=10_000)).points == 0
    assert score(replace(READER, links=1, at_once=1)).points == 0, "the only link is no haste"


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_told_and_counts_what_it_says(reason: Reason) -> None:
    told = score(ONE_OF_EACH[reason])
    assert (told.points, told.reasons) == (POINTS[reason], (reason,))


@pytest.mark.parametrize("reason", Reason)
def test_further_evidence_never_lowers_a_score(reason: Reason) -> None:
    less = ONE_OF_EACH[reason]
    for more in (replace(less, in_range=True), replace(less, near_hidden=True), replace(less, is_head=True)):
        assert score(more).points >= score(less).points
    assert score(replace(less, in_range=True, near_hidden=True)).points == 100


def test_scores_are_ordered_as_their_evidence_is() -> None:
    asc = [
        READER,
        replace(READER, after_ms=5_000),
        replace(READER, agent=AgentKind.STRANGER),
        replace(READER, after_ms=500),
        replace(READER, agent=AgentKind.PROXY),
        replace(READER, links=2, at_once=2),
        replace(READER, links=9, at_once=6),
        replace(READER, links=3, at_once=3),
        replace(READER, near_hidden=True),
        replace(READER, near_hidden=True, is_head=True),
    ]
    points = [score(evidence).points for evidence in asc]
    assert points == sorted(set(points))


@pytest.mark.parametrize(
    ("evidence", "band"),
    [
        (replace(READER, after_ms=500), Band.HUMAN),  # a phone in the hand
        (replace(READER, agent=AgentKind.STRANGER, after_ms=5_000), Band.HUMAN),
        (replace(READER, agent=AgentKind.STRANGER, after_ms=500), Band.SUSPICIOUS),
        (replace(READER, agent=AgentKind.PROXY, after_ms=500), Band.SUSPICIOUS),  # it fetches at once, always
        (replace(READER, agent=AgentKind.PROXY, after_ms=-5), Band.SUSPICIOUS),
        (replace(READER, is_head=True), Band.SUSPICIOUS),
        (replace(READER, is_head=True, agent=AgentKind.STRANGER), Band.SCANNER),
        (replace(READER, agent=AgentKind.TOOL), Band.SCANNER),
        (replace(READER, agent=AgentKind.PROXY, near_hidden=True), Band.SCANNER),
    ],
)
def test_what_each_band_holds(evidence: Evidence, band: Band) -> None:
    assert score(evidence).band is band


def test_bands_begin_where_the_contract_says() -> None:
    assert [band_of(points) for points in (0, 49, 50, 79, 80, 100)] == [
        Band.HUMAN, Band.HUMAN, Band.SUSPICIOUS, Band.SUSPICIOUS, Band.SCANNER, Band.SCANNER,
    ]  # fmt: skip
