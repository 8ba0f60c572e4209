"""Legacy completions, embeddings and media: passed on, metered; and the counting of tokens.

Shapes: the OpenAI API reference.
"""

import json
from typing import Any

import pytest
from tests.unit.gateway.dialect_cases import chunks, planned, sent, sse, streamed

from quartermaster.gateway.count_tokens import MEDIA_TOKENS, estimate
from quartermaster.gateway.dialects.facts import facts_of
from quartermaster.gateway.dialects.plan import read_call
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.units import Counts

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
PARTS = {"input_tokens": 3, "output_tokens": 1}


def test_a_legacy_completion_passes_and_is_asked_for_its_usage() -> None:
    asked: dict[str, Any] = {"model": "toy", "prompt": ["a", [1, 2]], "suffix": "x", "logprobs": 3}
    assert sent("completions", **asked) == {**asked, "model": "theirs"}
    theirs = sent("completions", **asked, stream=True)
    assert theirs["stream_options"] == {"include_usage": True}


def text(words: str, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"text": words, "index": 0, "logprobs": None, "finish_reason": finish_reason}
    return {"id": "cmpl-7", "object": "text_completion", "choices": [choice]}


STREAM = sse(
    text("The"),
    text(" fox"),
    text("", "stop"),
    {"id": "cmpl-7", "choices": [], "usage": USAGE},
    "[DONE]",
)


def test_usage_that_was_not_asked_for_is_hidden_again() -> None:
    made = planned("completions", model="toy", prompt="x", stream=True)
    out, held = streamed(made, STREAM, 10)
    assert [chunk["choices"][0]["text"] for chunk in chunks(out)] == ["The", " fox", ""]
    assert held == b"data: [DONE]\n\n"
    options = {"include_usage": True}
    made = planned("completions", model="toy", prompt="x", stream=True, stream_options=options)
    out, held = streamed(made, STREAM)
    assert out + held == STREAM
    assert chunks(held)[0]["usage"] == USAGE


def test_what_the_meter_reads_of_a_legacy_stream() -> None:
    made = planned("completions", model="toy", prompt="x", stream=True)
    assert made.translator is not None
    translator = made.translator()
    TranslatedStream(translator, 1 << 20).feed(STREAM)
    assert (translator.deltas, translator.done, translator.finish_reason) == (2, True, "stop")
    assert made.reading(translator.usage).counts == Counts(5, output=7)


@pytest.mark.parametrize(
    ("operation", "answer", "counts"),
    [
        ("embeddings", {"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, Counts(8)),
        ("completions", {"choices": [{"text": "x"}], "usage": USAGE}, Counts(5, output=7)),
        ("moderations", {"id": "modr-1", "results": []}, Counts()),
        ("images.generations", {"created": 1, "data": [{"url": "x"}, {}]}, Counts(image=2)),
        (
            "images.generations",
            {"created": 1, "data": [{}], "usage": {"input_tokens": 50, "output_tokens": 9}},
            Counts(50, output=9),
        ),
        ("audio.transcriptions", {"text": "x"}, Counts()),
        (
            "audio.transcriptions",
            {
                "text": "x",
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"audio_tokens": 14},
                    "output_tokens": 2,
                },
            },
            Counts(output=2, audio_input=14),
        ),
        ("messages", {"content": [], "usage": PARTS}, Counts(3, output=1)),
        ("responses", {"output": [], "usage": PARTS}, Counts(3, output=1)),
        ("chat.completions", {"choices": [{}], "usage": USAGE}, Counts(5, output=7)),
    ],
)
def test_what_the_meter_reads_of_an_answer(
    operation: Operation, answer: dict[str, Any], counts: Counts
) -> None:
    facts = facts_of(operation, json.dumps(answer).encode())
    assert facts is not None
    assert facts.reading.counts == counts
    assert not facts.failed


def test_speech_is_a_request() -> None:
    facts = facts_of("audio.speech", b"ID3\x04\x00\xff\xfb")
    assert facts is not None
    assert facts.reading.counts == Counts()


OF_JSON: list[Operation] = [
    "chat.completions",
    "completions",
    "embeddings",
    "messages",
    "responses",
    "images.generations",
]


@pytest.mark.parametrize("operation", OF_JSON)
def test_an_answer_that_is_none(operation: Operation) -> None:
    for nonsense in (b"", b"[]", b"<html>", b'{"usage":'):
        assert facts_of(operation, nonsense) is None


@pytest.mark.parametrize(
    "operation", ["chat.completions", "completions", "embeddings", "responses"]
)
def test_an_error_under_a_status_of_success(operation: Operation) -> None:
    facts = facts_of(operation, b'{"error":{"message":"x"}}')
    assert facts is not None
    assert facts.failed


@pytest.mark.parametrize(
    ("operation", "fields", "param"),
    [
        ("completions", {"model": "toy"}, "prompt"),
        ("embeddings", {"model": "toy"}, "input"),
        ("embeddings", {"input": "x"}, "model"),
        ("embeddings", {"model": "toy", "input": "x", "service_tier": "flex"}, "service_tier"),
        ("audio.speech", {"model": "toy", "input": "x", "stream_format": "sse"}, "stream"),
        ("images.generations", {"model": "toy", "prompt": "x", "stream": True}, "stream"),
        ("images.edits", {"model": "toy", "prompt": "x"}, "images"),
        ("images.edits", {"model": "toy", "prompt": "x", "images": "x"}, "images"),
        ("images.edits", {"model": "toy", "prompt": "x", "images": [{}]}, "images"),
        ("images.edits", {"model": "toy", "prompt": "x", "images": [{"file_id": "f"}]}, "images"),
        ("images.edits", {"model": "toy", "images": [{"image_url": "x"}]}, "prompt"),
        (
            "images.edits",
            {
                "model": "toy",
                "prompt": "x",
                "images": [{"image_url": "x"}],
                "mask": {"file_id": "f"},
            },
            "images",
        ),
        ("completions", {"model": "toy", "prompt": "x", "stream": "yes"}, "stream"),
    ],
)
def test_refusals(operation: Operation, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        sent(operation, **fields)
    assert caught.value.field == param


def count(**fields: Any) -> int:
    body = {"model": "toy", **fields}
    call = read_call("messages.count_tokens", json.dumps(body).encode())
    tokens: int = json.loads(estimate(call))["input_tokens"]
    return tokens


def test_counting_tokens() -> None:
    plain = count(messages=[{"role": "user", "content": "x" * 400}])
    assert 100 <= plain <= 110
    assert count(messages=[{"role": "user", "content": "x" * 400}], system="y" * 400) > plain + 99
    image = {"type": "base64", "media_type": "image/png", "data": "A" * 9_999}
    pictured = [{"type": "image", "source": image}, {"type": "text", "text": "x" * 400}]
    assert count(messages=[{"role": "user", "content": pictured}]) == plain + MEDIA_TOKENS
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    assert count(messages=[{"role": "user", "content": "x" * 400}], tools=tools) > plain
    with pytest.raises(RefusedError):
        count(messages=[{"role": "user", "content": 3}])
