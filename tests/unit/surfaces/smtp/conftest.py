"""Every test that opens a socket here runs on asyncio and on uvloop."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from postrider.surfaces.smtp.tls import CertificateFiles, ensure_self_signed

from .office import Counter


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    counter = Counter()
    yield counter
    await counter.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return ensure_self_signed(tmp_path_factory.mktemp("tls"), "mx.test")


@pytest.fixture
def client_context(certificate: CertificateFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.certificate))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new" / "tls"
