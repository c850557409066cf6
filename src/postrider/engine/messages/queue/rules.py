"""How a site's free places are shared between streams, and what stops a lane: pure."""

from collections.abc import Mapping
from enum import IntFlag

from postrider.engine.messages.model import Stream

# Of ten places, each stream keeps this many while it has mail due: transactional goes first, nobody starves.
KEPT_OF_TEN = {Stream.TRANSACTIONAL: 7, Stream.SHARED: 2, Stream.BROADCAST: 1}
LANE_QUANTUM = 50  # messages a lane gives at one visit before the next lane's turn


class Pause(IntFlag):
    """Why a lane gives nothing, as its `paused` has it: each is lifted by itself."""

    BY_HAND = 1
    WITH_STREAM = 2


def share(places: int, lanes_due: Mapping[Stream, int]) -> dict[Stream, int]:
    """Places for each stream that has lanes due; every one gets a place at least, where there is one left."""
    waiting = [stream for stream in Stream if lanes_due.get(stream)]
    kept = sum(KEPT_OF_TEN[stream] for stream in waiting)
    shares = {stream: places * KEPT_OF_TEN[stream] // kept for stream in waiting}
    left = places - sum(shares.values())
    for stream in waiting:
        if left and not shares[stream]:
            shares[stream] += 1
            left -= 1
    if waiting:
        shares[waiting[0]] += left
    return shares


def portions(places: int, lanes: int) -> list[int]:
    """Messages to take of each of the first lanes in turn: a quantum each, until the places are given out."""
    if not lanes:
        return []
    quantum = max(1, min(LANE_QUANTUM, -(-places // lanes)))
    full, rest = divmod(places, quantum)
    given = [quantum] * min(full, lanes)
    if rest and len(given) < lanes:
        given.append(rest)
    return given
