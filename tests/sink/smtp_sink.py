"""A mail server that notes what it takes: `python -m tests.sink.smtp_sink --port P --out FILE`.

Its own process, so that it outlives the sender that a test kills. It answers by the letters that a local part
begins with (`bounce`, `bounce-7` and `bounce+x` are the same) and relays nothing.
"""

import argparse
import asyncio
import json
import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import uvloop

from .certificate import server_context

SIZE_MAX = 50 * 1024 * 1024
LINE_MAX = 4096
DROP_AFTER_BYTES = 512  # of a mail to drop@
BACKLOG = 1024
REFUSALS = {
    b"bounce": b"550 5.1.1 No such user here\r\n",
    b"soft": b"452 4.2.2 Mailbox full\r\n",
    b"block": b"554 5.7.1 Refused by policy\r\n",
}
TEMPFAIL = b"451 4.3.0 Try again later\r\n"
_VERDICT = re.compile(rb"[a-z]+", re.IGNORECASE)
_PATH = re.compile(rb"<([^>]*)>")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class Ledger:
    """The file of what was taken: a JSON line per mail and recipient, and one per new peak of connections."""

    def __init__(self, out: BinaryIO, *, keep: bool) -> None:
        self._out = out
        self._keep = keep
        self._open = self._peak = 0
        self.failed_once: set[bytes] = set()

    def opened(self) -> None:
        self._open += 1
        if self._open > self._peak:
            self._peak = self._open
            self._write({"peak_connections": self._peak})

    def closed(self) -> None:
        self._open -= 1

    def take(self, sender: bytes, recipients: list[bytes], mail: bytes) -> None:
        found = _MESSAGE_ID.search(mail, 0, mail.find(b"\r\n\r\n") + 1 or len(mail))
        entry: dict[str, object] = {
            "sender": sender.decode("utf-8", "replace"),
            "message_id": found[1].decode("utf-8", "replace") if found else None,
            "size": len(mail),
            "at": time.time_ns() // 1_000_000,
        }
        if self._keep:
            entry["mail"] = mail.decode("latin-1")
        for recipient in recipients:
            self._write({"recipient": recipient.decode("utf-8", "replace"), **entry})

    def _write(self, entry: dict[str, object]) -> None:
        self._out.write(json.dumps(entry).encode() + b"\n")  # unbuffered: it is in the file before the 250


