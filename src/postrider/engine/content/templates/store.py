"""The SQL of templates. What an organization may see is its own, and what the operator has published."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, tuple_, update

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine.content.templates.model import Content, Filter, Sort, Template, Variable
from postrider.engine.content.templates.tables import templates
from postrider.kit import json
from postrider.kit.ids import RowId

Key = tuple[int, RowId]  # organization and id
_COLUMNS = (
    "organization_id", "id", "number", "name", "description", "category", "is_public", "usage_count",
    "created_by", "created_at", "updated_at", "subject", "variables", "html", "text", "mjml",
    "ready_subject", "ready_html", "ready_text",
)  # fmt: skip
_COPIED = (
    "description", "category", "size_bytes", "subject", "variables", "html", "text", "mjml",
    "ready_subject", "ready_html", "ready_text",
)  # fmt: skip
_by_key = Batch(
    f"SELECT {', '.join(f't.{name}' for name in _COLUMNS)} FROM v "  # noqa: S608
    "JOIN templates t ON t.organization_id = v.organization_id AND t.id = v.id",
    organization_id=int,
    id=bytes,
)


def put(tx: Tx, row: dict[str, Any]) -> None:
    """A whole row, its variables as JSON values."""
    tx.execute(insert(templates).values(**row))


def change(tx: Tx, organization_id: int, template_id: RowId, columns: dict[str, Any]) -> None:
    tx.execute(update(templates).where(*_of(organization_id, template_id)).values(**columns))


def remove(tx: Tx, organization_id: int, template_id: RowId) -> bool:
    return tx.execute(delete(templates).where(*_of(organization_id, template_id))).rowcount == 1


def count_use(tx: Tx, organization_id: int, template_id: RowId) -> None:
    more = templates.c.usage_count + 1
    tx.execute(update(templates).where(*_of(organization_id, template_id)).values(usage_count=more))


def get(tx: Tx, organization_id: int, template_id: RowId, *, operator: int | None = None) -> Template | None:
    """One of the organization's own, or of those that the operator has published."""
    key = select(templates.c.organization_id, templates.c.id)
    return _first(tx, key.where(_seen_by(organization_id, operator), templates.c.id == template_id))


def by_number(tx: Tx, organization_id: int, number: int) -> Template | None:
    key = select(templates.c.organization_id, templates.c.id)
    return _first(tx, key.where(templates.c.organization_id == organization_id, templates.c.number == number))


def by_name(tx: Tx, organization_id: int, name: str) -> Template | None:
    """The oldest of that name."""
    key = select(templates.c.organization_id, templates.c.id)
    named = key.where(templates.c.organization_id == organization_id, templates.c.name == name)
    return _first(tx, named.order_by(templates.c.id).limit(1))


def browse(
    tx: Tx,
    organization_id: int,
    asked: Filter,
    *,
    operator: int | None,
    sort: Sort,
    descending: bool,
    limit: int,
    after: tuple[Any, RowId] | None,
) -> list[tuple[Key, int]]:
    """The keys in order and how large each is; `after` begins behind what the last one is sorted by."""
    table, column = templates.c, templates.c[sort.value]
    query = select(table.organization_id, table.id, table.size_bytes).where(
        *_found(organization_id, operator, asked)
    )
    if after is not None:
        place = tuple_(column, table.id)
        query = query.where(place < after if descending else place > after)
    order = (column.desc(), table.id.desc()) if descending else (column, table.id)
    return [((row[0], row[1]), row[2]) for row in tx.execute(query.order_by(*order).limit(limit))]


def count(tx: Tx, organization_id: int, asked: Filter, *, operator: int | None) -> int:
    return tx.execute(select(func.count()).where(*_found(organization_id, operator, asked))).scalar_one()


def count_own(tx: Tx, organization_id: int) -> int:
    return tx.execute(select(func.count()).where(templates.c.organization_id == organization_id)).scalar_one()


def copied(tx: Tx, organization_id: int, template_id: RowId) -> dict[str, Any]:
    """What a copy has of a template, as put() takes it."""
    query = select(*(templates.c[name] for name in _COPIED)).where(*_of(organization_id, template_id))
    return dict(tx.execute(query).mappings().one())


def many(tx: Tx, keys: Sequence[Key]) -> list[Template]:
    """In the order asked."""
    found = {(row[0], row[1]): _template(row) for row in _by_key(tx, keys)}
    return [found[key] for key in keys if key in found]


def _first(tx: Tx, query: Any) -> Template | None:
    row = tx.execute(query).first()
    return None if row is None else next(iter(many(tx, [(row[0], row[1])])), None)


def _of(organization_id: int, template_id: RowId) -> tuple[ColumnElement[bool], ...]:
    return templates.c.organization_id == organization_id, templates.c.id == template_id


def _seen_by(organization_id: int, operator: int | None) -> ColumnElement[bool]:
    if operator in (None, organization_id):
        return templates.c.organization_id == organization_id
    return and_(
        templates.c.organization_id.in_((organization_id, operator)),
        or_(templates.c.organization_id == organization_id, templates.c.is_public == 1),
    )


def _found(organization_id: int, operator: int | None, asked: Filter) -> list[ColumnElement[bool]]:
    """SQLite knows only the cases of ASCII."""
    conditions = [_seen_by(organization_id, operator)]
    if asked.category is not None:
        conditions.append(templates.c.category == asked.category)
    if asked.is_public is not None:
        conditions.append(templates.c.is_public == int(asked.is_public))
    if asked.search:
        conditions.append(
            or_(
                templates.c.name.icontains(asked.search, autoescape=True),
                templates.c.description.icontains(asked.search, autoescape=True),
            )
        )
    return conditions


def _template(row: Sequence[Any]) -> Template:
    kept = dict(zip(_COLUMNS, row, strict=True))
    subject, html, text = (kept.pop(f"ready_{name}") for name in ("subject", "html", "text"))
    kept["content"] = Content(subject or kept["subject"], html or kept["html"], text)
    variables = json.loads(kept["variables"]) if kept["variables"] else []
    kept["variables"] = tuple(Variable.from_json(each) for each in variables)
    kept["is_public"] = kept["is_public"] == 1
    return Template(**kept)
