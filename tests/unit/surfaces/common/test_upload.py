"""Multipart bodies: whole and in any pieces, with limits, and what is none."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from postrider.engine.errors import TooLarge
from postrider.surfaces.common.upload import FIELD_MAX_BYTES, NotMultipart, take_upload

BOUNDARY = "x-boundary"
HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, value: bytes, filename: str = "") -> bytes:
    told = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def request(chunks: Sequence[bytes], headers: dict[str, str] = HEADERS) -> Request:
    waiting: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return waiting.pop(0)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


async def taken(chunks: Sequence[bytes], *, max_bytes: int = 1_000_000) -> tuple[dict[str, str], bytes]:
    written = bytearray()
    fields = await take_upload(request(chunks), "file", written.extend, max_bytes=max_bytes)
    return fields, bytes(written)


@given(st.binary(max_size=300), st.integers(1, 60))
async def test_a_file_arrives_as_it_was_sent_in_whatever_pieces(data: bytes, size: int) -> None:
    whole = body(part("mapping", b"{}"), part("file", data, "a.csv"), part("list_id", "ä".encode()))
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    fields, written = await taken(chunks)
    assert fields == {"mapping": "{}", "file": "a.csv", "list_id": "ä"}
    assert written == data


async def test_without_a_file_its_name_is_no_field() -> None:
    assert await taken([body(part("mapping", b"{}"))]) == ({"mapping": "{}"}, b"")


async def test_a_file_is_refused_as_soon_as_it_passes_the_limit() -> None:
    chunks = [body(part("file", bytes(400), "a.csv"))]
    assert (await taken(chunks, max_bytes=400))[1] == bytes(400)
    with pytest.raises(TooLarge):
        await taken(chunks, max_bytes=399)
    endless = [part("file", b"", "a.csv")[:-2], *[bytes(300_000)] * 10_000]
    with pytest.raises(TooLarge):
        await taken(endless)


async def test_a_length_that_cannot_fit_is_refused_unread() -> None:
    headers = {**HEADERS, "content-length": str(10**12)}
    with pytest.raises(TooLarge):
        await take_upload(request([], headers), "file", bytearray().extend, max_bytes=10)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b"{}"],
        [body(part("file", b"a", "a.csv"))[:-10]],
        [body(part("mapping", b"1"), part("mapping", b"2"))],
        [body(part("mapping", bytes(FIELD_MAX_BYTES + 1)))],
        [body(*[part(f"f{number}", b"") for number in range(60)])],
        [body(part("mapping", b"\xff"))],
    ],
)
async def test_what_is_no_whole_form_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(NotMultipart):
        await taken(chunks)


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "multipart/mixed; boundary=x", ""]
)
async def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(NotMultipart):
        await take_upload(request([], {"content-type": kind}), "file", bytearray().extend, max_bytes=10)
