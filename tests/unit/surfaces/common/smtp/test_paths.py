import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.surfaces.common.smtp.paths import Fault, Path, parse_path


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("FROM:<a@x.test>", "a@x.test"),
        ("from: <A.b+c@X.Test>", "A.b+c@X.Test"),
        ("FROM:<>", ""),
        ('FROM:<"a b"@x.test>', '"a b"@x.test'),
        ('FROM:<"a>b\\"c@d"@x.test>', '"a>b\\"c@d"@x.test'),
        ("FROM:<root@localhost>", "root@localhost"),
        ("FROM:<jürgen@exämple.test>", "jürgen@exämple.test"),
        ("FROM:<@one.test,@two.test:a@x.test>", "a@x.test"),
    ],
)
def test_path_is_read(argument: str, address: str) -> None:
    assert parse_path("FROM", argument) == Path(address, {})


@pytest.mark.parametrize(
    ("argument", "fault"),
    [
        ("", Fault.SYNTAX),
        ("TO:a@x.test", Fault.SYNTAX),
        ("FROM:<a@x.test>", Fault.SYNTAX),
        ("TO:<a@x.test>SIZE=1", Fault.SYNTAX),
        ("TO:<<a@x.test>>", Fault.SYNTAX),
        ('TO:<"a@x.test>', Fault.SYNTAX),
        ("TO:<>", Fault.ADDRESS),
        ("TO:<postmaster>", Fault.ADDRESS),
        ("TO:<a@b@x.test>", Fault.ADDRESS),
        ("TO:<a..b@x.test>", Fault.ADDRESS),
        ("TO:<a b@x.test>", Fault.ADDRESS),
        ("TO:<a@-x.test>", Fault.ADDRESS),
        ("TO:<a@x..test>", Fault.ADDRESS),
        ("TO:<a@[192.0.2.1]>", Fault.LITERAL),
        ("TO:<a@[IPv6:::1]>", Fault.LITERAL),
        ("TO:<" + "a" * 65 + "@x.test>", Fault.TOO_LONG),
        ("TO:<" + "ä" * 33 + "@x.test>", Fault.TOO_LONG),
        ("TO:<a@" + "x" * 60 + ("." + "y" * 60) * 4 + ">", Fault.TOO_LONG),
        ("TO:<a@x.test> =1", Fault.PARAMETERS),
        ("TO:<a@x.test> SIZE=1 size=2", Fault.PARAMETERS),
    ],
)
def test_bad_path_is_told_why(argument: str, fault: Fault) -> None:
    assert parse_path("TO", argument) is fault


def test_parameters_have_names_in_capitals() -> None:
    path = parse_path("FROM", "FROM:<a@x.test> size=12  BODY=8BITMIME SMTPUTF8")
    assert path == Path("a@x.test", {"SIZE": "12", "BODY": "8BITMIME", "SMTPUTF8": None})


@given(st.text('FROM:<>"\\@.,a[] =é', max_size=60))
def test_no_text_raises(text: str) -> None:
    assert isinstance(parse_path("FROM", "FROM:<" + text), Path | Fault)


@pytest.mark.parametrize("piece", ["a", "a.", '"', '"\\', "\\", "@a", "@a,", "a@a.", "<", "a=b ", '"a"'])
def test_hostile_text_is_read_in_linear_time(piece: str) -> None:
    started = time.process_time()
    for prefix in ("FROM:<", "FROM:<@a:", "FROM:<a@x.test> "):
        parse_path("FROM", prefix + piece * 1_000 + "!")
        parse_path("FROM", prefix + piece * 1_000 + ">")
    assert time.process_time() - started < 0.1
