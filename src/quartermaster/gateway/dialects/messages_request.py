"""An Anthropic Messages request as a chat completion request.

What chat completions cannot say is refused with its parameter, never dropped, except hints that
change no answer: cache breakpoints, earlier thinking, whether a tool result was an error.

Sources: platform.claude.com/docs/en/api/messages; the OpenAI API reference, chat completions.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import messages_blocks as blocks
from quartermaster.gateway.dialects.body import (
    EMPTY,
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
from quartermaster.gateway.dialects.messages_turns import chat_messages
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.wire import ChatCall

# Features of Anthropic's own service that no chat completion stands for.
_ONLY_THERE: Final = ("container", "mcp_servers", "context_management", "inference_geo")
# Hints without effect on the answer, and settings checked by name below.
_DROPPED: Final = frozenset(("cache_control", "diagnostics", "service_tier", "speed"))
# Names that mean something to chat completions; Anthropic's API does not know them.
_NOT_HERE: Final = frozenset(
    (
        "n",
        "best_of",
        "stop",
        "stream_options",
        "max_completion_tokens",
        "response_format",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "reasoning_effort",
        "user",
        "logprobs",
        "top_logprobs",
        "modalities",
        "audio",
        "store",
        "web_search_options",
        "prediction",
    )
)
_TIERS: Final = frozenset((b'"auto"', b'"standard_only"'))
_EFFORTS: Final = frozenset(("low", "medium", "high", "xhigh", "max"))
# Anthropic's own bound of a thinking budget.
THINKING_TOKENS_MIN: Final = 1_024
_decode_int = msgspec.json.Decoder(int).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode


def read_call(body: bytes) -> ChatCall:
    """What routing and metering need of the request; its fields stay Anthropic's.

    Raises:
        RefusedError: 400 with the parameter at fault.
    """
    fields = fields_of(body)
    model = model_of(fields)
    required(fields, "messages")
    _check_price(fields)
    return ChatCall(model, flag(fields, "stream"), True, fields, len(body))


def wants_thinking(call: ChatCall) -> bool:
    """Whether the client asked to see the model's reasoning."""
    thinking = given(call.fields, "thinking")
    if thinking is None:
        return False
    return read(blocks.decode_thinking, thinking, "thinking").type != "disabled"


def stop_sequences(call: ChatCall) -> list[str]:
    """The client's own stop sequences."""
    stops = given(call.fields, "stop_sequences")
    return [] if stops is None else read(_decode_strings, stops, "stop_sequences")


def to_chat(call: ChatCall) -> ChatCall:
    """The same request for a chat completion upstream.

    Raises:
        RefusedError: 400 for what has no counterpart there.
    """
    fields = dict(call.fields)
    for name in _ONLY_THERE:
        if given(fields, name) is not None:
            raise unsupported(name, f"'{name}' is not available for this model.")
        fields.pop(name, None)
    for name in _NOT_HERE.intersection(fields):
        raise unsupported(name, f"{name}: Extra inputs are not permitted.")
    max_tokens = read(_decode_int, required(fields, "max_tokens"), "max_tokens")
    turns = read(blocks.decode_turns, fields.pop("messages"), "messages")
    system = fields.pop("system", NULL)
    chat: Fields = {
        "messages": raw(chat_messages(system, turns)),
        "max_completion_tokens": fields.pop("max_tokens"),
    }
    _tools(fields, chat)
    _reasoning(fields, chat, max_tokens)
    stops = fields.pop("stop_sequences", NULL)
    if read(_decode_strings, stops, "stop_sequences") if bytes(stops) != b"null" else ():
        chat["stop"] = stops
    metadata = fields.pop("metadata", NULL)
    if bytes(metadata) != b"null":
        user = read(blocks.decode_metadata, metadata, "metadata").user_id
        if user is not None:
            chat["user"] = raw(user)
    for name, value in fields.items():
        if name not in _DROPPED:
            chat[name] = value
    return ChatCall(call.model, call.stream, False, chat, call.input_bytes)


def _check_price(fields: Fields) -> None:
    """Whatever makes every token dearer is refused on every way: no row would say it."""
    tier = given(fields, "service_tier")
    if tier is not None and bytes(tier) not in _TIERS:
        raise unsupported("service_tier", "Only 'auto' and 'standard_only' are served.")
    speed = given(fields, "speed")
    if speed is not None and bytes(speed) != b'"standard"':
        raise unsupported("speed", "Only the speed 'standard' is served.")
    place = given(fields, "inference_geo")
    if place is not None and bytes(place) != b'"global"':
        raise unsupported("inference_geo", "Only the place 'global' is served.")


