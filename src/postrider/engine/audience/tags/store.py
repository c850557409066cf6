"""The SQL of tags."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, select, text, update

from postrider.db.database import Tx
from postrider.db.portable import Batch, insert_batch
from postrider.engine.audience.links import Links
from postrider.engine.audience.model import Tag
from postrider.engine.audience.tables import contact_tags, tags
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

LINKS = Links(contact_tags, tags, "tag_id")
_TAG = (tags.c.organization_id, tags.c.id, tags.c.name, tags.c.contacts, tags.c.created_at)

_FOUND = """SELECT t.organization_id, t.id, t.name, t.contacts, t.created_at FROM v
       JOIN tags t ON t.organization_id = v.organization_id AND t.name = v.name"""
_find = Batch(_FOUND, organization_id=int, name=str)
_hold = Batch(_FOUND + " ORDER BY t.id {for_update}", organization_id=int, name=str)
_insert = insert_batch(
    tags, "organization_id", "id", "name", "created_at",
    tail="ON CONFLICT (organization_id, name) DO NOTHING",
)  # fmt: skip
_names = Batch(
    """SELECT l.contact_id, t.name FROM v
       JOIN contact_tags l ON l.organization_id = v.organization_id AND l.contact_id = v.contact_id
       JOIN tags t ON t.organization_id = l.organization_id AND t.id = l.tag_id""",
    organization_id=int,
    contact_id=bytes,
)
# In the order of contacts, so that what is written lies together.
_move = text(
    """INSERT INTO contact_tags (organization_id, contact_id, tag_id, created_at)
       SELECT DISTINCT organization_id, contact_id, :into_id, :now FROM contact_tags
       WHERE organization_id = :organization_id AND tag_id IN :tag_ids ORDER BY contact_id
       ON CONFLICT DO NOTHING"""
).bindparams(
    bindparam("tag_ids", expanding=True),
    bindparam("into_id", type_=contact_tags.c.tag_id.type),
    bindparam("now", type_=contact_tags.c.created_at.type),
)


def ensure(tx: Tx, organization_id: int, names: Iterable[str]) -> dict[str, RowId]:
    """The ids of tags by name; those that are not there yet are made."""
    wanted = sorted(set(names))
    found = {tag.name: tag.id for tag in find(tx, organization_id, wanted)}
    missing = [name for name in wanted if name not in found]
    if missing:
        now = clock.now_ms()
        _insert(tx, [(organization_id, new_id(), name, now) for name in missing])
        found |= {tag.name: tag.id for tag in find(tx, organization_id, missing)}
    return found


def find(tx: Tx, organization_id: int, names: Iterable[str]) -> list[Tag]:
    """Those of these names that there are."""
    return [Tag(*row) for row in _find(tx, [(organization_id, name) for name in sorted(set(names))])]


def page(tx: Tx, organization_id: int, *, limit: int, offset: int) -> list[Tag]:
    """By name."""
    query = select(*_TAG).where(tags.c.organization_id == organization_id)
    return [Tag(*row) for row in tx.execute(query.order_by(tags.c.name).limit(limit).offset(offset))]


def names_of(tx: Tx, organization_id: int, contact_ids: Iterable[RowId]) -> dict[RowId, list[str]]:
    """The tags of each contact by name, in order; no tag, no key."""
    found: dict[RowId, list[str]] = {}
    for contact_id, name in _names(tx, [(organization_id, each) for each in contact_ids]):
        found.setdefault(contact_id, []).append(name)
    for names in found.values():
        names.sort()
    return found


def rename(tx: Tx, tag: Tag, name: str) -> None:
    tx.execute(update(tags).where(*_of(tag)).values(name=name))


def carriers(tx: Tx, organization_id: int, tags_: Sequence[Tag]) -> int:
    """How many contacts carry at least one of these tags."""
    if len(tags_) == 1:
        return tags_[0].contacts
    links = contact_tags.c
    found = select(links.contact_id).where(
        links.organization_id == organization_id, links.tag_id.in_([tag.id for tag in tags_])
    )
    return tx.execute(select(func.count()).select_from(found.distinct().subquery())).scalar_one()


def merge(tx: Tx, into: Tag, others: Sequence[Tag], now: int) -> None:
    """Give `into` to all who carry one of the others, and drop those."""
    if not others:
        return
    organization_id, links = into.organization_id, contact_tags.c
    gone = [tag.id for tag in others]
    facts = {"organization_id": organization_id, "tag_ids": gone, "into_id": into.id, "now": now}
    more = tx.execute(_move, facts).rowcount
    tx.execute(delete(contact_tags).where(links.organization_id == organization_id, links.tag_id.in_(gone)))
    tx.execute(delete(tags).where(tags.c.organization_id == organization_id, tags.c.id.in_(gone)))
    tx.execute(update(tags).where(*_of(into)).values(contacts=into.contacts + more))


def hold(tx: Tx, organization_id: int, names: Iterable[str]) -> list[Tag]:
    """As find, and nobody else changes the rows before this transaction ends."""
    return [Tag(*row) for row in _hold(tx, [(organization_id, name) for name in sorted(set(names))])]


def _of(tag: Tag) -> tuple[Any, ...]:
    return tags.c.organization_id == tag.organization_id, tags.c.id == tag.id
