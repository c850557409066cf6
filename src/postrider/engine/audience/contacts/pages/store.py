"""The SQL of pages of contacts. What a filter asks may be rare or common among a million contacts, so how a
page is read is chosen by size: of a rare thing all are fetched and sorted; among common ones the order's own
index is walked until the page is full. Names of columns come from the tables here, values are bound.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from postrider.db.database import Tx
from postrider.db.portable import Statement
from postrider.engine.audience.contacts.rules import TRIGRAM
from postrider.engine.audience.contacts.store import row_range
from postrider.engine.audience.model import ContactFilter, ContactSort, Status, Total
from postrider.kit.ids import RowId, id_floor

COUNT_MAX = 100_000  # as far as a list is counted
RARE_MAX = 1_000  # of these all are fetched and sorted
SHORT_SCAN = 20_000  # the newest contacts, among which a part of one or two characters is looked for
_SPECIAL = re.compile(r"[\\%_]")  # of LIKE
_ESCAPED = r"\\\g<0>"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


_floor = Statement(
    "SELECT id FROM contacts WHERE organization_id = :organization_id ORDER BY id DESC LIMIT 1 OFFSET :offset"
)


class Cursor(NamedTuple):
    """The place of a contact in an order: what it is sorted by, and its id."""

    value: Any
    contact_id: RowId


class Group(NamedTuple):
    """A tag, list or segment that a contact must be in, and how many are."""

    id: RowId
    contacts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """A ContactFilter whose names were looked up."""

    filter: ContactFilter
    keys: Sequence[str] = ()  # of its emails
    tags: Sequence[Group] = ()
    list: Group | None = None
    segment: Group | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where ids come from: tables, the conditions that find them there, what orders them as ids are."""

    tables: str
    conditions: tuple[str, ...]
    order: str | None  # None: nothing does, all are fetched and sorted
    covers: str  # which condition of the filter it stands for


_WALK = _Source("contacts c", (), "c.id", "")
_OF_CONTACT, _OF_GROUP = "x.contact_id = c.id", "x.contact_id = g.contact_id"
_GROUPS = {"tag": ("contact_tags", "tag_id"), "list": ("list_contacts", "list_id"),
           "segment": ("segment_contacts", "segment_id")}  # fmt: skip


def ids(
    tx: Tx,
    organization_id: int,
    narrowed: Narrowed,
    *,
    sort: ContactSort,
    descending: bool,
    limit: int,
    offset: int,
    after: Cursor | None,
) -> list[RowId]:
    """One page in order; `after` begins behind a contact instead of an offset."""
    asked = _Asked(tx, organization_id, narrowed)
    source = asked.source(sort)
    conditions = asked.conditions(source)
    if after is not None:
        conditions.append(asked.past(source, sort, after, descending=descending))
    statement = (
        f"SELECT c.id FROM {source.tables} WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY {asked.order(source, sort, descending=descending)} LIMIT :limit OFFSET :offset"
    )
    return [row[0] for row in Statement(statement)(tx, **asked.facts, limit=limit, offset=offset)]


def count(tx: Tx, organization_id: int, narrowed: Narrowed) -> Total:
    """How many a filter finds: by a counter where one says so, else counted to COUNT_MAX."""
    groups = [*narrowed.tags, *(each for each in (narrowed.list, narrowed.segment) if each is not None)]
    told = replace(narrowed.filter, tags=(), list_id=None, segment_id=None)
    if len(groups) == 1 and told == ContactFilter():
        return Total(groups[0].contacts)
    asked = _Asked(tx, organization_id, narrowed)
    statement = f"SELECT count(*) FROM (SELECT 1 AS one FROM {asked.counted()} LIMIT :limit) AS found"  # noqa: S608
    ((found,),) = Statement(statement)(tx, **asked.facts, limit=COUNT_MAX + 1)
    return Total(min(found, COUNT_MAX), found <= COUNT_MAX)


