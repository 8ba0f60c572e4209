"""A scripted model server that speaks every dialect, and a gateway that serves it under each."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from tests.contract.gateway_process import (
    ENVELOPE,
    STREAM_HEAD,
    USAGE,
    Gateway,
    ModelServer,
    chunk,
    frame,
    plain,
    talk,
)

from quartermaster.kernel.contract import Standing
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, write

COMPLETED = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
EMBEDDED = {"prompt_tokens": 8, "total_tokens": 8}
CLAUDE_USAGE = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 4,
    "output_tokens": 3,
}
CLAUDE: dict[str, Any] = {
    "id": "msg_up",
    "type": "message",
    "role": "assistant",
    "model": "theirs",
    "content": [{"type": "text", "text": "The quick fox"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": CLAUDE_USAGE,
}
TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look", "arguments": '{"at": "sky"}'},
}


def named(content: dict[str, Any]) -> bytes:
    """A named server-sent event."""
    return f"event: {content['type']}\n".encode() + frame(content)


async def chat(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """A sentence, or a call of the tool that was offered."""
    tools = asked.get("tools")
    if not tools or asked["messages"][-1]["role"] == "tool":
        await talk(asked, writer, lambda: True)
        return
    if not asked.get("stream"):
        message = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
        writer.write(plain("200 OK", {**ENVELOPE, "choices": [choice], "usage": USAGE}))
        return
    writer.write(STREAM_HEAD)
    first = {"index": 0, **TOOL_CALL, "function": {"name": "look", "arguments": ""}}
    rest = {"index": 0, "function": {"arguments": '{"at": "sky"}'}}
    for delta, reason in (
        ({"role": "assistant", "tool_calls": [first]}, None),
        ({"tool_calls": [rest]}, None),
        ({}, "tool_calls"),
    ):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        writer.write(chunk(frame({**ENVELOPE, "choices": [choice]})))
    last = {**ENVELOPE, "choices": [], "usage": USAGE}
    writer.write(chunk(frame(last)) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def messages(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Anthropic's own dialect."""
    if not asked.get("stream"):
        writer.write(plain("200 OK", CLAUDE))
        return
    begin = {**CLAUDE, "content": [], "stop_reason": None}
    block = {"type": "text", "text": ""}
    words = {"type": "text_delta", "text": "The quick fox"}
    writer.write(STREAM_HEAD)
    for event in (
        {"type": "message_start", "message": begin},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": words},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ):
        writer.write(chunk(named(event)))
    writer.write(b"0\r\n\r\n")


async def completions(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """The legacy completions."""
    choice = {"index": 0, "text": "fox", "logprobs": None, "finish_reason": "stop"}
    body = {**ENVELOPE, "object": "text_completion", "choices": [choice]}
    if not asked.get("stream"):
        writer.write(plain("200 OK", {**body, "usage": COMPLETED}))
        return
    last = {**body, "choices": [], "usage": COMPLETED}
    writer.write(STREAM_HEAD + chunk(frame(body)) + chunk(frame(last)))
    writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def embeddings(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """A short vector."""
    item = {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}
    body = {"object": "list", "model": "theirs", "data": [item], "usage": EMBEDDED}
    writer.write(plain("200 OK", body))


async def transcriptions(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """What was heard."""
    writer.write(plain("200 OK", {"text": "The quick fox"}))


async def refuse(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Too much of everything."""
    error = {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit"}
    writer.write(plain("429 Too Many Requests", {"error": error}, "retry-after: 3"))


Answer = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]
ANSWERS: dict[str, Answer] = {
    "/v1/chat/completions": chat,
    "/v1/completions": completions,
    "/v1/embeddings": embeddings,
    "/v1/messages": messages,
    "/v1/audio/transcriptions": transcriptions,
    "/openai/deployments/theirs/chat/completions?api-version=2024-10-21": chat,
}


class DialectServer(ModelServer):
    """Answers by the address that it is asked at; a model called `busy` is."""

    answers: ClassVar[dict[str, Answer]] = ANSWERS
    refusing: ClassVar[dict[str, Answer]] = {"busy": refuse}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                body = await reader.readexactly(length)
                is_json = "content-type: application/json" in head
                asked: dict[str, Any] = json.loads(body) if is_json else {"form": body}
                self.asked.append(asked)
                answer = self.refusing.get(asked.get("model", ""))
                answer = answer or self.answers[head.split(" ")[1]]
                await answer(asked, writer)
                await writer.drain()
        writer.close()


class DialectGateway(Gateway):
    """Serves one scripted server under every dialect."""

    def __init__(self, var: Path, upstream_port: int) -> None:
        super().__init__(var, upstream_port, {})

    def deployments(self) -> tuple[Deployment, ...]:
        """One model a dialect of model servers, and one that is busy."""
        root = f"http://127.0.0.1:{self.upstream_port}"
        secret = "secrets/upstream"
        return (
            Deployment("talk@mock", "talk", f"{root}/v1", "theirs", secret),
            Deployment("busy@mock", "busy", f"{root}/v1", "busy", secret),
            Deployment("claude@mock", "claude", f"{root}/v1", "theirs", secret, api="anthropic"),
            Deployment("gpt@mock", "gpt", root, "theirs", secret, api="azure"),
        )

    def publish(self, *grants: KeyGrant, standing: dict[str, Standing] | None = None) -> int:
        """Publish a snapshot; the ordinary key is always in it."""
        del grants, standing
        self.version += 1
        keys = (self.grant(self.key),)
        snapshot = Snapshot(self.version, 0, keys, {}, self.deployments())
        write(self.var / "snapshot.json", snapshot)
        return self.version
