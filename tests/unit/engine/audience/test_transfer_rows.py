"""The CSV reader against the csv module, from every byte on, and against files that mean harm."""

import csv
import io
import time
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.engine.audience.transfer import rows
from postrider.engine.audience.transfer.rows import Format, Row, Rows, recode, sniff
from postrider.engine.errors import Invalid

PLAIN = Format("utf-8", ",", 0)
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=30)


def written(table: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\r\n") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(table)
    return out.getvalue().encode()


def read(body: bytes, format_: Format = PLAIN, *, position: int = -1, at_once: int = 7) -> list[Row]:
    """All rows from a byte on, or from where the format has them begin."""
    source = Rows(io.BytesIO(body), format_, format_.start if position < 0 else position)
    found: list[Row] = []
    while True:
        page = source.page(at_once)
        found += page.rows
        if page.is_last:
            return found


def cells(body: bytes, format_: Format = PLAIN) -> list[list[str]]:
    found = read(body, format_)
    assert not [row.fault for row in found if row.fault]
    return [row.cells for row in found]


@given(TABLES, st.sampled_from(rows.DELIMITERS), st.sampled_from(["\n", "\r\n"]))
def test_rows_are_those_of_the_csv_module(table: list[list[str]], delimiter: str, end: str) -> None:
    body = written(table, delimiter, end)
    expected = list(csv.reader(io.StringIO(body.decode(), newline=""), delimiter=delimiter))
    filled = [row for row in expected if any(cell.strip() for cell in row)]
    assert cells(body, Format("utf-8", delimiter, 0)) == filled


@given(TABLES, st.integers(1, 9), st.integers(0, 40))
def test_reading_goes_on_from_where_a_page_ended(table: list[list[str]], at_once: int, pages: int) -> None:
    body = written(table)
    source, before = Rows(io.BytesIO(body), PLAIN, 0), list[Row]()
    for _ in range(pages):
        before += source.page(at_once).rows
    assert before + read(body, position=source.position) == read(body)


@given(st.binary(max_size=2_000), st.sampled_from(["utf-8", "cp1252", "ascii"]))
def test_no_bytes_whatever_break_the_reader(body: bytes, encoding: str) -> None:
    source, last = Rows(io.BytesIO(body), Format(encoding, ",", 0), 0), 0
    while not (page := source.page(3)).is_last:
        assert page.start == last < page.end
        last = page.end
    assert source.position == len(body)


@pytest.mark.parametrize("delimiter", rows.DELIMITERS)
def test_the_delimiter_is_the_one_that_cuts_evenly(delimiter: str) -> None:
    table = [[f"a{n}@example.com", "Ann, Bob; Carl", f"x|{n}"] for n in range(9)]
    assert sniff(written([["email", "names", "code"], *table], delimiter)).delimiter == delimiter


def test_a_spreadsheets_own_word_on_the_delimiter_is_taken() -> None:
    body = b"sep=|\r\na@example.com|Ann,Bob\r\nb@example.com|Carl,Dora\r\n"
    assert cells(body, sniff(body)) == [["a@example.com", "Ann,Bob"], ["b@example.com", "Carl,Dora"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_encodings_are_told_from_the_head(encoding: str, end: str) -> None:
    table = [["zoë@example.com", "Zoë Müller"], ["bob@example.com", "Bób"]] * 3
    text = end.join(",".join(row) for row in table) + end
    body = (b"\xfe\xff" if encoding == "utf-16-be" else b"") + text.encode(encoding)
    if (other := rows.needs_recoding(body)) is not None:
        anew = io.BytesIO()
        recode(io.BytesIO(body), anew, other)
        body = anew.getvalue()
    assert cells(body, sniff(body)) == table


def test_a_head_cut_within_a_character_is_still_utf_8() -> None:
    body = ("a" * (rows.HEAD_BYTES - 3) + "ééé").encode()
    assert rows.sniff_encoding(body[: rows.HEAD_BYTES]) == "utf-8"
    assert rows.sniff_encoding(("é" * 100).encode()[:-1]) == "utf-8"


def test_a_plain_head_leaves_open_how_a_later_row_is_encoded() -> None:
    body = b"a@example.com,Ann\n" * 5_000 + "b@example.com,Zoë\n".encode("cp1252") + "c@e.test,Zoë\n".encode()
    found = cells(body, sniff(body[: rows.HEAD_BYTES]))
    assert [row[1] for row in found[-2:]] == ["Zoë", "Zoë"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \r\n\r\n", "empty"),
        (b"PK\x03\x04\x14\x00\x06\x00", "xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"%PDF-1.7", "PDF"),
        (b"\x7fELF" + bytes(500), "no text"),
    ],
)
def test_what_is_no_table_of_text_is_refused_with_a_reason(body: bytes, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        sniff(body)
    assert told in refused.value.sentence
    assert refused.value.facts["field"] == "file"


def test_a_row_that_is_not_in_the_encoding_of_the_file_is_a_fault_of_its_own() -> None:
    body = "zoë@example.com\n".encode() + b"b\xe9@example.com\n" + b"c@example.com\n"
    found = read(body)
    assert [row.cells for row in found] == [["zoë@example.com"], [], ["c@example.com"]]
    assert "UTF-8" in found[1].fault


def test_a_nul_is_a_fault_of_its_row() -> None:
    found = read(b"a@example.com\nb\0@example.com\nc@example.com\n")
    assert [bool(row.fault) for row in found] == [False, True, False]


def test_a_quote_that_is_never_closed_costs_its_own_row_only() -> None:
    found = read(b'a@example.com,"Ann\n' + b"".join(b"b%d@example.com,Bob\n" % n for n in range(5_000)))
    assert [bool(row.fault) for row in found] == [True] + [False] * 5_000
    assert found[0].raw == b'a@example.com,"Ann\n'


def test_a_quoted_cell_may_have_many_lines() -> None:
    assert cells(b'a@example.com,"one\ntwo\n\nthree"\nb@example.com,x\n') == [
        ["a@example.com", "one\ntwo\n\nthree"],
        ["b@example.com", "x"],
    ]


def test_quotes_that_are_opened_anew_in_every_line_take_no_more_than_linear_time() -> None:
    body = b'x"y,"\n' * (4 * 1024 * 1024 // 6)
    started = time.monotonic()
    read(body, at_once=1_000)
    assert time.monotonic() - started < 15


class Endless(io.RawIOBase):
    """A file of one line that is made up as it is read."""

    def __init__(self, size: int, tail: bytes) -> None:
        self._parts = self._made(size, tail)
        self._left = b""

    def _made(self, size: int, tail: bytes) -> Iterator[bytes]:
        part = b"x" * 65_536
        for _ in range(size // len(part)):
            yield part
        yield tail

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._left = self._left or next(self._parts, b"")
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def test_a_line_of_a_gigabyte_is_one_fault_and_takes_constant_memory() -> None:
    file = io.BufferedReader(Endless(1 << 30, b"\nb@example.com\n"))
    tracemalloc.start()
    try:
        page = Rows(file, PLAIN, 0).page(2)
        more = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "longer than" in page.rows[0].fault
    assert more < 8 * rows.ROW_MAX_BYTES


def test_empty_lines_and_rows_of_empty_cells_count_as_nothing() -> None:
    assert cells(b"\n\r\na@example.com,\n,,\n , \n\n") == [["a@example.com", ""]]
