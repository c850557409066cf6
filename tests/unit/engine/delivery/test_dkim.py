"""Our signatures, verified by dkimpy (Ed25519 by its PyNaCl)."""

from dataclasses import replace
from functools import cache

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.engine.content.model import Mail
from postrider.engine.delivery import dkim as signer
from postrider.engine.delivery.dkim import Key
from postrider.engine.domains.keys import make_pair
from postrider.engine.domains.model import Algorithm

NOW_S = 1_768_000_000


@cache
def _key(algorithm: Algorithm) -> tuple[Key, bytes]:
    der, public = make_pair(algorithm)
    key = signer.load_key(der, domain="x.example", selector=f"s-{algorithm.name.lower()}")
    kind = "rsa" if algorithm is Algorithm.RSA else "ed25519"
    return key, f"v=DKIM1; k={kind}; p={public}".encode()


def _dns(name: bytes, timeout: int = 5) -> bytes:
    return {b"s-rsa": _key(Algorithm.RSA)[1], b"s-ed25519": _key(Algorithm.ED25519)[1]}[name.split(b".")[0]]


def _keys() -> list[Key]:
    return [_key(Algorithm.RSA)[0], _key(Algorithm.ED25519)[0]]


def _verifies(mail: Mail, signatures: list[bytes]) -> list[bool]:
    mail = replace(mail, body=mail.body + b"\r\n" * (not mail.body.endswith(b"\r\n")))  # as DATA carries it
    wire = b"".join([line + b"\r\n" for line in signatures]) + mail.as_bytes()
    checked = dkim.DKIM(wire)
    return [checked.verify(idx=index, dnsfunc=_dns) for index in range(len(signatures))]


HEADERS = [
    ("From", b"From: Ann <a@x.example>"),
    ("To", b"To: =?utf-8?q?J=C3=B6rg?= <b@y.example>,\r\n\t c@z.example"),
    ("Subject", b"Subject:  two  spaces\tand a tab \r\n folded   once \r\n\ttwice  "),
    ("Message-ID", b"Message-ID:\r\n <1@x.example>"),
    ("List-Unsubscribe", b"List-Unsubscribe: <https://x.example/track/u/abc>"),
    ("X-Own", b"X-Own: not signed"),
]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n\r\n",
        b" \t \r\n",
        b"one line",
        b"one line\r\n",
        b"trailing blank lines\r\n\r\n \t\r\n\r\n",
        b"tabs\tand  runs \t of\t\tboth \r\n\tindented\r\n",
        b"ends in spaces  ",
        "grüße, 你好\r\n".encode(),
        bytes(range(128, 256)) + b"\r\n",
        b"form\x0cfeed \x0b and vertical tab\r\n",
    ],
)
def test_dkimpy_verifies_both_signatures_over_any_body(body: bytes) -> None:
    mail = Mail(HEADERS, body)
    assert _verifies(mail, signer.sign(mail, _keys(), now_s=NOW_S)) == [True, True]


BODIES = st.lists(
    st.sampled_from(
        [b"a", b"word", b" ", b"  ", b"\t", b" \t ", b"\r\n", b"\r\n\r\n", b".", b"\xc3\xa9", b"\x0c"]
    ),
    max_size=40,
).map(b"".join)
VALUES = st.lists(
    st.sampled_from(
        [b"a", b"word", b" ", b"  ", b"\t", b":", b";", b"\r\n ", b"\r\n\tb", b"\xc3\xa9", b"\x0b"]
    ),
    max_size=12,
).map(b"".join)


@settings(deadline=None, max_examples=150)
@given(BODIES, st.lists(st.tuples(st.sampled_from(["Subject", "To", "cc", "REFERENCES", "X-Y"]), VALUES)))
def test_dkimpy_verifies_whatever_is_signed(body: bytes, values: list[tuple[str, bytes]]) -> None:
    fields = [(name, name.encode() + b": x" + value + b"y") for name, value in values]
    mail = Mail([("From", b"From: a@x.example"), *fields], body)
    assert _verifies(mail, signer.sign(mail, [_key(Algorithm.ED25519)[0]], now_s=NOW_S)) == [True]


def test_a_changed_header_no_longer_verifies() -> None:
    mail = Mail(HEADERS, b"pay 10\r\n")
    signatures = signer.sign(mail, _keys(), now_s=NOW_S)
    headers = [(name, b"Subject: other" if name == "Subject" else line) for name, line in HEADERS]
    assert _verifies(Mail(headers, mail.body), signatures) == [False, False]


def test_a_changed_body_no_longer_verifies() -> None:
    mail = Mail(HEADERS, b"pay 10\r\n")
    signatures = signer.sign(mail, _keys()[:1], now_s=NOW_S)
    with pytest.raises(dkim.ValidationError, match="body hash"):
        _verifies(Mail(HEADERS, b"pay 99\r\n"), signatures)


def test_a_second_from_added_on_the_way_breaks_the_signature() -> None:
    mail = Mail(HEADERS, b"x\r\n")
    signatures = signer.sign(mail, _keys()[:1], now_s=NOW_S)
    forged = Mail([("From", b"From: Mallory <m@evil.example>"), *HEADERS], mail.body)
    assert _verifies(forged, signatures) == [False]


def test_equal_bodies_need_to_be_hashed_only_once() -> None:
    mail = Mail(HEADERS, b"same\r\n")
    known = signer.sign(mail, _keys(), now_s=NOW_S, body_hash=signer.hash_body(b"same  \r\n\r\n"))
    assert known == signer.sign(mail, _keys(), now_s=NOW_S)


def test_the_two_steps_give_what_one_gives() -> None:
    mail = Mail(HEADERS, b"x\r\n")
    steps = [each.complete(each.key.sign(each.data)) for each in signer.prepare(mail, _keys(), now_s=NOW_S)]
    assert steps == signer.sign(mail, _keys(), now_s=NOW_S)  # both algorithms are deterministic


def test_lines_stay_within_what_smtp_carries() -> None:
    every = [(name.decode(), name + b": x") for name in sorted(signer.SIGNED)] * 2
    line = signer.sign(Mail(every, b"x\r\n"), _keys()[:1], now_s=NOW_S)[0]
    assert max(map(len, line.split(b"\r\n"))) < 998
    assert b"t=1768000000;" in line


def test_only_rsa_and_ed25519_keys_are_loaded() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    der = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for wrong in (der, b"rubbish"):
        with pytest.raises(ValueError):
            signer.load_key(wrong, domain="x.example", selector="s")


def test_a_key_does_not_show_its_secret() -> None:
    assert "PrivateKey" not in repr(_keys()[0])
