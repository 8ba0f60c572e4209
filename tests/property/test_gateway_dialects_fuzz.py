"""Broken bodies and streams by the million: a plan, a refusal or an upstream error, nothing else.

The corpus is what the SDKs send; each case is one of them with a few bytes cut, doubled, changed or
swapped for what breaks parsers. The default run is short; the long one tries a million.
"""

import json
import random
from collections.abc import Callable
from typing import get_args

import pytest
from tests.unit.gateway.dialect_cases import CHAT_STREAM, CLAUDE_STREAM, COUNTS, IDENTITY

from quartermaster.gateway.dialects.errors import upstream_body
from quartermaster.gateway.dialects.facts import facts_of
from quartermaster.gateway.dialects.plan import Plan, plan, read_call
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.events import DeploymentApi

APIS = get_args(DeploymentApi)
IMAGE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}
TURNS: list[dict[str, object]] = [
    {
        "role": "user",
        "content": [{"type": "image", "source": IMAGE}, {"type": "text", "text": "é"}],
    },
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
]
CHAT_TURNS: list[dict[str, object]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:a;base64,AA"}}]},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c", "content": "x"},
]
ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": "é"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {
        "type": "function_call_output",
        "call_id": "c",
        "output": [{"type": "input_text", "text": ""}],
    },
]
SCHEMA = {"name": "x", "schema": {"a": 1}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
FORM = (
    b'--abc\r\nContent-Disposition: form-data; name="model"\r\n\r\ntoy\r\n'
    b'--abc\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF\r\n--abc--\r\n'
)


def body(**fields: object) -> bytes:
    return json.dumps({"model": "toy", **fields}).encode()


CORPUS: list[tuple[Operation, bytes]] = [
    (
        "messages",
        body(
            max_tokens=2_000,
            system=[{"type": "text", "text": "x"}],
            messages=TURNS,
            tools=[TOOL],
            tool_choice={"type": "any"},
            thinking={"type": "enabled", "budget_tokens": 1_024},
            metadata={"user_id": "u"},
            stop_sequences=["a"],
            stream=True,
        ),
    ),
    (
        "chat.completions",
        body(
            messages=CHAT_TURNS,
            tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}],
            response_format={"type": "json_schema", "json_schema": SCHEMA},
            stop=["a"],
            n=1,
            stream=True,
            stream_options={"include_usage": True},
        ),
    ),
    (
        "responses",
        body(
            input=ITEMS,
            instructions="x",
            tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}],
            text={"format": {"type": "json_schema", "name": "x", "schema": {"a": 1}}},
            reasoning={"effort": "low"},
            include=["message.output_text.logprobs"],
            stream=True,
        ),
    ),
    ("completions", body(prompt="x", stream=True)),
    ("embeddings", body(input=["x", "y"], dimensions=3)),
    ("audio.transcriptions", FORM),
]
CHAT_ANSWER = {
    "id": "c",
    "choices": [{"index": 0, "message": CHAT_TURNS[2], "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
MESSAGE = {
    "id": "m",
    "type": "message",
    "content": [{"type": "text", "text": "x"}, {"type": "tool_use", "id": "t", "name": "f"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
ANSWERS = [json.dumps(CHAT_ANSWER).encode(), json.dumps(MESSAGE).encode()]
NASTY = (
    b"\x00", b"\xff", b'"', b"\\", b"\\ud800", b"[" * 2_000, b'{"a":' * 2_000, b"9" * 5_000,
    b"1e999", b"-1", b"null", b"true", b"{}", b"[]", b'""', b"\r\n\r\n", b"\n\n", b"data:",
    b"--abc", b"\xf0\x9f\x98", b'"model":"other",', b'"n":4,',
)  # fmt: skip


def broken(chance: random.Random, whole: bytes) -> bytes:
    """The bytes with one to three things wrong."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randint(0, 12))
        how = chance.randrange(5)
        if how == 0:
            del data[at:end]
        elif how == 1:
            data[at:at] = data[at:end]
        elif how == 2:
            data[at:end] = chance.choice(NASTY)
        elif how == 3:
            data[at:at] = chance.choice(NASTY)
        elif at < len(data):
            data[at] = chance.randrange(256)
    return bytes(data)


def requests(chance: random.Random) -> bool:
    operation, whole = chance.choice(CORPUS)
    data, api = broken(chance, whole), chance.choice(APIS)
    try:
        call = read_call(operation, data)
        made = plan(operation, call, api, b'"theirs"', IDENTITY)
    except RefusedError as refusal:
        assert 400 <= refusal.http_status < 500, data  # noqa: PT017
        return False
    return bool(made.body)


WAYS: list[tuple[Operation, DeploymentApi, bytes]] = [
    ("messages", "openai", CHAT_STREAM),
    ("responses", "openai", CHAT_STREAM),
    ("chat.completions", "anthropic", CLAUDE_STREAM),
    ("responses", "anthropic", CLAUDE_STREAM),
    ("messages", "anthropic", CLAUDE_STREAM),
]


USER = [{"role": "user", "content": "x"}]
PLAIN: dict[Operation, bytes] = {
    "messages": body(max_tokens=9, messages=USER, stream=True),
    "chat.completions": body(messages=USER, stream=True),
    "responses": body(input="x", stream=True),
}


def way(operation: Operation, api: DeploymentApi) -> Plan:
    return plan(operation, read_call(operation, PLAIN[operation]), api, b'"t"', IDENTITY)


PLANS = [(way(operation, api), stream) for operation, api, stream in WAYS]


def streams(chance: random.Random) -> bool:
    made, whole = chance.choice(PLANS)
    data = broken(chance, whole)
    assert made.translator is not None
    translator = made.translator()
    stream = TranslatedStream(translator, 1 << 16)
    cut = chance.randint(1, len(data) + 1)
    whole_stream = True
    try:
        for start in range(0, len(data), cut):
            stream.feed(data[start : start + cut])
        stream.finish()
    except UpstreamError:
        whole_stream = False
    made.reading(translator.usage)
    translator.closing(COUNTS)
    return whole_stream


def answers(chance: random.Random) -> bool:
    made, _ = chance.choice(PLANS)
    data = broken(chance, chance.choice(ANSWERS))
    facts_of(made.operation, data)
    upstream_body("anthropic", 400, data)
    if made.render is None:
        return True
    try:
        return bool(made.render(data, COUNTS))
    except UpstreamError:
        return False


KINDS: tuple[Callable[[random.Random], bool], ...] = (requests, streams, answers)


def tried(cases: int, seed: int) -> None:
    """Both outcomes of every kind must be met, or the corpus tests nothing."""
    print(f"seed {seed}, {cases} cases")
    chance = random.Random(seed)
    met = set()
    for number in range(cases):
        kind = KINDS[number % len(KINDS)]
        met.add((kind, kind(chance)))
    assert len(met) == 2 * len(KINDS)


def test_nothing_broken_breaks_us() -> None:
    tried(6_000, 20_261_123)


@pytest.mark.long
def test_a_million_broken_bodies_and_streams() -> None:
    tried(1_000_000, random.SystemRandom().randrange(2**32))
