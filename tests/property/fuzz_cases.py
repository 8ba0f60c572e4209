"""Broken requests, bodies, answers and streams, made by chance from a seed, and how they are tried.

The corpus is what clients and model servers send; a case is one of them with a few bytes cut,
doubled, changed or swapped for what breaks parsers, or with values in the wrong places. A kind
returns whether the case was accepted, and raises for anything but a proper refusal.
"""

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from tests.unit.gateway.dialect_cases import CHAT_STREAM, CLAUDE_STREAM, COUNTS, IDENTITY

from quartermaster.gateway import count_tokens
from quartermaster.gateway.dialects.errors import Shape, refusal_body, upstream_body
from quartermaster.gateway.dialects.facts import facts_of
from quartermaster.gateway.dialects.plan import Plan, plan, read_call
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.gateway.requests import Request, RequestParser
from quartermaster.gateway.responses import ResponseParser
from quartermaster.gateway.sse import SseScanner
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.events import DeploymentApi

APIS = get_args(DeploymentApi)
SHAPES = get_args(Shape)
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
    ("moderations", body(input=["x", {"type": "text", "text": "y"}])),
    ("images.generations", body(prompt="x", n=2, size="256x256")),
    ("audio.speech", body(input="x", voice="v")),
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


def broken(chance: random.Random, whole: bytes, nasty: tuple[bytes, ...] = NASTY) -> bytes:
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
            data[at:end] = chance.choice(nasty)
        elif how == 3:
            data[at:at] = chance.choice(nasty)
        elif at < len(data):
            data[at] = chance.randrange(256)
    return bytes(data)


LEAVES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**40, -(10**19), 1e308, 0.5, "", "x", "user", "tool", "auto",
    "text", "\ud83d\ude00", [], {}, [[]], [{}], {"": {}}, {"type": "text"}, {"type": "function"},
)  # fmt: skip
"""What may stand where something else should."""


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every container of a document with each of its keys."""
    keys = node.keys() if isinstance(node, dict) else range(len(node))
    found = [(node, key) for key in keys]
    for _, key in tuple(found):
        if isinstance(node[key], dict | list):
            found += places(node[key])
    return found


def anew(value: Any) -> Any:
    """A copy: a value inside itself is no JSON."""
    return json.loads(json.dumps(value))


def twisted(chance: random.Random, whole: bytes) -> bytes:
    """Valid JSON with one to three values gone, swapped, wrapped, doubled or renamed."""
    document = json.loads(whole)
    for _ in range(chance.randint(1, 3)):
        found = places(document)
        if not found:
            break
        holder, key = chance.choice(found)
        how = chance.randrange(5)
        if how == 0:
            del holder[key]
        elif how == 1:
            holder[key] = anew(chance.choice(LEAVES))
        elif how == 2:
            holder[key] = chance.choice(([holder[key]], {"type": holder[key]}, str(holder[key])))
        elif how == 3:
            other, at = chance.choice(found)
            holder[key] = anew(other.get(at) if isinstance(other, dict) else None)
        elif isinstance(holder, dict):
            holder[chance.choice(("type", "role", "content", "name", "id", "index"))] = anew(
                holder[key]
            )
        else:
            holder.append(anew(holder[key]))
    return json.dumps(document).encode()


def spoilt(chance: random.Random, whole: bytes) -> bytes:
    """Wrong in its values, or in its bytes."""
    if whole[:1] == b"{" and chance.randrange(2):
        return twisted(chance, whole)
    return broken(chance, whole)


def refusing(refusal: RefusedError, data: bytes) -> bool:
    """A refusal is a 4xx that every dialect can tell."""
    assert 400 <= refusal.http_status < 500, data
    for shape in SHAPES:
        assert json.loads(refusal_body(shape, refusal, "req_1"))["error"]["message"]
    return False


def requests(chance: random.Random) -> bool:
    """A body of any operation: a way to any upstream, or a refusal."""
    operation, whole = chance.choice(CORPUS)
    data, api = spoilt(chance, whole), chance.choice(APIS)
    try:
        call = read_call(operation, data)
        if operation == "messages" and not chance.randrange(8):
            return bool(count_tokens.estimate(call))
        return bool(plan(operation, call, api, b'"theirs"', IDENTITY).body)
    except RefusedError as refusal:
        return refusing(refusal, data)


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


def pieces(chance: random.Random, data: bytes) -> list[bytes]:
    """The bytes as a network may deliver them."""
    cut = chance.randint(1, len(data) + 1)
    return [data[start : start + cut] for start in range(0, len(data), cut)]


def streams(chance: random.Random) -> bool:
    """A stream through a translator: to its end, or an upstream's error."""
    made, whole = chance.choice(PLANS)
    data = broken(chance, whole)
    assert made.translator is not None
    translator = made.translator()
    stream = TranslatedStream(translator, 1 << 16)
    whole_stream = True
    try:
        for piece in pieces(chance, data):
            stream.feed(piece)
        stream.finish()
    except UpstreamError:
        whole_stream = False
    made.reading(translator.usage)
    translator.closing(COUNTS)
    return whole_stream


