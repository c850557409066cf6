"""The query of a request against its resource's table: everything that is wrong with it at once, as a 400.

Brackets come raw or percent-encoded. A plain word that means nothing here, such as a tracker's, is let be.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from starlette.requests import Request

from postrider.surfaces.common.errors import FAULTS_MAX
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.limits import PAGE_SIZE, PAGE_SIZE_MAX
from postrider.surfaces.nudgecampaign.paging import Order, Page, Position, position, read_cursor, write_cursor
from postrider.surfaces.nudgecampaign.resources import Misread, Resource, View, one_of

T = TypeVar("T")
Reader = Callable[[str], Any]

SIZE, CURSOR, SORT, INCLUDE = "page[size]", "page[cursor]", "sort", "include"
NAME_MAX_CHARS = 100  # of an unknown parameter, as it is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(View, Generic[T]):
    """What is asked of a list; `filters` by the engine's names."""

    resource: Resource[T]
    order: Order[T]
    size: int = PAGE_SIZE
    after: Position | None = None
    filters: Mapping[str, Any]

    def cut(self, rows: Iterable[T]) -> Page[T]:
        """The page asked for, of a list that is short enough to be read whole."""
        placed = sorted(
            ((position(self.resource, self.order, row), row) for row in rows),
            key=itemgetter(0),
            reverse=self.order.is_descending,
        )
        after = self.after
        rest = [row for place, row in placed if after is None or self.order.has_after(place, after)]
        return self.page(rest, len(placed))

    def page(self, rows: Sequence[T], total: int) -> Page[T]:
        """The page, of rows that the engine sorted and of which one more than `size` was asked."""
        return Page(rows[: self.size], total, len(rows) > self.size)

    def links(self, request: Request, page: Page[T]) -> dict[str, str | None]:
        """self and next as paths: under the prefix of the mount, with the parameters that were asked."""
        asked = request.query_params
        known = {*parameters_of(self.resource)} - {SIZE, CURSOR}
        kept = [(name, text) for name, text in asked.multi_items() if name in known]
        here = [*kept, (SIZE, str(self.size))]
        own = [(CURSOR, asked[CURSOR])] if self.after is not None else []
        path = quote(request.scope["path"])
        following = None
        if page.has_more:
            cursor = write_cursor(self.order, position(self.resource, self.order, page.rows[-1]))
            following = f"{path}?{_encoded([*here, (CURSOR, cursor)])}"
        return {"self": f"{path}?{_encoded([*here, *own])}", "next": following}


def read_query(request: Request, resource: Resource[T]) -> Query[T]:
    """What a list is asked; raises Faulty."""
    faults: list[Detail] = []
    readers: dict[str, Reader] = {
        SIZE: _size,
        CURSOR: str,
        SORT: one_of([f"{sign}{name}" for name in resource.sorts for sign in ("", "-")]),
        **_view_readers(resource),
        **{name: narrow.read for name, narrow in resource.filters.items()},
    }
    found = read_parameters(request, readers, faults)
    text = found.get(SORT, resource.order)
    order = Order(text, resource.sorts[text.removeprefix("-")])
    after = None
    if CURSOR in found and not any(fault.field == SORT for fault in faults):
        try:
            after = read_cursor(found[CURSOR], order)
        except ValueError:
            faults.append(Detail(CURSOR, "The cursor is not one of this list", "invalid_cursor"))
    if faults:
        raise Faulty(400, faults)
    filters = {narrow.name: found[name] for name, narrow in resource.filters.items() if name in found}
    view = _view(resource, found)
    if resource.large:
        view["fields"].setdefault(resource.type, frozenset(resource.attributes) - resource.large)
    return Query(
        resource=resource,
        order=order,
        size=found.get(SIZE, PAGE_SIZE),
        after=after,
        filters=filters,
        **view,
    )


def read_view(request: Request, resource: Resource[Any]) -> View:
    """How one row is to be shown; raises Faulty."""
    faults: list[Detail] = []
    found = read_parameters(request, _view_readers(resource), faults)
    if faults:
        raise Faulty(400, faults)
    return View(**_view(resource, found))


def parameters_of(resource: Resource[Any]) -> list[str]:
    """The names of all that a list of this resource takes, for its description."""
    return [SIZE, CURSOR, SORT, *resource.filters, *_view_readers(resource)]


def read_parameters(request: Request, readers: Mapping[str, Reader], faults: list[Detail]) -> dict[str, Any]:
    """What the readers make of their parameters; what they cannot read is added to the faults."""
    found: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        reader = readers.get(name)
        if reader is None:
            if "[" in name or name in (SORT, INCLUDE):
                faults.append(Detail(name[:NAME_MAX_CHARS], "No such parameter here", "invalid_value"))
        elif name in found:
            faults.append(Detail(name, "The parameter is given twice", "invalid_value"))
        else:
            try:
                found[name] = reader(text)
            except Misread as fault:
                faults.append(Detail(name, str(fault), fault.code))
    return found


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Misread("Input should be a whole number", "invalid_type")
    if len(text) > len(str(PAGE_SIZE_MAX)) or not 1 <= int(text) <= PAGE_SIZE_MAX:
        raise Misread(f"Input should be 1 to {PAGE_SIZE_MAX}", "out_of_range")
    return int(text)


def _view_readers(resource: Resource[Any]) -> dict[str, Reader]:
    readers: dict[str, Reader] = {
        f"fields[{type_}]": _words_of(shown.attributes) for type_, shown in _types(resource).items()
    }
    return {INCLUDE: _words_of(resource.includes), **readers} if resource.includes else readers


def _view(resource: Resource[Any], found: Mapping[str, Any]) -> dict[str, Any]:
    fields = {type_: found[name] for type_ in _types(resource) if (name := f"fields[{type_}]") in found}
    return {"include": found.get(INCLUDE, frozenset()), "fields": fields}


def _types(resource: Resource[Any]) -> dict[str, Resource[Any]]:
    """The types that an answer may hold: the resource's own and those it may include."""
    return {shown.type: shown for shown in (resource, *resource.includes.values()) if shown is not None}


def _words_of(known: Iterable[str]) -> Reader:
    def read(text: str) -> frozenset[str]:
        words = [word.strip() for word in text.split(",")] if text else []
        unknown = [word[:NAME_MAX_CHARS] for word in words if word not in known]
        if unknown:
            raise Misread(f"Unknown: {', '.join(unknown[:FAULTS_MAX])}")
        return frozenset(words)

    return read


def _encoded(parameters: Iterable[tuple[str, str]]) -> str:
    """Brackets, commas and colons raw, as the documents print them."""
    return "&".join(f"{quote(name, safe='[]')}={quote(text, safe=',:')}" for name, text in parameters)
