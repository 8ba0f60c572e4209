"""A chat completion as an Anthropic message.

Source: platform.claude.com/docs/en/api/messages.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import usage
from quartermaster.gateway.dialects.body import encode
from quartermaster.gateway.dialects.chat_shapes import (
    Choice,
    Said,
    arguments_object,
    read_answer,
)
from quartermaster.kernel.errors import UpstreamError
from quartermaster.kernel.units import Counts

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class Asked(msgspec.Struct, frozen=True):
    """What a translated answer needs to know of its request."""

    message_id: str
    model: str
    """The name the client asked for; what the upstream calls it is nobody's business."""
    thinking: bool = False
    stop_sequences: tuple[str, ...] = ()


def message(body: bytes, asked: Asked, counts: Counts) -> bytes:
    """The client's message.

    Args:
        body: the upstream's chat completion.
        asked: what the request said.
        counts: what is metered; the client reads the same numbers that it is billed.

    Raises:
        UpstreamError: the answer is no chat completion.
    """
    answer = read_answer(body)
    if not answer.choices:
        raise UpstreamError("the model server's answer has no choices")
    choice = answer.choices[0]
    said = choice.message or Said()
    reason, sequence = stop_reason(choice, asked, called=bool(said.tool_calls))
    return encode(
        {
            "id": asked.message_id,
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": _blocks(said, asked),
            "stop_reason": "refusal" if said.refusal else reason,
            "stop_sequence": sequence,
            "usage": usage.as_messages(counts),
        }
    )


def _blocks(said: Said, asked: Asked) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = []
    if asked.thinking and said.thought:
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": ""})
    text = said.text or said.refusal
    if text:
        blocks.append({"type": "text", "text": text, "citations": None})
    for index, call in enumerate(said.tool_calls or ()):
        if call.function is None or not call.function.name:
            raise UpstreamError("the model server's answer calls a tool without a name")
        blocks.append(
            {
                "type": "tool_use",
                "id": call.id or tool_id(asked, index),
                "name": call.function.name,
                "input": arguments_object(call.function.arguments or ""),
            }
        )
    return blocks


def tool_id(asked: Asked, index: int) -> str:
    """An id for a call whose model server gave none."""
    return f"toolu_{asked.message_id.removeprefix('msg_')}_{index}"


def stop_reason(choice: Choice, asked: Asked, *, called: bool) -> tuple[str, str | None]:
    """Why the model stopped, and the stop sequence where it is known."""
    matched = choice.stop_reason
    if isinstance(matched, str) and matched in asked.stop_sequences:
        return "stop_sequence", matched
    reason = choice.finish_reason or "stop"
    if called and reason == "stop":
        reason = "tool_calls"
    return _STOP_REASONS.get(reason, "end_turn"), None
