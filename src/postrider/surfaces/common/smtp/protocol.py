"""One connection: bytes in, replies out, and the waiting in between; the Dialogue decides what is said.

While a call of the backend is under way no more than a chunk is read, so a client holds only its message.
"""

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar, cast

import structlog

from postrider.surfaces.common.smtp.auth import Credentials
from postrider.surfaces.common.smtp.backend import Envelope, Reply, S
from postrider.surfaces.common.smtp.commands import Answer, Close, Dialogue, Receive, StartTls
from postrider.surfaces.common.smtp.data import MORE, Body, Flaw, clean
from postrider.surfaces.common.smtp.options import (
    AUTH_LINE_MAX_OCTETS,
    LINGER_S,
    OVERSIZE_FACTOR,
    UNREAD_REPLIES_MAX,
)
from postrider.surfaces.common.smtp.shared import Shared, peer_of
from postrider.surfaces.common.smtp.tls import server_name

T = TypeVar("T")
log = structlog.get_logger(__name__)

_TROUBLE = Reply(451, "4.3.0", "Internal trouble, try again later")
_GO_AHEAD = b"354 End with a dot on a line of its own\r\n"
_READY_FOR_TLS = b"220 2.0.0 Ready to start TLS\r\n"
_BARE_LINE_END = b"500 5.5.2 Lines end with CR LF\r\n"
_LINE_TOO_LONG = b"500 5.5.6 Line too long\r\n"
_TOO_BIG = b"552 5.3.4 Message too big\r\n"
_TOO_MANY = b"421 4.7.0 Too many connections\r\n"
_TIMED_OUT = b"421 4.4.2 Timed out\r\n"
_STOPPING = b"421 4.3.2 Shutting down\r\n"
_FLAWS = {
    Flaw.NUL: b"550 5.6.11 The message holds a NUL\r\n",
    Flaw.LOOKALIKE: b"550 5.6.11 Bare CR or LF around a dot\r\n",
}


class State(Enum):
    """What the next bytes from the client are."""

    COMMAND = "command"
    BODY = "body"
    WAITING = "waiting"  # kept until the call under way has ended
    CLOSED = "closed"  # ignored


class _Failed(Enum):
    FAILED = "failed"


