"""A person's rights over what is kept of it: all of it told, all of it forgotten, consent given and taken."""

from postrider.engine.audience.privacy.consent import (
    Form,
    Visitor,
    asked_of,
    confirm,
    form_of,
    is_confirmed,
    sender_of,
    sign_up,
)
from postrider.engine.audience.privacy.erase import Elsewhere, Erased, erase
from postrider.engine.audience.privacy.export import Profile, Told, events_of, messages_of, profile_of
from postrider.engine.audience.privacy.preferences import (
    PAUSES_DAYS,
    Preferences,
    choose,
    leave_all,
    pause,
    preferences_of,
    resume,
)
from postrider.engine.audience.privacy.tokens import Token, Use

__all__ = [
    "PAUSES_DAYS",
    "Elsewhere",
    "Erased",
    "Form",
    "Preferences",
    "Profile",
    "Token",
    "Told",
    "Use",
    "Visitor",
    "asked_of",
    "choose",
    "confirm",
    "erase",
    "events_of",
    "form_of",
    "is_confirmed",
    "leave_all",
    "messages_of",
    "pause",
    "preferences_of",
    "profile_of",
    "resume",
    "sender_of",
    "sign_up",
]
