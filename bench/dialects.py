"""What translating costs: microseconds of CPU a request, an answer and a stream event.

    python bench/dialects.py [--seconds 1] [--json]

Bodies hold about 1,000 tokens of English in a conversation with a tool. The chat passthrough, which
is not translated, stands beside them: its cost must not depend on there being other dialects. The
goal for an Anthropic body over a chat completion upstream is 60 microseconds, read and written.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from quartermaster.gateway import wire
from quartermaster.gateway.dialects.plan import Identity, Plan, plan, read_call
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.dialects.translated import TranslatedStream
from quartermaster.kernel.units import Counts

GOAL_US = 60.0
REPETITIONS = 5
IDENTITY = Identity("req_1", 1_700_000_000)
COUNTS = Counts(1_000, output=300)
# Four thousand characters: about a thousand tokens.
PROSE = ("The customer asked how many tokens were used in March, and by whom. " * 59)[:4_000]
PARAGRAPHS = [PROSE[start : start + 500] for start in range(0, 4_000, 500)]
SCHEMA = {"type": "object", "properties": {"month": {"type": "string"}}, "required": ["month"]}

MESSAGES: dict[str, Any] = {
    "model": "toy",
    "max_tokens": 1_024,
    "system": PARAGRAPHS[0],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": PARAGRAPHS[1]}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": PARAGRAPHS[2]},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"month": "3"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": PARAGRAPHS[3]},
                *({"type": "text", "text": text} for text in PARAGRAPHS[4:]),
            ],
        },
    ],
    "tools": [{"name": "f", "description": "Usage of a month.", "input_schema": SCHEMA}],
}
CHAT: dict[str, Any] = {
    "model": "toy",
    "messages": [{"role": "user", "content": text} for text in PARAGRAPHS],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
}
RESPONSES: dict[str, Any] = {
    "model": "toy",
    "instructions": PARAGRAPHS[0],
    "input": [{"role": "user", "content": text} for text in PARAGRAPHS[1:]],
    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
}
ANSWER = {
    "id": "chatcmpl-7",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": PROSE[:1_200]},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 300},
}
EVENTS = 300


def chunk(text: str) -> bytes:
    """One delta of a chat stream."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    body = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: %b\n\n" % json.dumps({**body, "choices": [choice]}).encode()


def microseconds(work: Callable[[], object], seconds: float) -> float:
    """Median CPU time of one call over a few repetitions."""
    rounds = 1
    while True:
        began = time.process_time()
        for _ in range(rounds):
            work()
        spent = time.process_time() - began
        if spent > seconds / REPETITIONS / 4:
            break
        rounds *= 2
    found = []
    for _ in range(REPETITIONS):
        began = time.process_time()
        for _ in range(rounds):
            work()
        found.append((time.process_time() - began) / rounds * 1e6)
    return statistics.median(found)


def translated(operation: Operation, body: bytes) -> Plan:
    """Read a body and write what goes upstream."""
    return plan(operation, read_call(operation, body), "openai", b'"theirs"', IDENTITY)


def streaming(made: Plan, data: bytes) -> Callable[[], None]:
    """One whole stream, fed in pieces of one event."""
    pieces = [piece + b"\n\n" for piece in data.split(b"\n\n") if piece]

    def work() -> None:
        assert made.translator is not None
        translator = made.translator()
        stream = TranslatedStream(translator, 1 << 20)
        for piece in pieces:
            stream.feed(piece)
        translator.closing(COUNTS)

    return work


def measure(seconds: float) -> dict[str, float]:
    """All figures, in microseconds of CPU."""
    chat, messages, responses = (json.dumps(body).encode() for body in (CHAT, MESSAGES, RESPONSES))
    answer = json.dumps(ANSWER).encode()
    stream = b"".join(chunk(" word") for _ in range(EVENTS)) + b"data: [DONE]\n\n"
    by_messages = translated("messages", messages)
    by_responses = translated("responses", responses)
    assert by_messages.render is not None
    assert by_responses.render is not None
    render_message, render_response = by_messages.render, by_responses.render
    figures = {
        "chat request, passed": microseconds(
            lambda: wire.upstream_body(wire.read_call(chat), b'"theirs"'), seconds
        ),
        "messages request": microseconds(lambda: translated("messages", messages), seconds),
        "messages answer": microseconds(lambda: render_message(answer, COUNTS), seconds),
        "responses request": microseconds(lambda: translated("responses", responses), seconds),
        "responses answer": microseconds(lambda: render_response(answer, COUNTS), seconds),
        "messages stream event": microseconds(streaming(by_messages, stream), seconds) / EVENTS,
        "responses stream event": microseconds(streaming(by_responses, stream), seconds) / EVENTS,
    }
    figures["messages request and answer"] = (
        figures["messages request"] + figures["messages answer"]
    )
    return figures


def main() -> int:
    """Print the figures; exit 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds a figure")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    asked = parser.parse_args()
    figures = measure(asked.seconds)
    if asked.json:
        print(json.dumps({"goal_us": GOAL_US, "us": figures}))
    else:
        for name, figure in figures.items():
            print(f"{name:32} {figure:8.1f} us")
        print(f"{'goal, messages request':32} {GOAL_US:8.1f} us")
    return int(figures["messages request"] > GOAL_US)


if __name__ == "__main__":
    sys.exit(main())
