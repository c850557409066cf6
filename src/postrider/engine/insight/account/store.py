"""The SQL of an account's counts: added to by batches, summed over spans of time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from postrider.db.database import Tx
from postrider.db.portable import PerRow, Statement, insert_batch
from postrider.engine.insight import coarse
from postrider.engine.insight.account.model import CampaignRates, Change, Hits, Mail, Trait
from postrider.engine.insight.account.tables import contact_rollups, mail_rollups, trait_rollups
from postrider.engine.insight.account.tally import MailPlace, Tally, TraitPlace
from postrider.engine.insight.coarse import Piece
from postrider.engine.insight.coarse.pieces import FINE, WEEK, pieces_of
from postrider.engine.insight.model import Measure
from postrider.kit import clock
from postrider.kit.ids import id_floor

TRAIT_STEPS = (clock.DAY, WEEK, 4 * WEEK)  # cities are many: of months, days would be too many
STEPS = coarse.STEPS  # of the others
HOURS_A_WEEK = 168
RECENT_CAMPAIGNS = 500  # among which the best are looked for


def _adding(table: str, key: Sequence[str], counts: Sequence[str]) -> str:
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in counts)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"


_TRAIT = ("organization_id", "step_ms", "trait", "bucket", "value")
_HITS = ("opens", "clicks")
_MAIL = ("organization_id", "step_ms", "bucket")
_COUNTS = ("sent", "delivered", "opened", "clicked", "read")
_CHANGE = ("organization_id", "step_ms", "bucket", "change")
_add_traits = insert_batch(
    trait_rollups, *_TRAIT, *_HITS, tail=_adding("trait_rollups", _TRAIT, _HITS)
)  # fmt: skip
_add_mail = insert_batch(
    mail_rollups, *_MAIL, *_COUNTS, tail=_adding("mail_rollups", _MAIL, _COUNTS)
)  # fmt: skip
_add_changes = insert_batch(
    contact_rollups, *_CHANGE, "count", tail=_adding("contact_rollups", _CHANGE, ["count"])
)

_traits = PerRow(
    """SELECT r.value, CAST(SUM(r.opens) AS BIGINT) AS opens, CAST(SUM(r.clicks) AS BIGINT) AS clicks
       FROM trait_rollups r
       WHERE r.organization_id = :organization_id AND r.step_ms = :step_ms AND r.trait = :of_trait
         AND r.bucket >= :since AND r.bucket < :until GROUP BY r.value""",
    organization_id=int,
    step_ms=int,
    of_trait=int,
    since=int,
    until=int,
)
_changes = PerRow(
    """SELECT :span AS span, r.change, CAST(SUM(r.count) AS BIGINT) AS count FROM contact_rollups r
       WHERE r.organization_id = :organization_id AND r.step_ms = :step_ms
         AND r.bucket >= :since AND r.bucket < :until GROUP BY r.change""",
    span=int,
    organization_id=int,
    step_ms=int,
    since=int,
    until=int,
)
_SUMS = ", ".join(f"CAST(SUM(r.{name}) AS BIGINT) AS {name}" for name in _COUNTS)
_mail = PerRow(
    f"""SELECT :span AS span, {_SUMS} FROM mail_rollups r
        WHERE r.organization_id = :organization_id AND r.step_ms = :step_ms
          AND r.bucket >= :since AND r.bucket < :until""",  # noqa: S608
    span=int,
    organization_id=int,
    step_ms=int,
    since=int,
    until=int,
)
# Over a stretch of time in which a zone keeps its distance from UTC: hours since 1970 of that zone.
_hours = Statement(
    f"""SELECT (r.bucket + :offset_ms) / {clock.HOUR} AS hour, {_SUMS} FROM mail_rollups r
        WHERE r.organization_id = :organization_id AND r.step_ms = :step_ms
          AND r.bucket >= :since AND r.bucket < :until GROUP BY 1"""  # noqa: S608
)
_RATES = (Measure.DELIVERED, Measure.OPENED_UNIQUE, Measure.CLICKED_UNIQUE)
_campaigns = Statement(
    f"""WITH recent AS (SELECT id, name FROM campaigns
          WHERE organization_id = :organization_id AND id < :before
            AND COALESCE(started_at, created_at) >= :soonest
          ORDER BY id DESC LIMIT {RECENT_CAMPAIGNS})
        SELECT r.id, r.name,
          {
        ", ".join(
            f"CAST(SUM(CASE WHEN c.measure = '{each.value}' THEN c.count ELSE 0 END) AS BIGINT)"
            for each in _RATES
        )
    },
          MIN(CASE WHEN c.measure = '{Measure.SENT.value}' THEN c.first_at END)
        FROM recent r JOIN campaign_counts c ON c.organization_id = :organization_id
          AND c.campaign_id = r.id AND c.link = 0
        GROUP BY r.id, r.name"""  # noqa: S608
)
_kept_traits = Statement(
    f"""SELECT trait, bucket, value, opens, clicks FROM trait_rollups
        WHERE organization_id = :organization_id AND step_ms = {FINE} AND bucket >= :since"""  # noqa: S608
)
_kept_mail = Statement(
    f"""SELECT bucket, {", ".join(_COUNTS)} FROM mail_rollups
        WHERE organization_id = :organization_id AND step_ms = {FINE} AND bucket >= :since"""  # noqa: S608
)


def add(tx: Tx, found: Tally) -> None:
    """Places in order, so that no two writers wait for each other in a ring."""
    traits: dict[tuple[int, int, int, int, str], list[int]] = defaultdict(lambda: [0, 0])
    for (organization_id, trait, at, value, is_click), amount in found.traits.items():
        for step in (FINE, *TRAIT_STEPS):
            traits[organization_id, step, trait, at - at % step, value][is_click] += amount
    mail: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0] * len(_COUNTS))
    for (organization_id, at, column), amount in found.mail.items():
        for step in (FINE, *STEPS):
            mail[organization_id, step, at - at % step][_COUNTS.index(column)] += amount
    changes: Counter[tuple[int, int, int, int]] = Counter()
    for (organization_id, at, change), amount in found.changes.items():
        for step in (FINE, *STEPS):
            changes[organization_id, step, at - at % step, change] += amount
    for statement, rows in (
        (_add_traits, [(*place, *traits[place]) for place in sorted(traits) if any(traits[place])]),
        (_add_mail, [(*place, *mail[place]) for place in sorted(mail) if any(mail[place])]),
        (_add_changes, [(*place, changes[place]) for place in sorted(changes) if changes[place]]),
    ):
        if rows:
            statement(tx, rows)


def traits(tx: Tx, organization_id: int, trait: Trait, pieces: Iterable[Piece]) -> dict[str, Hits]:
    """Hits of all pieces together, by the trait's value."""
    opens, clicks = Counter[str](), Counter[str]()
    rows = [(organization_id, step, int(trait), since, until) for _, step, since, until in pieces]
    for value, opened, clicked in _traits(tx, rows):
        opens[value] += opened
        clicks[value] += clicked
    return {value: Hits(opens[value], clicks[value]) for value in opens if opens[value] or clicks[value]}


