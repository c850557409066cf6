"""Reading a request's body within its limits of size and time."""

import asyncio

from starlette.requests import Request

from postrider.engine.errors import TooLarge

BODY_MAX_BYTES = 36 * 1024 * 1024  # a 25 MB mail as base64 in JSON
SMALL_BODY_MAX_BYTES = 256 * 1024
BODY_TIMEOUT_S = 120.0


async def read_body(request: Request, limit_bytes: int = SMALL_BODY_MAX_BYTES) -> bytes:
    """The whole body.

    Raises TooLarge as soon as it passes the limit, without reading on; TimeoutError after BODY_TIMEOUT_S.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit_bytes:
        raise TooLarge(noun="request", limit_bytes=limit_bytes)
    chunks: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_TIMEOUT_S):
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit_bytes:
                raise TooLarge(noun="request", limit_bytes=limit_bytes)
            chunks.append(chunk)
    return b"".join(chunks)
