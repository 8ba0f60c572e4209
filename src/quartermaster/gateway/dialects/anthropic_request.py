"""A chat completion request as an Anthropic Messages request, for a native upstream.

What the Messages API cannot say is refused with its parameter, except hints that change no answer
(`seed`, cache keys, `metadata`). Names that are not of the chat API pass through untouched, so a
client can use `thinking` or `top_k` directly.

Sources: the OpenAI API reference, chat completions; platform.claude.com/docs/en/api/messages.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects.anthropic_turns import ChatTurn, anthropic_turns
from quartermaster.gateway.dialects.body import (
    EMPTY,
    OFF,
    TRUE,
    Fields,
    encode,
    given,
    raw,
    read,
    unsupported,
)
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.wire import ChatCall

# Anthropic demands a limit; where neither client nor operator names one: the SDKs' examples and
# LiteLLM use 4,096, which every model of the family can produce.
OUTPUT_TOKENS_DEFAULT: Final = 4_096
# What a stop list or a bias would be refused for, and why the counterpart is missing.
_REFUSED: Final = {
    "logit_bias": EMPTY,
    "logprobs": OFF,
    "top_logprobs": frozenset((b"", b"null", b"0")),
    "presence_penalty": frozenset((b"", b"null", b"0", b"0.0")),
    "frequency_penalty": frozenset((b"", b"null", b"0", b"0.0")),
    "functions": EMPTY,
    "function_call": EMPTY,
    "audio": EMPTY,
    "prediction": EMPTY,
    "web_search_options": frozenset((b"", b"null")),
    "moderation": EMPTY,
    "n": frozenset((b"", b"null", b"1")),
    "store": OFF,
    "modalities": frozenset((b"", b"null", b'["text"]')),
    "verbosity": frozenset((b"", b"null", b'"medium"')),
    # Anthropic's own names that make every token dearer; no row would say so.
    "speed": frozenset((b"", b"null", b'"standard"')),
    "inference_geo": frozenset((b"", b"null", b'"global"')),
}
_DROPPED: Final = frozenset(
    (
        "messages",
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "user",
        "safety_identifier",
        "seed",
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        *_REFUSED,
    )
)
_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_NO_SCHEMA: Final = msgspec.Raw(b'{"type":"object","properties":{}}')


class _Function(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"")
    strict: bool | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str
    function: _Function | None = None


class _Named(msgspec.Struct, gc=False):
    name: str


class _Choice(msgspec.Struct, gc=False):
    type: str
    function: _Named | None = None


class _Schema(msgspec.Struct, gc=False):
    schema: msgspec.Raw = msgspec.Raw(b"")


class _Format(msgspec.Struct, gc=False):
    type: str
    json_schema: _Schema | None = None


_decode_turns = msgspec.json.Decoder(list[ChatTurn]).decode
_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_decode_choice = msgspec.json.Decoder(str | _Choice).decode
_decode_format = msgspec.json.Decoder(_Format).decode
_decode_stop = msgspec.json.Decoder(str | list[str]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode
_decode_bool = msgspec.json.Decoder(bool).decode


def from_chat(call: ChatCall, output_tokens: int = OUTPUT_TOKENS_DEFAULT) -> ChatCall:
    """The same request with Anthropic's fields.

    Args:
        call: the client's request.
        output_tokens: the output limit where the client names none.

    Raises:
        RefusedError: 400 for what has no counterpart there.
    """
    fields = call.fields
    for name, nothing in _REFUSED.items():
        if name in fields and bytes(fields[name]) not in nothing:
            raise unsupported(name, f"'{name}' is not available for this model.")
    limit = given(fields, "max_completion_tokens") or given(fields, "max_tokens")
    system, turns = anthropic_turns(read(_decode_turns, fields["messages"], "messages"))
    theirs: Fields = {
        "max_tokens": raw(output_tokens) if limit is None else _limit(limit),
        "messages": raw(turns),
    }
    if system:
        theirs["system"] = raw(system)
    if call.stream:
        theirs["stream"] = TRUE
    _tools(fields, theirs)
    _output(fields, theirs)
    stop = given(fields, "stop")
    if stop is not None:
        stops = read(_decode_stop, stop, "stop")
        if stops:
            theirs["stop_sequences"] = raw([stops] if isinstance(stops, str) else stops)
    user = given(fields, "safety_identifier") or given(fields, "user")
    if user is not None:
        theirs["metadata"] = raw({"user_id": read(_decode_str, user, "user")})
    for name, value in fields.items():
        if name not in _DROPPED and name not in theirs:
            theirs[name] = value
    return ChatCall(call.model, call.stream, True, theirs, call.input_bytes)


def upstream_body(call: ChatCall, upstream_model: bytes) -> bytes:
    """The body for the upstream, of a call whose fields are Anthropic's."""
    call.fields["model"] = msgspec.Raw(upstream_model)
    return encode(call.fields)