def answers(chance: random.Random) -> bool:
    """A whole answer: metered, told as an error, and translated or an upstream's error."""
    made, _ = chance.choice(PLANS)
    data = spoilt(chance, chance.choice(ANSWERS))
    facts_of(made.operation, data)
    json.loads(upstream_body(chance.choice(SHAPES), chance.choice((400, 429, 500)), data))
    if made.render is None:
        return True
    try:
        return bool(made.render(data, COUNTS))
    except UpstreamError:
        return False


def chat_streams(chance: random.Random) -> bool:
    """A chat stream that passes as it is: forwarded, or an upstream's error."""
    data = broken(chance, chance.choice((CHAT_STREAM, CHAT_STREAM.replace(b"\n", b"\r\n"))))
    scanner = SseScanner(keep_usage=bool(chance.randrange(2)), frame_bytes_max=1 << 12)
    try:
        out = b"".join([scanner.feed(piece) for piece in pieces(chance, data)]) + scanner.finish()
    except UpstreamError:
        return False
    assert len(out) <= len(data) + 2
    return scanner.done


# -- HTTP ----------------------------------------------------------------------------------------

BODY_BYTES_MAX = 1_000
HEAD_BYTES_MAX = 2_000
BODY = b'{"model":"talk","messages":[{"role":"user","content":"x"}]}'
HEADS = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer KEY\r\n",
    b"POST /v1/messages?a=b HTTP/1.1\r\nHost: g\r\nX-Api-Key: KEY\r\nExpect: 100-continue\r\n",
    b"POST http://g/v1/embeddings HTTP/1.1\r\nhost: g\r\nauthorization: Bearer KEY\r\n",
    b"POST /openai/deployments/talk/chat/completions?api-version=1 HTTP/1.0\r\napi-key: KEY\r\n",
)
BODIES = (
    b"content-length: %d\r\n\r\n%b",
    b"connection: keep-alive\r\ncontent-type: application/json\r\nContent-Length: %d\r\n\r\n%b",
    b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n",
)
GETS = (
    b"GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer KEY\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n",
)
NASTY_HTTP = (
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"content-length: 5\r\n", b"-1", b"+5",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: gzip\r\n", b"upgrade: h2c\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"HTTP/0.9", b"HTTP/2.0", b"a: " + b"b" * 3_000 + b"\r\n", b"\xff",
    b"host: x\r\n", b"expect: x\r\n", b"connection: close\r\n", b"0\r\n\r\n",
    b"ffffffffffffffff\r\n", b"99999999999999999999", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b";a=b",
    b"\r\n folded",
)  # fmt: skip


def one_request(chance: random.Random) -> bytes:
    """A whole request; its key is the word KEY."""
    if not chance.randrange(4):
        return chance.choice(GETS)
    return chance.choice(HEADS) + chance.choice(BODIES) % (len(BODY), BODY)


def http_bytes(chance: random.Random) -> bytes:
    """One to four requests on one connection, mostly with something wrong in them."""
    first = one_request(chance)
    data = first if chance.randrange(2) else first * 3
    if chance.randrange(3):
        data += one_request(chance)
    return broken(chance, data, NASTY_HTTP) if chance.randrange(8) else data


