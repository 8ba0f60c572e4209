"""Anthropic's own SDK, against upstreams of each dialect."""

import asyncio
import json
from typing import Any

import anthropic
from tests.compat.clients.checks import (
    ARGUMENTS,
    FILLED,
    PARAMETERS,
    PNG,
    QUESTION,
    SCHEMA,
    SENTENCE,
    Gate,
    check,
    main,
    raised,
    same,
)

UPSTREAMS = ("talk", "gpt", "claude")
TOOLS: Any = [{"name": "look", "description": "Looks.", "input_schema": PARAMETERS}]
FORMAT: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
SOURCE = {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}
IMAGE: Any = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "What is it?"}, {"type": "image", "source": SOURCE}],
    }
]


def sdk(gate: Gate) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gate.root, api_key=gate.key, max_retries=0, timeout=20)


def ask(gate: Gate, model: str, **fields: Any) -> Any:
    given = {"max_tokens": 50, "messages": QUESTION, **fields}
    return sdk(gate).messages.create(model=model, **given)


@check("chat")
def chat(gate: Gate) -> None:
    for model in UPSTREAMS:
        message = ask(gate, model, system="Be brief.")
        same([(one.type, one.text) for one in message.content], [("text", SENTENCE)])
        same((message.role, message.stop_reason), ("assistant", "end_turn"))
        assert message._request_id.startswith("req_")


@check("chat, streamed")
def chat_streamed(gate: Gate) -> None:
    for model in UPSTREAMS:
        with sdk(gate).messages.stream(model=model, max_tokens=50, messages=QUESTION) as stream:
            same("".join(stream.text_stream), SENTENCE)
            same(stream.get_final_message().stop_reason, "end_turn")
        events = [event.type for event in ask(gate, model, stream=True)]
        same((events[0], events[-1]), ("message_start", "message_stop"))


@check("chat, asynchronous")
def chat_asynchronous(gate: Gate) -> None:
    async def many() -> list[Any]:
        async with anthropic.AsyncAnthropic(base_url=gate.root, api_key=gate.key) as client:
            create = client.messages.create
            asked = [create(model="talk", max_tokens=9, messages=QUESTION) for _ in range(8)]
            return [one.content[0] for one in await asyncio.gather(*asked)]

    same([one.text for one in asyncio.run(many())], [SENTENCE] * 8)


@check("tools")
def tools(gate: Gate) -> None:
    for model in UPSTREAMS:
        asked = ask(gate, model, tools=TOOLS)
        (call,) = asked.content
        same((call.type, call.name, call.input), ("tool_use", "look", ARGUMENTS))
        same(asked.stop_reason, "tool_use")
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "blue"}
        turns = [
            *QUESTION,
            {"role": "assistant", "content": asked.content},
            {"role": "user", "content": [result]},
        ]
        same(ask(gate, model, tools=TOOLS, messages=turns).content[0].text, SENTENCE)


@check("tools, streamed")
def tools_streamed(gate: Gate) -> None:
    for model in UPSTREAMS:
        with sdk(gate).messages.stream(
            model=model, max_tokens=50, messages=QUESTION, tools=TOOLS
        ) as stream:
            (call,) = stream.get_final_message().content
        assert call.type == "tool_use"
        same((call.name, call.input), ("look", ARGUMENTS))


@check("structured outputs")
def structured(gate: Gate) -> None:
    from pydantic import BaseModel

    class Animal(BaseModel):
        animal: str
        legs: int

    for model in UPSTREAMS:
        same(json.loads(ask(gate, model, output_config=FORMAT).content[0].text), FILLED)
        parsed = sdk(gate).messages.parse(
            model=model, max_tokens=50, messages=QUESTION, output_format=Animal
        )
        same(parsed.parsed_output, Animal(animal="fox", legs=4))


