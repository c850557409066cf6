"""What the hits of one message say of each other: links followed at once, the hidden link. Pure."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

from postrider.engine.engagement.agents import agent_of
from postrider.engine.engagement.model import Hit, HitKind
from postrider.engine.engagement.score import Evidence
from postrider.engine.engagement.sources import Sources, source_of
from postrider.kit import clock
from postrider.kit.ids import RowId

AT_ONCE_MS = 2 * clock.SECOND
NEAR_MS = clock.MINUTE


def evidence_of(
    hits: Iterable[Hit], sources: Sources, *, sent_at: int | None, links: int
) -> dict[RowId, Evidence]:
    """Evidence by hit id, of the hits of one message that are known together; hidden ones only testify."""
    by_source: dict[str, list[Hit]] = {}
    for hit in hits:
        by_source.setdefault(source_of(hit.ip), []).append(hit)
    found: dict[RowId, Evidence] = {}
    for together in by_source.values():
        together.sort(key=lambda hit: hit.at)
        hidden = [hit.at for hit in together if hit.kind is HitKind.HIDDEN]
        starts, counts = _at_once([hit for hit in together if hit.kind is HitKind.CLICK])
        for hit in together:
            if hit.kind is not HitKind.HIDDEN:
                found[hit.id] = Evidence(
                    agent_of(hit.user_agent).kind,
                    after_ms=None if sent_at is None else hit.at - sent_at,
                    links=links,
                    at_once=max(counts[_within(starts, hit.at, AT_ONCE_MS)], default=0),
                    is_head=hit.method == "HEAD",
                    in_range=sources.range_of(hit.ip) is not None,
                    near_hidden=bool(hidden[_within(hidden, hit.at, NEAR_MS)]),
                )
    return found


def _at_once(clicks: Sequence[Hit]) -> tuple[list[int], list[int]]:
    """The clicks' times in order, and how many links were followed within the window from each on."""
    counts: list[int] = []
    followed: Counter[int | None] = Counter()
    end = 0
    for click in clicks:
        while end < len(clicks) and clicks[end].at <= click.at + AT_ONCE_MS:
            followed[clicks[end].link] += 1
            end += 1
        counts.append(len(followed))
        followed[click.link] -= 1
        if not followed[click.link]:
            del followed[click.link]
    return [click.at for click in clicks], counts


def _within(times: Sequence[int], at: int, by_ms: int) -> slice:
    return slice(bisect_left(times, at - by_ms), bisect_right(times, at + by_ms))
