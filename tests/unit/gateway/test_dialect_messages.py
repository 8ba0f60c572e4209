"""Anthropic's Messages over a chat completion upstream.

Shapes: platform.claude.com/docs/en/api/messages and .../build-with-claude/streaming.
"""

import json
from typing import Any

import pytest
from tests.unit.gateway.dialect_cases import (
    CHAT_STREAM,
    CHAT_USAGE,
    COUNTS,
    IDENTITY,
    answered,
    call_piece,
    delta,
    events,
    planned,
    sent,
    sse,
    streamed,
)

from quartermaster.gateway.dialects.plan import plan, read_call
from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.errors import RefusedError, UpstreamError

HELLO: dict[str, Any] = {
    "model": "toy",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}


def upstream(**fields: Any) -> dict[str, Any]:
    return sent("messages", **{**HELLO, **fields})


def test_a_plain_request() -> None:
    assert upstream(temperature=0.25, top_p=0.5) == {
        "model": "theirs",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 100,
        "temperature": 0.25,
        "top_p": 0.5,
    }


IMAGE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}
CONVERSATION: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"type": "image", "source": IMAGE},
            {"type": "image", "source": {"type": "url", "url": "https://e.test/a.png"}},
            {"type": "text", "text": "Which?"},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "x"},
            {"type": "text", "text": "Let me "},
            {"type": "text", "text": "look."},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"n": 1.50}},
            {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a cat"},
            {
                "type": "tool_result",
                "tool_use_id": "toolu_2",
                "content": [
                    {"type": "text", "text": "a dog"},
                    {"type": "image", "source": IMAGE},
                ],
            },
            {"type": "text", "text": "And now?"},
        ],
    },
]
URL = "data:image/png;base64,iVBORw0="
CHAT_CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": URL}},
            {"type": "image_url", "image_url": {"url": "https://e.test/a.png"}},
            {"type": "text", "text": "Which?"},
        ],
    },
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {
                "id": "toolu_1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"n": 1.5}'},
            },
            {
                "id": "toolu_2",
                "type": "function",
                "function": {"name": "look", "arguments": "{}"},
            },
        ],
    },
    {"role": "tool", "tool_call_id": "toolu_1", "content": "a cat"},
    {"role": "tool", "tool_call_id": "toolu_2", "content": "a dog"},
    {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": URL}},
            {"type": "text", "text": "And now?"},
        ],
    },
]


def test_each_server_gets_the_limit_under_the_name_that_it_obeys() -> None:
    assert upstream()["max_tokens"] == 100
    for api in ("azure", "openai-responses"):
        asked = sent("messages", api, **HELLO)
        assert [key for key in asked if key.startswith("max_")] == ["max_completion_tokens"]


def test_a_conversation_with_tools_and_pictures() -> None:
    asked = upstream(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=CONVERSATION,
        tools=[{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    assert asked["messages"] == CHAT_CONVERSATION
    function = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
    assert asked["tools"] == [{"type": "function", "function": function}]
    assert asked["tool_choice"] == "required"
    assert asked["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("choice", "theirs"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_tool_choices(choice: Any, theirs: Any) -> None:
    tools = [{"name": "f", "input_schema": {}}]
    assert upstream(tools=tools, tool_choice=choice)["tool_choice"] == theirs


def test_settings_that_have_another_name() -> None:
    asked = upstream(
        stop_sequences=["END"],
        metadata={"user_id": "u-1"},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"a": 1}}},
        stream=True,
    )
    assert asked["stop"] == ["END"]
    assert asked["user"] == "u-1"
    assert asked["reasoning_effort"] == "low"
    schema = {"name": "output", "schema": {"a": 1}, "strict": True}
    assert asked["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert asked["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (5000, "medium"), (9000, "high")])
def test_a_thinking_budget_is_an_effort(budget: int, effort: str) -> None:
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert upstream(max_tokens=10_000, thinking=thinking)["reasoning_effort"] == effort


def test_thinking_that_is_left_to_the_model() -> None:
    assert "reasoning_effort" not in upstream(thinking={"type": "adaptive"})


def test_documents() -> None:
    asked = upstream(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "document", "source": {"type": "text", "data": "Once."}},
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "JVBE",
                        },
                    },
                ],
            }
        ]
    )
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}
    assert asked["messages"][0]["content"] == [
        {"type": "text", "text": "Once."},
        {"type": "file", "file": file},
    ]


