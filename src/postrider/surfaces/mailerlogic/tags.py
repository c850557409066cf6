"""Tags: counted, renamed, merged, given to a contact and taken from it."""

from typing import Self

from pydantic import Field, model_validator
from starlette.responses import Response

from postrider.engine.audience import tags
from postrider.engine.audience.tags.change import MERGED_MAX
from postrider.kit.ids import RowId
from postrider.surfaces.common.fields import Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.contact_wire import Tags
from postrider.surfaces.mailerlogic.ids import path_id

READ, WRITE = "contacts:read", "contacts:write"


class TagName(Wire):
    new_name: str


class TagMerge(Wire):
    source_tags: list[str] = Field(min_length=1, max_length=MERGED_MAX)
    target_tag: str


class ContactTags(Wire):
    """One, or several, or both."""

    tag: str | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.names():
            raise fault("tag or tags is required")
        return self

    def names(self) -> list[str]:
        return [*([self.tag] if self.tag is not None else []), *(self.tags or [])]


async def list_tags(call: Call) -> Response:
    found = await call.services.db.read(tags.list_tags, call.caller.principal)
    return answer({"tags": [{"name": tag.name, "contact_count": tag.contacts} for tag in found]})


async def rename_tag(call: Call, given: TagName) -> Response:
    name = call.request.path_params["tagName"]
    tag = await call.services.db.write_first(tags.rename, call.caller.principal, name, given.new_name)
    renamed = {"old_name": name, "new_name": tag.name, "affected_contacts": tag.contacts}
    return answer({"message": "Tag renamed", **renamed})


async def merge_tags(call: Call, given: TagMerge) -> Response:
    merged = await call.services.db.write_first(
        tags.merge, call.caller.principal, given.source_tags, given.target_tag
    )
    return answer(
        {
            "message": "Tags merged",
            "target_tag": merged.target,
            "source_tags": list(merged.sources),
            "affected_contacts": merged.affected,
        }
    )


async def add_contact_tags(call: Call, given: ContactTags) -> Response:
    names = await call.services.db.write_first(
        tags.add, call.caller.principal, _contact_id(call), given.names()
    )
    return answer({"message": "Tags added", "tags": names})


async def remove_contact_tag(call: Call) -> Response:
    name = call.request.path_params["tagName"]
    names = await call.services.db.write_first(tags.remove, call.caller.principal, _contact_id(call), name)
    return answer({"message": "Tag removed", "tags": names})


_ALL = "/api/v1/contacts/tags"
_ONE = "/api/v1/contacts/tags/{tagName}"
_OF_CONTACT = "/api/v1/contacts/{id}/tags"
OPERATIONS = (
    Operation("listTags", "GET", (_ALL,), "Tags with their counts", READ, list_tags),
    Operation("mergeTags", "POST", (f"{_ALL}/merge",), "Merge tags", WRITE, merge_tags, body=TagMerge),
    Operation("renameTag", "PATCH", (_ONE,), "Rename a tag", WRITE, rename_tag, body=TagName),
    Operation(
        "addContactTags", "POST", (_OF_CONTACT,), "Tag a contact", WRITE, add_contact_tags, body=ContactTags
    ),
    Operation(
        "removeContactTag", "DELETE", (f"{_OF_CONTACT}/{{tagName}}",), "Untag a contact", WRITE,
        remove_contact_tag,
    ),
)  # fmt: skip


def _contact_id(call: Call) -> RowId:
    return path_id(call.request.path_params["id"], "contact")
