import asyncio
import os
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from postrider.kit import clock
from postrider.surfaces.common.smtp.options import SmtpOptions
from postrider.surfaces.common.smtp.tls import (
    CertificateFiles,
    ensure_self_signed,
    server_context,
    server_name,
)

from .office import Counter, Office


def test_certificate_is_made_once_for_the_owner_only(folder: Path) -> None:
    files = ensure_self_signed(folder, "mx.test")
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    made = files.certificate.read_bytes()
    assert ensure_self_signed(folder, "mx.test") == files
    assert files.certificate.read_bytes() == made
    assert os.listdir(folder) == ["smtp.pem"]


def test_openssl_reads_the_names(folder: Path) -> None:
    files = ensure_self_signed(folder, "mx.test")
    command = ["openssl", "x509", "-in", str(files.certificate), "-noout", "-ext", "subjectAltName"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "DNS:mx.test, DNS:localhost" in text


def test_certificate_is_made_again_for_another_name(folder: Path) -> None:
    made = ensure_self_signed(folder, "mx.test").certificate.read_bytes()
    assert ensure_self_signed(folder, "other.test").certificate.read_bytes() != made


def test_certificate_is_made_again_when_it_has_expired(folder: Path) -> None:
    made = ensure_self_signed(folder, "mx.test").certificate.read_bytes()
    later = clock.now_ms() + 4_000 * clock.DAY
    clock.set_source(lambda: later)
    try:
        assert ensure_self_signed(folder, "mx.test").certificate.read_bytes() != made
    finally:
        clock.set_source(None)


def test_broken_file_is_replaced(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "smtp.pem").write_text("nothing")
    server_context(ensure_self_signed(folder, "mx.test"))


def test_missing_files_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        server_context(CertificateFiles(tmp_path / "no.pem", tmp_path / "no.pem"))


def test_connection_without_a_handshake_has_no_server_name() -> None:
    assert server_name(None) is None


def shake(port: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """The certificate the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.recv(1_000)
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(1_000).startswith(b"220")
        with context.wrap_socket(plain) as secure:
            shown = secure.getpeercert(binary_form=True)
            secure.sendall(b"QUIT\r\n")
            assert secure.recv(1_000).startswith(b"221")
    assert shown is not None
    return shown


async def test_changed_certificate_is_served_from_the_next_handshake_on(
    counter: Counter, folder: Path
) -> None:
    files = ensure_self_signed(folder, "mx.test")
    await counter.serve(Office(), SmtpOptions(hostname="mx.test"), server_context(files))
    first = await asyncio.to_thread(shake, counter.port)
    assert await asyncio.to_thread(shake, counter.port) == first
    ensure_self_signed(folder, "other.test")
    second = await asyncio.to_thread(shake, counter.port)
    assert second != first
    files.certificate.write_text("half a file")
    assert await asyncio.to_thread(shake, counter.port) == second
    files.certificate.unlink()
    assert await asyncio.to_thread(shake, counter.port, ssl.TLSVersion.TLSv1_2) == second
