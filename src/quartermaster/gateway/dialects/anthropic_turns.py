"""Chat messages as Anthropic's system prompt and turns.

System and developer messages become the system prompt, wherever they stand. Messages of one role
that follow each other become one turn, so that the results of parallel calls stay together.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects.body import UNREADABLE, unsupported
from quartermaster.gateway.refusals import refused

_SYSTEM: Final = frozenset(("system", "developer"))
Item = dict[str, object]


class _Url(msgspec.Struct, gc=False):
    url: str


class _File(msgspec.Struct, gc=False):
    file_data: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _Url | None = None
    file: _File | None = None


class _Called(msgspec.Struct, gc=False):
    name: str
    arguments: str = ""


class _Call(msgspec.Struct, gc=False):
    id: str
    function: _Called | None = None


class ChatTurn(msgspec.Struct, gc=False):
    """One chat message of any role."""

    role: str
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def anthropic_turns(messages: list[ChatTurn]) -> tuple[list[Item], list[Item]]:
    """The system blocks and the turns.

    Raises:
        RefusedError: 400 for a role or a part that Anthropic does not know.
    """
    system: list[Item] = []
    turns: list[Item] = []
    last_role = ""
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if message.role in _SYSTEM:
            system.extend(_parts(message.content, f"{at}.content"))
            continue
        if message.role == "user":
            role, blocks = "user", _parts(message.content, f"{at}.content")
        elif message.role == "assistant":
            role, blocks = "assistant", _assistant(message, at)
        elif message.role == "tool":
            role, blocks = "user", [_result(message, at)]
        else:
            raise unsupported(f"{at}.role", f"The role '{message.role}' is not available.")
        if not blocks:
            continue
        if role == last_role:
            content = turns[-1]["content"]
            assert isinstance(content, list), "every turn is a list of blocks"
            content.extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
            last_role = role
    return system, turns


def _parts(content: str | list[_Part] | None, at: str) -> list[Item]:
    if content is None:
        return []
    if isinstance(content, str):
        # Anthropic refuses empty text blocks.
        return [{"type": "text", "text": content}] if content else []
    return [block for index, part in enumerate(content) for block in _part(part, f"{at}[{index}]")]


def _part(part: _Part, at: str) -> list[Item]:
    if part.type == "text":
        return [{"type": "text", "text": part.text}] if part.text else []
    if part.type == "refusal":
        return [{"type": "text", "text": part.refusal}] if part.refusal else []
    if part.type == "image_url" and part.image_url is not None:
        return [{"type": "image", "source": _source(part.image_url.url, f"{at}.image_url.url")}]
    if part.type == "file" and part.file is not None and part.file.file_data:
        document: Item = {
            "type": "document",
            "source": _source(part.file.file_data, f"{at}.file.file_data"),
        }
        if part.file.filename:
            document["title"] = part.file.filename
        return [document]
    raise unsupported(f"{at}.type", f"A '{part.type}' part is not available for this model.")


def _source(url: str, at: str) -> Item:
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    media_type, separator, content = url.removeprefix("data:").partition(";base64,")
    if not separator:
        raise unsupported(at, "A data URL must be base64.")
    return {"type": "base64", "media_type": media_type, "data": content}


def _assistant(message: ChatTurn, at: str) -> list[Item]:
    blocks = _parts(message.content, f"{at}.content")
    if not blocks and message.refusal:
        blocks.append({"type": "text", "text": message.refusal})
    for index, call in enumerate(message.tool_calls or ()):
        here = f"{at}.tool_calls[{index}]"
        if call.function is None:
            raise unsupported(here, "Only function calls are available for this model.")
        arguments = call.function.arguments.strip() or "{}"
        try:
            _decode_object(arguments.encode())
        except UNREADABLE as error:
            raise refused(
                "invalid_type",
                f"Invalid '{here}.function.arguments': expected a JSON object as a string.",
                param=f"{here}.function.arguments",
            ) from error
        blocks.append(
            {
                "type": "tool_use",
                "id": call.id,
                "name": call.function.name,
                "input": msgspec.Raw(arguments.encode()),
            }
        )
    return blocks


def _result(message: ChatTurn, at: str) -> Item:
    if not message.tool_call_id:
        raise refused(
            "missing_required_parameter",
            f"Missing required parameter: '{at}.tool_call_id'.",
            param=f"{at}.tool_call_id",
        )
    block: Item = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    content = _parts(message.content, f"{at}.content")
    if content:
        block["content"] = content
    return block