def test_unknown_parameters_pass_untouched_and_hints_do_not() -> None:
    body = (
        b'{"model":"toy","max_tokens":1,"messages":[{"role":"user","content":"x"}],'
        b'"top_k" : 5,"min_p":0.10,"cache_control":{"type":"ephemeral"},"service_tier":"auto"}'
    )
    made = plan("messages", read_call("messages", body), "openai", b'"theirs"', IDENTITY)
    assert b'"top_k":5,"min_p":0.10' in made.body
    assert b"cache_control" not in made.body
    assert b"service_tier" not in made.body


BLOCK = {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"messages": None}, "missing_required_parameter", "messages"),
        ({"messages": []}, "invalid_type", "messages"),
        ({"max_tokens": None}, "missing_required_parameter", "max_tokens"),
        ({"max_tokens": "9"}, "invalid_type", "max_tokens"),
        ({"model": 3}, "invalid_type", "model"),
        ({"messages": [{"role": "user", "content": 3}]}, "invalid_type", "messages[0].content"),
        ({"messages": [{"role": "king", "content": "x"}]}, "unsupported_value", "messages[0].role"),
        ({"messages": [BLOCK]}, "unsupported_value", "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant", "content": "The"}]}, "unsupported_value", "messages"),
        ({"container": "c"}, "unsupported_value", "container"),
        ({"inference_geo": "us"}, "unsupported_value", "inference_geo"),
        ({"n": 4}, "unsupported_value", "n"),
        ({"speed": "fast"}, "unsupported_value", "speed"),
        ({"service_tier": "priority"}, "unsupported_value", "service_tier"),
        ({"tools": [{"type": "bash_20250124", "name": "b"}]}, "unsupported_value", "tools[0].type"),
        ({"tool_choice": {"type": "tool"}}, "missing_required_parameter", "tool_choice.name"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            "unsupported_value",
            "thinking.budget_tokens",
        ),
        ({"thinking": {"type": "deep"}}, "unsupported_value", "thinking.type"),
    ],
)
def test_what_has_no_counterpart_is_refused(fields: Any, code: str, param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        upstream(**fields)
    assert (caught.value.http_status, caught.value.code) == (400, code)
    assert caught.value.field == param


# -- answers -----------------------------------------------------------------------------------


def chat_answer(finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, **message}
    choice = {"index": 0, "message": said, "finish_reason": finish_reason}
    return {"id": "chatcmpl-7", "choices": [choice], "usage": CHAT_USAGE}


def test_a_plain_answer_carries_what_is_billed() -> None:
    assert answered(planned("messages", **HELLO), chat_answer(content="Hi")) == {
        "id": "msg_req_1",
        "type": "message",
        "role": "assistant",
        "model": "toy",
        "content": [{"type": "text", "text": "Hi", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 4,
            "output_tokens": 4,
            "output_tokens_details": {"thinking_tokens": 1},
        },
    }


def test_tool_calls_and_their_arguments() -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": [1.0]}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"id": "c3", "type": "function", "function": {"name": "h", "arguments": '{"a'}},
    ]
    answer = answered(planned("messages", **HELLO), chat_answer("stop", tool_calls=calls))
    assert [(block["name"], block["input"]) for block in answer["content"]] == [
        ("f", {"a": [1.0]}),
        ("g", {}),
        ("h", {"INVALID_JSON": '{"a'}),
    ]
    assert answer["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("eos", "end_turn"),
    ],
)
def test_stop_reasons(theirs: str, ours: str) -> None:
    answer = answered(planned("messages", **HELLO), chat_answer(theirs, content="x"))
    assert answer["stop_reason"] == ours


def test_a_matched_stop_sequence_is_named() -> None:
    answer = chat_answer(content="x")
    answer["choices"][0]["stop_reason"] = "END"
    seen = answered(planned("messages", **HELLO, stop_sequences=["END"]), answer)
    assert (seen["stop_reason"], seen["stop_sequence"]) == ("stop_sequence", "END")
    seen = answered(planned("messages", **HELLO), answer)
    assert (seen["stop_reason"], seen["stop_sequence"]) == ("end_turn", None)


