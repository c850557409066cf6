"""The frame that every noun stands in: what a query may ask, how pages are walked, how a row is shown."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from postrider.kit.ids import new_id
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.errors import Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, show
from postrider.surfaces.nudgecampaign.paging import Order, Position, read_cursor, write_cursor
from postrider.surfaces.nudgecampaign.query import Query, read_query, read_view
from postrider.surfaces.nudgecampaign.resources import Filter, Resource, Sort, View, one_of, shown_at


@dataclass(frozen=True)
class Horse:
    """A row of a noun that no dialect has."""

    id: bytes
    name: str
    age: int
    rider: bytes | None = None


RIDER: Resource[Horse] = Resource(
    type="rider",
    noun=Noun.USER,
    row_id=lambda horse: horse.rider or b"",
    attributes={"name": lambda horse: f"rider of {horse.name}"},
)
HORSE: Resource[Horse] = Resource(
    type="horse",
    noun=Noun.CAMPAIGN,
    row_id=lambda horse: horse.id,
    attributes={
        "name": lambda horse: horse.name,
        "age": lambda horse: horse.age,
        "created_at": lambda horse: shown_at(horse.age * 1000),
    },
    relationships={
        "rider": ("rider", lambda horse: show(Noun.USER, horse.rider) if horse.rider else None),
    },
    sorts={"age": Sort(int, lambda horse: horse.age), "name": Sort(str, lambda horse: horse.name)},
    order="-age",
    filters={"filter[colour]": Filter("coat", one_of(("bay", "grey")))},
    includes={"rider": RIDER, "stats": None},
)


def asked(query: str, path: str = "/nudgecampaign/v2/horses") -> Request:
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": query.encode()}
    return Request({**scope, "server": ("test", 80), "scheme": "http"})


def faults_of(query: str) -> dict[str, str]:
    with pytest.raises(Faulty) as refused:
        read_query(asked(query), HORSE)
    assert refused.value.said.status == 400
    return {fault.field: fault.code for fault in refused.value.details}


def page_of(query: str, rows: Sequence[Horse]) -> dict[str, Any]:
    request = asked(query)
    wanted = read_query(request, HORSE)
    answer: dict[str, Any] = json.loads(bytes(frame.many(request, wanted, wanted.cut(rows)).body))
    return answer


def test_a_query_is_read_by_the_resources_table() -> None:
    raw = "page[size]=7&sort=-name&filter[colour]=bay&include=rider,stats&fields[horse]=name,age"
    for text in (raw, raw.replace("[", "%5B").replace("]", "%5D")):
        query: Query[Horse] = read_query(asked(text), HORSE)
        assert (query.size, query.order.name, query.order.is_descending) == (7, "name", True)
        assert query.filters == {"coat": "bay"}
        assert query.include == {"rider", "stats"}
        assert query.fields == {"horse": {"name", "age"}}


def test_a_list_that_nobody_sorts_has_the_resources_order() -> None:
    query = read_query(asked(""), HORSE)
    assert (query.order.text, query.size, query.after, query.filters) == ("-age", 20, None, {})


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("page[size]=0", "page[size]", "out_of_range"),
        ("page[size]=101", "page[size]", "out_of_range"),
        ("page[size]=" + "9" * 5_000, "page[size]", "out_of_range"),
        ("page[size]=-1", "page[size]", "invalid_type"),
        ("page[size]=ten", "page[size]", "invalid_type"),
        ("page[size]=%D9%A3", "page[size]", "invalid_type"),
        ("page[size]=", "page[size]", "invalid_type"),
        ("page[number]=2", "page[number]", "invalid_value"),
        ("page[size]=1&page[size]=2", "page[size]", "invalid_value"),
        ("sort=colour", "sort", "invalid_value"),
        ("sort=--age", "sort", "invalid_value"),
        ("sort=age,name", "sort", "invalid_value"),
        ("sort=", "sort", "invalid_value"),
        ("filter[age]=3", "filter[age]", "invalid_value"),
        ("filter[colour]=red", "filter[colour]", "invalid_value"),
        ("filter[colour]=%00", "filter[colour]", "invalid_value"),
        ("include=owner", "include", "invalid_value"),
        ("include=rider,", "include", "invalid_value"),
        ("fields[horse]=secret", "fields[horse]", "invalid_value"),
        ("fields[owner]=name", "fields[owner]", "invalid_value"),
        ("page[cursor]=", "page[cursor]", "invalid_cursor"),
        ("page[cursor]=abc123", "page[cursor]", "invalid_cursor"),
        ("page[cursor]=%FF%FE", "page[cursor]", "invalid_cursor"),
        ("page[cursor]=" + "A" * 60_000, "page[cursor]", "invalid_cursor"),
    ],
)
def test_a_parameter_that_may_not_be_so_is_told(query: str, field: str, code: str) -> None:
    assert faults_of(query) == {field: code}


def test_all_faults_of_a_query_are_told_at_once() -> None:
    faults = faults_of("page[size]=x&sort=x&filter[x]=x&include=x&fields[horse]=x&page[x]=x")
    assert set(faults) == {"page[size]", "sort", "filter[x]", "include", "fields[horse]", "page[x]"}


def test_a_word_without_meaning_here_is_let_be() -> None:
    assert read_query(asked("utm_source=mail&_=17"), HORSE).filters == {}


@pytest.mark.parametrize("query", ["page[size]=3", "sort=age", "filter[colour]=bay", "page[cursor]=abc"])
def test_one_row_is_neither_paged_nor_sorted_nor_filtered(query: str) -> None:
    with pytest.raises(Faulty):
        read_view(asked(query), HORSE)


@pytest.mark.parametrize(
    "forged",
    [
        ["-age", "three", new_id().hex()],
        ["-age", True, new_id().hex()],
        ["-age", None, new_id().hex()],
        ["-age", 3.5, new_id().hex()],
        ["-age", 2**63, new_id().hex()],
        ["-age", 3, "00"],
        ["-age", 3, "zz" * 16],
        ["-age", 3, 7],
        ["-age", 3],
        ["age", 3, new_id().hex()],
        {"-age": 3},
        "text",
    ],
)
def test_a_forged_cursor_is_no_cursor(forged: Any) -> None:
    order = Order("-age", HORSE.sorts["age"])
    body = write_cursor(order, Position(3, new_id()))
    assert read_cursor(body, order).key == 3
    with pytest.raises(ValueError):
        read_cursor(_encoded(forged), order)


def test_a_cursor_with_nul_in_its_text_is_no_cursor() -> None:
    order = Order("name", HORSE.sorts["name"])
    with pytest.raises(ValueError):
        read_cursor(_encoded(["name", "a\0b", new_id().hex()]), order)


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


horses = st.builds(
    lambda name, age: Horse(new_id(), name, age), st.text(max_size=3), st.integers(min_value=0, max_value=3)
)


@given(
    first=st.lists(horses, max_size=12),
    later=st.lists(horses, max_size=12),
    size=st.integers(1, 4),
    sort=st.sampled_from(["age", "-age", "name", "-name"]),
)
def test_walking_the_pages_under_inserts_neither_skips_nor_repeats(
    first: list[Horse], later: list[Horse], size: int, sort: str
) -> None:
    rows, waiting, seen = list(first), list(later), []
    query: str | None = f"page[size]={size}&sort={sort}"
    while query is not None:
        page = page_of(query, rows)
        seen += [each["id"] for each in page["data"]]
        assert page["meta"]["total"] == len(rows)
        assert page["meta"]["has_more"] == (page["links"]["next"] is not None)
        query = urlsplit(page["links"]["next"]).query if page["links"]["next"] else None
        rows += [waiting.pop() for _ in range(min(2, len(waiting)))]
    assert len(seen) == len(set(seen))
    assert {show(Noun.CAMPAIGN, horse.id) for horse in first} <= set(seen)
    if not later:
        down = sort.startswith("-")
        ordered = sorted(first, key=lambda horse: (getattr(horse, sort.lstrip("-")), horse.id), reverse=down)
        assert seen == [show(Noun.CAMPAIGN, horse.id) for horse in ordered]


def test_a_cursor_stands_when_the_row_it_names_is_gone() -> None:
    rows = [Horse(new_id(), "x", age) for age in range(4)]
    following = page_of("page[size]=2", rows)["links"]["next"]
    del rows[2]
    rest = page_of(urlsplit(following).query, rows)
    assert [each["attributes"]["age"] for each in rest["data"]] == [1, 0]


def test_links_are_paths_that_keep_the_mount_and_what_was_asked() -> None:
    rows = [Horse(new_id(), "a,b&c", age) for age in range(3)]
    query = "fields[horse]=name&sort=name&filter[colour]=bay&page[size]=1&include=rider&utm=x"
    page = page_of(query, rows)
    path = "/nudgecampaign/v2/horses?"
    kept = "fields[horse]=name&sort=name&filter[colour]=bay&include=rider&page[size]=1"
    assert page["links"]["self"] == path + kept
    assert page["links"]["next"].startswith(path + kept + "&page[cursor]=")
    second = page_of(urlsplit(page["links"]["next"]).query, rows)
    assert second["links"]["self"] == page["links"]["next"]
    assert set(parse_qs(urlsplit(second["links"]["next"]).query)) == set(
        parse_qs(urlsplit(page["links"]["next"]).query)
    )
    assert page_of("", rows)["links"] == {"self": path + "page[size]=20", "next": None}


def test_links_encode_what_a_parameter_may_hold() -> None:
    words: Resource[Horse] = Resource(
        type="horse",
        noun=Noun.CAMPAIGN,
        row_id=HORSE.row_id,
        attributes=HORSE.attributes,
        sorts=HORSE.sorts,
        order="age",
        filters={"search": Filter("text", str)},
    )
    request = asked("search=" + quote("a&b=c#d é"))
    query = read_query(request, words)
    link = query.links(request, query.cut([]))["self"]
    assert link is not None
    assert parse_qs(urlsplit(link).query)["search"] == ["a&b=c#d é"]


def test_a_resource_is_shown_in_the_layers_of_the_contract() -> None:
    horse = Horse(new_id(), "Bess", 3, rider=new_id())
    rider = {"type": "rider", "id": show(Noun.USER, horse.rider or b"")}
    assert HORSE.shown(horse, View()) == {
        "id": show(Noun.CAMPAIGN, horse.id),
        "type": "horse",
        "attributes": {"name": "Bess", "age": 3, "created_at": "1970-01-01T00:00:03Z"},
        "relationships": {"rider": {"data": rider}},
        "meta": {"created_at": "1970-01-01T00:00:03Z"},
    }


def test_sparse_fields_leave_id_type_and_meta() -> None:
    view = read_view(asked("fields[horse]=age&include=rider&fields[rider]="), HORSE)
    horse = Horse(new_id(), "Bess", 3, rider=new_id())
    answer = json.loads(bytes(frame.one(HORSE, horse, view, included=[(RIDER, horse)]).body))
    assert answer["data"]["attributes"] == {"age": 3}
    assert answer["data"]["meta"] == {"created_at": "1970-01-01T00:00:03Z"}
    assert [(each["type"], each["attributes"]) for each in answer["included"]] == [("rider", {})]


def test_what_several_rows_share_is_included_once() -> None:
    rider = new_id()
    rows = [Horse(new_id(), name, 3, rider=rider) for name in ("Bess", "Bob")]
    request = asked("include=rider")
    query = read_query(request, HORSE)
    body = frame.many(request, query, query.cut(rows), included=[(RIDER, row) for row in rows]).body
    assert len(json.loads(bytes(body))["included"]) == 1
    assert "included" not in page_of("", rows)
