"""Every setting once: name, type, default, help. From the environment as POSTRIDER_*, or a TOML file."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from postrider.engine.delivery.couriers import Relay
from postrider.engine.sending.routes import Delivery
from postrider.kit.address import Mailbox, parse_mailbox

CONFIG_FILE = "POSTRIDER_CONFIG"
NO_HOSTNAME = "localhost.localdomain"  # receivers refuse who greets them with it


class Settings(BaseSettings):
    """How this installation runs."""

    model_config = SettingsConfigDict(env_prefix="POSTRIDER_", extra="ignore", frozen=True)

    data_dir: Path = Field(Path("data"), description="Where the database, keys and certificates are kept.")
    database_url: str = Field("", description="postgresql://… ; empty: SQLite in DATA_DIR.")
    http_host: str = Field("127.0.0.1", description="Address the web server listens on.")
    http_port: int = Field(8080, description="Port of the web server.")
    smtp_host: str = Field("127.0.0.1", description="Address SMTP submission listens on.")
    smtp_port: int = Field(1587, description="Port of SMTP submission.")
    inbound_host: str = Field("", description="Address the inbound server listens on; empty: SMTP_HOST.")
    inbound_port: int = Field(1525, description="Port for bounces, complaints and mailed opt-outs.")
    public_url: str = Field(
        "", description="How the world reaches the web server; empty: http://localhost:HTTP_PORT."
    )
    hostname: str = Field(NO_HOSTNAME, description="Name in EHLO, Received, return paths and DNS records.")
    delivery: Delivery = Field(
        Delivery.CAPTURE,
        description="capture keeps mail in the inbox; relay sends it on; direct delivers to MX hosts.",
    )
    relay_url: str = Field("", description="smtp://user:pass@host:port; needed for DELIVERY=relay.")
    site_connections: int = Field(
        20, ge=1, le=1000, description="Connections to one site unless it says otherwise."
    )
    relay_connections: int = Field(40, ge=1, le=1000, description="Connections to the relay.")
    dns_servers: str = Field("", description="host:port, comma separated; empty: the system's resolvers.")
    delivery_port: int = Field(25, description="Port of receiving mail servers.")
    delivery_allow_private: bool = Field(False, description="Deliver to mail servers on private addresses.")
    webhook_allow_private: bool = Field(
        False, description="Post webhooks to private addresses too, and to http:// URLs."
    )
    smtp_trust: str = Field(
        "", description="CIDR=credential username, comma separated: submission without AUTH."
    )
    smtp_certificate: str = Field("", description="PEM certificate chain for STARTTLS; empty: self-signed.")
    smtp_certificate_key: str = Field("", description="PEM private key for SMTP_CERTIFICATE.")
    body_retention_days: int = Field(
        30, ge=1, le=3650, description="How long bodies and attachments stay after their last mail."
    )
    notices_from: str = Field(
        "",
        description="From of the platform's own mail, Name <address>; empty: Postrider <postrider@HOSTNAME>.",
    )
    blocklists: str = Field(
        "",
        description="Zones of DNS blocklists, comma separated: HOSTNAME and its addresses are asked about.",
    )
    scanner_ranges: str = Field(
        "", description="File of networks that mail scanners fetch from: a CIDR a line, and a name."
    )
    geoip_file: str = Field("", description="MaxMind database (.mmdb) that tells where hits come from.")
    transfer_dir: str = Field(
        "", description="Files of imports and exports, which web nodes should share; empty: DATA_DIR."
    )
    import_max_bytes: int = Field(
        2 * 1024**3, ge=1024, description="The largest file of contacts that is taken, in bytes."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="console for people, json for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get(CONFIG_FILE)
        if not file:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(file))

    @model_validator(mode="after")
    def _deliverable(self) -> "Settings":
        """Mail must have somewhere to go: what cannot be sent must not be accepted as if it could."""
        if self.delivery is Delivery.DIRECT and self.hostname == NO_HOSTNAME:
            raise ValueError("DELIVERY=direct needs HOSTNAME: the name this machine's address has in the DNS")
        if self.delivery is Delivery.RELAY:
            Relay.from_url(self.relay_url)
        return self

    @field_validator("notices_from")
    @classmethod
    def _is_mailbox(cls, text: str) -> str:
        if text:
            parse_mailbox(text)
        return text

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'postrider.db'}"

    @property
    def transfers_folder(self) -> Path:
        """TRANSFER_DIR, or DATA_DIR."""
        return Path(self.transfer_dir) if self.transfer_dir else self.data_dir

    @property
    def base_url(self) -> str:
        """PUBLIC_URL without a slash at its end."""
        return (self.public_url or f"http://localhost:{self.http_port}").rstrip("/")

    @property
    def resolvers(self) -> list[tuple[str, int]]:
        """(address, port) pairs of DNS_SERVERS; none: the system's."""
        pairs = [server.strip().rpartition(":") for server in self.dns_servers.split(",") if server.strip()]
        return [(host.strip("[]"), int(port)) for host, _, port in pairs]

    @property
    def notices_mailbox(self) -> Mailbox:
        """Who the platform's own mail is from."""
        if self.notices_from:
            return parse_mailbox(self.notices_from)
        return Mailbox(f"postrider@{self.hostname}", "Postrider")

    @property
    def blocklist_zones(self) -> tuple[str, ...]:
        """The zones of BLOCKLISTS, without dots at their ends."""
        return tuple(zone.strip().strip(".") for zone in self.blocklists.split(",") if zone.strip(" ."))

    @property
    def trusted_networks(self) -> list[tuple[str, str]]:
        """(network, credential username) pairs of SMTP_TRUST."""
        pairs = [pair.strip().partition("=") for pair in self.smtp_trust.split(",") if pair.strip()]
        return [(network.strip(), username.strip()) for network, _, username in pairs]


def load(**overrides: Any) -> Settings:
    return Settings(**overrides)
