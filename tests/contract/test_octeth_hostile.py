"""What nobody should send, as JSON, form and multipart: refused in the dialect's words, never a 5xx."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.octeth_client import MAIL, Client, sender_of
from tests.factories import Running

from postrider.engine import messages
from postrider.surfaces.octeth.app import COMMANDS

pytestmark = pytest.mark.long  # thousands of requests

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

VALUES: list[Any] = [
    *(
        "\0",
        "a\0b",
        "x\r\nBcc: eve@example.com",
        "ü",
        "😀",
        "\u202e",
        "\ufeff",
        "１２",
        "9" * 5_000,
        "-1",
        "1e9",
    ),
    *(
        "'; DROP TABLE domains; --",
        "{{ 7 | times: 7 }}",
        "x" * 20_000,
        " ",
        "a" * 64 + ".test",
        "xn--zz--.test",
    ),
    *(-1, 0, 2**31 - 1, 2**31, 2**63, 2**80, 1.5, 1e300, True, False),
    *(
        [],
        [[]],
        [None],
        {},
        {"a": {"b": []}},
        {"email": {}, "name": []},
        [{"email": "a@b.test\0", "name": "\0"}],
    ),
]
FORM, MULTIPART, JSON = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json",
)
BODIES = [
    *(
        b"",
        b" ",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b"not json",
        b"\xff\xfe{}",
        b"{\xff}",
        b"\0" * 100,
    ),
    *(b'{"Command": ' + b"[" * 5_000, b'{"Command": "\\ud800"}', b'{"Command": "\\u0000"}', b'{"": ""}'),
    *(b'{"Command": NaN}', b'{"Command": 1e999}', b'{"Command":' + b"9" * 5_000 + b"}"),
    *(
        b"Command=%00",
        b"Command=%ff",
        b"=&&==&;",
        b"&" * 1_000,
        b"%zz=%",
        b"Command=EmailGateway.GetDomains&APIKey=%ff",
    ),
    *(
        b"--x",
        b"--x--\r\n",
        b"--x\r\n\r\n--x--",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--\r\n",
    ),
    b'--x\r\nContent-Disposition: form-data; name="Command"\r\n\r\n\xff\xfe\0\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="Command"; filename="a"\r\n\r\nv\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="APIKey"\r\n\r\n+2AA-\r\n--x--\r\n',
]
TYPES = [
    *("", JSON, "application/json; charset=utf-16", "text/plain", FORM, FORM + "; charset=utf-7"),
    *(MULTIPART, "multipart/form-data", "multipart/form-data; boundary=", MULTIPART + "; charset=utf-7"),
    *(MULTIPART + "; charset=idna", MULTIPART + "; charset=zlib", MULTIPART + "; charset=unicode_escape"),
]


@pytest.fixture
async def client(node: Running) -> AsyncIterator[Client]:
    async with sender_of(node) as client:
        yield client


def refused_in_words(answer: httpx2.Response) -> bool:
    """An error of the dialect: with Success false or Errors, and no fault of the server."""
    body = answer.json()
    return answer.status_code < 500 and (body.get("Success") is False or bool(body.get("Errors")))


async def test_every_parameter_of_every_command_takes_any_value(client: Client) -> None:
    for command in COMMANDS:
        for parameter, value in itertools.product(command.parameters, VALUES):
            given = {"DomainID": 1, "smtpid": 1, "ApiKeyId": 1, "Description": "Key", "DomainName": "a.test"}
            body = {**given, "Command": command.name, "APIKey": client.key, parameter.name: value}
            if command.name.endswith(("AddDomain", "DeleteDomain", "Login")) and value == body["DomainID"]:
                continue
            answer = await client.http.post("/api.php", json=body)
            assert answer.status_code in (200, 429), (command.name, parameter.name, value, answer.text)
        alone = {"Command": command.name, "APIKey": client.key, "": "x", "\0": "x"}
        assert (await client.http.post("/api.php", json=alone)).status_code == 200, command.name
    for name, value in itertools.product(("SessionID", "APIKey", "Command", "ResponseFormat"), VALUES):
        body = {"Command": "EmailGateway.GetDomain", "DomainID": 9, "APIKey": client.key, name: value}
        answer = await client.http.post("/api.php", json=body)
        assert refused_in_words(answer), (name, value, answer.text)


async def test_every_field_of_a_mail_takes_any_value(client: Client, node: Running) -> None:
    lists = ("To", "CC", "BCC", "ReplyTo", "Tags", "Attachments", "Headers")
    names = (
        *MAIL,
        *lists,
        "PlainContent",
        "TrackLinks",
        "TrackOpens",
        "SendAt",
        "TargetListID",
        "TemplateID",
    )
    for name, value in itertools.product((*names, "ListID", "SenderAPIKey"), VALUES):
        answer = await client.mail(**{name: value})
        assert answer.status_code == 200 or refused_in_words(answer), (name, value, answer.text)
    for name, value in itertools.product(("To", "From", "CC", "ReplyTo"), VALUES):
        for entry in ({"email": value, "name": "Ann"}, {"email": "ann@example.com", "name": value}):
            answer = await client.mail(**{name: entry})
            assert answer.status_code == 200 or refused_in_words(answer), (name, entry, answer.text)
    for name, value in itertools.product(("Filename", "Content", "Type", "Disposition", "ContentID"), VALUES):
        file = {"Filename": "a.txt", "Content": "aGk=", name: value}
        answer = await client.mail(Attachments=[file])
        assert answer.status_code == 200 or refused_in_words(answer), (file, answer.text)
    for value in VALUES:
        answer = await client.mail(Headers={"X-A": value, str(value)[:100]: "b"})
        assert answer.status_code == 200 or refused_in_words(answer), (value, answer.text)
    await nothing_waits(node)


async def nothing_waits(node: Running) -> None:
    """What was accepted can be sent: no mail of the account is stuck with a worker that cannot compose it."""
    async with asyncio.timeout(30):
        while True:
            left = await node.database.read(_waiting, node.account.organization_id)
            if not left:
                return
            await asyncio.sleep(0.1)


def _waiting(tx: Any, organization_id: int) -> int:
    statuses = (messages.Status.QUEUED, messages.Status.DEFERRED)
    return len(messages.search(tx, organization_id, limit=1, statuses=statuses))


@SQLITE
async def test_every_body_of_every_type_is_answered_in_the_dialects_words(client: Client) -> None:
    paths = ("/api.php", "/api/v1/email", "/api/v1/user.apikey")
    for path, body, kind in itertools.product(paths, BODIES, TYPES):
        headers = {"Content-Type": kind} if kind else {}
        answer = await client.http.post(path, content=body, headers=headers)
        assert refused_in_words(answer), (path, body[:60], kind, answer.text)
    for body, kind in itertools.product(BODIES, (JSON, FORM, MULTIPART)):
        headers = {"Content-Type": kind}
        answer = await client.http.request("GET", "/api/v1/user.apikeys", content=body, headers=headers)
        assert refused_in_words(answer), (body[:60], kind, answer.text)


@SQLITE
async def test_one_command_is_the_same_as_json_form_and_multipart_in_any_case(client: Client) -> None:
    body = {"COMMAND": "EMAILGATEWAY.getdomain", "apikey": client.key, "domainid": "1"}
    answers = [
        await client.http.post("/api.php", json=body),
        await client.http.post("/api.php", data=body),
        await client.http.post("/api.php", files={name: (None, value) for name, value in body.items()}),
        await client.http.post("/api.php", content=json.dumps(body).encode(), headers={"Content-Type": FORM}),
        await client.http.post("/api.php", content=json.dumps(body).encode()),
    ]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert answers[0].json()["Success"] is True


@SQLITE
async def test_a_body_that_is_no_json_object_is_100000(client: Client) -> None:
    for path, body in itertools.product(("/api.php", "/api/v1/email"), (b"{", b"[]", b"7", b'{"a": NaN}')):
        headers = {"Content-Type": JSON, "Authorization": f"Bearer {client.sender}"}
        answer = await client.http.post(path, content=body, headers=headers)
        told = answer.json()
        assert (answer.status_code, told["Success"], told["ErrorCode"]) == (400, False, 100000)
        assert told["Errors"] == [{"Code": 100000, "Message": told["ErrorText"]}]


@SQLITE
async def test_files_and_too_many_parts_are_refused(client: Client) -> None:
    file = await client.http.post("/api.php", files={"Command": ("a.txt", b"EmailGateway.GetDomains")})
    parts = {f"part{number}": (None, "x") for number in range(201)}
    many = await client.http.post("/api.php", files=parts)
    fields = await client.http.post("/api.php", data={f"field{number}": "x" for number in range(201)})
    assert [answer.json()["ErrorCode"] for answer in (file, many, fields)] == [100000] * 3


@SQLITE
async def test_a_body_past_its_limit_is_a_413(client: Client) -> None:
    big, bearer = "x" * 300_000, {"Authorization": f"Bearer {client.sender}"}
    answers = [
        await client.http.post("/api.php", json={"Command": "User.Login", "Username": big}),
        await client.http.post("/api.php", data={"Command": "User.Login", "Username": big}),
        await client.http.post("/api.php", files={"Command": (None, big)}),
        await client.http.post("/api/v1/email", data={"Subject": big}, headers=bearer),
        await client.http.post("/api/v1/email", content=b"{" + b" " * 37 * 1024 * 1024, headers=bearer),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["Errors"][0]["Code"]) == (413, 413)
    file = {"Filename": "a.bin", "Content": "YWFh" * (7 * 1024 * 1024)}
    mail = await client.mail(Attachments=[file, file])
    assert mail.status_code == 413
    fits = await client.mail(Attachments=[{**file, "Content": "YWFh" * (1024 * 1024)}])
    assert fits.status_code == 200, fits.text


@SQLITE
async def test_unknown_commands_paths_and_methods_have_their_numbers(client: Client) -> None:
    unknown = (await client.ask("nope")).json()
    assert unknown["Errors"] == [{"Code": 100003, "Message": 'Invalid API command: "nope" not found.'}]
    assert len((await client.ask("x" * 5_000)).text) < 1_000
    for method, path, status, code in (
        ("GET", "/api.php", 400, 100001),
        ("PUT", "/api.php", 400, 100001),
        ("POST", "/api.php", 400, 100003),
        ("GET", "/api/v1/email", 405, 405),
        ("POST", "/api/v1/nothing", 404, 404),
        ("GET", "/", 404, 404),
    ):
        answer = await client.http.request(method, path)
        assert (answer.status_code, answer.json()["ErrorCode"]) == (status, code), path


@SQLITE
async def test_paths_of_keys_tell_the_rate_limit_and_commands_have_none(client: Client) -> None:
    first, second = [(await client.mail()).headers for _ in range(2)]
    assert first["x-ratelimit-limit"] == "100"
    assert int(first["x-ratelimit-reset"]) % 60 == 0
    assert int(first["x-ratelimit-remaining"]) - int(second["x-ratelimit-remaining"]) in (1, -99)
    listed = await client.http.get("/api/v1/user.apikeys", params={"APIKey": client.key})
    assert listed.headers["x-ratelimit-remaining"] == "99"
    refused = await client.mail(Subject=None)
    assert int(refused.headers["x-ratelimit-remaining"]) <= 99
    command = await client.ask("EmailGateway.GetDomains")
    assert "x-ratelimit-limit" not in command.headers
