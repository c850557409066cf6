"""Postrider: an email platform in one program."""
