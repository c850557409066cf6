"""Streams that the guards paused for complaints, and letting them go on."""

from starlette.responses import Response

from postrider.engine.errors import NotFound
from postrider.engine.messages import Stream
from postrider.engine.sending import guards
from postrider.kit import clock
from postrider.surfaces.common.operations import Call, Operation, answer

READ, WRITE = "queues:read", "queues:write"


async def list_streams(call: Call) -> Response:
    """Every stream there is, paused or not."""
    paused = await call.services.db.read(guards.streams_of, call.caller.principal)
    found = {each.stream: each for each in paused}
    return answer(
        {
            "streams": [
                {
                    "stream": stream.name.lower(),
                    "paused": stream in found,
                    "reason": found[stream].reason if stream in found else None,
                    "paused_at": clock.to_iso(found[stream].paused_at) if stream in found else None,
                }
                for stream in Stream
            ]
        }
    )


async def resume_stream(call: Call) -> Response:
    """What waits goes out at once; what was complained about so far counts no more."""
    try:
        stream = Stream[call.request.path_params["stream"].upper()]
    except KeyError:
        raise NotFound(noun="stream") from None
    await call.services.db.write_first(guards.resume, call.caller.principal, stream)
    call.services.wake()
    told = {"stream": stream.name.lower(), "paused": False, "reason": None, "paused_at": None}
    return answer({"stream": told})


_ALL = "/v1/streams"
OPERATIONS: tuple[Operation, ...] = (
    Operation("listStreams", "GET", (_ALL,), "which streams are paused, and why", READ, list_streams),
    Operation(
        "resumeStream", "POST", (_ALL + "/{stream}/resume",), "let its mail go on", WRITE, resume_stream
    ),
)
