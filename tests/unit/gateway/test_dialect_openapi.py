"""What the gateway authors, against OpenAI's public OpenAPI document, where it is there."""

import json
from typing import Any

import pytest
from tests.openai_document import valid
from tests.unit.gateway.dialect_cases import (
    CHAT_STREAM,
    CLAUDE_STREAM,
    answered,
    chunks,
    delta,
    events,
    planned,
    sse,
    streamed,
)
from tests.unit.gateway.test_dialect_anthropic import MESSAGE

from quartermaster.gateway.dialects.errors import refusal_body, upstream_body
from quartermaster.gateway.refusals import refused

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}]}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def test_the_check_can_fail() -> None:
    body = answered(planned("responses", model="toy", input="x"), {"choices": [{}]})
    valid("Response", body)
    del body["tools"]
    with pytest.raises(AssertionError):
        valid("Response", body)


@pytest.mark.parametrize(
    "message",
    [
        {"content": "Hi"},
        {"content": "Hi", "reasoning_content": "Hm."},
        {"refusal": "No."},
        {"tool_calls": [CALL]},
    ],
)
@pytest.mark.parametrize("finish_reason", ["stop", "length", "content_filter"])
def test_responses(message: dict[str, Any], finish_reason: str) -> None:
    choice = {"message": message, "finish_reason": finish_reason, "logprobs": LOGPROBS}
    made = planned("responses", model="toy", input="x", tools=[TOOL], temperature=0.5)
    valid("Response", answered(made, {"choices": [choice]}))


def test_responses_events() -> None:
    told = sse(delta(reasoning_content="Hm"), delta(refusal="No"), {"error": {"message": "x"}})
    for stream in (CHAT_STREAM, told):
        made = planned("responses", model="toy", input="x", stream=True, tools=[TOOL])
        out, held = streamed(made, stream)
        for _, body in events(out + held):
            valid("ResponseStreamEvent", body)


def test_chat_completions_of_a_native_upstream() -> None:
    messages = [{"role": "user", "content": "x"}]
    plain = planned("chat.completions", "anthropic", model="toy", messages=messages)
    valid("CreateChatCompletionResponse", answered(plain, MESSAGE))
    options = {"include_usage": True}
    made = planned(
        "chat.completions",
        "anthropic",
        model="toy",
        messages=messages,
        stream=True,
        stream_options=options,
    )
    out, held = streamed(made, CLAUDE_STREAM)
    for chunk in chunks(out + held):
        valid("CreateChatCompletionStreamResponse", chunk)


def test_errors() -> None:
    valid("ErrorResponse", json.loads(refusal_body("openai", refused("invalid_json", "No."))))
    for upstream in (b"", b'{"error":"x"}', b'{"type":"error","error":{"message":"y"}}'):
        valid("ErrorResponse", json.loads(upstream_body("openai", 500, upstream)))
