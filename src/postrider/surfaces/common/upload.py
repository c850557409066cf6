"""A multipart body (RFC 7578) with one file, which is written as it comes and never whole in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from postrider.engine.errors import TooLarge

FIELD_MAX_BYTES = 256 * 1024
FIELDS_MAX = 50
BUFFER_BYTES = 512 * 1024  # goes to the file at once
SILENCE_MAX_S = 60.0
FRAME_BYTES = FIELDS_MAX * (FIELD_MAX_BYTES + 16 * 1024)  # what may stand around the file


class NotMultipart(Exception):
    """The body is no multipart/form-data, or not whole."""


async def take_upload(
    request: Request, file_field: str, write: Callable[[bytes], None], *, max_bytes: int
) -> dict[str, str]:
    """The text fields; the file's bytes go to `write`, called in a thread.

    The first part called `file_field` is the file; it is missing where `file_field` is not among the answer's
    keys (its value is the file's name). Raises NotMultipart; TooLarge as soon as the file passes `max_bytes`,
    without reading on; TimeoutError where nothing comes for SILENCE_MAX_S.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes + FRAME_BYTES:
        raise TooLarge(noun="file", limit_bytes=max_bytes)
    parts = _Parts(file_field)
    parser = _parser(request, parts)
    size = 0
    stream = request.stream().__aiter__()
    while True:
        async with asyncio.timeout(SILENCE_MAX_S):
            chunk = await anext(stream, None)
        if chunk is None:
            break
        try:
            parser.write(chunk)
        except FormParserError as error:
            raise NotMultipart(str(error)) from None
        if parts.waiting >= BUFFER_BYTES:
            size += parts.waiting
            _check_size(size, max_bytes)
            await asyncio.to_thread(write, parts.take())
    _check_size(size + parts.waiting, max_bytes)
    if not parts.is_whole:
        raise NotMultipart("The body ends before its last part does")
    await asyncio.to_thread(write, parts.take())
    return parts.fields()


def _parser(request: Request, parts: "_Parts") -> MultipartParser:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise NotMultipart("Content-Type should be multipart/form-data with a boundary")
    try:
        return MultipartParser(boundary, parts.callbacks())
    except FormParserError as error:
        raise NotMultipart(str(error)) from None


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLarge(noun="file", limit_bytes=max_bytes)


class _Parts:
    """What the parser has found: text fields, and what of the file is not yet written."""

    def __init__(self, file_field: str) -> None:
        self._file_field = file_field
        self._found: dict[str, bytearray] = {}
        self._file_name: str | None = None
        self._chunks: list[bytes] = []
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._target: bytearray | None = None  # of a text field; None: the file
        self.waiting = 0
        self.is_whole = False

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin,
            "on_part_data": self._take,
            "on_end": self._end,
        }

    def take(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.waiting = 0
        return data

    def fields(self) -> dict[str, str]:
        try:
            told = {name: value.decode() for name, value in self._found.items()}
        except UnicodeDecodeError:
            raise NotMultipart("A text field is not UTF-8") from None
        return told if self._file_name is None else {**told, self._file_field: self._file_name}

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _begin(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == self._file_field and self._file_name is None:
            self._file_name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._target = None
            return
        if name in self._found or len(self._found) >= FIELDS_MAX:
            raise NotMultipart(f"The field {name[:100]} is given twice, or there are more than {FIELDS_MAX}")
        self._target = self._found.setdefault(name, bytearray())

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._target is None:
            self._chunks.append(bytes(data[start:end]))
            self.waiting += end - start
            return
        if len(self._target) + end - start > FIELD_MAX_BYTES:
            raise NotMultipart(f"A text field has more than {FIELD_MAX_BYTES} bytes")
        self._target.extend(data[start:end])

    def _end(self) -> None:
        self.is_whole = True
