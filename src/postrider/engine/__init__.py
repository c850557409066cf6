"""What Postrider does, in its own words: no web framework, no SMTP server, no HTTP status in here."""
