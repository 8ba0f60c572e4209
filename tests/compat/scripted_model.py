"""A scripted model server that does what it is asked for, in every dialect of model servers.

It calls a tool that it is offered, fills a schema that it is given, sends log probabilities and
several answers on request; a model called `echo` answers with the request that reached it. What
it says is fixed, so that a client can be held to every word.
"""

import asyncio
import base64
import json
import struct
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.contract.dialect_server import (
    ANSWERS,
    CLAUDE,
    CLAUDE_USAGE,
    TOOL_CALL,
    Answer,
    DialectGateway,
    DialectServer,
    named,
)
from tests.contract.gateway_process import STREAM_HEAD, USAGE, WORDS, chunk, frame, plain

from quartermaster.kernel.snapshot import Deployment

Body = dict[str, Any]
SENTENCE = "".join(WORDS)
FILLED = '{"animal": "fox", "legs": 4}'
ARGUMENTS = '{"at": "sky"}'
VECTOR = (0.5, -0.25)
RESPONSE_USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 14,
}
END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def envelope(kind: str) -> Body:
    """What every chat completion object begins with."""
    return {"id": "chatcmpl-7", "object": kind, "created": 1_700_000_000, "model": "theirs"}


def text_of(asked: Body, *, schema: bool) -> str:
    """What the model says."""
    if asked["model"] == "echo":
        return json.dumps(asked)
    return FILLED if schema else SENTENCE


def token(word: str) -> Body:
    """One token's log probability."""
    one = {"token": word, "logprob": -0.5, "bytes": list(word.encode())}
    return {**one, "top_logprobs": [one]}


def logprobs(asked: Body, words: tuple[str, ...]) -> Body | None:
    """Log probabilities, where they were asked for."""
    if not asked.get("logprobs"):
        return None
    return {"content": [token(word) for word in words], "refusal": None}


def calls(asked: Body) -> bool:
    """Whether the model calls the tool: it was offered one, and has no result yet."""
    return bool(asked.get("tools")) and asked["messages"][-1]["role"] != "tool"


async def chat(asked: Body, writer: asyncio.StreamWriter) -> None:
    """Chat completions, plain or streamed."""
    form = asked.get("response_format", {})
    text = text_of(asked, schema=form.get("type") == "json_schema")
    if asked.get("stream"):
        writer.write(STREAM_HEAD)
        for part in chat_chunks(asked, text):
            writer.write(chunk(frame({**envelope("chat.completion.chunk"), **part})))
            await writer.drain()
        writer.write(END)
        return
    message: Body = {"role": "assistant", "content": text, "refusal": None}
    reason = "stop"
    if calls(asked):
        message |= {"content": None, "tool_calls": [TOOL_CALL]}
        reason = "tool_calls"
    choice = {"message": message, "logprobs": logprobs(asked, WORDS), "finish_reason": reason}
    choices = [{"index": index, **choice} for index in range(asked.get("n") or 1)]
    writer.write(plain("200 OK", {**envelope("chat.completion"), "choices": choices} | used()))


def used() -> Body:
    """Usage, as chat completions tell it."""
    return {"usage": USAGE}


def chat_chunks(asked: Body, text: str) -> Iterator[Body]:
    """The chunks of a streamed chat completion."""
    for index in range(asked.get("n") or 1):
        yield _delta(index, {"role": "assistant", "content": ""})
        if calls(asked):
            function = {"name": "look", "arguments": ""}
            yield _delta(index, {"tool_calls": [{"index": 0, **TOOL_CALL, "function": function}]})
            for piece in (ARGUMENTS[:4], ARGUMENTS[4:]):
                function = {"arguments": piece}
                yield _delta(index, {"tool_calls": [{"index": 0, "function": function}]})
            yield _delta(index, {}, "tool_calls")
            continue
        words = WORDS if text == SENTENCE else (text,)
        for word in words:
            yield _delta(index, {"content": word}, None, logprobs(asked, (word,)))
        yield _delta(index, {}, "stop")
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield {"choices": [], **used()}


def _delta(
    index: int, delta: Body, reason: str | None = None, probable: Body | None = None
) -> Body:
    choice = {"index": index, "delta": delta, "logprobs": probable, "finish_reason": reason}
    return {"choices": [choice], "usage": None}


async def messages(asked: Body, writer: asyncio.StreamWriter) -> None:
    """Anthropic's Messages, plain or streamed."""
    last = asked["messages"][-1]["content"]
    answered = not isinstance(last, str) and any(b["type"] == "tool_result" for b in last)
    form = (asked.get("output_config") or {}).get("format")
    block: Body = {"type": "text", "text": text_of(asked, schema=form is not None)}
    reason = "end_turn"
    if asked.get("tools") and not answered:
        block = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}
        reason = "tool_use"
    if not asked.get("stream"):
        writer.write(plain("200 OK", {**CLAUDE, "content": [block], "stop_reason": reason}))
        return
    writer.write(STREAM_HEAD)
    for event in message_events(block, reason):
        writer.write(chunk(named(event)))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


def message_events(block: Body, reason: str) -> Iterator[Body]:
    """The events of a streamed message."""
    start = {**CLAUDE, "content": [], "stop_reason": None}
    yield {
        "type": "message_start",
        "message": {**start, "usage": {**CLAUDE_USAGE, "output_tokens": 1}},
    }
    if block["type"] == "text":
        empty, pieces = {**block, "text": ""}, block["text"].partition(" ")
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    else:
        empty, given = {**block, "input": {}}, json.dumps(block["input"])
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in (given[:4], given[4:])]
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "ping"}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}}
    yield {"type": "message_stop"}


