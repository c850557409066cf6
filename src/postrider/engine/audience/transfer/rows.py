"""Reads a CSV of any size a row at a time, in constant memory, and knows at which byte each row ends.

The csv module parses; here is what it has no word on: where to go on after a kill, which encoding and
delimiter a file has, and how to get past what is broken. A broken row is a value; only a file that is no
text with rows at all is refused.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from postrider.engine.errors import Invalid
from postrider.kit.record import record

HEAD_BYTES = 64 * 1024  # what encoding and delimiter are told from
ROW_MAX_BYTES = 1024 * 1024  # of a row as it stands in the file
PAGE_MAX_BYTES = 1024 * 1024
ROW_MAX_LINES = 1_000
REREADS_MAX = 1_000  # of what follows quotes that are never closed: beyond these it is skipped with them
SNIFFED_ROWS = 50
DELIMITERS = (",", ";", "\t", "|")
UNDECIDED = "ascii"  # the head is plain: a row that is no UTF-8 is Windows-1252
_BOMS = (
    (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip
_UTF8_BOM = b"\xef\xbb\xbf"
_SEPARATOR = re.compile(rb"(?:\xef\xbb\xbf)?sep=([,;\t|])\r?\n", re.IGNORECASE)  # as spreadsheets write it
_NO_TEXT = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet (.xlsx, .ods)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet (.xls)"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"BZh91AY", "compressed (bzip2)"),
    (b"\xfd7zXZ", "compressed (xz)"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF-", "a PDF"),
)


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is to be read. `encoding`: utf-8, cp1252, latin-1 or UNDECIDED; rows begin at `start`."""

    encoding: str
    delimiter: str
    start: int


@record
class Row:
    """One row: its cells, or what is wrong with it. `raw` is how it stands in the file (cut)."""

    cells: list[str]
    raw: bytes
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, from byte `start` to byte `end`; empty lines count as nothing."""

    rows: list[Row]
    start: int
    end: int
    is_last: bool


def needs_recoding(head: bytes) -> str | None:
    """What a file that cannot be read by lines of bytes must be decoded from, None where it can."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    if b"\r" in head and b"\n" not in head:
        return sniff_encoding(head)
    return None


