"""An Anthropic message as a chat completion.

Source: platform.claude.com/docs/en/api/messages; the OpenAI API reference, chat completions.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import messages_blocks as blocks
from quartermaster.gateway.dialects import usage
from quartermaster.gateway.dialects.body import UNREADABLE, encode
from quartermaster.kernel.errors import UpstreamError
from quartermaster.kernel.units import Counts

FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class Asked(msgspec.Struct, frozen=True):
    """What a translated answer needs to know of its request."""

    id: str
    model: str
    created_s: int
    asks_usage: bool = True


def read_message(body: bytes) -> blocks.Message:
    """The upstream's message.

    Raises:
        UpstreamError: it is not one.
    """
    try:
        return blocks.decode_message(body)
    except UNREADABLE as error:
        raise UpstreamError(f"the model server's answer is no message: {error}") from error


def completion(body: bytes, asked: Asked, counts: Counts) -> bytes:
    """The client's chat completion.

    Args:
        body: the upstream's message.
        asked: what the request said.
        counts: what is metered; the client reads the same numbers that it is billed.

    Raises:
        UpstreamError: the answer is no message.
    """
    message = read_message(body)
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, object]] = []
    for block in message.content:
        if block.type == "text":
            texts.append(block.text or "")
        elif block.type == "thinking":
            thoughts.append(block.thinking or "")
        elif block.type == "tool_use":
            function = {"name": block.name or "", "arguments": bytes(block.input).decode() or "{}"}
            calls.append({"id": block.id, "type": "function", "function": function})
    said: dict[str, object] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": None,
        "annotations": [],
    }
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    if calls:
        said["tool_calls"] = calls
    return encode(
        {
            "id": asked.id,
            "object": "chat.completion",
            "created": asked.created_s,
            "model": asked.model,
            "choices": [
                {
                    "index": 0,
                    "message": said,
                    "logprobs": None,
                    "finish_reason": FINISH_REASONS.get(message.stop_reason or "", "stop"),
                }
            ],
            "usage": usage.as_chat(counts),
        }
    )
