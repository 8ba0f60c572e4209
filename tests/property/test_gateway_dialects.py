"""Dialects: what goes round comes round, and nothing that a stranger sends breaks anything."""

import json
import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quartermaster.gateway.dialects import anthropic_request, messages_request, usage
from quartermaster.gateway.dialects.errors import Shape, upstream_body
from quartermaster.gateway.dialects.facts import facts_of
from quartermaster.gateway.dialects.plan import Identity, Plan, plan, read_call
from quartermaster.gateway.dialects.routes import Operation, match
from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.units import Counts

IDENTITY = Identity("req_1", 1_700_000_000)
COUNTS = Counts(1, output=1)
TRANSLATED: list[tuple[Operation, DeploymentApi]] = [
    ("messages", "openai"),
    ("chat.completions", "anthropic"),
    ("responses", "openai"),
    ("responses", "anthropic"),
]
PASSED: list[tuple[Operation, DeploymentApi]] = [
    ("messages", "anthropic"),
    ("responses", "openai-responses"),
    ("completions", "openai"),
]

# -- what goes round comes round ---------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.text("abcdefgh_", min_size=1, max_size=6)
inputs = st.dictionaries(names, st.integers() | words | st.none() | st.lists(st.booleans()))
texts = words.map(lambda text: {"type": "text", "text": text})
images = st.sampled_from(
    [
        {"type": "image", "source": {"type": "url", "url": "https://e.test/a.png"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="},
        },
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A conversation that Anthropic accepts: results follow their calls, the user has the end."""
    turns: list[dict[str, Any]] = []
    pending: list[str] = []
    for turn in range(draw(st.integers(1, 3))):
        results = [
            {"type": "tool_result", "tool_use_id": call, "content": [draw(texts)]}
            for call in pending
        ]
        said = draw(st.lists(texts | images, min_size=1, max_size=3))
        turns.append({"role": "user", "content": [*results, *said]})
        calls = [
            {"type": "tool_use", "id": f"toolu_{turn}_{n}", "name": name, "input": draw(inputs)}
            for n, name in enumerate(draw(st.lists(names, max_size=2)))
        ]
        pending = [str(call["id"]) for call in calls]
        answer = draw(st.lists(texts, max_size=1)) + calls
        turns.append({"role": "assistant", "content": answer or [draw(texts)]})
    results = [{"type": "tool_result", "tool_use_id": call, "content": []} for call in pending]
    turns.append({"role": "user", "content": [*results, draw(texts)]})
    return turns


def normal(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Empty results are told by their absence."""
    for turn in turns:
        for block in turn["content"]:
            if block["type"] == "tool_result" and not block["content"]:
                del block["content"]
    return turns


@given(conversations(), st.lists(names, unique=True, max_size=2), words)
def test_a_conversation_goes_to_chat_and_back(
    turns: list[dict[str, Any]], tools: list[str], system: str
) -> None:
    body = {
        "model": "toy",
        "max_tokens": 9,
        "system": [{"type": "text", "text": system}],
        "messages": turns,
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in tools],
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
    }
    chat = messages_request.to_chat(read_call("messages", json.dumps(body).encode()))
    back = json.loads(anthropic_request.upstream_body(anthropic_request.from_chat(chat), b'"toy"'))
    if not tools:
        del body["tools"]
    assert back == {**body, "messages": normal(turns)}


counts = st.builds(
    Counts,
    input=st.integers(0, 10**8),
    cached_read=st.integers(0, 10**8),
    cache_write=st.integers(0, 10**8),
    output=st.integers(0, 10**8),
    reasoning=st.integers(0, 10**8),
)


@given(counts)
def test_usage_goes_through_every_dialect(given_counts: Counts) -> None:
    for write, read in (
        (usage.as_chat, usage.chat),
        (usage.as_responses, usage.responses),
        (usage.as_messages, usage.messages),
    ):
        assert read(json.dumps(write(given_counts)).encode()).counts == given_counts


blocks = st.lists(
    texts
    | st.builds(
        lambda name, value: {"type": "tool_use", "id": "toolu_1", "name": name, "input": value},
        names,
        inputs,
    ),
    max_size=4,
)


def in_order(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A chat message tells its text first and as one."""
    text = "".join(block["text"] for block in content if block["type"] == "text")
    calls = [
        {key: block[key] for key in ("type", "id", "name", "input")}
        for block in content
        if block["type"] == "tool_use"
    ]
    return [*([{"type": "text", "text": text, "citations": None}] if text else []), *calls]


def made(operation: Operation, api: DeploymentApi, **fields: Any) -> Plan:
    """The plan of an ordinary request."""
    user = [{"role": "user", "content": "x"}]
    asked: dict[str, Any] = {"messages": user, "max_tokens": 9}
    if operation == "responses":
        asked = {"input": "x"}
    elif operation == "completions":
        asked = {"prompt": "x"}
    body = {"model": "toy", "stream": True, **asked, **fields}
    return plan(
        operation, read_call(operation, json.dumps(body).encode()), api, b'"theirs"', IDENTITY
    )


@given(blocks, counts)
def test_an_answer_goes_to_chat_and_back(
    content: list[dict[str, Any]], given_counts: Counts
) -> None:
    called = any(block["type"] == "tool_use" for block in content)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": "tool_use" if called else "max_tokens",
        "usage": usage.as_messages(given_counts),
    }
    to_chat = made("chat.completions", "anthropic").render
    to_messages = made("messages", "openai").render
    assert to_chat is not None
    assert to_messages is not None
    chat = to_chat(json.dumps(message).encode(), given_counts)
    facts = facts_of("chat.completions", chat)
    assert facts is not None
    assert facts.reading.counts == given_counts
    back = json.loads(to_messages(chat, given_counts))
    assert back["content"] == in_order(content)
    assert back["stop_reason"] == message["stop_reason"]
    assert back["usage"] == message["usage"]


# -- a stream says what the plain answer says, however the network cuts it -----------------------

said = st.lists(words | st.tuples(names, inputs), max_size=4)


def chat_stream(pieces: list[Any]) -> bytes:
    """Texts and calls as a chat completion stream, arguments in two pieces."""
    deltas: list[dict[str, Any]] = []
    index = 0
    for piece in pieces:
        if isinstance(piece, str):
            deltas.append({"content": piece})
            continue
        name, value = piece
        arguments = json.dumps(value)
        half = len(arguments) // 2
        begin = {"name": name, "arguments": arguments[:half]}
        first = {"index": index, "id": f"c{index}", "type": "function", "function": begin}
        deltas.append({"tool_calls": [first]})
        rest = {"index": index, "function": {"arguments": arguments[half:]}}
        deltas.append({"tool_calls": [rest]})
        index += 1
    frames = [{"id": "c", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end: list[Any] = [{"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    return b"".join(b"data: %b\n\n" % json.dumps(frame).encode() for frame in frames + end)


def run(way: Plan, data: bytes, cut: int) -> bytes:
    """Everything the client gets."""
    assert way.translator is not None
    translator = way.translator()
    stream = TranslatedStream(translator, 1 << 20)
    out = b"".join(stream.feed(data[n : n + cut]) for n in range(0, len(data), cut))
    return out + stream.finish() + translator.closing(COUNTS)


def of_type(data: bytes) -> list[dict[str, Any]]:
    """The payloads of a stream that the gateway wrote."""
    lines = [line for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line[6:]) for line in lines if line != b"data: [DONE]"]


@given(said, st.integers(1, 40))
def test_a_stream_of_messages_says_the_same_in_any_pieces(pieces: list[Any], cut: int) -> None:
    # Calls come last in a chat message; text after them would be another message.
    pieces = sorted(pieces, key=lambda piece: not isinstance(piece, str))
    data = chat_stream(pieces)
    whole = run(made("messages", "openai"), data, len(data))
    assert run(made("messages", "openai"), data, cut) == whole
    content: list[dict[str, Any]] = []
    for event in of_type(whole):
        if event["type"] == "content_block_start":
            content.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            content[event["index"]]["json"] += event["delta"].get("partial_json", "")
            if "text" in event["delta"]:
                content[event["index"]]["text"] += event["delta"]["text"]
    text = "".join(block["text"] for block in content if block["type"] == "text")
    assert text == "".join(piece for piece in pieces if isinstance(piece, str))
    calls = [
        (block["name"], json.loads(block["json"]))
        for block in content
        if block["type"] == "tool_use"
    ]
    assert calls == [piece for piece in pieces if not isinstance(piece, str)]


@given(said, st.integers(1, 40))
def test_a_stream_of_responses_says_the_same_in_any_pieces(pieces: list[Any], cut: int) -> None:
    data = chat_stream(sorted(pieces, key=lambda piece: not isinstance(piece, str)))
    whole = run(made("responses", "openai"), data, len(data))
    assert run(made("responses", "openai"), data, cut) == whole
    events = of_type(whole)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    output = events[-1]["response"]["output"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert output == done
    deltas = [event["delta"] for event in events if event["type"].endswith(".delta")]
    kept = [
        item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]
        for item in output
    ]
    assert "".join(kept) == "".join(deltas)


# -- nothing that a stranger sends breaks anything ----------------------------------------------

KEYS = re.findall(
    r"\w+",
    """
    model messages input prompt role content type text source data media_type url tools name
    input_schema tool_choice tool_use_id id system max_tokens stream stream_options thinking
    budget_tokens output_config format effort stop stop_sequences metadata user_id function
    arguments parameters tool_calls tool_call_id response_format json_schema schema n
    instructions call_id output reasoning include store usage choices delta message index
    finish_reason error content_block partial_json input_tokens output_tokens response status
    """,
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**40, -(10**19), 1e308, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["user", "assistant", "tool", "text", "tool_use", "function", "auto", ""])
    | st.text(max_size=6)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
SERVED: list[Operation] = [
    operation for operation in OPERATIONS if operation not in ("models", "responses.stored")
]


def tried(operation: Operation, api: DeploymentApi, body: bytes) -> None:
    """A plan or a refusal, nothing else."""
    refusal = None
    try:
        way = plan(operation, read_call(operation, body), api, b'"theirs"', IDENTITY)
        assert "model" in msgspec.json.decode(way.body, type=dict[str, msgspec.Raw])
    except RefusedError as error:
        refusal = error
    assert refusal is None or (400 <= refusal.http_status < 500 and refusal.message)


@given(
    st.sampled_from(SERVED),
    st.sampled_from(get_args(DeploymentApi)),
    bodies,
    st.fixed_dictionaries(
        {}, optional={"messages": conversations(), "input": values, "prompt": values}
    ),
)
def test_any_json_is_planned_or_refused(
    operation: Operation, api: DeploymentApi, odd: dict[str, Any], usual: dict[str, Any]
) -> None:
    tried(operation, api, json.dumps({"model": "toy", "max_tokens": 9, **usual, **odd}).encode())


@given(st.sampled_from(SERVED), st.binary(max_size=60))
@example("messages", b'{"model":"toy","max_tokens":' + b"9" * 9_000 + b',"messages":[]}')
@example("messages", b'{"model":"toy","max_tokens":9,"messages":' + b"[" * 100_000)
@example("responses", b'{"model":"toy","input":' + b'{"a":' * 100_000)
@example(
    "messages", b'{"model":"toy","max_tokens":9,"messages":[{"role":"user","content":"\xff"}]}'
)
@example("messages", b'{"model":"toy","model":"\\u0000","messages":[{"role":"\\ud800"}]}')
@example("embeddings", b'{"model":"toy","input":1e999}')
@example("responses", b'{"model":"toy","input":"x","max_output_tokens":' + b"9" * 9_000 + b"}")
def test_any_bytes_are_planned_or_refused(operation: Operation, body: bytes) -> None:
    for api in get_args(DeploymentApi):
        tried(operation, api, body)


def test_a_repeated_key_cannot_smuggle_a_model() -> None:
    body = b'{"model":"cheap","max_tokens":9,"messages":[{"role":"user","content":"x"}],"\\u006dodel":"toy"}'  # noqa: E501
    for api in get_args(DeploymentApi):
        call = read_call("messages", body)
        assert call.model == "toy"
        assert plan("messages", call, api, b'"theirs"', IDENTITY).body.count(b"odel") == 1


@pytest.mark.parametrize(("operation", "api"), TRANSLATED)
@settings(max_examples=40)
@given(odd=bodies | values, junk=st.binary(max_size=40))
def test_any_answer_is_translated_or_an_upstream_error(
    operation: Operation, api: DeploymentApi, odd: Any, junk: bytes
) -> None:
    way = made(operation, api)
    assert way.render is not None
    for body in (json.dumps(odd).encode(), junk):
        facts_of(way.operation, body)
        for shape in get_args(Shape):
            json.loads(upstream_body(shape, 502, body))
        try:
            json.loads(way.render(body, COUNTS))
        except UpstreamError:
            continue


@pytest.mark.parametrize(("operation", "api"), [*TRANSLATED, *PASSED])
@settings(max_examples=40)
@given(odd=st.lists(bodies | values, max_size=5), cut=st.integers(1, 30), junk=st.binary())
def test_any_stream_is_translated_or_an_upstream_error(
    operation: Operation, api: DeploymentApi, odd: list[Any], cut: int, junk: bytes
) -> None:
    way = made(operation, api)
    assert way.translator is not None
    data = b"".join(b"data: %b\n\n" % json.dumps(body).encode() for body in odd) + junk
    translator = way.translator()
    stream = TranslatedStream(translator, 1 << 10)
    try:
        for start in range(0, len(data), cut):
            stream.feed(data[start : start + cut])
        stream.finish()
    except UpstreamError:
        assert translator.broken(refused("upstream_malformed", "No."))
    assert way.reading(translator.usage).problem in get_args(usage.Problem)
    translator.closing(COUNTS)


@given(st.sampled_from(("GET", "POST", "DELETE")), st.text(), st.text())
def test_any_address_is_a_route_or_refused(method: str, path: str, query: str) -> None:
    for prefix in ("", "/v1/", "/openai/", "/openai/deployments/x/"):
        status = 200
        try:
            match(method, prefix + path, query)
        except RefusedError as refusal:
            status = refusal.http_status
        assert status in (200, 400, 404, 405)
