"""The audience: contacts with their tags, lists, properties and consent, and the segments drawn from them."""
