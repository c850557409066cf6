"""The SQL of a rebuild: read only, and in no hurry."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from postrider.db.database import Tx
from postrider.db.portable import Statement
from postrider.engine.insight.campaigns.model import CAMPAIGN, CLICKS, UNIQUE, HitKind, Place, Seen, Sum
from postrider.engine.insight.campaigns.store import DAY, FINE, STEPS
from postrider.engine.insight.model import Measure, Who
from postrider.kit.ids import RowId

_AMOUNTS = {Who.ALL: "times", Who.HUMAN: "human", Who.SCANNER: "scanner"}
_FIRSTS = {Who.ALL: "first_at", Who.HUMAN: "first_human_at", Who.SCANNER: "first_scanner_at"}

_campaigns = Statement(
    """SELECT campaign_id FROM campaign_rollups WHERE organization_id = :organization_id
       UNION SELECT campaign_id FROM campaign_counts WHERE organization_id = :organization_id
       UNION SELECT campaign_id FROM campaign_hits WHERE organization_id = :organization_id"""
)
_fine = Statement(
    f"""SELECT campaign_id, measure, bucket, variant, count FROM campaign_rollups
        WHERE organization_id = :organization_id AND step_ms = {FINE} AND bucket >= :since"""  # noqa: S608
)
_firsts = {
    (kind, who): Statement(
        f"""SELECT campaign_id, {column} / {FINE} * {FINE} AS bucket, variant, count(*) FROM campaign_hits
            WHERE organization_id = :organization_id AND kind = {int(kind)} AND {column} >= :since
            GROUP BY campaign_id, {column} / {FINE} * {FINE}, variant"""  # noqa: S608
    )
    for kind, who in UNIQUE
    for column in (_FIRSTS[who],)
}
_OF_CAMPAIGN = "organization_id = :organization_id AND campaign_id = :campaign_id"
_steps = {
    step: Statement(
        f"""SELECT measure, bucket / {step} * {step} AS at, variant, CAST(SUM(count) AS BIGINT)
            FROM campaign_rollups WHERE {_OF_CAMPAIGN} AND step_ms = {FINE}
            GROUP BY measure, bucket / {step} * {step}, variant"""  # noqa: S608
    )
    for step in STEPS
}
_kept_steps = Statement(
    f"""SELECT step_ms, measure, bucket, variant, count FROM campaign_rollups
        WHERE {_OF_CAMPAIGN} AND step_ms <> {FINE}"""  # noqa: S608
)
_followed = Statement(
    f"""SELECT link, variant, CAST(SUM(times) AS BIGINT), CAST(SUM(human) AS BIGINT),
          CAST(SUM(scanner) AS BIGINT), count(first_at), count(first_human_at), count(first_scanner_at),
          min(first_at), max(last_at)
        FROM campaign_hits WHERE {_OF_CAMPAIGN} AND kind = {int(HitKind.FOLLOWED)}
        GROUP BY link, variant"""  # noqa: S608
)
_sums = Statement(
    f"""SELECT link, variant, measure, count, first_at, last_at FROM campaign_counts
        WHERE {_OF_CAMPAIGN}"""  # noqa: S608
)


def campaigns(tx: Tx, organization_id: int) -> list[RowId]:
    """Those of which anything is kept."""
    return [row[0] for row in _campaigns(tx, organization_id=organization_id)]


def fine(tx: Tx, organization_id: int, since: int) -> dict[Place, int]:
    """Counts of quarters of an hour from `since` on."""
    rows = _fine(tx, organization_id=organization_id, since=since)
    return {Place(organization_id, row[0], Measure(row[1]), row[2], row[3]): row[4] for row in rows}


def firsts(tx: Tx, organization_id: int, since: int) -> Counter[Place]:
    """How many messages were opened, or clicked in, for the first time in each quarter of an hour."""
    found: Counter[Place] = Counter()
    for key, statement in _firsts.items():
        for campaign_id, bucket, variant, count in statement(
            tx, organization_id=organization_id, since=since
        ):
            found[Place(organization_id, campaign_id, UNIQUE[key], bucket, variant)] = count
    return found


Steps = dict[tuple[int, Place], int]  # by step (ms) and place


def wanted(tx: Tx, organization_id: int, campaign_id: RowId) -> tuple[Steps, dict[Sum, Seen]]:
    """Coarser steps and sums as quarters of an hour and hits have them."""
    of_campaign = {"organization_id": organization_id, "campaign_id": campaign_id}
    steps: Steps = {}
    sums: dict[Sum, Seen] = {}
    for step, statement in _steps.items():
        for measure, at, variant, count in statement(tx, **of_campaign):
            steps[step, Place(organization_id, campaign_id, Measure(measure), at, variant)] = count
            if step == DAY:
                place = Sum(organization_id, campaign_id, CAMPAIGN, variant, Measure(measure))
                sums.setdefault(place, Seen()).times += count
    for link, variant, *amounts in _followed(tx, **of_campaign):
        sums |= _of_link(Sum(organization_id, campaign_id, link, variant, Measure.CLICKED), amounts)
    return steps, sums


def summed(tx: Tx, organization_id: int, campaign_id: RowId) -> tuple[Steps, dict[Sum, Seen]]:
    """Coarser steps and sums as they are."""
    of_campaign = {"organization_id": organization_id, "campaign_id": campaign_id}
    steps = {
        (step, Place(organization_id, campaign_id, Measure(measure), bucket, variant)): count
        for step, measure, bucket, variant, count in _kept_steps(tx, **of_campaign)
    }
    sums = {
        Sum(organization_id, campaign_id, link, variant, Measure(measure)): Seen(*seen)
        for link, variant, measure, *seen in _sums(tx, **of_campaign)
    }
    return steps, sums


def _of_link(place: Sum, amounts: Sequence[Any]) -> dict[Sum, Seen]:
    """`amounts`: clicks, then messages, each of all, of humans and of scanners; first and last."""
    found = {}
    for number, who in enumerate(_AMOUNTS):
        if amounts[number]:
            found[place._replace(measure=CLICKS[who])] = Seen(amounts[number])
            found[place._replace(measure=UNIQUE[HitKind.CLICKED, who])] = Seen(amounts[number + 3])
    found[place] = Seen(amounts[0], amounts[6], amounts[7])
    return found
