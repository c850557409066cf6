"""SMTP as servers speak it (RFC 5321): the protocol alone, against a Backend; no engine and no database."""
