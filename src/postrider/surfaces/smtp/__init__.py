"""SMTP submission (RFC 6409): the protocol alone, against a Backend; no engine and no database."""