@check("images in messages")
def images(gate: Gate) -> None:
    passed = json.loads(ask(gate, "claude-echo", messages=IMAGE).content[0].text)
    same(passed["messages"], IMAGE)
    translated = json.loads(ask(gate, "echo", messages=IMAGE).content[0].text)
    same(translated["messages"][-1]["content"][1]["image_url"]["url"], PNG)


@check("usage")
def usage(gate: Gate) -> None:
    for model in UPSTREAMS:
        used = ask(gate, model).usage
        found = (used.input_tokens, used.cache_read_input_tokens, used.output_tokens)
        same(found, (7, 4, 3))


@check("usage, streamed")
def usage_streamed(gate: Gate) -> None:
    for model in UPSTREAMS:
        with sdk(gate).messages.stream(model=model, max_tokens=50, messages=QUESTION) as stream:
            used = stream.get_final_message().usage
        same((used.input_tokens, used.output_tokens), (7, 3))


@check("unknown parameters")
def unknown(gate: Gate) -> None:
    for model in ("echo", "claude-echo"):
        body = json.loads(ask(gate, model, extra_body={"mirostat": 2}).content[0].text)
        same(body["mirostat"], 2)


@check("error 400")
def bad_request(gate: Gate) -> None:
    upstream = raised(anthropic.BadRequestError, lambda: ask(gate, "strict"))
    assert "maximum context length" in str(upstream)
    ours = raised(
        anthropic.BadRequestError, lambda: ask(gate, "talk", extra_body={"container": "c"})
    )
    same(ours.type, "invalid_request_error")


@check("error 401")
def unauthorized(gate: Gate) -> None:
    stranger = anthropic.Anthropic(base_url=gate.root, api_key="wrong", max_retries=0)
    error = raised(
        anthropic.AuthenticationError,
        lambda: stranger.messages.create(model="talk", max_tokens=9, messages=QUESTION),
    )
    same(error.type, "authentication_error")


@check("error 404")
def not_found(gate: Gate) -> None:
    error = raised(anthropic.NotFoundError, lambda: ask(gate, "claude-99"))
    same(error.type, "not_found_error")
    assert error.request_id is not None


@check("error 429")
def too_many(gate: Gate) -> None:
    for stream in (False, True):
        error = raised(
            anthropic.RateLimitError,
            lambda stream=stream: ask(gate, "busy", stream=stream),  # type: ignore[misc]
        )
        same((error.type, error.response.headers["retry-after"]), ("rate_limit_error", "3"))


@check("error 502")
def bad_gateway(gate: Gate) -> None:
    for model in ("ill", "locked"):
        error = raised(
            anthropic.InternalServerError,
            lambda model=model: ask(gate, model),  # type: ignore[misc]
        )
        same((error.status_code, error.type), (502, "api_error"))


@check("error in a stream")
def broken_stream(gate: Gate) -> None:
    error = raised(anthropic.APIError, lambda: list(ask(gate, "dropping", stream=True)))
    assert "api_error" in str(error.body)


@check("models")
def models(gate: Gate) -> None:
    names = {model.id for model in sdk(gate).models.list()}
    assert {"talk", "claude", "gpt"} <= names
    same(sdk(gate).models.retrieve("talk").display_name, "talk")


@check("an Anthropic upstream")
def anthropic_upstream(gate: Gate) -> None:
    message = ask(gate, "claude")
    same(message.usage.cache_creation_input_tokens, 2)
    body = json.loads(ask(gate, "claude-echo").content[0].text)
    same(body, {"model": "echo", "max_tokens": 50, "messages": QUESTION})


@check("count_tokens")
def count_tokens(gate: Gate) -> None:
    count = sdk(gate).messages.count_tokens
    few = count(model="talk", messages=QUESTION).input_tokens
    many: Any = [{"role": "user", "content": "word " * 1_000}]
    assert 0 < few < 50 < count(model="talk", messages=many).input_tokens
    assert few < count(model="talk", messages=QUESTION, tools=TOOLS).input_tokens
    raised(anthropic.NotFoundError, lambda: count(model="claude-99", messages=QUESTION))


if __name__ == "__main__":
    main("anthropic")
