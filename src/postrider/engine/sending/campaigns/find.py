"""Campaigns looked up, listed and counted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from postrider.db.database import AnyRow, Tx
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.engine.sending.campaigns import store
from postrider.engine.sending.campaigns.model import (
    KIND,
    READ,
    Campaign,
    CampaignStatus,
    Definition,
    Position,
    SplitTest,
    Target,
    Timing,
    Variant,
    Yardstick,
)
from postrider.kit.ids import RowId

PAGE_MAX = 1_000
SORTS = ("id", "created_at", "updated_at", "scheduled_at", "ended_at", "sent_at", "name", "status")
KINDS = (KIND,)
_IDS = ("list_id", "segment_id", "template_id")


def get_campaign(
    tx: Tx, principal: Principal, campaign_id: RowId, *, kinds: Collection[str] = KINDS
) -> Campaign:
    """Raises NotFound, also for another organization's and for other kinds."""
    principal.require(READ)
    row = store.one(tx, principal.organization_id, campaign_id)
    if row is None or row.kind not in kinds:
        raise NotFound(noun="campaign")
    return read(row)


def list_campaigns(
    tx: Tx,
    principal: Principal,
    /,
    *,
    limit: int,
    sort: str = "created_at",
    is_descending: bool = True,
    after: Position | None = None,
    offset: int = 0,
    kinds: Sequence[str] = KINDS,
    **narrowed: Any,
) -> list[Campaign]:
    """By a field of SORTS, equal ones by id; those past `after`, PAGE_MAX at most.

    Narrowed by `statuses`, `name`, `created_after`.
    """
    principal.require(READ)
    assert sort in SORTS
    rows = store.page(
        tx, principal.organization_id, sort=sort, is_descending=is_descending, after=after, offset=offset,
        limit=min(limit, PAGE_MAX), kinds=kinds, **narrowed,
    )  # fmt: skip
    return [read(row) for row in rows]


def count_campaigns(tx: Tx, principal: Principal, /, *, kinds: Sequence[str] = KINDS, **narrowed: Any) -> int:
    """How many a list would hold, counted to store.COUNT_MAX."""
    principal.require(READ)
    return store.count(tx, principal.organization_id, kinds=kinds, **narrowed)


def campaign_ids(
    tx: Tx, principal: Principal, *, kinds: Sequence[str] = KINDS, **narrowed: Any
) -> list[RowId]:
    """Of all that a list would hold, store.COUNT_MAX at most: for sums over them."""
    principal.require(READ)
    return store.ids(tx, principal.organization_id, kinds=kinds, **narrowed)


def targets_of(tx: Tx, principal: Principal, list_id: RowId, *, after: int = -1, limit: int) -> list[Target]:
    """Whom a campaign (or a run, by its id) names, in order; PAGE_MAX at most."""
    principal.require(READ)
    rows = store.recipients(tx, principal.organization_id, list_id, after=after, limit=min(limit, PAGE_MAX))
    return [Target(row.address, row.address_key, row.vars) for row in rows]


def count_targets(tx: Tx, principal: Principal, list_ids: Sequence[RowId]) -> Mapping[RowId, int]:
    """How many recipients campaigns name; those that name none are left out."""
    principal.require(READ)
    return store.count_recipients(tx, principal.organization_id, list_ids)


def read(row: AnyRow) -> Campaign:
    values = {each.name: getattr(row, each.name) for each in fields(Campaign)}
    values["status"] = CampaignStatus(row.status)
    values["definition"] = replace(definition_from_json(row.definition, subject=row.name), label=row.label)
    values["updated_at"] = row.updated_at or row.created_at
    return Campaign(**values)


def columns_of(definition: Definition) -> dict[str, Any]:
    """How it is kept: as JSON, but for its label."""
    told = asdict(definition)
    label = told.pop("label")
    return {
        "definition": {**told, **{name: told[name] and told[name].hex() for name in _IDS}},
        "label": label,
    }


def definition_from_json(told: dict[str, Any] | None, *, subject: str) -> Definition:
    """What was kept; a campaign nobody drew up (bulk) has its subject alone."""
    if told is None:
        return Definition(subject)
    values = {name: value for name, value in told.items() if name in _FIELDS}
    values |= {name: bytes.fromhex(values[name]) for name in _IDS if values.get(name)}
    values["timing"] = Timing(values.get("timing", Timing.AT_ONCE))
    if (test := values.get("split_test")) is not None:
        variants = tuple(Variant(**each) for each in test["variants"])
        values["split_test"] = SplitTest(
            variants, test["percent"], Yardstick(test["yardstick"]), test["wait_minutes"]
        )
    return Definition(**values)


_FIELDS = frozenset(each.name for each in fields(Definition))
