"""The conversation of an Anthropic request as chat messages.

Tool results become messages of their own, before the rest of their turn, because chat completions
want them right behind the calls; images in them follow in a user message, the only place that
chat completions have for images.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import messages_blocks as blocks
from quartermaster.gateway.dialects.body import read, unsupported
from quartermaster.gateway.refusals import refused

_THINKING: Final = frozenset(("thinking", "redacted_thinking"))
Item = dict[str, object]


def chat_messages(system: msgspec.Raw, turns: list[blocks.Turn]) -> list[Item]:
    """System prompt and turns as chat messages.

    Raises:
        RefusedError: 400 for a role or a block that chat completions do not know.
    """
    messages: list[Item] = []
    if bytes(system) != b"null":
        content = _texts(read(blocks.decode_system, system, "system"), "system")
        if content:
            messages.append({"role": "system", "content": content})
    for index, turn in enumerate(turns):
        at = f"messages[{index}].content"
        if turn.role == "user":
            _user(turn.content, at, messages)
        elif turn.role == "assistant":
            messages.append(_assistant(turn.content, at))
        elif turn.role == "system":
            messages.append({"role": "system", "content": _texts(turn.content, at)})
        else:
            raise unsupported(f"messages[{index}].role", f"Unknown role '{turn.role}'.")
    if not turns:
        raise refused(
            "invalid_type", "messages: at least one message is required.", param="messages"
        )
    if turns[-1].role == "assistant":
        raise unsupported(
            "messages",
            "This model does not support assistant message prefill.",
            hint="The conversation must end with a user message.",
        )
    return messages


def _texts(content: str | list[blocks.Block], at: str) -> str | list[Item]:
    """Text alone: one block is its text, several stay apart."""
    if isinstance(content, str):
        return content
    parts = [_text(block, f"{at}[{index}]") for index, block in enumerate(content)]
    if len(parts) == 1:
        return parts[0]
    return [{"type": "text", "text": text} for text in parts]


def _text(block: blocks.Block, at: str) -> str:
    if block.type != "text":
        raise unsupported(f"{at}.type", f"A '{block.type}' block is not possible here.")
    return _needed(block.text, f"{at}.text")


def _needed(value: str | None, at: str) -> str:
    if value is None:
        raise refused(
            "missing_required_parameter", f"Missing required parameter: '{at}'.", param=at
        )
    return value


def _user(content: str | list[blocks.Block], at: str, messages: list[Item]) -> None:
    if isinstance(content, str):
        messages.append({"role": "user", "content": content})
        return
    parts: list[Item] = []
    for index, block in enumerate(content):
        here = f"{at}[{index}]"
        if block.type == "tool_result":
            messages.append(_tool_result(block, here, parts))
        else:
            parts.extend(_parts(block, here))
    if len(parts) == 1 and parts[0]["type"] == "text":
        messages.append({"role": "user", "content": parts[0]["text"]})
    elif parts:
        messages.append({"role": "user", "content": parts})


def _parts(block: blocks.Block, at: str) -> list[Item]:
    if block.type == "text":
        return [{"type": "text", "text": _needed(block.text, f"{at}.text")}]
    if block.type == "image":
        return [_image(read(blocks.decode_source, block.source, f"{at}.source"), at)]
    if block.type == "document":
        return _document(block, at)
    raise unsupported(f"{at}.type", f"A '{block.type}' block is not available for this model.")


def _image(source: blocks.Source, at: str) -> Item:
    if source.type == "base64":
        url = f"data:{source.media_type};base64,{source.data}"
    elif source.type == "url":
        url = source.url
    else:
        raise unsupported(
            f"{at}.source.type", f"An image source of type '{source.type}' is not available."
        )
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: blocks.Block, at: str) -> list[Item]:
    source = read(blocks.decode_source, block.source, f"{at}.source")
    if source.type == "text":
        return [{"type": "text", "text": source.data}]
    if source.type == "base64":
        file = {
            "filename": block.title or "document.pdf",
            "file_data": f"data:{source.media_type};base64,{source.data}",
        }
        return [{"type": "file", "file": file}]
    if source.type == "content":
        inner = read(blocks.decode_content, source.content, f"{at}.source.content")
        if isinstance(inner, str):
            return [{"type": "text", "text": inner}]
        return [part for nested in inner for part in _plain_part(nested, at)]
    raise unsupported(
        f"{at}.source.type", f"A document source of type '{source.type}' is not available."
    )


def _plain_part(block: blocks.Block, at: str) -> list[Item]:
    """A part inside a document or a tool result: text or an image, nothing nested."""
    if block.type == "document":
        raise unsupported(f"{at}.type", "A document inside a document is not possible.")
    return _parts(block, at)


def _tool_result(block: blocks.Block, at: str, parts: list[Item]) -> Item:
    """The message for one tool result; its images are added to the parts that follow."""
    message: Item = {
        "role": "tool",
        "tool_call_id": _needed(block.tool_use_id, f"{at}.tool_use_id"),
        "content": "",
    }
    if bytes(block.content) in (b"", b"null"):
        return message
    content = read(blocks.decode_content, block.content, f"{at}.content")
    if isinstance(content, str):
        message["content"] = content
        return message
    texts: list[Item] = []
    for index, inner in enumerate(content):
        for part in _parts(inner, f"{at}.content[{index}]"):
            (texts if part["type"] == "text" else parts).append(part)
    if len(texts) == 1:
        message["content"] = texts[0]["text"]
    elif texts:
        message["content"] = texts
    return message


def _assistant(content: str | list[blocks.Block], at: str) -> Item:
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    texts: list[str] = []
    calls: list[Item] = []
    for index, block in enumerate(content):
        here = f"{at}[{index}]"
        if block.type == "text":
            texts.append(_needed(block.text, f"{here}.text"))
        elif block.type == "tool_use":
            calls.append(_call(block, here))
        elif block.type not in _THINKING:
            raise unsupported(
                f"{here}.type", f"A '{block.type}' block is not available for this model."
            )
    message: Item = {"role": "assistant", "content": "".join(texts) if texts else None}
    if calls:
        message["tool_calls"] = calls
    elif not texts:
        message["content"] = ""
    return message


def _call(block: blocks.Block, at: str) -> Item:
    arguments = bytes(block.input)
    if not arguments.startswith(b"{"):
        raise refused(
            "invalid_type",
            f"Invalid type for '{at}.input': expected an object.",
            param=f"{at}.input",
        )
    function = {"name": _needed(block.name, f"{at}.name"), "arguments": arguments.decode()}
    return {"id": _needed(block.id, f"{at}.id"), "type": "function", "function": function}
