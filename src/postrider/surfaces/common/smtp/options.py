"""Every limit of the SMTP server, by name; a deployment changes them, tests shrink them."""

from dataclasses import dataclass

COMMAND_LINE_MAX_OCTETS = 2_048  # RFC 5321 asks for 512; SMTPUTF8 and MAIL parameters want more
AUTH_LINE_MAX_OCTETS = 12_288  # RFC 4954 4
HELO_MAX_CHARS = 255
AUTH_FAILURES_MAX = 3
UNREAD_REPLIES_MAX = 100  # replies gathered before they are written and back-pressure is heeded
LINGER_S = 10.0  # a closed connection whose client does not read its last reply is cut after this
OVERSIZE_FACTOR = 2  # a message this many times too long costs its sender the connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpOptions:
    """Sizes in octets, times in seconds."""

    hostname: str = "localhost"
    is_submission: bool = True  # off: mail from strangers, without AUTH
    size_max_octets: int = 26_214_400
    auth_without_tls: bool = False  # announce AUTH on an unencrypted connection
    recipients_max: int = 1_000
    messages_max: int = 10_000  # on one connection
    connections_max: int = 2_000
    connections_per_ip_max: int = 200  # an IPv6 /64 counts as one
    trusted_connections_max: int = 4_000  # all connections together, trusted ones included
    errors_max: int = 20
    idle_s: float = 300.0  # from one complete command to the next
    data_idle_s: float = 60.0  # between two chunks of a message
    data_total_s: float = 1_800.0  # from DATA to the end of the message
    backend_s: float = 120.0  # one call of the backend
    auth_delay_s: float = 1.0  # before a failed AUTH is answered
    tls_handshake_s: float = 30.0
