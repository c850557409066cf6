"""Organizations, users, memberships, credentials, plans and usage: who may ask, and for how much."""

from postrider.engine.accounts.authenticate import Caller, Keyring, by_key, by_smtp_login, hash_password
from postrider.engine.accounts.brand import Brand, FrequencyCap, change_brand
from postrider.engine.accounts.create import KeyKind, NewAccount, create, create_domain_keys
from postrider.engine.accounts.credentials import (
    create_smtp,
    delete_smtp,
    list_smtp,
    rotate_master,
    rotate_smtp,
    set_smtp_status,
    update_smtp,
)
from postrider.engine.accounts.keys import create_key, delete_key, get_key, key_by_number, list_keys
from postrider.engine.accounts.members import list_users, members_in
from postrider.engine.accounts.model import (
    Credential,
    Member,
    Organization,
    OrganizationKind,
    OrganizationStatus,
    Session,
    Settings,
    User,
)
from postrider.engine.accounts.plans import PLANS, Plan
from postrider.engine.accounts.reporting import Reporting, change_reporting
from postrider.engine.accounts.roles import ROLES
from postrider.engine.accounts.sessions import Lifetimes, OpenSession, Sessions, Tokens
from postrider.engine.accounts.store import (
    change_settings,
    delete_of_domain,
    first_live,
    give_back,
    month_of,
    next_number,
    organization,
    organization_ids,
    organizations,
    purge_sessions,
    sandbox_of,
    touch_credentials,
    use,
)
from postrider.engine.accounts.usage import usage_of

__all__ = [
    "PLANS",
    "ROLES",
    "Brand",
    "Caller",
    "Credential",
    "FrequencyCap",
    "KeyKind",
    "Keyring",
    "Lifetimes",
    "Member",
    "NewAccount",
    "OpenSession",
    "Organization",
    "OrganizationKind",
    "OrganizationStatus",
    "Plan",
    "Reporting",
    "Session",
    "Sessions",
    "Settings",
    "Tokens",
    "User",
    "by_key",
    "by_smtp_login",
    "change_brand",
    "change_reporting",
    "change_settings",
    "create",
    "create_domain_keys",
    "create_key",
    "create_smtp",
    "delete_key",
    "delete_of_domain",
    "delete_smtp",
    "first_live",
    "get_key",
    "give_back",
    "hash_password",
    "key_by_number",
    "list_keys",
    "list_smtp",
    "list_users",
    "members_in",
    "month_of",
    "next_number",
    "organization",
    "organization_ids",
    "organizations",
    "purge_sessions",
    "rotate_master",
    "rotate_smtp",
    "sandbox_of",
    "set_smtp_status",
    "touch_credentials",
    "update_smtp",
    "usage_of",
    "use",
]
