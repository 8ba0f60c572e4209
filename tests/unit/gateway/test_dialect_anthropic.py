"""Chat completions over a native Anthropic upstream, and Messages passed on to one.

Shapes: platform.claude.com/docs/en/api/messages and .../build-with-claude/streaming.
"""

import json
from typing import Any

import pytest
from tests.unit.gateway.dialect_cases import (
    CLAUDE_STREAM,
    COUNTS,
    answered,
    chunks,
    delta,
    events,
    planned,
    sent,
    sse,
    streamed,
)

from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts

HELLO: dict[str, Any] = {"model": "toy", "messages": [{"role": "user", "content": "Hello"}]}
TOOL = {"type": "function", "function": {"name": "f"}}


def upstream(**fields: Any) -> dict[str, Any]:
    return sent("chat.completions", "anthropic", **{**HELLO, **fields})


def test_a_plain_request_gets_the_limit_that_anthropic_demands() -> None:
    assert upstream(temperature=0.5) == {
        "model": "theirs",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "temperature": 0.5,
    }
    assert upstream(max_tokens=5)["max_tokens"] == 5
    assert upstream(max_completion_tokens=6, max_tokens=5)["max_tokens"] == 6


LOOK = {"name": "look", "arguments": '{"n": 1}'}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": [{"type": "text", "text": "No jokes."}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Which?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
            {"type": "image_url", "image_url": {"url": "https://e.test/a.png"}},
            {
                "type": "file",
                "file": {
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,JVBE",
                },
            },
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": LOOK},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
    {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "a dog"}]},
    {"role": "user", "content": "And now?"},
]
TEXT = {"type": "text"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
TURNS: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {**TEXT, "text": "Which?"},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"},
            },
            {"type": "image", "source": {"type": "url", "url": "https://e.test/a.png"}},
            {"type": "document", "source": PDF, "title": "a.pdf"},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "c1", "name": "look", "input": {"n": 1}},
            {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "c1",
                "content": [{**TEXT, "text": "a cat"}],
            },
            {
                "type": "tool_result",
                "tool_use_id": "c2",
                "content": [{**TEXT, "text": "a dog"}],
            },
            {**TEXT, "text": "And now?"},
        ],
    },
]


def test_a_conversation() -> None:
    asked = upstream(
        messages=CONVERSATION,
        tools=[{"type": "function", "function": {"name": "look", "parameters": {"a": 1}}}],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    assert asked["system"] == [{**TEXT, "text": "Be brief."}, {**TEXT, "text": "No jokes."}]
    assert asked["messages"] == TURNS
    assert asked["tools"] == [{"name": "look", "input_schema": {"a": 1}}]
    assert asked["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_settings_that_have_another_name() -> None:
    schema = {"name": "x", "schema": {"type": "object"}, "strict": True}
    asked = upstream(
        stop="END",
        user="u-1",
        reasoning_effort="minimal",
        response_format={"type": "json_schema", "json_schema": schema},
        seed=7,
        frequency_penalty=0,
        n=1,
        stream=True,
        stream_options={"include_usage": True},
        top_k=5,
        thinking={"type": "adaptive"},
    )
    del asked["messages"]
    assert asked == {
        "model": "theirs",
        "max_tokens": 4096,
        "stream": True,
        "output_config": {
            "effort": "low",
            "format": {"type": "json_schema", "schema": {"type": "object"}},
        },
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "top_k": 5,
        "thinking": {"type": "adaptive"},
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"store": True}, "store"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"tool_choice": "sometimes", "tools": [TOOL]}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"max_tokens": 0}, "max_completion_tokens"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages[0].content[0].type",
        ),
    ],
)
def test_what_has_no_counterpart_is_refused(fields: Any, param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        upstream(**fields)
    assert (caught.value.http_status, caught.value.field) == (400, param)


def test_other_operations_are_not_of_this_vendor() -> None:
    with pytest.raises(RefusedError):
        sent("embeddings", "anthropic", model="toy", input="x")


# -- answers -----------------------------------------------------------------------------------

MESSAGE = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-6",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"n": 1.50}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 7,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 4,
        "output_tokens": 4,
    },
}


def test_a_plain_answer() -> None:
    answer = answered(planned("chat.completions", "anthropic", **HELLO), MESSAGE)
    choice = answer["choices"][0]
    assert choice["message"] == {
        "role": "assistant",
        "content": "Let me look.",
        "refusal": None,
        "annotations": [],
        "reasoning_content": "Hm.",
        "tool_calls": [
            {
                "id": "toolu_1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"n": 1.5}'},
            }
        ],
    }
    assert (choice["finish_reason"], choice["logprobs"]) == ("tool_calls", None)
    assert answer["usage"]["prompt_tokens"] == 13
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert answer["model"] == "toy"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(theirs: str | None, ours: str) -> None:
    made = planned("chat.completions", "anthropic", **HELLO)
    answer = answered(made, {**MESSAGE, "stop_reason": theirs})
    assert answer["choices"][0]["finish_reason"] == ours


