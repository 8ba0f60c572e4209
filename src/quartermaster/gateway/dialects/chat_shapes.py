"""What translators read of chat completions, plain and streamed.

Reasoning text has no field in OpenAI's own API; model servers send it as `reasoning_content`
(DeepSeek, vLLM, SGLang) or `reasoning` (vLLM since 2025-10, OpenRouter, Ollama).

Source: the OpenAI API reference, chat completions; docs.vllm.ai, reasoning outputs.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects.body import ABSENT, UNREADABLE
from quartermaster.kernel.errors import UpstreamError


class Function(msgspec.Struct, gc=False):
    """A called function, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A tool call, or a piece of it."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Part(msgspec.Struct, gc=False):
    """One part of a content list, as some model servers answer."""

    text: str | None = None


class Said(msgspec.Struct, gc=False):
    """A message, or what a chunk adds to it."""

    content: str | list[Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None

    @property
    def text(self) -> str:
        """The text, also where it came in parts."""
        content = self.content
        if isinstance(content, str):
            return content
        return "".join(part.text or "" for part in content) if content else ""

    @property
    def thought(self) -> str:
        """The reasoning text."""
        return self.reasoning_content or self.reasoning or ""


class Choice(msgspec.Struct, gc=False):
    """One alternative."""

    index: int | None = None
    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """The stop sequence that matched, where the server says so (vLLM)."""
    logprobs: msgspec.Raw = ABSENT


class Answer(msgspec.Struct, gc=False):
    """A plain answer, or one chunk of a stream."""

    id: str | int | None = None
    created: int | float | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode = msgspec.json.Decoder(Answer).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# How Claude's documentation wraps arguments that are no JSON object, so that they survive
# (platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming).
INVALID_JSON: Final = "INVALID_JSON"


def read_answer(body: bytes) -> Answer:
    """An answer or a chunk.

    Raises:
        UpstreamError: it is not one.
    """
    try:
        return _decode(body)
    except UNREADABLE as error:
        raise UpstreamError(f"the model server's answer is no chat completion: {error}") from error


def arguments_object(arguments: str) -> msgspec.Raw:
    """A call's arguments as a JSON object, byte for byte where they are one."""
    text = arguments.strip() or "{}"
    try:
        _decode_object(text.encode())
    except UNREADABLE:
        return msgspec.Raw(msgspec.json.encode({INVALID_JSON: arguments}))
    return msgspec.Raw(text.encode())