class Connection(asyncio.Protocol, Generic[S]):
    """The transport's side of one client; `expire`, `drain` and `cut` are the server's side."""

    def __init__(self, shared: Shared[S]) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._dialogue: Dialogue[S]
        self._state = State.WAITING
        self._pending = b""  # arrived, not yet looked at; at most a line or two chunks
        self._out: list[bytes] = []
        self._body: Body | None = None
        self._task: asyncio.Task[Any] | None = None
        self._deadline = 0.0
        self._data_deadline = 0.0
        self._paused = False  # we do not read
        self._choked = False  # the client does not read
        self._lost = False
        self.peer_ip = ""
        self.network = ""

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one only in what it does
        self.peer_ip, self.network = peer_of(transport)
        shared = self._shared
        shared.enter(self)
        if len(shared.connections) > shared.options.trusted_connections_max:
            shared.counters.connections_refused += 1
            self._close(_TOO_MANY)
        else:
            self._wait("trusted", shared.backend.trusted(self.peer_ip), self._admit)

    def data_received(self, data: bytes) -> None:
        if self._state is State.CLOSED:
            return
        if self._pending:
            data = self._pending + data
        if self._state is State.WAITING or self._choked:
            self._pending = data
            self._pause()
        else:
            self._pending = b""
            self._consume(data)

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        if self._state in (State.COMMAND, State.BODY):
            self._resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._state = State.CLOSED
        self._body = None
        self._pending = b""
        if self._task is None:  # a call under way still counts as a connection
            self._shared.leave(self)

    # the server's calls

    def expire(self, now: float) -> None:
        """Act on the deadline if it has passed; `now` is the loop's time."""
        if now < self._deadline:
            return
        if self._task is not None:
            self._deadline = now + self._shared.options.backend_s
            self._task.cancel()
        elif self._state is State.CLOSED:
            self._transport.abort()
        else:
            self._shared.counters.timeouts += 1
            self._close(_TIMED_OUT)

    def drain(self) -> None:
        """Hang up unless a transaction is open; then after it."""
        if self._state is State.COMMAND and self._dialogue.transaction is None:
            self._close(_STOPPING)

    def cut(self) -> None:
        """Hang up whatever is under way."""
        if self._state is not State.CLOSED:
            self._close(_STOPPING)
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    # reading

    def _consume(self, data: bytes) -> None:
        at, size = 0, len(data)
        while at < size and not self._choked:
            if self._state is State.COMMAND:
                used = self._take_line(data, at)
                if used == MORE:
                    break
                at = used
            elif self._state is State.BODY:
                at = self._take_body(data, at)
            else:
                break
            if len(self._out) >= UNREAD_REPLIES_MAX:
                self._flush()
        if at < size and self._state is not State.CLOSED:
            self._pending = data[at:]
        if self._state is State.COMMAND:
            if at:  # part of a line does not count: a line has to be complete in time
                self._deadline = self._loop.time() + self._shared.options.idle_s
            if self._shared.stopping and self._dialogue.transaction is None:
                self._close(_STOPPING)
        self._flush()

    def _resume(self) -> None:
        pending, self._pending = self._pending, b""
        self._consume(pending)
        if self._paused and self._state in (State.COMMAND, State.BODY) and not self._choked:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _take_line(self, data: bytes, at: int) -> int:
        """Where the next line begins, after answering the one at `at`; MORE if it is not complete."""
        end = data.find(b"\n", at)
        if end < 0:
            if len(data) - at <= AUTH_LINE_MAX_OCTETS:
                return MORE
            self._close(_LINE_TOO_LONG)
            return len(data)
        if end > at and data[end - 1] == 13:
            line = data[at : end - 1]
            try:
                answer = self._dialogue.answer(line)
            except Exception as error:  # the backend's checks run inside
                self._report("check", error)
                answer = _TROUBLE.wire()
        else:
            answer = self._dialogue.fault(_BARE_LINE_END)
        if type(answer) is bytes:
            self._out.append(answer)
            return end + 1
        self._act(answer)
        return (
            len(data) if isinstance(answer, StartTls) else end + 1
        )  # RFC 3207 6: the rest is not the client's

    def _act(self, answer: Answer) -> None:
        match answer:
            case bytes():
                self._out.append(answer)
            case Receive():
                self._out.append(_GO_AHEAD)
                self._state = State.BODY
                self._body = Body(self._shared.options.size_max_octets)
                now = self._loop.time()
                self._data_deadline = now + self._shared.options.data_total_s
                self._deadline = now + self._shared.options.data_idle_s
            case Close(reply):
                self._close(reply)
            case Credentials():
                self._wait("authenticate", self._authenticate(answer), self._authenticated)
            case StartTls():
                self._out.append(_READY_FOR_TLS)
                self._pause()  # at once: what comes now belongs to the handshake
                self._flush()
                self._wait("starttls", self._handshake(), self._secured)

    def _take_body(self, data: bytes, at: int) -> int:
        body = self._body
        assert body is not None
        used = body.feed(data[at:] if at else data)
        if used != MORE:
            self._body = None
            self._end_of_data(body)
            return at + used
        options = self._shared.options
        self._deadline = min(self._loop.time() + options.data_idle_s, self._data_deadline)
        if body.received > OVERSIZE_FACTOR * options.size_max_octets:
            self._body = None
            self._shared.counters.refused += 1
            self._close(_TOO_BIG)
        return len(data)

    def _end_of_data(self, body: Body) -> None:
        transaction = self._dialogue.take_transaction()
        session = self._dialogue.session
        assert session is not None
        content = _TOO_BIG if body.oversized else clean(body.content())
        if body.oversized or isinstance(content, Flaw):
            self._shared.counters.refused += 1
            self._out.append(_FLAWS[content] if isinstance(content, Flaw) else _TOO_BIG)
            self._state = State.COMMAND
            return
        self._shared.counters.octets += len(content)
        envelope = Envelope(
            sender=transaction.sender,
            recipients=tuple(transaction.recipients),
            body=content,
            peer_ip=self.peer_ip,
            helo=self._dialogue.helo,
            tls=self._dialogue.tls,
            smtputf8=transaction.smtputf8,
            body_8bit=transaction.body_8bit,
        )
        self._wait("submit", self._shared.backend.submit(session, envelope), self._submitted)

    # waiting for the backend

    def _wait(self, call: str, work: Coroutine[Any, Any, T], then: Callable[[T | _Failed], None]) -> None:
        self._state = State.WAITING
        self._deadline = self._loop.time() + self._shared.options.backend_s
        self._task = task = self._loop.create_task(work)
        task.add_done_callback(partial(self._woken, call, then))

    def _woken(self, call: str, then: Callable[[T | _Failed], None], task: asyncio.Task[T]) -> None:
        self._task = None
        result = self._outcome(call, task)
        if self._lost:
            self._shared.leave(self)
        elif self._state is State.WAITING:
            self._state = State.COMMAND
            self._deadline = self._loop.time() + self._shared.options.idle_s
            then(result)
            self._resume()

    def _outcome(self, call: str, task: asyncio.Task[T]) -> T | _Failed:
        if task.cancelled():
            self._report(call, None)
            return _Failed.FAILED
        error = task.exception()
        if error is None:
            return task.result()
        self._report(call, error)
        return _Failed.FAILED

    def _report(self, call: str, error: BaseException | None) -> None:
        self._shared.counters.backend_failures += 1
        log.error(
            "smtp.backend_failed", call=call, peer_ip=self.peer_ip, cancelled=error is None, exc_info=error
        )

    def _admit(self, session: S | _Failed | None) -> None:
        shared = self._shared
        if session is _Failed.FAILED:
            return self._close(_TROUBLE_AND_BYE)
        if (session is None or not shared.options.is_submission) and shared.crowded(self.network):
            shared.counters.connections_refused += 1
            return self._close(_TOO_MANY)
        self._dialogue = Dialogue(
            shared.backend, shared.options, tls_available=shared.ssl_context is not None, trusted=session
        )
        if shared.stopping:
            return self._close(_STOPPING)
        return self._out.append(f"220 {shared.options.hostname} ESMTP Postrider\r\n".encode("ascii"))

    async def _authenticate(self, given: Credentials) -> S | None:
        name = server_name(self._transport.get_extra_info("ssl_object"))
        session = await self._shared.backend.authenticate(given.username, given.password, self.peer_ip, name)
        if session is None:
            await asyncio.sleep(self._shared.options.auth_delay_s)
        return session

    def _authenticated(self, session: S | _Failed | None) -> None:
        if session is _Failed.FAILED:
            self._out.append(_TROUBLE.wire())
            return
        if session is None:
            self._shared.counters.auth_failures += 1
        self._act(self._dialogue.authenticated(session))

    async def _handshake(self) -> asyncio.Transport | None:
        context = self._shared.ssl_context
        assert context is not None
        limit_s = self._shared.options.tls_handshake_s
        try:
            return await self._loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=limit_s
            )
        except OSError:  # what a broken handshake raises, ssl.SSLError and TimeoutError included
            self._shared.counters.tls_failures += 1
            return None

    def _secured(self, transport: asyncio.Transport | _Failed | None) -> None:
        if transport is None or transport is _Failed.FAILED:
            self._state = State.CLOSED
            self._transport.abort()
            self._shared.leave(self)
            return
        self._transport = transport
        self._paused = self._choked = False  # that was the transport below
        self._dialogue.secured()

    def _submitted(self, reply: Reply | _Failed) -> None:
        if isinstance(reply, _Failed):
            reply = _TROUBLE
        if reply.code < 300:
            self._shared.counters.accepted += 1
        else:
            self._shared.counters.refused += 1
        if reply.code == 421:
            self._close(reply.wire())
        else:
            self._out.append(reply.wire())

    # writing

    def _flush(self) -> None:
        out = self._out
        if out and not self._lost:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def _close(self, reply: bytes) -> None:
        self._out.append(reply)
        self._flush()
        self._state = State.CLOSED
        self._body = None
        self._pending = b""
        self._deadline = self._loop.time() + LINGER_S
        self._transport.close()


_TROUBLE_AND_BYE = Reply(421, _TROUBLE.enhanced, _TROUBLE.text).wire()