class _Asked:
    """One filter on its way to SQL: the facts it binds, and how many fit each of its conditions."""

    def __init__(self, tx: Tx, organization_id: int, narrowed: Narrowed) -> None:
        self._tx = tx
        self._narrowed = narrowed
        self._filter = narrowed.filter
        self._is_sqlite = tx.dialect.name == "sqlite"
        self.facts: dict[str, Any] = {"organization_id": organization_id}
        self._needle = (self._filter.search or "").casefold()
        self._parts: dict[str, str] = {}  # conditions by what they stand for, in no index's order
        self._indexed: dict[str, str] = {}  # the same as an index finds them
        self._groups: dict[str, int] = {}  # sizes of tags, list and segment
        self._add_columns()
        self._add_groups()
        self._add_search()

    def source(self, sort: ContactSort) -> _Source:
        """From where to read: the rarest thing asked for, or the order's index."""
        rarest, size = self._rarest()
        if rarest and size <= RARE_MAX:
            return self._rare(rarest)
        if sort is not ContactSort.CREATED:
            return self._shared(rarest) if len(self._groups) > 1 else _WALK
        if rarest in self._groups:
            table, column = _GROUPS[rarest.partition("_")[0]]
            joined = (
                "g.organization_id = :organization_id",
                f"g.{column} = :{rarest}",
                "c.id = g.contact_id",
            )
            return _Source(f"{table} g CROSS JOIN contacts c", joined, "g.contact_id", rarest)
        if self._is_sqlite and "search" in self._indexed:
            joined = ("contact_search MATCH :phrase", "contact_search.rowid BETWEEN :low AND :high",
                      "c.id = contact_search.contact_id")  # fmt: skip
            return _Source("contact_search CROSS JOIN contacts c", joined, "contact_search.rowid", "search")
        if rarest in ("status", "stage", "source") and "," not in self._indexed[rarest]:
            return replace(_WALK, conditions=(self._indexed[rarest],), covers=rarest)
        return _WALK

    def conditions(self, source: _Source) -> list[str]:
        rest = [part for name, part in self._parts.items() if name != source.covers]
        if source.order == "g.contact_id":  # asked before the contact's own row is read
            rest = [part.replace(_OF_CONTACT, _OF_GROUP) for part in rest]
        return ["c.organization_id = :organization_id", *source.conditions, *rest]

    def counted(self) -> str:
        """The rows that fit all conditions, of the narrowest index where one tells."""
        if set(self._parts) == {"search"} and self._indexed:
            return self._found("search")
        source = self.source(ContactSort.CREATED)
        conditions = self.conditions(source)
        if not self._parts:  # an index that is narrower than the row
            conditions.append(f"c.status IN ({', '.join(str(int(status)) for status in Status)})")
        return f"{source.tables} WHERE {' AND '.join(conditions)}"

    def order(self, source: _Source, sort: ContactSort, *, descending: bool) -> str:
        direction = "DESC" if descending else "ASC"
        if source.order is not None and sort is ContactSort.CREATED:
            return f"{source.order} {direction}"
        # What was fetched whole is sorted: SQLite is not to walk an index for its order instead.
        free = "+" if source.order is None and self._is_sqlite else ""
        by = f"{free}c.{sort.value} {direction}"
        return by if sort in (ContactSort.CREATED, ContactSort.EMAIL) else f"{by}, c.id {direction}"

    def past(self, source: _Source, sort: ContactSort, after: Cursor, *, descending: bool) -> str:
        sign = "<" if descending else ">"
        self.facts["after_id"] = after.contact_id
        if sort is ContactSort.CREATED:
            if source.order != "contact_search.rowid":
                return f"{source.order or 'c.id'} {sign} :after_id"
            end = "ORDER BY id DESC LIMIT 1), -1)" if descending else "ORDER BY id LIMIT 1), :high)"
            return (  # from the next contact on: its row stands where its id does
                f"contact_search.rowid {sign}= coalesce((SELECT search_row FROM contacts WHERE "  # noqa: S608
                f"organization_id = :organization_id AND id {sign} :after_id {end}"
            )
        self.facts["after_value"] = after.value
        if sort is ContactSort.EMAIL:
            return f"c.address_key {sign} :after_value"
        return f"(c.{sort.value}, c.id) {sign} (:after_value, :after_id)"

    def _add_columns(self) -> None:
        asked = self._filter
        for name, codes in (("status", asked.status), ("stage", asked.stage)):
            if codes:
                listed = ", ".join(str(int(code)) for code in sorted(set(codes)))
                sign = f"IN ({listed})" if "," in listed else f"= {listed}"
                # coalesce keeps an index out of a walk that is to follow another one
                self._put(name, f"coalesce(c.{name}, 0) {sign}", f"c.{name} {sign}")
        if asked.source is not None:
            self._put("source", "coalesce(c.source, '') = :source", "c.source = :source", source=asked.source)
        if asked.created_after is not None:
            self._put("since", "c.id >= :since", since=id_floor(asked.created_after))
        if asked.created_before is not None:
            self._put("until", "c.id < :until", until=id_floor(asked.created_before))
        if asked.emails:
            names = [f"key_{_LETTERS[n // 676 % 26]}{_LETTERS[n // 26 % 26]}{_LETTERS[n % 26]}"
                     for n in range(len(self._narrowed.keys))]  # fmt: skip
            condition = f"c.address_key IN ({', '.join(f':{name}' for name in names) or 'NULL'})"
            self._put("emails", condition)
            self.facts |= zip(names, self._narrowed.keys, strict=True)

    def _add_groups(self) -> None:
        found = self._narrowed
        groups = {f"tag_{_LETTERS[number]}": tag for number, tag in enumerate(found.tags)}
        if found.list is not None:
            groups["list"] = found.list
        if found.segment is not None:
            groups["segment"] = found.segment
        for name, group in groups.items():
            table, column = _GROUPS[name.partition("_")[0]]
            condition = (
                f"EXISTS (SELECT 1 FROM {table} x WHERE x.organization_id = :organization_id "  # noqa: S608
                f"AND x.{column} = :{name} AND {_OF_CONTACT})"
            )
            self._put(name, condition)
            self.facts[name] = group.id
            self._groups[name] = group.contacts

    def _add_search(self) -> None:
        if not self._needle:
            return
        pattern = f"%{_SPECIAL.sub(_ESCAPED, self._needle)}%"
        like = "c.search_text LIKE :pattern ESCAPE '\\'"
        if len(self._needle) < TRIGRAM:
            floor = _floor(self._tx, organization_id=self.facts["organization_id"], offset=SHORT_SCAN)
            self._put("newest", "c.id >= :newest", newest=floor[0][0] if floor else b"")
            self._put("search", like, pattern=pattern)
        elif self._is_sqlite:
            low, high = row_range(self.facts["organization_id"])
            phrase = '"' + self._needle.replace('"', '""') + '"'
            self._put("search", like, like, pattern=pattern, phrase=phrase, low=low, high=high)
        else:
            self._put("search", like, like, pattern=pattern)

    def _put(self, name: str, condition: str, indexed: str = "", **facts: Any) -> None:
        self._parts[name] = condition
        if indexed:
            self._indexed[name] = indexed
        self.facts |= facts

    def _rarest(self) -> tuple[str, int]:
        """Which condition the fewest contacts fit, as far as that is quickly told; "" for none."""
        if "emails" in self._parts:
            return "emails", 0
        sizes = dict(self._groups)
        for name in ("status", "stage", "source", "search"):
            if name in self._indexed and min(sizes.values(), default=RARE_MAX + 1) > RARE_MAX:
                sizes[name] = self._probe(name)
        if not sizes:
            return "", 0
        rarest = min(sizes, key=lambda name: sizes[name])
        return rarest, sizes[rarest]

    def _probe(self, name: str) -> int:
        """How many fit, counted to one more than is rare; what is not rare counts after every group."""
        statement = Statement(
            f"SELECT count(*) FROM (SELECT 1 AS one FROM {self._found(name)} LIMIT :limit) AS found"  # noqa: S608
        )
        ((found,),) = statement(self._tx, **self.facts, limit=RARE_MAX + 1)
        return int(found) if found <= RARE_MAX else 1 << 62

    def _found(self, name: str) -> str:
        """The rows that fit one condition, as its index has them."""
        if name == "search" and self._is_sqlite:
            return "contact_search WHERE contact_search MATCH :phrase AND rowid BETWEEN :low AND :high"
        return f"contacts c WHERE c.organization_id = :organization_id AND {self._indexed[name]}"

    def _shared(self, rarest: str) -> _Source:
        """Those whom all groups have, where they are so few that a walk would not find them soon."""
        if rarest not in self._groups:
            return _WALK
        table, column = _GROUPS[rarest.partition("_")[0]]
        others = [
            self._parts[name].replace(_OF_CONTACT, _OF_GROUP) for name in self._groups if name != rarest
        ]
        in_one = ("g.organization_id = :organization_id", f"g.{column} = :{rarest}")
        inner = f"SELECT g.contact_id FROM {table} g WHERE {' AND '.join((*in_one, *others))}"  # noqa: S608
        statement = Statement(f"SELECT count(*) FROM ({inner} LIMIT :limit) AS found")  # noqa: S608
        ((found,),) = statement(self._tx, **self.facts, limit=RARE_MAX + 1)
        if found > RARE_MAX:
            return _WALK
        return _Source("contacts c", (f"c.id IN ({inner} LIMIT {RARE_MAX})",), None, rarest)

    def _rare(self, name: str) -> _Source:
        if name == "emails":
            return replace(_WALK, order=None)
        if name in self._groups:
            table, column = _GROUPS[name.partition("_")[0]]
            inner = (
                f"SELECT contact_id FROM {table} "  # noqa: S608
                f"WHERE organization_id = :organization_id AND {column} = :{name}"
            )
        else:
            column = "contact_id" if name == "search" and self._is_sqlite else "c.id"
            inner = f"SELECT {column} FROM {self._found(name)} LIMIT {RARE_MAX}"  # noqa: S608
        return _Source("contacts c", (f"c.id IN ({inner})",), None, name)