async def responses(asked: Body, writer: asyncio.StreamWriter) -> None:
    """OpenAI's Responses, plain or streamed."""
    content = {"type": "output_text", "text": SENTENCE, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    body = {
        "id": "resp_up",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "in_progress",
        "model": "theirs",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
    }
    whole = {**body, "status": "completed", "output": [{**item, "content": [content]}]}
    whole["usage"] = RESPONSE_USAGE
    if not asked.get("stream"):
        writer.write(plain("200 OK", whole))
        return
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {**item, "status": "in_progress", "content": []}
    events: list[Body] = [
        {"type": "response.created", "response": body},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **at, "part": {**content, "text": ""}},
        *(
            {"type": "response.output_text.delta", **at, "delta": word, "logprobs": []}
            for word in WORDS
        ),
        {"type": "response.output_text.done", **at, "text": SENTENCE, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": content},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "content": [content]},
        },
        {"type": "response.completed", "response": whole},
    ]
    writer.write(STREAM_HEAD)
    for number, event in enumerate(events):
        writer.write(chunk(named({**event, "sequence_number": number})))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def embeddings(asked: Body, writer: asyncio.StreamWriter) -> None:
    """One vector for each input; SDKs ask for base64 unless they are told otherwise."""
    given = asked["input"]
    several = isinstance(given, list) and bool(given) and not isinstance(given[0], int)
    vector: Any = list(VECTOR)
    if asked.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<2f", *VECTOR)).decode()
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index in range(len(given) if several else 1)
    ]
    body = {"object": "list", "model": "theirs", "data": data}
    writer.write(plain("200 OK", {**body, "usage": {"prompt_tokens": 8, "total_tokens": 8}}))


async def completions(asked: Body, writer: asyncio.StreamWriter) -> None:
    """The legacy completions."""
    choice = {"index": 0, "text": "fox", "logprobs": None, "finish_reason": "stop"}
    body = {**envelope("text_completion"), "choices": [choice]}
    if not asked.get("stream"):
        writer.write(plain("200 OK", body | used()))
        return
    writer.write(STREAM_HEAD + chunk(frame(body)))
    if (asked.get("stream_options") or {}).get("include_usage"):
        writer.write(chunk(frame({**body, "choices": []} | used())))
    writer.write(END)


def refusing(status: str, error: Body, *headers: str) -> Answer:
    """A model server that always says no."""

    async def refuse(asked: Body, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(status, {"error": error}, *headers))

    return refuse


async def dropping(asked: Body, writer: asyncio.StreamWriter) -> None:
    """A model server that dies after two words."""
    writer.write(STREAM_HEAD)
    for word in WORDS[:2]:
        writer.write(
            chunk(frame({**envelope("chat.completion.chunk"), **_delta(0, {"content": word})}))
        )
    await writer.drain()
    writer.close()


REFUSING: dict[str, Answer] = {
    "busy": refusing(
        "429 Too Many Requests",
        {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"},
        "retry-after: 3",
    ),
    "strict": refusing(
        "400 Bad Request",
        {
            "message": "This model's maximum context length is 8 tokens.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        },
    ),
    "locked": refusing(
        "401 Unauthorized",
        {
            "message": "Incorrect API key.",
            "type": "invalid_request_error",
            "code": "invalid_api_key",
        },
    ),
    "ill": refusing("500 Internal Server Error", {"message": "out of memory"}),
    "dropping": dropping,
}
"""What model servers do wrong, by the model that is asked for."""

_AZURE = "/openai/deployments/theirs/{}?api-version=2024-10-21"


class ScriptedModel(DialectServer):
    """Answers by the address and, where a model is one of the refusing, by the model."""

    answers: ClassVar[dict[str, Answer]] = {
        **ANSWERS,
        "/v1/chat/completions": chat,
        "/v1/messages": messages,
        "/v1/responses": responses,
        "/v1/embeddings": embeddings,
        "/v1/completions": completions,
        _AZURE.format("chat/completions"): chat,
        _AZURE.format("embeddings"): embeddings,
    }
    refusing: ClassVar[dict[str, Answer]] = {**DialectServer.refusing, **REFUSING}


class CompatGateway(DialectGateway):
    """Serves the scripted model server: one model a dialect, and one for each misbehaviour."""

    def deployments(self) -> tuple[Deployment, ...]:
        """One deployment a model; the refusing ones keep their name upstream."""
        root = f"http://127.0.0.1:{self.upstream_port}"
        secret = "secrets/upstream"
        wrong = (Deployment(f"{name}@mock", name, f"{root}/v1", name, secret) for name in REFUSING)
        return (
            Deployment("talk@mock", "talk", f"{root}/v1", "theirs", secret),
            Deployment("echo@mock", "echo", f"{root}/v1", "echo", secret),
            Deployment("claude@mock", "claude", f"{root}/v1", "theirs", secret, api="anthropic"),
            Deployment(
                "claude-echo@mock", "claude-echo", f"{root}/v1", "echo", secret, api="anthropic"
            ),
            Deployment("gpt@mock", "gpt", root, "theirs", secret, api="azure"),
            Deployment(
                "native@mock", "native", f"{root}/v1", "theirs", secret, api="openai-responses"
            ),
            *wrong,
        )
