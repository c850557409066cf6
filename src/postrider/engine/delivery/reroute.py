"""Mail that was claimed at one site and belongs to another: to that site's lanes, untried, in one set."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.delivery.model import Moved
from postrider.engine.messages import queue
from postrider.engine.sending.routes import Routes
from postrider.kit import clock
from postrider.kit.address import domain_of

REMEMBERED_MS = clock.DAY  # for so long new mail to the domain goes there at once


def reroute(tx: Tx, moved: Sequence[Moved], owner: str, routes: Routes) -> None:
    """Put what `owner` holds on the lanes of its sites, due now; remember the sites of the domains."""
    queue.remember_domains(
        tx,
        {domain_of(each.job.claimed.address_key): each.site for each in moved},
        clock.now_ms() + REMEMBERED_MS,
    )
    places = [_place(each, routes) for each in moved]
    lanes = queue.add_lanes(tx, places, routes.connections_of)
    pairs = zip(moved, places, strict=True)
    queue.move(tx, [(each.job.claimed, lanes[place].id) for each, place in pairs], owner)


def _place(moved: Moved, routes: Routes) -> queue.Place:
    claimed = moved.job.claimed
    slot = routes.slot_of(moved.site, claimed.address_key)
    return queue.Place(claimed.organization_id, claimed.stream, moved.site, slot)