def _tools(fields: Fields, chat: Fields) -> None:
    tools = fields.pop("tools", NULL)
    if bytes(tools) != b"null":
        seen = read(blocks.decode_tools, tools, "tools")
        if seen:
            chat["tools"] = raw([_tool(tool, index) for index, tool in enumerate(seen)])
    choice = fields.pop("tool_choice", NULL)
    if bytes(choice) == b"null":
        return
    wanted = read(blocks.decode_choice, choice, "tool_choice")
    if wanted.type == "tool":
        if not wanted.name:
            raise refused(
                "missing_required_parameter",
                "Missing required parameter: 'tool_choice.name'.",
                param="tool_choice.name",
            )
        chat["tool_choice"] = raw({"type": "function", "function": {"name": wanted.name}})
    elif wanted.type in ("auto", "any", "none"):
        chat["tool_choice"] = raw("required" if wanted.type == "any" else wanted.type)
    else:
        raise unsupported("tool_choice.type", f"tool_choice of type '{wanted.type}' is unknown.")
    if wanted.disable_parallel_tool_use:
        chat["parallel_tool_calls"] = msgspec.Raw(b"false")


def _tool(tool: blocks.Tool, index: int) -> dict[str, object]:
    if tool.type not in (None, "custom"):
        raise unsupported(
            f"tools[{index}].type",
            f"The tool type '{tool.type}' is not available for this model.",
            hint="Define it as a custom tool with an input_schema.",
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
    if bytes(tool.input_schema) not in (b"", b"null"):
        function["parameters"] = tool.input_schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _reasoning(fields: Fields, chat: Fields, max_tokens: int) -> None:
    effort = None
    thinking = fields.pop("thinking", NULL)
    if bytes(thinking) != b"null":
        effort = _effort(read(blocks.decode_thinking, thinking, "thinking"), max_tokens)
    output = fields.pop("output_config", NULL)
    if bytes(output) != b"null":
        config = read(blocks.decode_output, output, "output_config")
        if config.effort is not None:
            if config.effort not in _EFFORTS:
                raise unsupported("output_config.effort", f"Unknown effort '{config.effort}'.")
            effort = config.effort
        if config.format is not None:
            if config.format.type != "json_schema":
                raise unsupported("output_config.format.type", "Only 'json_schema' is known.")
            if bytes(config.format.schema) in EMPTY:
                raise refused(
                    "missing_required_parameter",
                    "Missing required parameter: 'output_config.format.schema'.",
                    param="output_config.format.schema",
                )
            shape = {"name": "output", "schema": config.format.schema, "strict": True}
            chat["response_format"] = raw({"type": "json_schema", "json_schema": shape})
    if effort is not None:
        chat["reasoning_effort"] = raw(effort)


def _effort(thinking: blocks.Thinking, max_tokens: int) -> str | None:
    """A thinking budget as an effort: the nearest of the shares that OpenRouter documents.

    They are 20, 50 and 80 % of `max_tokens` for low, medium and high
    (openrouter.ai/docs/use-cases/reasoning-tokens); the borders lie between them.
    """
    if thinking.type in ("disabled", "adaptive", "between_tools"):
        return None
    if thinking.type != "enabled":
        raise unsupported("thinking.type", f"thinking of type '{thinking.type}' is unknown.")
    budget = thinking.budget_tokens
    if budget is None or not THINKING_TOKENS_MIN <= budget < max_tokens:
        raise refused(
            "unsupported_value",
            f"thinking.budget_tokens must be at least {THINKING_TOKENS_MIN} "
            "and less than max_tokens.",
            param="thinking.budget_tokens",
        )
    if budget * 100 < max_tokens * 35:
        return "low"
    return "medium" if budget * 100 < max_tokens * 65 else "high"


def native_body(call: ChatCall, upstream_model: bytes) -> bytes:
    """The body for an upstream that speaks the client's own dialect: only the model changes.

    Args:
        call: the client's request with its own fields.
        upstream_model: the JSON string of the deployment's model name.
    """
    fields = call.fields
    fields["model"] = msgspec.Raw(upstream_model)
    if call.stream:
        fields["stream"] = TRUE
    return encode(fields)
