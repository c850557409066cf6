"""What a contact fills in a template: its properties, and its own fields over them. Pure."""

from typing import Any

from postrider.engine.audience.model import Contact


def values_of(contact: Contact) -> dict[str, Any]:
    """By the names that templates use; `content.templates` knows those of the fields."""
    return {
        **contact.properties,
        "email": contact.email,
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "name": contact.name,
        "company": contact.company,
        "phone": contact.phone,
        "city": contact.city,
        "country": contact.country,
    }