def _limit(limit: msgspec.Raw) -> msgspec.Raw:
    if read(_decode_int, limit, "max_completion_tokens") < 1:
        raise unsupported("max_completion_tokens", "At least one output token must be allowed.")
    return limit


def _tools(fields: Fields, theirs: Fields) -> None:
    tools = given(fields, "tools")
    seen = read(_decode_tools, tools, "tools") if tools is not None else []
    if not seen:
        return
    theirs["tools"] = raw([_tool(tool, index) for index, tool in enumerate(seen)])
    choice: dict[str, object] = {}
    wanted = given(fields, "tool_choice")
    if wanted is not None:
        choice = _choice(read(_decode_choice, wanted, "tool_choice"))
    parallel = given(fields, "parallel_tool_calls")
    if parallel is not None and not read(_decode_bool, parallel, "parallel_tool_calls"):
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    if choice:
        theirs["tool_choice"] = raw(choice)


def _tool(tool: _Tool, index: int) -> dict[str, object]:
    if tool.type != "function" or tool.function is None:
        raise unsupported(
            f"tools[{index}].type", f"The tool type '{tool.type}' is not available for this model."
        )
    function = tool.function
    parameters = function.parameters
    theirs: dict[str, object] = {
        "name": function.name,
        "input_schema": _NO_SCHEMA if bytes(parameters) in EMPTY else parameters,
    }
    if function.description is not None:
        theirs["description"] = function.description
    if function.strict:
        theirs["strict"] = True
    return theirs


def _choice(choice: str | _Choice) -> dict[str, object]:
    if isinstance(choice, str):
        known = {"auto": "auto", "none": "none", "required": "any"}.get(choice)
        if known is None:
            raise unsupported("tool_choice", f"tool_choice '{choice}' is unknown.")
        return {"type": known}
    if choice.type != "function" or choice.function is None:
        raise unsupported(
            "tool_choice.type", f"tool_choice of type '{choice.type}' is not available."
        )
    return {"type": "tool", "name": choice.function.name}


def _output(fields: Fields, theirs: Fields) -> None:
    config: dict[str, object] = {}
    effort = given(fields, "reasoning_effort")
    if effort is not None:
        name = read(_decode_str, effort, "reasoning_effort")
        if name == "none":
            theirs["thinking"] = raw({"type": "disabled"})
        elif name not in _EFFORTS:
            raise unsupported("reasoning_effort", f"Unknown effort '{name}'.")
        else:
            config["effort"] = _EFFORTS[name]
    form = given(fields, "response_format")
    if form is not None:
        wanted = read(_decode_format, form, "response_format")
        if wanted.type == "json_schema":
            if wanted.json_schema is None or bytes(wanted.json_schema.schema) in EMPTY:
                raise refused(
                    "missing_required_parameter",
                    "Missing required parameter: 'response_format.json_schema.schema'.",
                    param="response_format.json_schema.schema",
                )
            config["format"] = {"type": "json_schema", "schema": wanted.json_schema.schema}
        elif wanted.type != "text":
            raise unsupported(
                "response_format.type",
                f"The response format '{wanted.type}' is not available for this model.",
                hint="Use json_schema.",
            )
    if config:
        theirs["output_config"] = raw(config)