def test_the_documented_stream_as_chunks() -> None:
    made = planned("chat.completions", "anthropic", **HELLO, stream=True)
    out, held = streamed(made, CLAUDE_STREAM, 11)
    seen = [chunk["choices"][0] for chunk in chunks(out)]
    assert seen[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert seen[1]["delta"] == {"content": "Okay, let's check"}
    start = seen[2]["delta"]["tool_calls"][0]
    assert (start["index"], start["function"]["name"]) == (0, "get_weather")
    assert json.loads(seen[3]["delta"]["tool_calls"][0]["function"]["arguments"]) == {
        "location": "San Francisco"
    }
    assert [choice["finish_reason"] for choice in seen] == [None] * 4 + ["tool_calls"]
    assert held == b"data: [DONE]\n\n"
    asks = {"stream_options": {"include_usage": True}}
    _, held = streamed(
        planned("chat.completions", "anthropic", **HELLO, stream=True, **asks), CLAUDE_STREAM
    )
    last = chunks(held)[0]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 17)


def test_usage_comes_in_pieces() -> None:
    made = planned("chat.completions", "anthropic", **HELLO, stream=True)
    assert made.translator is not None
    translator = made.translator()
    TranslatedStream(translator, 1 << 20).feed(CLAUDE_STREAM)
    assert made.reading(translator.usage).counts == Counts(472, 100, 0, 89)
    assert translator.done
    assert translator.upstream_id == "msg_014p7gG3wDgGV9EUtLvnow3U"


def test_the_documented_error_event() -> None:
    # platform.claude.com/docs/en/build-with-claude/streaming, "Error events".
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    made = planned("chat.completions", "anthropic", **HELLO, stream=True)
    out, _ = streamed(made, sse(error, names=True))
    assert chunks(out)[0]["error"]["message"] == "Overloaded"
    assert chunks(out)[0]["error"]["type"] == "overloaded_error"


# -- passed on ---------------------------------------------------------------------------------


def test_messages_pass_to_who_speaks_them() -> None:
    body = {
        "model": "toy",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "container_upload", "x": 1.0}]}],
        "mcp_servers": [{"url": "https://e.test"}],
        "stream": True,
    }
    assert sent("messages", "anthropic", **body) == {**body, "model": "theirs"}
    made = planned("messages", "anthropic", **body)
    assert made.render is None
    out, held = streamed(made, CLAUDE_STREAM, 13)
    assert out + held == CLAUDE_STREAM
    assert [name for name, _ in events(held)] == ["message_delta", "message_stop"]


def test_what_the_meter_reads_of_a_stream_that_passes() -> None:
    made = planned("messages", "anthropic", model="toy", max_tokens=5, messages=[1], stream=True)
    assert made.translator is not None
    translator = made.translator()
    TranslatedStream(translator, 1 << 20).feed(CLAUDE_STREAM)
    assert translator.deltas == 3
    assert translator.finish_reason == "tool_use"
    assert made.reading(translator.usage).counts == Counts(472, 100, 0, 89)


def test_an_event_name_cannot_break_the_frame() -> None:
    odd = b'data: {"type":"x\\ndata: y",\ndata: "a":1}\n\n'
    made = planned("messages", "anthropic", model="toy", max_tokens=5, messages=[1], stream=True)
    out, _ = streamed(made, odd)
    assert out.startswith(b"event: unknown\n")
    assert out.count(b"\n") == 3


def test_nonsense_in_a_stream_is_an_upstream_error() -> None:
    for nonsense in (b"data: {\n\n", b"data: 3\n\n", b'data: {"type":3}\n\n', b"data: \xff\n\n"):
        with pytest.raises(UpstreamError):
            streamed(planned("chat.completions", "anthropic", **HELLO, stream=True), nonsense)


def test_two_translations_in_a_row() -> None:
    made = planned("responses", "anthropic", model="toy", input="Hi", stream=True)
    assert json.loads(made.body)["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]
    out, held = streamed(made, CLAUDE_STREAM, 17)
    names = [name for name, _ in events(out + held)]
    assert names[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert names[-1] == "response.completed"
    items = events(held)[0][1]["response"]["output"]
    assert [item["type"] for item in items] == ["message", "function_call"]
    assert made.render is not None
    plain = json.loads(made.render(json.dumps(MESSAGE).encode(), COUNTS))
    assert [item["type"] for item in plain["output"]] == ["reasoning", "message", "function_call"]


def test_chat_passes_as_it_is() -> None:
    made = planned("chat.completions", **HELLO, stream=True)
    assert (made.render, made.translator) == (None, None)
    assert json.loads(made.body)["stream_options"] == {"include_usage": True}
    assert delta(content="x")["choices"]
