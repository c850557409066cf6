"""SMTP submission (RFC 6409): mail that a program hands in, with its credentials."""
