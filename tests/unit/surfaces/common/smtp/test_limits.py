"""What a hostile or slow client can take, over real sockets."""

import asyncio
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.surfaces.common.smtp.options import SmtpOptions
from postrider.surfaces.common.smtp.server import SmtpServer

from .office import Client, Counter, Office

MIB = 1 << 20


async def test_message_over_the_limit_is_refused_after_its_end(counter: Counter) -> None:
    office = Office()
    await counter.serve(office, SmtpOptions(hostname="mx.test", size_max_octets=1_000))
    client = await counter.greeted()
    await client.open_data()
    client.send(b"x" * 1_500 + b"\r\n.\r\n")
    assert await client.reply() == "552 5.3.4 Message too big"
    await client.open_data()
    client.send(b"x" * 998 + b"\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    assert [len(envelope.body) for envelope in office.envelopes] == [1_000]


async def test_endless_message_is_cut_in_bounded_memory(counter: Counter) -> None:
    server = await counter.serve(Office(), SmtpOptions(hostname="mx.test", size_max_octets=2 * MIB))
    client = await counter.greeted()
    await client.open_data()
    tracemalloc.start()
    with pytest.raises(ConnectionError):
        await flood(client, b"x" * 65_536, 100 * MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * MIB
    assert server.counters.refused == 1


async def test_hundred_megabytes_are_refused_in_bounded_memory(counter: Counter) -> None:
    await counter.serve(Office(), SmtpOptions(hostname="mx.test", size_max_octets=60 * MIB))
    client = await counter.greeted()
    await client.open_data()
    tracemalloc.start()
    assert await flood(client, b"x" * (MIB - 2) + b"\r\n", 100 * MIB) == 100 * MIB
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 75 * MIB
    client.send(b".\r\n")
    assert await client.reply() == "552 5.3.4 Message too big"
    assert await client.say("NOOP") == "250 2.0.0 Ok"


async def test_nothing_is_read_while_a_message_is_committed(counter: Counter) -> None:
    office = Office(gate=asyncio.Event())
    await counter.serve(office)
    client = await counter.greeted()
    await client.open_data()
    client.send(b"x\r\n.\r\n")
    tracemalloc.start()
    # What is sent stays in the kernel and in the client.
    assert await flood(client, b"NOOP " + b"x" * 1_000 + b"\r\n", 64 * MIB) < 32 * MIB
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MIB
    assert office.gate is not None
    office.gate.set()
    assert await client.reply() == "250 2.0.0 Queued"


async def test_client_that_does_not_read_is_not_read_either(counter: Counter) -> None:
    await counter.serve(Office())
    client = await counter.greeted()
    assert await flood(client, b"EHLO c.test\r\n" * 5_000, 64 * MIB) < 32 * MIB
    for _ in range(5_000):
        assert (await client.reply()).startswith("250-mx.test")


@pytest.mark.parametrize(
    ("said", "options"),
    [
        (b"", SmtpOptions(hostname="mx.test", idle_s=0.2)),
        (b"NOOP", SmtpOptions(hostname="mx.test", idle_s=0.2)),
        (b"AUTH PLAIN\r\n", SmtpOptions(hostname="mx.test", idle_s=0.2)),
        (
            b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nx",
            SmtpOptions(hostname="mx.test", data_idle_s=0.2),
        ),
    ],
)
async def test_idle_client_is_told_and_hung_up_on(
    counter: Counter, said: bytes, options: SmtpOptions
) -> None:
    server = await counter.serve(Office(), options)
    client = await counter.greeted()
    client.send(said)
    rest = await asyncio.wait_for(client.reader.read(), 5)
    assert rest.endswith(b"421 4.4.2 Timed out\r\n")
    assert server.counters.timeouts == 1


async def test_dripping_a_command_does_not_keep_the_connection(counter: Counter) -> None:
    await counter.serve(Office(), SmtpOptions(hostname="mx.test", idle_s=0.3))
    client = await counter.greeted()
    dripping = asyncio.create_task(drip(client, b"x"))
    assert (await client.reply()).startswith("421 4.4.2")
    dripping.cancel()


async def test_dripping_a_body_ends_at_the_total_time(counter: Counter) -> None:
    options = SmtpOptions(hostname="mx.test", data_idle_s=0.4, data_total_s=0.8)
    await counter.serve(Office(), options)
    client = await counter.greeted()
    await client.open_data()
    loop = asyncio.get_running_loop()
    started = loop.time()
    dripping = asyncio.create_task(drip(client, b"x"))
    assert (await client.reply()).startswith("421 4.4.2")
    assert loop.time() - started > 0.75
    dripping.cancel()


async def flood(client: Client, chunk: bytes, total: int) -> int:
    """Send up to `total` octets; how many went before the server stopped reading."""
    sent = 0
    while sent < total:
        client.send(chunk)
        sent += len(chunk)
        try:
            await asyncio.wait_for(client.writer.drain(), 0.3)
        except TimeoutError:
            break
    return sent


async def drip(client: Client, octet: bytes) -> None:
    while True:
        client.send(octet)
        await asyncio.sleep(0.05)


async def test_backend_that_hangs_is_answered_for(counter: Counter) -> None:
    await counter.serve(Office(gate=asyncio.Event()), SmtpOptions(hostname="mx.test", backend_s=0.2))
    client = await counter.greeted()
    await client.open_data()
    client.send(b"x\r\n.\r\n")
    assert (await client.reply()).startswith("451 4.3.0")
    assert await client.say("NOOP") == "250 2.0.0 Ok"


async def test_connections_of_one_address_are_limited(counter: Counter) -> None:
    options = SmtpOptions(hostname="mx.test", connections_per_ip_max=2)
    server = await counter.serve(Office(trust=False), options)
    clients = [await counter.greeted() for _ in range(2)]
    refused = await counter.connect()
    assert await refused.reply() == "421 4.7.0 Too many connections"
    assert await refused.closed()
    assert (await clients[0].say("QUIT")).startswith("221")
    assert await clients[0].closed()
    assert (await (await counter.connect()).reply()).startswith("220")
    assert server.counters.connections_refused == 1


async def test_where_nothing_is_submitted_connections_per_address_are_limited_for_all(
    counter: Counter,
) -> None:
    options = SmtpOptions(hostname="mx.test", is_submission=False, connections_per_ip_max=2)
    await counter.serve(Office(trust=True), options)
    clients = [await counter.connect() for _ in range(3)]
    replies = [await client.reply() for client in clients]
    assert [reply[:9] for reply in replies] == ["220 mx.te", "220 mx.te", "421 4.7.0"]


async def test_all_connections_are_limited_for_strangers_only(counter: Counter) -> None:
    office = Office(trust=False)
    await counter.serve(office, SmtpOptions(hostname="mx.test", connections_max=1, trusted_connections_max=2))
    await counter.greeted()
    assert (await (await counter.connect()).reply()).startswith("421 4.7.0")
    office.trust = True
    await counter.greeted()
    assert (await (await counter.connect()).reply()).startswith("421 4.7.0")


async def test_five_hundred_idle_connections_do_not_slow_the_next(counter: Counter) -> None:
    server = await counter.serve(Office())
    idle = [await counter.connect() for _ in range(500)]
    client = await counter.greeted()
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(20):
        await client.open_data()
        client.send(b"x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    assert loop.time() - started < 1
    assert server.connections == 501
    assert (await idle[250].reply()).startswith("220")
    assert (await idle[250].say("NOOP")).startswith("250")


async def test_line_without_an_end_is_hung_up_on(counter: Counter) -> None:
    await counter.serve(Office())
    client = await counter.greeted()
    client.send(b"x" * 20_000)
    assert await client.reply() == "500 5.5.6 Line too long"
    assert await client.closed()


async def test_recipients_up_to_the_limit_are_taken(counter: Counter) -> None:
    office = Office()
    await counter.serve(office)
    client = await counter.greeted()
    await client.say("MAIL FROM:<a@x.test>")
    client.send(b"".join(b"RCPT TO:<r%d@y.test>\r\n" % n for n in range(1_001)))
    replies = [(await client.reply())[:9] for _ in range(1_001)]
    assert replies == ["250 2.1.5"] * 1_000 + ["452 4.5.3"]
    await client.say("DATA")
    client.send(b"x\r\n.\r\n")
    await client.reply()
    assert len(office.envelopes[0].recipients) == 1_000


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.binary(max_size=200) | st.sampled_from([b"\r\n", b"DATA\r\n", b"EHLO x\r\n"]), max_size=20)
)
def test_garbage_gets_replies_and_never_an_exception(chunks: list[bytes]) -> None:
    failures: list[object] = []

    async def talk() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        server: SmtpServer[str] = SmtpServer(Office(), SmtpOptions(hostname="mx.test"))
        port = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(chunks) + b"\r\n.\r\nQUIT\r\n")
        replies = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await server.stop(1)
        assert replies.startswith(b"220 ")
        assert replies.splitlines()[-1][:4] in (b"221 ", b"421 ", b"500 ")
        assert server.counters.backend_failures == 0

    asyncio.run(talk())
    assert failures == []