def recode(source: BinaryIO, target: BinaryIO, encoding: str) -> None:
    """Write the text anew in UTF-8 with \\n at the ends of lines; what cannot be decoded becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8" if encoding == UNDECIDED else encoding)("replace")
    ended_in_cr = False
    while True:
        chunk = source.read(HEAD_BYTES)
        text = decoder.decode(chunk, final=not chunk)
        if ended_in_cr and text.startswith("\n"):
            text = text[1:]
        ended_in_cr = text.endswith("\r")
        target.write(text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace"))
        if not chunk:
            return


def sniff(head: bytes) -> Format:
    """The format of a file from its first HEAD_BYTES; raises Invalid where it is no text with rows."""
    for mark, what in _NO_TEXT:
        if head.startswith(mark):
            raise _refused(f"The file is {what}; save it as CSV")
    if not head.removeprefix(_UTF8_BOM).strip():
        raise _refused("The file is empty")
    if head.count(b"\0") * 100 > len(head):
        raise _refused("The file is no text; save it as CSV")
    encoding = sniff_encoding(head)
    if told := _SEPARATOR.match(head):
        return Format(encoding, told[1].decode("latin-1"), told.end())
    start = len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0
    return Format(encoding, _sniff_delimiter(_whole_lines(head[start:], encoding)), start)


def sniff_encoding(head: bytes) -> str:
    """UTF-8 where it is that, else what Western spreadsheets write."""
    if head.startswith(_UTF8_BOM):
        return "utf-8"
    if head.isascii():
        return UNDECIDED
    try:
        head.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 3 and not head[: error.start].isascii():  # cut in a character
            return "utf-8"
    return "cp1252"


class Rows:
    """The rows of a file from a byte on; `position` is where the next one begins."""

    def __init__(self, file: BinaryIO, format_: Format, position: int) -> None:
        self._lines = _Lines(file, format_.encoding, position)
        self._reader = csv.reader(self._lines, delimiter=format_.delimiter)
        self._rereads = REREADS_MAX

    @property
    def position(self) -> int:
        return self._lines.position

    def page(self, rows_max: int) -> Page:
        """The next rows, at most so many and PAGE_MAX_BYTES (but one row)."""
        start, rows = self.position, list[Row]()
        while len(rows) < rows_max and self.position - start < PAGE_MAX_BYTES:
            row = self._next()
            if row is None:
                return Page(rows, start, self.position, is_last=True)
            if row.fault or any(cell and not cell.isspace() for cell in row.cells):
                rows.append(row)
        return Page(rows, start, self.position, is_last=False)

    def _next(self) -> Row | None:
        self._lines.begin()
        try:
            return Row(next(self._reader), self._lines.raw)
        except StopIteration:
            return None
        except _Broken as broken:
            if broken.is_unclosed:
                self._reread()
            return Row([], self._lines.raw, str(broken))
        except csv.Error as error:
            self._reread()
            return Row([], self._lines.raw, f"The row cannot be read: {error}")

    def _reread(self) -> None:
        """Go on with the second line of what was taken as one row: only the first is broken."""
        if self._lines.taken > 1 and self._rereads:
            self._rereads -= 1
            self._lines.go_back()


class _Broken(Exception):
    """Why a row cannot be read, as a sentence."""

    def __init__(self, message: str, *, is_unclosed: bool = False) -> None:
        super().__init__(message)
        self.is_unclosed = is_unclosed


class _Lines:
    """The lines of a file as the csv module asks for them: several for a row with quoted line ends.

    `position` is the byte behind the last line, so behind a row once it is read.
    """

    def __init__(self, file: BinaryIO, encoding: str, position: int) -> None:
        self._file = file
        self._encoding = encoding
        self._first: bytes = b""
        self._first_end = position
        self._start = position
        self.position = position
        self.taken = 0  # lines of this row
        file.seek(position)

    @property
    def raw(self) -> bytes:
        """The row's first line."""
        return self._first

    def begin(self) -> None:
        self.taken = 0
        self._first = b""
        self._start = self.position

    def go_back(self) -> None:
        self.position = self._first_end
        self._file.seek(self.position)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(ROW_MAX_BYTES + 1)
        if not line:
            if self.taken:
                raise _Broken("A quote is opened and never closed", is_unclosed=True)
            raise StopIteration
        self.position += len(line)
        self.taken += 1
        if self.taken == 1:
            self._first, self._first_end = line, self.position
        if len(line) > ROW_MAX_BYTES:
            self._skip_line(line)
            self._first_end = self.position if self.taken == 1 else self._first_end
            raise _Broken(f"The row is longer than {ROW_MAX_BYTES} bytes", is_unclosed=self.taken > 1)
        if self.taken > ROW_MAX_LINES or self.position - self._start > ROW_MAX_BYTES:
            told = f"A quote is not closed within {ROW_MAX_LINES} lines and {ROW_MAX_BYTES} bytes"
            raise _Broken(told, is_unclosed=True)
        if b"\0" in line:
            raise _Broken("The row holds a NUL character")
        return self._decoded(line)

    def _decoded(self, line: bytes) -> str:
        if self._encoding == "cp1252":
            return _western(line)
        try:
            return line.decode()
        except UnicodeDecodeError:
            if self._encoding == UNDECIDED:
                return _western(line)
            raise _Broken("The row is not UTF-8 as the rest of the file") from None

    def _skip_line(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._file.readline(ROW_MAX_BYTES)
            self.position += len(line)


def _western(line: bytes) -> str:
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing there
        return line.decode("latin-1")


def _sniff_delimiter(lines: list[str]) -> str:
    """The one that cuts most rows into the same number of cells, and of such the one that cuts into most."""
    scores = {delimiter: _evenness(lines, delimiter) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: scores[delimiter])


def _evenness(lines: list[str], delimiter: str) -> tuple[float, int]:
    widths = Counter[int]()
    try:
        for row in csv.reader(iter(lines), delimiter=delimiter):
            widths[len(row)] += bool(row)
            if widths.total() >= SNIFFED_ROWS:
                break
    except csv.Error:
        return (0.0, 0)
    width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1]), default=(0, 0))
    return (count / widths.total(), width) if width > 1 else (0.0, 0)


def _whole_lines(head: bytes, encoding: str) -> list[str]:
    """Of the head, without a last line that is cut."""
    whole = head[: head.rfind(b"\n") + 1] if len(head) >= HEAD_BYTES - len(_UTF8_BOM) else head
    lines = (whole or head).splitlines(keepends=True)
    if encoding == "cp1252":
        return [_western(line) for line in lines]
    return [line.decode("utf-8", "replace") for line in lines]


def _refused(message: str) -> Invalid:
    return Invalid(field="file", message=message)
