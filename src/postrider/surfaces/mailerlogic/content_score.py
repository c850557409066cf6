"""POST /content-score: what in a mail looks like unwanted mail, by rules; each check is counted."""

import asyncio
from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator
from pydantic_core.core_schema import ValidationInfo
from starlette.responses import Response

from postrider.engine import deliverability
from postrider.engine.deliverability import CHECK, CONTENT_MAX_CHARS, Content, Issue, Kind, Quota, Score
from postrider.surfaces.common.fields import Address, Headers, Subject, Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer

BODY_MAX_BYTES = 4 * 1024 * 1024
Part = Annotated[str, StringConstraints(max_length=CONTENT_MAX_CHARS)]


class ContentBody(Wire):
    subject: Subject
    html: Part | None = None
    text: Part | None = Field(None, validate_default=True)
    from_: Address | None = Field(None, alias="from")
    headers: Headers | None = None

    @field_validator("text")
    @classmethod
    def _some_body(cls, value: str | None, info: ValidationInfo[Any]) -> str | None:
        if not value and "html" in info.data and not info.data["html"]:
            raise fault("html or text is required")
        return value

    def content(self) -> Content:
        return Content(self.subject, self.html or "", self.text or "", self.from_, self.headers or {})


async def check(call: Call, body: ContentBody) -> Response:
    quota = await call.services.db.write_first(deliverability.spend, call.caller.principal, Kind.CONTENT)
    scored = await asyncio.to_thread(deliverability.score, body.content())
    return answer(_told(scored, quota))


OPERATIONS = (
    Operation(
        "contentScore", "POST", ("/api/v1/content-score", "/api/content-score"), "Score a mail's content",
        CHECK, check, body=ContentBody, body_max_bytes=BODY_MAX_BYTES,
    ),
)  # fmt: skip


def _told(scored: Score, quota: Quota) -> dict[str, Any]:
    return {
        "score": scored.score,
        "grade": scored.grade,
        "issues": [_issue(issue) for issue in scored.issues],
        "suggestions": list(scored.suggestions),
        "quota": {"limit": quota.limit, "used": quota.used, "remaining": quota.remaining},
    }


def _issue(issue: Issue) -> dict[str, Any]:
    return {
        "type": issue.name,
        "severity": issue.severity,
        "message": issue.message,
        "location": issue.location,
        "points": issue.points,
    }