def test_reasoning_is_shown_to_who_asked() -> None:
    answer = chat_answer(content="x", reasoning_content="Hm.")
    thinking = {"type": "adaptive"}
    seen = answered(planned("messages", **HELLO, thinking=thinking), answer)["content"]
    assert seen[0] == {"type": "thinking", "thinking": "Hm.", "signature": ""}
    seen = answered(planned("messages", **HELLO), answer)["content"]
    assert [block["type"] for block in seen] == ["text"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"choices":3}', b'{"choices":[]}', b'{"id":"x"}'])
def test_an_answer_that_is_none(body: bytes) -> None:
    made = planned("messages", **HELLO)
    assert made.render is not None
    with pytest.raises(UpstreamError):
        made.render(body, COUNTS)


# -- streams -----------------------------------------------------------------------------------

ORDER = [
    "message_start",
    "ping",
    "content_block_start",
    "content_block_delta",
    "content_block_delta",
    "content_block_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_delta",
    "content_block_stop",
]


@pytest.mark.parametrize("cut", [0, 1, 7, 64])
def test_a_stream_in_the_documented_order(cut: int) -> None:
    out, held = streamed(planned("messages", **HELLO, stream=True), CHAT_STREAM, cut)
    seen = events(out)
    assert [name for name, _ in seen] == ORDER
    assert seen[0][1]["message"]["content"] == []
    assert [body["index"] for name, body in seen if name.startswith("content_block")] == [
        *[0] * 4,
        *[1] * 4,
    ]
    assert seen[6][1]["content_block"] == {
        "type": "tool_use",
        "id": "call_1",
        "name": "look",
        "input": {},
    }
    pieces = [body["delta"].get("partial_json", "") for _, body in seen if "delta" in body]
    assert json.loads("".join(pieces)) == {"at": "sky"}
    last = events(held)
    assert [name for name, _ in last] == ["message_delta", "message_stop"]
    assert last[0][1]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert last[0][1]["usage"]["input_tokens"] == 7


def test_what_the_relay_reads_of_a_stream() -> None:
    made = planned("messages", **HELLO, stream=True)
    assert made.translator is not None
    translator = made.translator()
    stream = TranslatedStream(translator, 1 << 20)
    stream.feed(CHAT_STREAM + sse(delta(content="after the end")))
    assert translator.done
    assert not translator.error
    assert translator.finish_reason == "tool_calls"
    assert translator.upstream_id == "chatcmpl-7"
    assert translator.deltas == 5
    assert made.reading(translator.usage).counts is not None


def test_calls_of_a_server_that_does_not_number_them() -> None:
    first = {"id": "c1", "function": {"name": "f", "arguments": "{}"}}
    second = {"id": "c2", "function": {"name": "g", "arguments": "{}"}}
    stream = sse(delta(tool_calls=[first]), delta(tool_calls=[second]), delta("stop"), "[DONE]")
    out, held = streamed(planned("messages", **HELLO, stream=True), stream)
    starts = [body for name, body in events(out) if name == "content_block_start"]
    assert [start["content_block"]["name"] for start in starts] == ["f", "g"]
    assert events(held)[0][1]["delta"]["stop_reason"] == "tool_use"


def test_a_name_that_comes_late() -> None:
    stream = sse(
        delta(tool_calls=[call_piece(0, '{"a"', id="c1")]),
        delta(tool_calls=[call_piece(0, ":1}", name="f")]),
        delta("tool_calls"),
    )
    out, _ = streamed(planned("messages", **HELLO, stream=True), stream)
    assert [body for name, body in events(out) if name == "content_block_delta"] == [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'},
        }
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        [call_piece(0, "{", name="f"), call_piece(1, "{", name="g"), call_piece(0, "}")],
        [call_piece(0, "{}"), call_piece(1, "{}", name="g")],
    ],
    ids=["interleaved", "nameless"],
)
def test_calls_that_cannot_be_told_are_an_upstream_error(pieces: list[Any]) -> None:
    with pytest.raises(UpstreamError):
        streamed(
            planned("messages", **HELLO, stream=True),
            sse(*(delta(tool_calls=[piece]) for piece in pieces)),
        )


def test_errors_in_a_stream() -> None:
    made = planned("messages", **HELLO, stream=True)
    out, _ = streamed(made, sse(delta(content="a"), {"error": {"message": "out of memory"}}))
    assert events(out)[-1][1]["error"] == {"type": "api_error", "message": "out of memory"}
    assert made.translator is not None
    broken = made.translator().broken(refused("upstream_dropped", "It closed."))
    assert events(broken)[0][1]["error"] == {"type": "api_error", "message": "It closed."}
