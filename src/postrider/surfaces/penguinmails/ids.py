"""Ids of this dialect: a noun's prefix and the row's 16 bytes as lower-case base32, read without a look-up.

What is not written exactly so names nothing: there is one spelling for each id.
"""

from postrider.engine.errors import NotFound
from postrider.kit.ids import RowId, from_base32, to_base32

MESSAGE, USER, KEY, ORGANIZATION, CAMPAIGN, TRACKING = "msg", "user", "key", "org", "campaign", "track"
WEBHOOK, EVENT, CONTACT, IMPORT = "webhook", "wh", "contact", "import"
GOAL, ANALYTICS_EVENT, BULK, TEMPLATE = "goal", "evt", "bulk", "tpl"


def to_id(prefix: str, row_id: RowId) -> str:
    """msg_ and 26 characters a-z2-7."""
    return f"{prefix}_{to_base32(row_id)}"


def from_id(prefix: str, text: str) -> RowId | None:
    """The row that `text` names, or None where it is no id of this prefix."""
    return from_base32(text.removeprefix(f"{prefix}_")) if text.startswith(f"{prefix}_") else None


def path_id(prefix: str, text: str, noun: str) -> RowId:
    """The row a path names; raises NotFound."""
    row_id = from_id(prefix, text)
    if row_id is None:
        raise NotFound(noun=noun)
    return row_id


def tracking_id(token: str) -> str:
    """The id of a message's tracking: the pixel's URL carries what stands after the prefix (rule 8)."""
    return f"{TRACKING}_{token}"