def changes(tx: Tx, organization_id: int, pieces: Iterable[Piece]) -> dict[int, Counter[Change]]:
    """What happened to an audience, by the span that pieces are of; nothing, no key."""
    found: dict[int, Counter[Change]] = {}
    rows = [(span, organization_id, step, since, until) for span, step, since, until in pieces]
    for span, change, count in _changes(tx, rows):
        found.setdefault(span, Counter())[Change(change)] += count
    return found


def mail(tx: Tx, organization_id: int, pieces: Iterable[Piece]) -> dict[int, Mail]:
    """By the span that pieces are of; nothing, no key."""
    found: dict[int, list[int]] = {}
    rows = [(span, organization_id, step, since, until) for span, step, since, until in pieces]
    for span, *counts in _mail(tx, rows):
        if counts[0] is not None:
            found[span] = _plus(found.get(span), counts)
    return {span: Mail(*counts) for span, counts in found.items()}


def mail_by_hour(tx: Tx, organization_id: int, stretches: Iterable[tuple[int, int, int]]) -> dict[int, Mail]:
    """By a zone's hour of weeks that begin on Thursdays, as 1970 did; stretches: since, until, offset."""
    found: dict[int, list[int]] = {}
    for stretch_since, stretch_until, offset_ms in stretches:
        steps = () if offset_ms % clock.HOUR else (clock.HOUR,)
        for _, step, since, until in pieces_of(stretch_since, stretch_until, steps):
            asked = {"step_ms": step, "since": since, "until": until, "offset_ms": offset_ms}
            for hour, *counts in _hours(tx, organization_id=organization_id, **asked):
                at = hour % HOURS_A_WEEK
                found[at] = _plus(found.get(at), counts)
    return {hour: Mail(*counts) for hour, counts in found.items()}


def _plus(have: list[int] | None, more: list[int]) -> list[int]:
    return more if have is None else [one + other for one, other in zip(have, more, strict=True)]


def campaigns_begun(tx: Tx, organization_id: int, *, since: int, until: int) -> list[CampaignRates]:
    """The campaigns whose first mail left in a time (ms) and of which any arrived, among the newest."""
    before, soonest = id_floor(until), since - clock.HOUR
    rows = _campaigns(tx, organization_id=organization_id, before=before, soonest=soonest)
    return [
        CampaignRates(campaign_id, name, delivered, opened, clicked)
        for campaign_id, name, delivered, opened, clicked, began in rows
        if delivered and began is not None and since <= began < until
    ]


def kept_traits(tx: Tx, organization_id: int, since: int) -> dict[TraitPlace, int]:
    """Counts of quarters of an hour from a time on."""
    found: dict[TraitPlace, int] = {}
    for trait, bucket, value, *hits in _kept_traits(tx, organization_id=organization_id, since=since):
        for is_click, count in zip((False, True), hits, strict=True):
            if count:
                found[organization_id, trait, bucket, value, is_click] = count
    return found


def kept_mail(tx: Tx, organization_id: int, since: int) -> dict[MailPlace, int]:
    """As kept_traits."""
    return {
        (organization_id, bucket, column): count
        for bucket, *counts in _kept_mail(tx, organization_id=organization_id, since=since)
        for column, count in zip(_COUNTS, counts, strict=True)
        if count
    }