def seen_by(parts: list[bytes]) -> list[tuple[object, ...]]:
    """What the request core understands."""
    parser = RequestParser(head_bytes_max=HEAD_BYTES_MAX, body_bytes_max=BODY_BYTES_MAX)
    found: list[Request] = [request for part in parts for request in parser.feed(part)]
    assert parser.broken is any(request.refusal is not None for request in found)
    for request in found:
        assert len(request.body) <= BODY_BYTES_MAX
        if request.refusal is not None:
            refusing(request.refusal, b"".join(parts))
    return [
        (r.method, r.target, r.authorization, r.body, r.keep_alive, r.http_1_0)
        if r.refusal is None
        else (r.refusal.code, r.refusal.http_status)
        for r in found
    ]


def alike(cut: list[tuple[object, ...]], whole: list[tuple[object, ...]]) -> bool:
    """The same is understood.

    Only a head that is too large may be refused sooner or later, and of two things that are wrong
    the cut decides which is met first.
    """
    too_large = ("headers_too_large", 431)
    if cut == whole or too_large in (*cut[-1:], *whole[-1:]):
        return True
    both_refused = [len(one) == 2 for one in cut] == [len(one) == 2 for one in whole]
    return both_refused and cut[:-1] == whole[:-1] and len(whole[-1]) == 2


def http_requests(chance: random.Random) -> bool:
    """Bytes of a client: the same requests and refusals however they are cut."""
    data = http_bytes(chance)
    whole = seen_by([data])
    # Heads that come again at the start of a read take a short way.
    at_requests = [b"POST" + part for part in data.split(b"POST")]
    at_requests[0] = at_requests[0].removeprefix(b"POST")
    assert alike(seen_by([part for part in at_requests if part]), whole), data
    assert alike(seen_by(pieces(chance, data)), whole), data
    return all(len(one) > 2 for one in whole)


ANSWER_HEADS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n",
    b"HTTP/1.1 200 OK\r\ndate: x\r\nserver: y\r\nconnection: close\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 No\r\nretry-after: 3\r\n",
)


def whole_answer(chance: random.Random) -> bytes:
    """A model server's answer, plain or streamed."""
    if chance.randrange(3):
        content = chance.choice(ANSWERS)
        return chance.choice(ANSWER_HEADS) + chance.choice(BODIES) % (len(content), content)
    data = chance.choice((CHAT_STREAM, CLAUDE_STREAM))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    return head + BODIES[2] % (len(data), data)


def answer_bytes(chance: random.Random) -> bytes:
    """The same, mostly with something wrong in it."""
    data = whole_answer(chance)
    return broken(chance, data, NASTY_HTTP) if chance.randrange(8) else data


def read_by(parts: list[bytes]) -> tuple[object, ...]:
    """What the response core understands, up to the end of the answer."""
    parser = ResponseParser()
    try:
        for part in parts:
            parser.feed(part)
            if parser.complete:
                break
    except UpstreamError:
        return ()
    return (parser.status, parser.complete, parser.content_type, parser.take_body(), parser.eof())


def http_answers(chance: random.Random) -> bool:
    """Bytes of a model server: the same answer or error however they are cut."""
    data = answer_bytes(chance)
    whole = read_by([data])
    cut = read_by(pieces(chance, data))
    # What follows an answer is seen where it comes with the answer's end.
    assert cut == whole or (whole == () and cut[1]), data
    return bool(whole)


# -- running -------------------------------------------------------------------------------------

Kind = Callable[[random.Random], bool]
KINDS: tuple[Kind, ...] = (
    requests,
    streams,
    answers,
    chat_streams,
    http_requests,
    http_answers,
)


class Tally(NamedTuple):
    """How many cases of each kind were accepted and refused."""

    accepted: Counter[str]
    refused: Counter[str]

    @property
    def cases(self) -> int:
        """All of them."""
        return self.accepted.total() + self.refused.total()


class BrokeError(Exception):
    """A case that was neither accepted nor refused; its seed repeats it."""


def run_cases(cases: int, seed: int) -> Tally:
    """Try that many cases; each has a seed of its own.

    Raises:
        BrokeError: one of them raised something else than a refusal.
    """
    tally = Tally(Counter(), Counter())
    for number, kind in zip(range(cases), itertools.cycle(KINDS), strict=False):
        case = f"{seed}:{number}"
        try:
            accepted = kind(random.Random(case))
        except Exception as error:
            raise BrokeError(
                f"{kind.__name__}(random.Random({case!r})) raised {error!r}"
            ) from error
        (tally.accepted if accepted else tally.refused)[kind.__name__] += 1
    return tally
