"""Requests and streams of the published shapes, and readers of what the gateway authors."""

import json
from typing import Any

from quartermaster.gateway.dialects.plan import Identity, Plan, plan, read_call
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.units import Counts

IDENTITY = Identity("req_1", 1_700_000_000)
COUNTS = Counts(7, 4, 2, 3, 1)
Body = dict[str, Any]


def planned(operation: Operation, api: DeploymentApi = "openai", **fields: Any) -> Plan:
    """The plan of a request."""
    call = read_call(operation, json.dumps(fields).encode())
    return plan(operation, call, api, b'"theirs"', IDENTITY)


def sent(operation: Operation, api: DeploymentApi = "openai", **fields: Any) -> Body:
    """What the upstream receives."""
    body: Body = json.loads(planned(operation, api, **fields).body)
    return body


def answered(made: Plan, answer: Body) -> Body:
    """What the client receives for a plain answer."""
    assert made.render is not None
    body: Body = json.loads(made.render(json.dumps(answer).encode(), COUNTS))
    return body


def sse(*payloads: Any, names: bool = False) -> bytes:
    """A stream of these payloads; a string goes as it is."""
    lines = []
    for payload in payloads:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        name = f"event: {payload['type']}\n" if names else ""
        lines.append(f"{name}data: {text}\n\n")
    return "".join(lines).encode()


def events(data: bytes) -> list[tuple[str, Body]]:
    """Named events that the gateway wrote; each name is the type in its payload."""
    seen = []
    for frame in data.decode().split("\n\n"):
        if not frame:
            continue
        name, payload = frame.split("\n")
        body = json.loads(payload.removeprefix("data: "))
        assert name.removeprefix("event: ") == body["type"]
        seen.append((body["type"], body))
    return seen


def chunks(data: bytes) -> list[Body]:
    """Unnamed chunks that the gateway wrote, without `[DONE]`."""
    frames = [frame.removeprefix("data: ") for frame in data.decode().split("\n\n") if frame]
    return [json.loads(frame) for frame in frames if frame != "[DONE]"]


def streamed(made: Plan, data: bytes, cut: int = 0) -> tuple[bytes, bytes]:
    """What goes at once and what is held back, fed in pieces of `cut` bytes (0: in one)."""
    assert made.translator is not None
    translator = made.translator()
    stream = TranslatedStream(translator, 1 << 20)
    pieces = [data[n : n + cut] for n in range(0, len(data), cut)] if cut else [data]
    out = b"".join(stream.feed(piece) for piece in pieces) + stream.finish()
    return out, translator.closing(COUNTS)


def delta(finish_reason: str | None = None, **fields: Any) -> Body:
    """A chat completion chunk."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish_reason}
    return {"id": "chatcmpl-7", "object": "chat.completion.chunk", "choices": [choice]}


def call_piece(index: int, arguments: str, **fields: Any) -> Body:
    """A piece of a tool call."""
    function = {"arguments": arguments}
    if "name" in fields:
        function["name"] = fields.pop("name")
    return {"index": index, "function": function, **fields}


CHAT_USAGE = {
    "prompt_tokens": 13,
    "completion_tokens": 4,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
CHAT_STREAM = sse(
    delta(role="assistant", content=""),
    delta(content="The"),
    delta(content=" fox"),
    delta(tool_calls=[call_piece(0, "", id="call_1", type="function", name="look")]),
    delta(tool_calls=[call_piece(0, '{"at":')]),
    delta(tool_calls=[call_piece(0, '"sky"}')]),
    delta("tool_calls"),
    {"id": "chatcmpl-7", "choices": [], "usage": CHAT_USAGE},
    "[DONE]",
)
# The first and third example of platform.claude.com/docs/en/build-with-claude/streaming, shortened.
CLAUDE_STREAM = sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_014p7gG3wDgGV9EUtLvnow3U",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-6",
            "stop_sequence": None,
            "usage": {"input_tokens": 472, "output_tokens": 2, "cache_read_input_tokens": 100},
            "content": [],
            "stop_reason": None,
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Okay, let's check"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {
            "type": "tool_use",
            "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
            "name": "get_weather",
            "input": {},
        },
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": ""},
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"location": "San Francisco"}'},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 89},
    },
    {"type": "message_stop"},
    names=True,
)
