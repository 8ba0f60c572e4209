"""A Responses API request as a chat completion request, or passed on to who speaks it.

Nothing is stored here: what needs an earlier response, a conversation or a background run is
refused in words. A request that leaves `store` out is served and not stored.

Source: the OpenAI API reference, `POST /v1/responses`.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import responses_shapes as shapes
from quartermaster.gateway.dialects.body import (
    EMPTY,
    FALSE,
    NULL,
    TRUE,
    Fields,
    encode,
    fields_of,
    flag,
    given,
    model_of,
    raw,
    read,
    required,
    unsupported,
)
from quartermaster.gateway.dialects.responses_items import chat_messages
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.wire import ChatCall

_STORED: Final = ("previous_response_id", "conversation", "prompt")
_TIERS: Final = frozenset((b'"auto"', b'"default"'))
# Not of the chat API: echoed in the response, or without effect on it.
_OURS: Final = frozenset(
    (
        "input",
        "instructions",
        "text",
        "tools",
        "tool_choice",
        "reasoning",
        "max_output_tokens",
        "top_logprobs",
        "include",
        "store",
        "background",
        "truncation",
        "max_tool_calls",
        "stream_options",
        "stream",
        "model",
        "metadata",
        "service_tier",
        *_STORED,
    )
)
_WITH_LOGPROBS: Final = "message.output_text.logprobs"

_decode_str = msgspec.json.Decoder(str).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode
_decode_int = msgspec.json.Decoder(int).decode


def read_call(body: bytes) -> ChatCall:
    """What routing and metering need of the request; its fields stay those of the Responses API.

    Raises:
        RefusedError: 400 with the parameter at fault, among them everything that needs a store.
    """
    fields = fields_of(body)
    model = model_of(fields)
    required(fields, "input")
    for name in _STORED:
        if given(fields, name) is not None:
            raise unsupported(
                name, "Responses are not stored here.", hint="Send the whole input each time."
            )
    if flag(fields, "store"):
        raise unsupported("store", "Responses are not stored here.", hint="Send store=false.")
    if flag(fields, "background"):
        raise unsupported("background", "Background responses are not available.")
    tier = given(fields, "service_tier")
    if tier is not None and bytes(tier) not in _TIERS:
        raise unsupported(
            "service_tier",
            "Only the service tiers 'auto' and 'default' are served.",
            hint="Leave service_tier out.",
        )
    return ChatCall(model, flag(fields, "stream"), True, fields, len(body))


def to_chat(call: ChatCall) -> ChatCall:
    """The same request for a chat completion upstream.

    Raises:
        RefusedError: 400 for what has no counterpart there.
    """
    fields = call.fields
    truncation = given(fields, "truncation")
    if truncation is not None and bytes(truncation) != b'"disabled"':
        raise unsupported("truncation", "The input is never truncated here.")
    instructions = given(fields, "instructions")
    system = None if instructions is None else read(_decode_str, instructions, "instructions")
    messages = chat_messages(system, read(shapes.decode_input, fields["input"], "input"))
    if not messages:
        raise refused("invalid_type", "The input must have at least one item.", param="input")
    chat: Fields = {"messages": raw(messages)}
    if call.stream:
        chat["stream"] = TRUE
    limit = given(fields, "max_output_tokens")
    if limit is not None:
        read(_decode_int, limit, "max_output_tokens")
        chat["max_completion_tokens"] = limit
    _tools(fields, chat)
    _text(fields, chat)
    reasoning = given(fields, "reasoning")
    if reasoning is not None:
        effort = read(shapes.decode_reasoning, reasoning, "reasoning").effort
        if effort is not None:
            chat["reasoning_effort"] = raw(effort)
    include = given(fields, "include")
    if include is not None and _WITH_LOGPROBS in read(_decode_strings, include, "include"):
        chat["logprobs"] = TRUE
        chat["top_logprobs"] = fields.get("top_logprobs", msgspec.Raw(b"0"))
    for name, value in fields.items():
        if name not in _OURS and name not in chat and bytes(value) != b"null":
            chat[name] = value
    if "tools" not in chat:
        # OpenAI refuses to hear of parallel calls where there is nothing to call.
        chat.pop("parallel_tool_calls", None)
    return ChatCall(call.model, call.stream, False, chat, call.input_bytes)


def _tools(fields: Fields, chat: Fields) -> None:
    tools = given(fields, "tools")
    seen = read(shapes.decode_tools, tools, "tools") if tools is not None else []
    if not seen:
        return
    chat["tools"] = raw([_tool(tool, index) for index, tool in enumerate(seen)])
    choice = given(fields, "tool_choice")
    if choice is None:
        return
    wanted = read(shapes.decode_choice, choice, "tool_choice")
    if isinstance(wanted, str):
        chat["tool_choice"] = raw(wanted)
    elif wanted.type == "function" and wanted.name:
        chat["tool_choice"] = raw({"type": "function", "function": {"name": wanted.name}})
    else:
        raise unsupported(
            "tool_choice.type", f"tool_choice of type '{wanted.type}' is not available."
        )


def _tool(tool: shapes.Tool, index: int) -> dict[str, object]:
    if tool.type != "function":
        raise unsupported(
            f"tools[{index}].type", f"The tool type '{tool.type}' is not available for this model."
        )
    if not tool.name:
        raise refused(
            "missing_required_parameter",
            f"Missing required parameter: 'tools[{index}].name'.",
            param=f"tools[{index}].name",
        )
    function: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if bytes(tool.parameters) not in (b"", b"null"):
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _text(fields: Fields, chat: Fields) -> None:
    text = given(fields, "text")
    if text is None:
        return
    wanted = read(shapes.decode_text, text, "text")
    if wanted.verbosity is not None:
        chat["verbosity"] = raw(wanted.verbosity)
    form = wanted.format
    if form is None or form.type == "text":
        return
    if form.type == "json_object":
        chat["response_format"] = raw({"type": "json_object"})
        return
    if form.type != "json_schema":
        raise unsupported("text.format.type", f"The format '{form.type}' is unknown.")
    if not form.name or bytes(form.schema) in EMPTY:
        raise refused(
            "missing_required_parameter",
            "Missing required parameter: 'text.format.name' or 'text.format.schema'.",
            param="text.format",
        )
    schema: dict[str, object] = {"name": form.name, "schema": form.schema}
    if form.strict is not None:
        schema["strict"] = form.strict
    if form.description is not None:
        schema["description"] = form.description
    chat["response_format"] = raw({"type": "json_schema", "json_schema": schema})


def native_body(call: ChatCall, upstream_model: bytes) -> bytes:
    """The body for an upstream that speaks the Responses API: its model name, and never stored.

    Args:
        call: the client's request with its own fields.
        upstream_model: the JSON string of the deployment's model name.
    """
    fields = call.fields
    fields["model"] = msgspec.Raw(upstream_model)
    if bytes(fields.get("store", NULL)) == b"null":
        fields["store"] = FALSE
    return encode(fields)