class Session(asyncio.Protocol):
    """One connection. Replies to pipelined commands go out together."""

    def __init__(self, ledger: Ledger, delay_s: float, slow_s: float, tls: ssl.SSLContext | None) -> None:
        self._ledger = ledger
        self._delay_s = delay_s
        self._slow_s = slow_s
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._input = bytearray()
        self._replies: list[bytes] = []
        self._scanned = 0
        self._in_data = self._waiting = self._secure = False
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []
        self._drops = self._is_slow = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        if not self._secure:
            self._ledger.opened()
            self._transport.write(b"220 sink.test ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._ledger.closed()

    def data_received(self, data: bytes) -> None:
        self._input += data
        self._advance()

    def _advance(self) -> None:
        while not self._waiting and self._transport is not None:
            if not (self._read_mail() if self._in_data else self._read_command()):
                break
        if self._replies and self._transport is not None:
            self._transport.write(b"".join(self._replies))
        self._replies.clear()

    def _read_command(self) -> bool:
        end = self._input.find(b"\r\n")
        if end < 0:
            if len(self._input) > LINE_MAX:
                self._close()
            return False
        line = bytes(self._input[:end])
        del self._input[: end + 2]
        verb = line[:4].upper()
        answer = self._commands.get(verb)
        self._replies.append(answer(self, line) if answer else b"502 5.5.1 Not known\r\n")
        return True

    def _ehlo(self, _line: bytes) -> bytes:
        self._reset()
        offer = b"250-STARTTLS\r\n" if self._tls and not self._secure else b""
        return b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n%b250-SMTPUTF8\r\n250 SIZE %d\r\n" % (
            offer,
            SIZE_MAX,
        )

    def _helo(self, _line: bytes) -> bytes:
        self._reset()
        return b"250 sink.test\r\n"

    def _mail(self, line: bytes) -> bytes:
        self._reset()
        path = _PATH.search(line)
        if path is None:
            return b"501 5.5.4 Whose mail?\r\n"
        self._sender = path[1]
        return b"250 2.1.0 Ok\r\n"

    def _rcpt(self, line: bytes) -> bytes:
        path = _PATH.search(line)
        if self._sender is None or path is None:
            return b"503 5.5.1 MAIL first\r\n"
        recipient = path[1]
        found = _VERDICT.match(recipient)
        verdict = found[0].lower() if found else b""
        if verdict in REFUSALS:
            return REFUSALS[verdict]
        if verdict == b"tempfail" and recipient not in self._ledger.failed_once:
            self._ledger.failed_once.add(recipient)
            return TEMPFAIL
        self._drops |= verdict == b"drop"
        self._is_slow |= verdict == b"slow"
        self._recipients.append(recipient)
        return b"250 2.1.5 Ok\r\n"

    def _data(self, _line: bytes) -> bytes:
        if not self._recipients:
            return b"554 5.5.1 No valid recipients\r\n"
        self._in_data, self._scanned = True, 0
        self._input[0:0] = b"\r\n"  # so that a lone dot ends an empty mail too
        return b"354 Go ahead\r\n"

    def _rset(self, _line: bytes) -> bytes:
        self._reset()
        return b"250 2.0.0 Ok\r\n"

    def _noop(self, _line: bytes) -> bytes:
        return b"250 2.0.0 Ok\r\n"

    def _quit(self, _line: bytes) -> bytes:
        asyncio.get_running_loop().call_soon(self._close)
        self._waiting = True
        return b"221 2.0.0 Bye\r\n"

    def _starttls(self, _line: bytes) -> bytes:
        if self._tls is None or self._secure:
            return b"502 5.5.1 Not offered\r\n"
        self._input.clear()  # what came with it was never encrypted
        self._waiting = True
        assert self._transport is not None
        self._transport.pause_reading()  # the far end's hello must not be read as commands
        asyncio.get_running_loop().call_soon(self._upgrade)
        return b"220 2.0.0 Ready\r\n"

    def _upgrade(self) -> None:
        self._upgrading = asyncio.get_running_loop().create_task(self._start_tls())

    async def _start_tls(self) -> None:
        assert self._transport is not None
        assert self._tls is not None
        self._secure = True
        try:
            loop = asyncio.get_running_loop()
            upgraded = await loop.start_tls(self._transport, self, self._tls, server_side=True)
        except OSError:  # the handshake failed: the far end's matter
            return
        self._transport = upgraded
        self._reset()
        self._waiting = False
        self._advance()

    def _read_mail(self) -> bool:
        if self._drops and len(self._input) > DROP_AFTER_BYTES:
            self._close()
            return False
        end = self._input.find(b"\r\n.\r\n", self._scanned)
        if end < 0:
            self._scanned = max(0, len(self._input) - 4)
            if len(self._input) > SIZE_MAX:
                self._close()
            return False
        mail = bytes(self._input[: end + 2]).replace(b"\r\n..", b"\r\n.")[2:]
        del self._input[: end + 5]
        self._in_data = False
        if self._drops:
            self._close()
            return False
        wait_s = self._delay_s + (self._slow_s if self._is_slow else 0)
        if wait_s:
            self._waiting = True
            asyncio.get_running_loop().call_later(wait_s, self._take_late, mail)
        else:
            self._take(mail)
        return True

    def _take(self, mail: bytes) -> None:
        assert self._sender is not None
        self._ledger.take(self._sender, self._recipients, mail)
        self._replies.append(b"250 2.0.0 Taken\r\n")
        self._reset()

    def _take_late(self, mail: bytes) -> None:
        if self._transport is not None:
            self._waiting = False
            self._take(mail)
            self._advance()

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []
        self._drops = self._is_slow = False

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    _commands: dict[bytes, Callable[["Session", bytes], bytes]] = {  # noqa: RUF012
        b"EHLO": _ehlo,
        b"HELO": _helo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
        b"STAR": _starttls,
    }


async def serve(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Listen until killed; the port is the first line on standard output."""
    tls = server_context() if arguments.tls else None
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(ledger, arguments.delay_ms / 1000, arguments.slow_ms / 1000, tls),
        arguments.host,
        arguments.port,
        backlog=BACKLOG,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="a mail server that notes what it takes")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--out", required=True, help="file that the JSON lines are appended to")
    parser.add_argument("--delay-ms", type=int, default=0, help="wait before every 250 to a mail")
    parser.add_argument("--slow-ms", type=int, default=2_000, help="wait before the 250 to slow@")
    parser.add_argument("--keep", action="store_true", help="keep the mails themselves too")
    parser.add_argument("--tls", action="store_true", help="offer STARTTLS with a certificate of its own")
    arguments = parser.parse_args()
    with Path(arguments.out).open("ab", buffering=0) as out:
        uvloop.run(serve(Ledger(out, keep=arguments.keep), arguments))


if __name__ == "__main__":
    main()
