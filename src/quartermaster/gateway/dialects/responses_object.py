"""The response object of the Responses API, authored from a chat completion.

Source: the OpenAI API reference, the response object; its fields are all required there.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import usage
from quartermaster.gateway.dialects.body import NULL, UNREADABLE, Fields, encode
from quartermaster.gateway.dialects.chat_shapes import Choice, Said, read_answer
from quartermaster.kernel.errors import UpstreamError
from quartermaster.kernel.units import Counts

Item = dict[str, object]
# What the object repeats of the request, and what it says where the request said nothing.
_ECHOED: Final[dict[str, msgspec.Raw]] = {
    "instructions": NULL,
    "max_output_tokens": NULL,
    "max_tool_calls": NULL,
    "metadata": msgspec.Raw(b"{}"),
    "parallel_tool_calls": msgspec.Raw(b"true"),
    "reasoning": msgspec.Raw(b'{"effort":null,"summary":null}'),
    "safety_identifier": NULL,
    "prompt_cache_key": NULL,
    "temperature": NULL,
    "text": msgspec.Raw(b'{"format":{"type":"text"}}'),
    "tool_choice": msgspec.Raw(b'"auto"'),
    "top_p": NULL,
    "truncation": msgspec.Raw(b'"disabled"'),
}
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


class _Logprobs(msgspec.Struct, gc=False):
    content: list[msgspec.Raw] | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NULL
    strict: bool | None = None


_decode_logprobs = msgspec.json.Decoder(_Logprobs | None).decode
_decode_tools = msgspec.json.Decoder(list[_Tool]).decode


class Asked(msgspec.Struct, frozen=True):
    """What an authored response needs to know of its request."""

    id: str
    """`resp_...`; the ids of the items are derived from it."""
    model: str
    created_s: int
    fields: Fields
    """The client's own request."""

    def item_id(self, prefix: str, index: int) -> str:
        """The id of an output item."""
        return f"{prefix}_{self.id.removeprefix('resp_')}{index:02d}"


def response(
    asked: Asked,
    *,
    status: str,
    output: list[Item],
    counts: Counts | None = None,
    incomplete: str = "",
    error: tuple[str, str] | None = None,
) -> Item:
    """The object at one point of its life.

    Args:
        asked: the request.
        status: `in_progress`, `completed`, `incomplete` or `failed`.
        output: the items so far.
        counts: what is metered, at the end.
        incomplete: why it is incomplete.
        error: code and message, where it failed.
    """
    fields = asked.fields
    body: Item = {
        "id": asked.id,
        "object": "response",
        "created_at": asked.created_s,
        "status": status,
        "background": False,
        "error": None if error is None else {"code": error[0], "message": error[1]},
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "model": asked.model,
        "output": output,
        "previous_response_id": None,
        "store": False,
        "tools": _tools(fields),
    }
    if counts is not None:
        # The schema knows no null here, though the vendor sends one until the end.
        body["usage"] = usage.as_responses(counts)
    for name, default in _ECHOED.items():
        value = fields.get(name, default)
        body[name] = default if bytes(value) == b"null" else value
    return body


def _tools(fields: Fields) -> list[Item]:
    """The request's functions with the fields that the object requires."""
    tools = fields.get("tools", NULL)
    if bytes(tools) == b"null":
        return []
    return [
        {
            "type": tool.type,
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": tool.strict,
        }
        for tool in _decode_tools(tools)
    ]


def status_of(finish_reason: str) -> tuple[str, str]:
    """The status, and why a response is incomplete."""
    incomplete = _INCOMPLETE.get(finish_reason, "")
    return ("incomplete" if incomplete else "completed"), incomplete


def plain(body: bytes, asked: Asked, counts: Counts) -> bytes:
    """The client's response object.

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
    status, incomplete = status_of(choice.finish_reason or "")
    output = _output(choice, asked, status)
    return encode(
        response(asked, status=status, output=output, counts=counts, incomplete=incomplete)
    )


def _output(choice: Choice, asked: Asked, status: str) -> list[Item]:
    said = choice.message or Said()
    output: list[Item] = []
    if said.thought:
        output.append(reasoning_item(asked.item_id("rs", 0), said.thought, status))
    content: list[Item] = []
    if said.text:
        content.append(text_part(said.text, logprobs_of(choice)))
    if said.refusal:
        content.append({"type": "refusal", "refusal": said.refusal})
    if content:
        output.append(message_item(asked.item_id("msg", len(output)), content, status))
    for index, call in enumerate(said.tool_calls or ()):
        if call.function is None or not call.function.name:
            raise UpstreamError("the model server's answer calls a tool without a name")
        item_id = asked.item_id("fc", len(output))
        output.append(
            call_item(
                item_id,
                call.id or f"call_{index}",
                call.function.name,
                call.function.arguments or "",
                status,
            )
        )
    return output


def logprobs_of(choice: Choice) -> list[msgspec.Raw]:
    """The log probabilities of the text, as they came."""
    if not bytes(choice.logprobs):
        return []
    try:
        seen = _decode_logprobs(choice.logprobs)
    except UNREADABLE as error:
        raise UpstreamError("the model server's log probabilities cannot be read") from error
    return (seen.content or []) if seen is not None else []


def text_part(text: str, logprobs: list[msgspec.Raw]) -> Item:
    """A text part."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def message_item(item_id: str, content: list[Item], status: str) -> Item:
    """A message item."""
    return {
        "id": item_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def reasoning_item(item_id: str, text: str, status: str) -> Item:
    """A reasoning item whose text the model server showed."""
    return {
        "id": item_id,
        "type": "reasoning",
        "status": status,
        "summary": [],
        "content": [{"type": "reasoning_text", "text": text}] if text else [],
    }


def call_item(item_id: str, call_id: str, name: str, arguments: str, status: str) -> Item:
    """A function call item."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }
