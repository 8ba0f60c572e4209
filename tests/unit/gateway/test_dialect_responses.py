"""The Responses API over a chat completion upstream, and passed on to who speaks it.

Shapes: the OpenAI API reference, `POST /v1/responses` and its streaming events.
"""

import json
from typing import Any

import pytest
from tests.unit.gateway.dialect_cases import (
    CHAT_STREAM,
    CHAT_USAGE,
    answered,
    call_piece,
    delta,
    events,
    planned,
    sent,
    sse,
    streamed,
)

from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts

HELLO: dict[str, Any] = {"model": "toy", "input": "Hello"}


def upstream(**fields: Any) -> dict[str, Any]:
    return sent("responses", **{**HELLO, **fields})


def test_a_plain_request() -> None:
    asked = upstream(instructions="Be brief.", max_output_tokens=9, temperature=0.5, store=False)
    assert asked == {
        "model": "theirs",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
    }


def test_items() -> None:
    asked = upstream(
        input=[
            {"role": "developer", "content": "No jokes."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Which?"},
                    {"type": "input_image", "image_url": "https://e.test/a.png", "detail": "low"},
                    {"type": "input_file", "file_data": "data:x;base64,AA", "filename": "a"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
            },
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"n":1}'},
            {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "a dog"}],
            },
        ]
    )
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"n":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
    ]
    assert asked["messages"] == [
        {"role": "system", "content": "No jokes."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Which?"},
                {
                    "type": "image_url",
                    "image_url": {"url": "https://e.test/a.png", "detail": "low"},
                },
                {"type": "file", "file": {"file_data": "data:x;base64,AA", "filename": "a"}},
            ],
        },
        {"role": "assistant", "content": "Let me look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "tool", "tool_call_id": "c2", "content": "a dog"},
    ]


def test_settings_that_have_another_name() -> None:
    schema = {"type": "json_schema", "name": "x", "schema": {"a": 1}, "strict": True}
    function = {"type": "function", "name": "f", "parameters": {"b": 2}, "strict": True}
    asked = upstream(
        text={"format": schema, "verbosity": "low"},
        tools=[function],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        reasoning={"effort": "high", "summary": "auto"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        metadata={"a": "b"},
        stream=True,
        stream_options={"include_obfuscation": False},
        min_p=0.1,
    )
    del asked["messages"]
    assert asked == {
        "model": "theirs",
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"a": 1}, "strict": True},
        },
        "verbosity": "low",
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"b": 2}, "strict": True},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "high",
        "logprobs": True,
        "top_logprobs": 2,
        "min_p": 0.1,
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format"),
    ],
)
def test_what_has_no_counterpart_is_refused(fields: Any, param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        upstream(**fields)
    assert (caught.value.http_status, caught.value.field) == (400, param)


def test_a_plain_answer() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"content": "Hi", "reasoning": "Hm.", "tool_calls": [call]}
    answer = {"choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]}
    seen = answered(planned("responses", **HELLO, instructions="x", temperature=0.5), answer)
    assert (seen["id"], seen["object"], seen["status"]) == ("resp_req_1", "response", "completed")
    assert (seen["instructions"], seen["temperature"], seen["store"]) == ("x", 0.5, False)
    reasoning, message, called = seen["output"]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert message["content"][0]["text"] == "Hi"
    assert (called["call_id"], called["name"], called["arguments"]) == ("c1", "f", "{}")
    assert seen["usage"] == {
        "input_tokens": 13,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 17,
    }


@pytest.mark.parametrize(
    ("finish_reason", "why"), [("length", "max_output_tokens"), ("content_filter",) * 2]
)
def test_an_incomplete_answer(finish_reason: str, why: str) -> None:
    answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": finish_reason}]}
    seen = answered(planned("responses", **HELLO), answer)
    assert (seen["status"], seen["incomplete_details"]) == ("incomplete", {"reason": why})


ORDER = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]


@pytest.mark.parametrize("cut", [0, 1, 50])
def test_a_stream_in_the_documented_order(cut: int) -> None:
    out, held = streamed(planned("responses", **HELLO, stream=True), CHAT_STREAM, cut)
    seen, last = events(out), events(held)
    assert [name for name, _ in seen] == ORDER
    assert [name for name, _ in last] == ["response.completed"]
    numbers = [body["sequence_number"] for _, body in seen + last]
    assert numbers == list(range(len(numbers)))
    text = "".join(body["delta"] for name, body in seen if name == "response.output_text.delta")
    assert text == seen[6][1]["text"] == "The fox"
    assert json.loads(seen[12][1]["arguments"]) == {"at": "sky"}
    response = last[0][1]["response"]
    assert response["usage"]["total_tokens"] == 17
    assert [item["id"] for item in response["output"]] == [
        body["item"]["id"] for name, body in seen if name == "response.output_item.added"
    ]


def test_reasoning_and_refusals_in_a_stream() -> None:
    stream = sse(
        delta(reasoning_content="Hm"),
        delta(reasoning_content="."),
        delta(refusal="No."),
        delta("stop"),
        "[DONE]",
    )
    out, held = streamed(planned("responses", **HELLO, stream=True), stream)
    names = [name for name, _ in events(out)]
    assert names.count("response.reasoning_text.delta") == 2
    assert "response.refusal.done" in names
    output = events(held)[0][1]["response"]["output"]
    assert output[0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert output[1]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_calls_that_cannot_be_told_are_an_upstream_error() -> None:
    made = planned("responses", **HELLO, stream=True)
    with pytest.raises(UpstreamError):
        streamed(made, sse(delta(tool_calls=[call_piece(0, "{}")])))
    first, second = call_piece(0, "{", name="f"), call_piece(1, "{", name="g")
    with pytest.raises(UpstreamError):
        streamed(made, sse(*(delta(tool_calls=[piece]) for piece in (first, second, first))))


def test_a_stream_that_fails() -> None:
    made = planned("responses", **HELLO, stream=True)
    out, _ = streamed(made, sse(delta(content="a"), {"error": {"message": "out of memory"}}))
    (error, told), (failed, body) = events(out)[-2:]
    assert (error, told["message"]) == ("error", "out of memory")
    assert failed == "response.failed"
    assert body["response"]["error"] == {"code": "server_error", "message": "out of memory"}
    assert made.translator is not None
    broken = events(made.translator().broken(refused("upstream_dropped", "It closed.")))
    assert [name for name, _ in broken][-2:] == ["error", "response.failed"]


# -- passed on ---------------------------------------------------------------------------------

NATIVE_USAGE = {
    "input_tokens": 13,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 1},
}
NATIVE = sse(
    {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_9"}},
    {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hi"},
    {
        "type": "response.completed",
        "sequence_number": 2,
        "response": {"id": "resp_9", "status": "completed", "usage": NATIVE_USAGE},
    },
    names=True,
)


def test_responses_pass_to_who_speaks_them_and_are_not_stored() -> None:
    body = {**HELLO, "tools": [{"type": "web_search"}], "stream": True}
    theirs = sent("responses", "openai-responses", **body)
    assert theirs == {**body, "model": "theirs", "store": False}
    made = planned("responses", "openai-responses", **body)
    out, held = streamed(made, NATIVE, 9)
    assert out + held == NATIVE
    assert [name for name, _ in events(held)] == ["response.completed"]


def test_what_the_meter_reads_of_a_stream_that_passes() -> None:
    made = planned("responses", "openai-responses", **HELLO, stream=True)
    assert made.translator is not None
    translator = made.translator()
    TranslatedStream(translator, 1 << 20).feed(NATIVE)
    assert (translator.done, translator.deltas, translator.upstream_id) == (True, 1, "resp_9")
    assert made.reading(translator.usage).counts == Counts(7, 4, 2, 3, 1)
    broken = events(translator.broken(refused("upstream_dropped", "It closed.")))
    assert broken[0][1]["sequence_number"] == 3


def test_the_published_usage_of_chat_reads_the_same() -> None:
    made = planned("responses", **HELLO)
    assert made.reading(json.dumps(CHAT_USAGE).encode()).counts == Counts(7, 4, 2, 3, 1)
