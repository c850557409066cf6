"""Every test that opens a socket here runs on asyncio and on uvloop."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from postrider.surfaces.common.smtp.tls import CertificateFiles, ensure_self_signed

from .office import Counter


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


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
