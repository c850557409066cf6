"""Fields that bodies of several surfaces have, as annotated types: checked once, handed on as engine values.

Faults are sentences that fit every surface; where a body has its fields, and what they are called, is theirs.
"""

import binascii
import mimetypes
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from postrider.engine.content.headers import check_custom_headers
from postrider.engine.content.model import Attachment
from postrider.engine.domains.rules import domain_name
from postrider.engine.errors import Invalid
from postrider.engine.sending.prepare import SUBJECT_MAX_CHARS
from postrider.kit import json
from postrider.kit.address import InvalidAddress, Mailbox, address_key, parse_mailbox

BAD_ADDRESS = "Invalid email address"
FILENAME_MAX_CHARS = 255
METADATA_MAX_BYTES = 64 * 1024
UNKNOWN_TYPE = "application/octet-stream"

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?:;[\x20-\x7e]{0,200})?", re.ASCII)
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}")


def fault(message: str) -> PydanticCustomError:
    """What a validator raises: the sentence as it is told."""
    return PydanticCustomError("invalid", "{message}", {"message": message})


def parse_address(value: Any) -> Mailbox:
    """`a@b` or `Name <a@b>` whose address can also be compared and looked up."""
    try:
        mailbox = parse_mailbox(value if isinstance(value, str) else "")
        if not mailbox.address.isascii():
            address_key(mailbox.address)
    except InvalidAddress:
        raise fault(BAD_ADDRESS) from None
    return mailbox


def check_finite(value: Any) -> int:
    """The size of a JSON value in bytes; a fault for the numbers that JSON does not have."""
    body = json.dump_bytes(value)
    if b"NaN" in body or b"Infinity" in body:
        try:
            json.loads(body)
        except ValueError:
            raise fault("Numbers must be finite") from None
    return len(body)


def metadata_within(limit_bytes: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The check of an object that is kept as it came: its numbers finite, at most `limit_bytes` as JSON."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        if check_finite(value) > limit_bytes:
            raise fault(f"Metadata must have at most {limit_bytes} bytes as JSON")
        return value

    return check


def _one_line(value: str) -> str:
    if _CONTROL.search(value):
        raise fault("Line breaks and control characters are not allowed")
    return value


def _domain(value: str) -> str:
    try:
        return domain_name(value)
    except Invalid as error:
        raise fault(error.sentence) from None


def _headers(value: dict[str, str]) -> dict[str, str]:
    try:
        check_custom_headers(value)
    except Invalid as error:
        raise fault(error.sentence) from None
    return value


def _base64(value: Any) -> bytes:
    try:
        if isinstance(value, str):
            return binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except ValueError:
        pass
    raise fault("Input should be base64")


def _media_type(value: str) -> str:
    if not _MEDIA_TYPE.fullmatch(value):
        raise fault("Input should be a media type, such as application/pdf")
    return value


def _content_id(value: str) -> str:
    value = value.removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.fullmatch(value):
        raise fault("A content id has 1 to 200 ASCII characters without spaces")
    return value


Address = Annotated[Mailbox, PlainValidator(parse_address, json_schema_input_type=str)]
Base64 = Annotated[bytes, PlainValidator(_base64, json_schema_input_type=str)]
OneLine = Annotated[str, AfterValidator(_one_line)]
Subject = Annotated[OneLine, StringConstraints(min_length=1, max_length=SUBJECT_MAX_CHARS)]
FileName = Annotated[OneLine, StringConstraints(min_length=1, max_length=FILENAME_MAX_CHARS)]
DomainName = Annotated[str, AfterValidator(_domain)]  # as A-labels in lower case
MediaType = Annotated[str, AfterValidator(_media_type)]
ContentId = Annotated[str, AfterValidator(_content_id)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Metadata = Annotated[dict[str, Any], AfterValidator(metadata_within(METADATA_MAX_BYTES))]


class Wire(BaseModel):
    """A body whose types are strict: a number is no text. Fields that nobody knows are passed over."""

    model_config = ConfigDict(strict=True)


class AttachedFile(Wire):
    """An attachment; with a content id, or `disposition` inline, an image that the HTML shows."""

    filename: FileName
    content: Base64
    content_type: MediaType | None = Field(
        None, validation_alias=AliasChoices("content_type", "contentType", "type")
    )
    cid: ContentId | None = Field(None, validation_alias=AliasChoices("cid", "content_id"))
    disposition: Literal["attachment", "inline"] | None = None

    def attachment(self) -> Attachment:
        """As the engine takes it; a type that is not told is guessed from the file's name."""
        guessed = mimetypes.guess_type(self.filename)[0]
        return Attachment(
            self.filename, self.content_type or guessed or UNKNOWN_TYPE, self.content, self._cid()
        )

    def _cid(self) -> str | None:
        match self.disposition:
            case "attachment":
                return None
            case "inline" if self.cid is None:
                return "".join(char for char in self.filename if _CONTENT_ID.fullmatch(char)) or "inline"
            case _:
                return self.cid
