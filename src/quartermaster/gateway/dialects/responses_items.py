"""Input items of the Responses API as chat messages.

A function call joins the assistant's message before it, as chat completions want it. Reasoning
items of earlier turns are dropped: chat completions have no place for them.
"""

from typing import Final

from quartermaster.gateway.dialects import responses_shapes as shapes
from quartermaster.gateway.dialects.body import EMPTY, read, unsupported
from quartermaster.gateway.refusals import refused

Item = dict[str, object]
# Model servers know `system`; OpenAI turns it into `developer` where a model wants that.
_ROLES: Final = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_TEXTS: Final = frozenset(("input_text", "output_text", "text"))


def chat_messages(instructions: str | None, given: str | list[shapes.Item]) -> list[Item]:
    """Instructions and input as chat messages.

    Raises:
        RefusedError: 400 for an item or a part that chat completions do not know.
    """
    messages: list[Item] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        messages.append({"role": "user", "content": given})
        return messages
    for index, item in enumerate(given):
        _item(item, f"input[{index}]", messages)
    return messages


def _item(item: shapes.Item, at: str, messages: list[Item]) -> None:
    if item.type == "message":
        messages.append(_message(item, at))
    elif item.type == "function_call":
        _call(item, at, messages)
    elif item.type == "function_call_output":
        messages.append(_output(item, at))
    elif item.type != "reasoning":
        hint = "Send the item itself." if item.type == "item_reference" else ""
        raise unsupported(
            f"{at}.type",
            f"An item of type '{item.type}' is not available for this model.",
            hint=hint,
        )


def _needed(value: str | None, at: str) -> str:
    if value is None:
        raise refused(
            "missing_required_parameter", f"Missing required parameter: '{at}'.", param=at
        )
    return value


def _message(item: shapes.Item, at: str) -> Item:
    asked = _needed(item.role, f"{at}.role")
    role = _ROLES.get(asked)
    if role is None:
        raise unsupported(f"{at}.role", f"Unknown role '{asked}'.")
    if bytes(item.content) in (b"", b"null"):
        raise refused(
            "missing_required_parameter",
            f"Missing required parameter: '{at}.content'.",
            param=f"{at}.content",
        )
    content = read(shapes.decode_content, item.content, f"{at}.content")
    if isinstance(content, str):
        return {"role": role, "content": content}
    if role == "assistant":
        texts = [_text(part, f"{at}.content[{n}].type") for n, part in enumerate(content)]
        return {"role": role, "content": "".join(texts)}
    parts = [_part(part, f"{at}.content[{n}]") for n, part in enumerate(content)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return {"role": role, "content": parts[0]["text"]}
    return {"role": role, "content": parts}


def _text(part: shapes.Part, at: str) -> str:
    if part.type in _TEXTS:
        return part.text or ""
    if part.type == "refusal":
        return part.refusal or ""
    raise unsupported(at, f"A part of type '{part.type}' is not possible here.")


def _part(part: shapes.Part, at: str) -> Item:
    if part.type in _TEXTS:
        return {"type": "text", "text": _needed(part.text, f"{at}.text")}
    if part.type == "input_image" and part.image_url:
        image: Item = {"url": part.image_url}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if part.type == "input_file" and part.file_data:
        file: Item = {"file_data": part.file_data}
        if part.filename:
            file["filename"] = part.filename
        return {"type": "file", "file": file}
    if part.type in ("input_image", "input_file"):
        raise unsupported(at, "Stored files are not available; send the data itself.")
    raise unsupported(f"{at}.type", f"A part of type '{part.type}' is not available.")


def _call(item: shapes.Item, at: str, messages: list[Item]) -> None:
    call = {
        "id": _needed(item.call_id, f"{at}.call_id"),
        "type": "function",
        "function": {
            "name": _needed(item.name, f"{at}.name"),
            "arguments": _needed(item.arguments, f"{at}.arguments"),
        },
    }
    if messages and messages[-1]["role"] == "assistant":
        calls = messages[-1].setdefault("tool_calls", [])
        assert isinstance(calls, list), "we made it"
        calls.append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _output(item: shapes.Item, at: str) -> Item:
    message: Item = {
        "role": "tool",
        "tool_call_id": _needed(item.call_id, f"{at}.call_id"),
        "content": "",
    }
    if bytes(item.output) in EMPTY:
        return message
    output = read(shapes.decode_content, item.output, f"{at}.output")
    if isinstance(output, str):
        message["content"] = output
    else:
        texts = [_text(part, f"{at}.output[{n}].type") for n, part in enumerate(output)]
        message["content"] = "".join(texts)
    return message
