"""A DNS server for tests: UDP and TCP on one port of 127.0.0.1, records from a dict, ways to misbehave."""

import asyncio
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from enum import Enum, auto
from threading import Thread
from types import TracebackType
from typing import Any, Self, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL_S = 60
SOA = ". hostmaster. 1 3600 600 86400 30"
CHAIN_MAX = 8
HUGE_BYTES = 10 * 1024 * 1024
BIND_TRIES = 20

Records = Mapping[tuple[str, str], Sequence[str]]


class Fault(Enum):
    SILENT = auto()  # never answers
    SERVFAIL = auto()
    LOOP = auto()  # the name is a CNAME of another name, which is a CNAME of it
    LIE = auto()  # answers another question, and with another id
    HUGE = auto()  # truncated by UDP; by TCP, a full message and 10 MB behind it
    MANY = auto()  # truncated by UDP; by TCP, a thousand records
    GARBAGE = auto()  # the right id, and then nothing that is DNS


Faults = Mapping[Any, Fault]  # by name, or by (name, type)


class DnsServer:
    """`async with DnsServer({("a.test", "TXT"): ["text"]}, {"b.test": Fault.SILENT}) as server:`

    TXT values are plain text, cut into strings of 255 octets; what starts with a quote is taken as in a zone
    file. A fault is of a name, or of one type of it: ("b.test", "AAAA"). `asked` counts the questions by
    (name, type); `records` and `faults` may be changed while it runs.
    """

    def __init__(self, records: Records | None = None, faults: Faults | None = None) -> None:
        self.records = dict(records or {})
        self.faults: dict[str | tuple[str, str], Fault] = dict(faults or {})
        self.asked: Counter[tuple[str, str]] = Counter()
        self.asked_by_tcp = 0
        self.address = ("127.0.0.1", 0)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(BIND_TRIES):
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Udp(self), local_addr=("127.0.0.1", 0)
            )
            self.address = self._udp.get_extra_info("sockname")
            try:
                self._tcp = await asyncio.start_server(self._serve_tcp, *self.address)
            except OSError:  # another program has the port by TCP
                self._udp.close()
                continue
            return self
        raise OSError("no port free by both UDP and TCP")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    def answer(self, wire: bytes, *, by_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        self.asked_by_tcp += by_tcp
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        match self.faults.get((name, kind)) or self.faults.get(name):
            case Fault.SILENT:
                return None
            case Fault.SERVFAIL:
                response.set_rcode(dns.rcode.SERVFAIL)
            case Fault.LOOP:
                response.answer += [
                    _rrset(name, "CNAME", [f"x.{name}."]),
                    _rrset(f"x.{name}", "CNAME", [f"{name}."]),
                ]
            case Fault.LIE:
                response.id ^= 0xFFFF
                response.question = [dns.rrset.from_text("other.test.", TTL_S, "IN", kind)]
            case Fault.GARBAGE:
                return wire[:2] + b"\x81\x80" + b"\xff" * 40
            case Fault.HUGE | Fault.MANY if not by_tcp:
                response.flags |= dns.flags.TC
            case Fault.HUGE:
                response.answer.append(_large(name, kind))
            case Fault.MANY:
                response.answer.append(_many(name, kind))
            case None:
                self._fill(response, name, kind)
        payload = response.to_wire(max_size=65_535)
        if not by_tcp and len(payload) > max(query.payload, 512):
            response.answer.clear()
            response.flags |= dns.flags.TC
            payload = response.to_wire()
        return payload

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(CHAIN_MAX):
            if values := self.records.get((name, kind)):
                response.answer.append(_rrset(name, kind, values))
                return
            if not (target := self.records.get((name, "CNAME"))):
                break
            response.answer.append(_rrset(name, "CNAME", target))
            name = target[0].rstrip(".").lower()
        if not any(known == name or known.endswith("." + name) for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(".", TTL_S, "IN", "SOA", SOA))

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            wire = await reader.readexactly(length)
            payload = self.answer(wire, by_tcp=True)
            if payload is not None:
                writer.write(struct.pack("!H", len(payload)) + payload)
                if Fault.HUGE in self.faults.values():
                    writer.write(b"\x00" * HUGE_BYTES)
                await writer.drain()
            await reader.read(1)  # until the other side closes
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextmanager
def served(records: Records) -> Iterator[int]:
    """For programs without an event loop: a server in a thread of its own; gives its port."""
    started: Future[int] = Future()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with DnsServer(records) as server:
            started.set_result(server.address[1])
            await ended.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),), name="dns")
    thread.start()
    try:
        yield started.result()
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        payload = self._server.answer(data, by_tcp=False)
        if payload is not None:
            self._transport.sendto(payload, addr)


def _rrset(name: str, kind: str, values: Sequence[str]) -> dns.rrset.RRset:
    texts = [_quoted(value) if kind == "TXT" else value for value in values]
    return dns.rrset.from_text_list(dns.name.from_text(name), TTL_S, "IN", kind, texts)


def _large(name: str, kind: str) -> dns.rrset.RRset:
    """About as much as a message can hold."""
    if kind == "MX":
        return _rrset(name, kind, [f"10 {number:0>60}.{name}." for number in range(240)])
    return _rrset(name, "TXT", [f"{number:0>250}" for number in range(240)])


def _many(name: str, kind: str) -> dns.rrset.RRset:
    match kind:
        case "MX":
            return _rrset(name, kind, [f"{number} mx{number}.{name}." for number in range(1_000)])
        case "A":
            return _rrset(name, kind, [f"127.0.{number // 250}.{number % 250}" for number in range(1_000)])
        case _:
            return _rrset(name, "TXT", [str(number) for number in range(1_000)])


def _quoted(value: str) -> str:
    if value.startswith('"'):
        return value
    octets = value.encode()
    parts = [octets[start : start + 255] for start in range(0, len(octets), 255)] or [b""]
    return " ".join('"' + "".join(f"\\{octet:03d}" for octet in part) + '"' for part in parts)
