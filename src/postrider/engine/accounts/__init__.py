"""Organizations, users, memberships, credentials, plans and usage: who may ask, and for how much."""

from postrider.engine.accounts.authenticate import Keyring, by_key, by_smtp_login, hash_password
from postrider.engine.accounts.create import KeyKind, NewAccount, create
from postrider.engine.accounts.credentials import (
    create_smtp,
    delete_smtp,
    list_smtp,
    rotate_master,
    rotate_smtp,
    set_smtp_status,
    update_smtp,
)
from postrider.engine.accounts.model import (
    Credential,
    Organization,
    OrganizationKind,
    OrganizationStatus,
    Settings,
)
from postrider.engine.accounts.plans import PLANS, Plan
from postrider.engine.accounts.store import (
    first_live,
    next_number,
    organization,
    organizations,
    sandbox_of,
    touch_credentials,
    use,
)

__all__ = [
    "PLANS",
    "Credential",
    "KeyKind",
    "Keyring",
    "NewAccount",
    "Organization",
    "OrganizationKind",
    "OrganizationStatus",
    "Plan",
    "Settings",
    "by_key",
    "by_smtp_login",
    "create",
    "create_smtp",
    "delete_smtp",
    "first_live",
    "hash_password",
    "list_smtp",
    "next_number",
    "organization",
    "organizations",
    "rotate_master",
    "rotate_smtp",
    "sandbox_of",
    "set_smtp_status",
    "touch_credentials",
    "update_smtp",
    "use",
]
