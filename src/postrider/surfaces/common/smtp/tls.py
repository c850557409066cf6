"""Certificates for STARTTLS: made on first start or brought along, and read again when their files change.

It asks no certificate authority; a bought or ACME certificate is put in place by whoever obtains it.
"""

import os
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postrider.kit.clock import now_ms, to_datetime

SELF_SIGNED_FILE = "smtp.pem"
SELF_SIGNED_DAYS = 3_650
COMMON_NAME_MAX_CHARS = 64  # X.520 ub-common-name
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the chain, leaf first, and its key; the same path twice when one file holds both."""

    certificate: Path
    key: Path


def ensure_self_signed(folder: Path, hostname: str) -> CertificateFiles:
    """A self-signed certificate for `hostname` and localhost, made if `folder` has none that still serves."""
    path = folder / SELF_SIGNED_FILE
    if not _usable(path, hostname):
        folder.mkdir(parents=True, exist_ok=True)
        _write_private(path, _self_signed(hostname))
    return CertificateFiles(path, path)


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """TLS 1.2 or newer; notes each client's server name, and serves changed files from the next handshake on.

    Raises OSError (ssl.SSLError is one) if the files cannot be used; later, bad ones change nothing.
    """
    served = _load(files)
    version = _version(files)

    def on_client_hello(
        connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext
    ) -> None:
        nonlocal served, version
        if (found := _version(files)) != version:
            version = found
            try:
                served = _load(files)
            except (OSError, ValueError) as error:
                log.error("smtp.certificate_unusable", file=str(files.certificate), reason=str(error))
        connection.context = served
        connection.postrider_server_name = name  # type: ignore[union-attr]

    entrance = _load(files)
    entrance.sni_callback = on_client_hello
    return entrance


def server_name(ssl_object: object) -> str | None:
    """The name a client asked for in its handshake (RFC 6066 3), from the transport's `ssl_object`."""
    name = getattr(ssl_object, "postrider_server_name", None)
    return name if isinstance(name, str) else None


def _load(files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    return context


def _version(files: CertificateFiles) -> tuple[int, ...] | None:
    try:
        stats = [path.stat() for path in (files.certificate, files.key)]
    except OSError:
        return None
    return tuple(value for stat in stats for value in (stat.st_mtime_ns, stat.st_ino, stat.st_size))


def _usable(path: Path, hostname: str) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return hostname in names.get_values_for_type(
        x509.DNSName
    ) and certificate.not_valid_after_utc > to_datetime(now_ms())


def _self_signed(hostname: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:COMMON_NAME_MAX_CHARS])])
    today = to_datetime(now_ms())
    names = [x509.DNSName(name) for name in dict.fromkeys((hostname, "localhost"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + certificate.public_bytes(Encoding.PEM)


def _write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
