"""Every operation served so far, against its contract: status, keys, and the forms and numbers of errors."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.octeth_client import CONTRACT, MAIL, Client, client_of, status_of
from tests.contract.walk import load, missing_keys
from tests.factories import PASSWORD, Running, make_account, make_domain, running_node
from tests.sink.dns import DnsServer

from postrider.surfaces.octeth import mail, users
from postrider.surfaces.octeth.app import COMMANDS, OPERATIONS
from postrider.surfaces.octeth.command import Command
from postrider.surfaces.octeth.errors import Form

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

WALKED = load("octeth")
BY_ID = {command.id: command for command in (*COMMANDS, *users.REST)}
FORMS = {
    Form.NUMBER: {("number", False), ("none", False)},
    Form.NUMBER_AND_MESSAGE: {("number", True)},
    Form.LIST: {("list", False)},
    Form.LIST_AND_MESSAGE: {("list", True)},
}
NOBODYS = 2_000_000
HOOK = "https://example.com/hook"

Parameters = Callable[[Client], dict[str, Any]]
DOMAIN_ID: Parameters = lambda client: {"DomainID": client.numbers["domain"]}  # noqa: E731
NOTHING: Parameters = lambda client: {}  # noqa: E731
GOOD: dict[str, Parameters] = {
    "userLogin": lambda client: {"Username": "owner@example.test", "Password": PASSWORD},
    "addDomain": lambda client: {"DomainName": "added.example.test"},
    "getDomain": DOMAIN_ID,
    "getDomains": NOTHING,
    "updateDomain": lambda client: {"DomainID": "1", "LinkTracking": "0", "HostingProvider": "Ours"},
    "verifyDomain": DOMAIN_ID,
    "deleteDomain": lambda client: {"DomainID": client.numbers["other"]},
    "clearDomainQueue": DOMAIN_ID,
    "addApi": lambda client: {**DOMAIN_ID(client), "Description": "Third", "ListID": 7},
    "getApis": DOMAIN_ID,
    "deleteApi": lambda client: {"ApiKeyId": str(client.numbers["key"])},
    "addSmtp": DOMAIN_ID,
    "getSmtps": DOMAIN_ID,
    "resetSmtpPassword": lambda client: {"smtpid": client.numbers["smtp"]},
    "deleteSmtp": lambda client: {"smtpid": client.numbers["smtp"]},
    "addWebhook": lambda client: {**DOMAIN_ID(client), "Event": "Bounced", "WebhookURL": HOOK},
    "getWebhooks": DOMAIN_ID,
    "deleteWebhook": lambda client: {**DOMAIN_ID(client), "WebhookID": str(client.numbers["webhook"])},
    "createUserApiKey": lambda client: {"note": "Nightly", "boundipaddress": "127.0.0.1"},
    "deleteUserApiKey": lambda client: {"apikeyid": client.numbers["user_key"]},
    "listUserApiKeys": NOTHING,
    "getEvents": lambda client: {**DOMAIN_ID(client), "StartFrom": 0, "RetrieveCount": "50"},
    "aggrEvents": DOMAIN_ID,
    "domainStats": DOMAIN_ID,
    "suppressionBrowse": lambda client: {"SearchPattern": "*@example.com"},
    "suppressionImport": lambda client: {"EmailAddresses": '["ann@example.com"]'},
    "suppressionDelete": lambda client: {"EmailAddress": "ann@example.com"},
}
# Each documented number of each command, and what is answered with it; 99998 is asked of all of them.
WRONG: dict[str, dict[int, dict[str, Any]]] = {
    "userLogin": {
        1: {"APIKey": None, "Password": "x"},
        2: {"APIKey": None, "Username": "owner@example.test"},
        3: {"APIKey": None, "Username": "owner@example.test", "Password": "wrong"},
    },
    "addDomain": {
        1: {"DomainName": ""},
        2: {"DomainName": "localhost"},
        4: {"DomainName": "a.example.test", "Subdomain": "-a"},
    },
    "getDomain": {1: {}, 2: {"DomainID": NOBODYS}},
    "getDomains": {},
    "updateDomain": {1: {}, 5: {"DomainID": NOBODYS}, 6: {"DomainID": 1, "Subdomain": "a.b"}},
    "verifyDomain": {1: {}, 2: {"DomainID": NOBODYS}},
    "deleteDomain": {1: {}, 2: {"DomainID": NOBODYS}},
    "clearDomainQueue": {1: {}, 2: {"DomainID": NOBODYS}},
    "addApi": {
        1: {"DomainID": 1, "Description": "a\nb"},
        2: {"Description": "Key", "DomainID": "one"},
        3: {"Description": "Key", "DomainID": NOBODYS},
    },
    "getApis": {1: {}, 2: {"DomainID": NOBODYS}},
    "deleteApi": {1: {}, 2: {"ApiKeyId": NOBODYS}},
    "addSmtp": {1: {}, 2: {"DomainID": NOBODYS}},
    "getSmtps": {1: {}, 2: {"DomainID": NOBODYS}},
    "resetSmtpPassword": {1: {}, 2: {"smtpid": NOBODYS}},
    "deleteSmtp": {1: {}, 2: {"smtpid": NOBODYS}},
    "addWebhook": {
        1: {"Event": "bounce", "WebhookURL": HOOK},
        2: {"DomainID": 1, "WebhookURL": HOOK},
        3: {"DomainID": 1, "Event": "eaten", "WebhookURL": HOOK},
        4: {"DomainID": NOBODYS, "Event": "bounce", "WebhookURL": HOOK},
        5: {"DomainID": 1, "Event": "bounce"},
        6: {"DomainID": 1, "Event": "bounce", "WebhookURL": "ftp://example.com/hook"},
        7: {"DomainID": 1, "Event": "bounce", "WebhookURL": "https://127.0.0.1/hook"},
    },
    "getWebhooks": {1: {}, 2: {"DomainID": NOBODYS}},
    "deleteWebhook": {
        1: {"DomainID": 1},
        2: {"DomainID": NOBODYS, "WebhookID": 1},
        4: {"DomainID": 1, "WebhookID": NOBODYS},
    },
    "createUserApiKey": {1: {}, 2: {"Note": "Key", "BoundIpAddress": "somewhere"}},
    "deleteUserApiKey": {1: {}, 2: {"apikeyid": NOBODYS}},
    "listUserApiKeys": {},
    "getEvents": {
        1: {"StartFrom": 0, "RetrieveCount": 5},
        2: {"DomainID": NOBODYS, "StartFrom": 0, "RetrieveCount": 5},
        4: {"DomainID": 1, "RetrieveCount": 5},
        5: {"DomainID": 1, "StartFrom": 0, "RetrieveCount": "all"},
    },
    "aggrEvents": {1: {}, 2: {"DomainID": NOBODYS}},
    "domainStats": {1: {}, 2: {"DomainID": NOBODYS}},
    "suppressionBrowse": {},
    "suppressionImport": {1: {}, 2: {"EmailAddresses": "ann@example.com"}},
    "suppressionDelete": {1: {}, 2: {"EmailAddress": "nobody"}},
}
# Told by tests of their own, or by nothing here: captcha and second factor, failures of a store.
ELSEWHERE = {"deleteWebhook": {3}, "userLogin": {4, 5, 6, 101}, "addDomain": {3}, "createUserApiKey": {3, 4}}


@pytest.fixture
async def running(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with DnsServer() as dns:
        servers = f"127.0.0.1:{dns.address[1]}"
        async with running_node(store_url, tmp_path / "data", dns_servers=servers) as node:
            yield node


@pytest.fixture
async def client(running: Running) -> AsyncIterator[Client]:
    """Two domains; of the first two keys, SMTP credentials and webhooks; two user keys."""
    async with client_of(running) as client:
        other = await client.done("AddDomain", DomainName="other.example.test")
        keys = [await client.done("AddAPI", DomainID=1, Description=name) for name in ("One", "Two")]
        logins = [await client.done("AddSMTP", DomainID="1") for _ in range(2)]
        hooks = [await client.done("AddWebhook", DomainID=1, Event="open", WebhookURL=HOOK) for _ in range(2)]
        made = await rest(client, "createUserApiKey", {"Note": "Second"})
        client.sender = keys[1]["APIKey"]["Key"]
        client.numbers = {
            "domain": 1,
            "other": other["NewSenderDomainID"],
            "key": int(keys[0]["NewAPIKeyID"]),
            "smtp": int(logins[0]["NewSMTPID"]),
            "webhook": int(hooks[0]["NewWebhookID"]),
            "user_key": int(made.json()["APIKeyID"]),
        }
        yield client


async def rest(client: Client, operation_id: str, body: dict[str, Any]) -> httpx2.Response:
    operation = WALKED[operation_id]
    asked = {"APIKey": client.key, **body}
    is_get = operation.method == "GET"
    query, sent = (asked, None) if is_get else (None, asked)
    return await client.http.request(operation.method, operation.paths[0], params=query, json=sent)


async def ask(client: Client, operation_id: str, parameters: dict[str, Any]) -> httpx2.Response:
    if operation_id == "sendEmail":
        return await client.mail(**parameters)
    command = BY_ID[operation_id]
    if command in users.REST:
        return await rest(client, operation_id, parameters)
    return await client.ask(command.name, **parameters)


def test_what_is_served_is_the_contract() -> None:
    served = {command.id for command in COMMANDS} | {each.id for each in OPERATIONS if each.id != "command"}
    here = {operation.id for operation in WALKED.values() if operation.served == "here"}
    assert served == here


def test_commands_and_paths_are_the_contracts() -> None:
    for command in COMMANDS:
        contracted = CONTRACT[command.id]
        assert (contracted["path"], contracted["command"]) == ("/api.php", command.name)
    for operation in OPERATIONS:
        if operation.id != "command":
            assert (operation.method, operation.paths[0]) == (
                WALKED[operation.id].method,
                WALKED[operation.id].paths[0],
            )


@pytest.mark.parametrize("command", [*COMMANDS, *users.REST], ids=lambda command: command.id)
def test_a_commands_form_numbers_and_sentences_are_the_contracts(command: Command) -> None:
    contracted = CONTRACT[command.id]
    form = contracted["error_form"]
    if command.form in FORMS:
        assert (form["ErrorCode"], form["ErrorMessage"]) in FORMS[command.form]
    else:
        assert ("Errors" in form, "ErrorText" in form) == (
            command.form is Form.ERRORS,
            command.form is Form.LISTS,
        )
    required = {parameter.name for parameter in command.parameters if parameter.missing is not None}
    if command.id != "userLogin":  # there they are told as one of two
        assert required == set(contracted["request"]["required"]) - {"Command"}
    for error in contracted["errors"]:
        number = error["code"]
        if number in (99998, *ELSEWHERE.get(command.id, ())) and number not in command.codes:
            continue
        code = command.codes[number]
        assert code.status == error["status"]
        assert code.message == error.get("message", code.message)


def test_the_email_operations_numbers_and_sentences_are_the_contracts() -> None:
    documented = {
        error["code"]: error for error in reversed(CONTRACT["sendEmail"]["errors"]) if error["code"] != 39
    }
    assert set(mail.CODES) == set(documented)
    for number, code in mail.CODES.items():
        assert code.status == documented[number]["status"]
        if number != 429:  # there the sentence has places to fill
            assert code.message == documented[number]["message"]


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(client: Client) -> None:
    sent = await ask(client, "sendEmail", {})
    assert (sent.status_code, missing_keys(sent.json(), WALKED["sendEmail"].keys)) == (200, [])
    last_of_all = sorted(GOOD, key=lambda operation_id: operation_id.startswith("delete"))
    for operation_id in last_of_all:
        contracted = WALKED[operation_id]
        answer = await ask(client, operation_id, GOOD[operation_id](client))
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)
    assert set(GOOD) | {"sendEmail"} == {command.id for command in (*COMMANDS, *users.REST)} | {"sendEmail"}


@SQLITE
async def test_every_command_answers_each_of_its_documented_numbers(client: Client) -> None:
    for operation_id, cases in WRONG.items():
        command, contracted = BY_ID[operation_id], CONTRACT[operation_id]
        for number, parameters in cases.items():
            answer = await ask(client, operation_id, parameters)
            status = next(error["status"] for error in contracted["errors"] if error["code"] == number)
            assert answer.status_code == status, (operation_id, number, answer.text)
            expected = command.codes[number].message
            match command.form:
                case Form.NUMBER:
                    told: Any = {"Success": False, "ErrorCode": number}
                case Form.NUMBER_AND_MESSAGE:
                    told = {"Success": False, "ErrorCode": number, "ErrorMessage": expected}
                case Form.LIST:
                    told = {"Success": False, "ErrorCode": [number]}
                case Form.LIST_AND_MESSAGE:
                    told = {"Success": False, "ErrorCode": [number], "ErrorMessage": expected}
                case Form.LISTS:
                    told = {"Success": False, "ErrorCode": [number], "ErrorText": [expected]}
                case Form.ERRORS:
                    told = {"Errors": [{"Code": number, "Message": expected}]}
            assert answer.json() == told, (operation_id, number)
        documented = {error["code"] for error in contracted["errors"]} - {0, 99998}
        assert documented == set(cases) | ELSEWHERE.get(operation_id, set()), operation_id


@SQLITE
async def test_bad_credentials_are_told_alike_by_every_command(client: Client) -> None:
    for operation_id, good in GOOD.items():
        if operation_id == "userLogin":
            continue
        for credentials in ({"APIKey": "0000-" * 7 + "0000"}, {"APIKey": None}, {"APIKey": client.sender}):
            answer = await ask(client, operation_id, {**good(client), **credentials})
            if BY_ID[operation_id] in users.REST:
                assert answer.status_code == 401
                assert answer.json() == {"Errors": [{"Code": 0, "Message": "Authentication failed"}]}
            else:
                assert answer.status_code == 200
                assert answer.json() == {"Success": False, "ErrorCode": 99998}, operation_id


@SQLITE
async def test_another_organizations_numbers_are_answered_like_unknown_ones(
    client: Client, running: Running
) -> None:
    stranger = make_account(running.database, running.sealer, email="stranger@example.test")
    make_domain(running.database, running.sealer, stranger.organization_id, "mail.stranger.test")
    foreign = {
        "DomainID": client.numbers["other"],
        "ApiKeyId": client.numbers["key"],
        "smtpid": client.numbers["smtp"],
        "apikeyid": client.numbers["user_key"],
        "WebhookID": client.numbers["webhook"],
    }
    lists = ("getDomains", "getApis", "getSmtps", "getWebhooks")
    before = [await ask(client, each, DOMAIN_ID(client)) for each in lists]
    asked = 0
    async with client_of(running, stranger.keys["octeth"]) as strange:
        for operation_id, good in GOOD.items():
            for name in foreign.keys() & good(client).keys():
                parameters = good(client)
                refused = await ask(strange, operation_id, {**parameters, name: foreign[name]})
                unknown = await ask(strange, operation_id, {**parameters, name: NOBODYS})
                assert refused.json() == unknown.json(), (operation_id, refused.text)
                assert refused.json().get("Success") is not True, operation_id
                asked += 1
    after = [await ask(client, each, DOMAIN_ID(client)) for each in lists]
    assert asked == 20
    assert [answer.json() for answer in before] == [answer.json() for answer in after]


@SQLITE
async def test_an_email_is_refused_by_its_status_and_number(client: Client) -> None:
    assert status_of(14) == 409
    no_key = await client.http.post("/api/v1/email", json=MAIL)
    assert (no_key.status_code, no_key.json()["Errors"][0]["Code"]) == (401, 1)
    answer = await client.http.post("/api/v1/email", json={**MAIL, "SenderAPIKey": client.key})
    assert (answer.status_code, answer.json()["Errors"][0]["Code"]) == (401, 13)
