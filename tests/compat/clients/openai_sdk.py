"""OpenAI's own SDK, of three generations; nothing here is newer than its 1.x."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
from tests.compat.clients.checks import (
    ARGUMENTS,
    FILLED,
    PARAMETERS,
    PNG,
    QUESTION,
    SCHEMA,
    SENTENCE,
    TOOL,
    Gate,
    check,
    main,
    raised,
    same,
)

TOOLS: Any = [TOOL]
FLAT: Any = [{"type": "function", "name": "look", "parameters": PARAMETERS, "strict": True}]
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "animal", "schema": SCHEMA}}
TEXT: Any = {"format": {"type": "json_schema", "name": "animal", "schema": SCHEMA, "strict": True}}
IMAGE: Any = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": PNG}},
        ],
    }
]


def sdk(gate: Gate) -> openai.OpenAI:
    return openai.OpenAI(base_url=gate.url, api_key=gate.key, max_retries=0, timeout=20)


def azure(gate: Gate) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=gate.root, api_key=gate.key, api_version="2024-10-21", max_retries=0
    )


def streamed(gate: Gate, **fields: Any) -> list[Any]:
    create: Callable[..., Any] = sdk(gate).chat.completions.create
    return list(create(messages=QUESTION, stream=True, **fields))


def said(chunks: list[Any], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)


@check("chat")
def chat(gate: Gate) -> None:
    raw = sdk(gate).chat.completions.with_raw_response.create(model="talk", messages=QUESTION)
    answer = raw.parse()
    same(answer.choices[0].message.content, SENTENCE)
    same(answer.choices[0].finish_reason, "stop")
    same(answer.object, "chat.completion")
    assert raw.headers["x-request-id"].startswith("req_")


@check("chat, streamed")
def chat_streamed(gate: Gate) -> None:
    chunks = streamed(gate, model="talk")
    same(said(chunks), SENTENCE)
    same(chunks[-1].choices[0].finish_reason, "stop")
    assert all(chunk.usage is None for chunk in chunks)


@check("chat, asynchronous")
def chat_asynchronous(gate: Gate) -> None:
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=gate.url, api_key=gate.key, max_retries=0) as many:
            create = many.chat.completions.create
            asked = [create(model="talk", messages=QUESTION) for _ in range(8)]
            stream = await create(model="talk", messages=QUESTION, stream=True)
            words = [one.choices[0].delta.content or "" async for one in stream]
            return ["".join(words)] + [
                a.choices[0].message.content for a in await asyncio.gather(*asked)
            ]

    same(asyncio.run(ask()), [SENTENCE] * 9)


@check("tools")
def tools(gate: Gate) -> None:
    client = sdk(gate)
    for model in ("talk", "claude"):
        asked = client.chat.completions.create(model=model, messages=QUESTION, tools=TOOLS)
        choice = asked.choices[0]
        same(choice.finish_reason, "tool_calls")
        assert choice.message.tool_calls is not None
        (call,) = choice.message.tool_calls
        assert call.type == "function"
        same((call.function.name, json.loads(call.function.arguments)), ("look", ARGUMENTS))
        result = {"role": "tool", "tool_call_id": call.id, "content": "blue"}
        conversation: Any = [*QUESTION, choice.message.model_dump(exclude_none=True), result]
        told = client.chat.completions.create(model=model, messages=conversation, tools=TOOLS)
        same(told.choices[0].message.content, SENTENCE)


@check("tools, streamed")
def tools_streamed(gate: Gate) -> None:
    for model in ("talk", "claude"):
        chunks = streamed(gate, model=model, tools=TOOLS)
        calls = [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or ()]
        same((calls[0].function.name, bool(calls[0].id)), ("look", True))
        same(json.loads("".join(c.function.arguments or "" for c in calls)), ARGUMENTS)
        same(chunks[-1].choices[0].finish_reason, "tool_calls")


@check("structured outputs")
def structured(gate: Gate) -> None:
    from pydantic import BaseModel

    class Animal(BaseModel):
        animal: str
        legs: int

    client = sdk(gate)
    for model in ("talk", "claude", "gpt"):
        seen = client.chat.completions.create(
            model=model, messages=QUESTION, response_format=FORMAT
        )
        same(json.loads(seen.choices[0].message.content or ""), FILLED)
        parsed = client.chat.completions.parse(
            model=model, messages=QUESTION, response_format=Animal
        )
        same(parsed.choices[0].message.parsed, Animal(animal="fox", legs=4))


@check("images in messages")
def images(gate: Gate) -> None:
    client = sdk(gate)
    passed = client.chat.completions.create(model="echo", messages=IMAGE)
    same(json.loads(passed.choices[0].message.content or "")["messages"], IMAGE)
    translated = client.chat.completions.create(model="claude-echo", messages=IMAGE)
    asked = json.loads(translated.choices[0].message.content or "")
    source = {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}
    same(asked["messages"][0]["content"][1], {"type": "image", "source": source})


@check("log probabilities")
def log_probabilities(gate: Gate) -> None:
    asked = sdk(gate).chat.completions.create(
        model="talk", messages=QUESTION, logprobs=True, top_logprobs=1
    )
    probable = asked.choices[0].logprobs
    assert probable is not None
    same("".join(one.token for one in probable.content or ()), SENTENCE)
    same((probable.content or [])[0].top_logprobs[0].logprob, -0.5)
    chunks = streamed(gate, model="talk", logprobs=True, top_logprobs=1)
    told = [c.choices[0].logprobs.content[0].token for c in chunks if c.choices[0].logprobs]
    same("".join(told), SENTENCE)
    refused = raised(
        openai.BadRequestError,
        lambda: sdk(gate).chat.completions.create(model="claude", messages=QUESTION, logprobs=True),
    )
    same(refused.param, "logprobs")


@check("several answers (n)")
def several(gate: Gate) -> None:
    asked = sdk(gate).chat.completions.create(model="talk", messages=QUESTION, n=3)
    same([choice.message.content for choice in asked.choices], [SENTENCE] * 3)
    chunks = streamed(gate, model="talk", n=3)
    same([said(chunks, index) for index in range(3)], [SENTENCE] * 3)


@check("usage")
def usage(gate: Gate) -> None:
    for model in ("talk", "gpt"):
        used = sdk(gate).chat.completions.create(model=model, messages=QUESTION).usage
        assert used is not None
        same((used.prompt_tokens, used.completion_tokens, used.total_tokens), (11, 3, 14))
        assert used.prompt_tokens_details is not None
        same(used.prompt_tokens_details.cached_tokens, 4)
        assert used.completion_tokens_details is not None
        same(used.completion_tokens_details.reasoning_tokens, 1)


@check("usage, streamed")
def usage_streamed(gate: Gate) -> None:
    for model, total in (("talk", 14), ("claude", 16), ("gpt", 14)):
        chunks = streamed(gate, model=model, stream_options={"include_usage": True})
        same((chunks[-1].choices, chunks[-1].usage.total_tokens), ([], total))


@check("unknown parameters")
def unknown(gate: Gate) -> None:
    asked = sdk(gate).chat.completions.create(
        model="echo", messages=QUESTION, seed=7, extra_body={"mirostat": 2, "guided": {"a": [1]}}
    )
    body = json.loads(asked.choices[0].message.content or "")
    same((body["seed"], body["mirostat"], body["guided"]), (7, 2, {"a": [1]}))


@check("error 400")
def bad_request(gate: Gate) -> None:
    def ask(**fields: Any) -> Callable[[], object]:
        create: Callable[..., Any] = sdk(gate).chat.completions.create
        return lambda: create(**{"model": "talk", "messages": QUESTION, **fields})

    said_upstream = raised(openai.BadRequestError, ask(model="strict"))
    same((said_upstream.code, said_upstream.param), ("context_length_exceeded", "messages"))
    assert "maximum context length" in str(said_upstream)
    ours = raised(openai.BadRequestError, ask(messages=[]))
    same((ours.param, ours.type), ("messages", "invalid_request_error"))


@check("error 401")
def unauthorized(gate: Gate) -> None:
    stranger = openai.OpenAI(base_url=gate.url, api_key="sk-wrong", max_retries=0)
    error = raised(openai.AuthenticationError, stranger.models.list)
    same(error.code, "invalid_api_key")
    raised(
        openai.AuthenticationError,
        lambda: stranger.chat.completions.create(model="talk", messages=QUESTION, stream=True),
    )


@check("error 404")
def not_found(gate: Gate) -> None:
    error = raised(
        openai.NotFoundError,
        lambda: sdk(gate).chat.completions.create(model="gpt-99", messages=QUESTION),
    )
    same(error.code, "model_not_found")
    raised(openai.NotFoundError, lambda: sdk(gate).models.retrieve("gpt-99"))
    raised(openai.NotFoundError, lambda: sdk(gate).responses.retrieve("resp_1"))


@check("error 429")
def too_many(gate: Gate) -> None:
    for stream in (False, True):
        error = raised(
            openai.RateLimitError,
            lambda stream=stream: sdk(gate).chat.completions.create(  # type: ignore[misc]
                model="busy", messages=QUESTION, stream=stream
            ),
        )
        same(error.code, "rate_limit_exceeded")
        same(error.response.headers["retry-after"], "3")


@check("error 502")
def bad_gateway(gate: Gate) -> None:
    for model in ("ill", "locked"):
        error = raised(
            openai.InternalServerError,
            lambda model=model: sdk(gate).chat.completions.create(  # type: ignore[misc]
                model=model, messages=QUESTION
            ),
        )
        same(error.status_code, 502)
        assert error.request_id is not None


@check("error in a stream")
def broken_stream(gate: Gate) -> None:
    error = raised(openai.APIError, lambda: streamed(gate, model="dropping"))
    same(error.code, "upstream_dropped")


@check("responses")
def responses(gate: Gate) -> None:
    for model in ("talk", "claude", "gpt", "native"):
        answer = sdk(gate).responses.create(model=model, input="Say a sentence.")
        same((answer.output_text, answer.status), (SENTENCE, "completed"))
        assert answer.usage is not None
        same(answer.usage.output_tokens, 3)
        same(answer.usage.input_tokens_details.cached_tokens, 4)
    error = raised(
        openai.BadRequestError,
        lambda: sdk(gate).responses.create(model="talk", input="x", previous_response_id="resp_1"),
    )
    same(error.param, "previous_response_id")


@check("responses, streamed")
def responses_streamed(gate: Gate) -> None:
    for model in ("talk", "claude", "gpt", "native"):
        with sdk(gate).responses.stream(model=model, input="Say a sentence.") as stream:
            events = list(stream)
            final = stream.get_final_response()
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        same("".join(deltas), SENTENCE)
        same((final.output_text, events[-1].type), (SENTENCE, "response.completed"))
        numbers = [event.sequence_number for event in events]
        same(numbers, sorted(set(numbers)))


@check("responses with tools")
def responses_tools(gate: Gate) -> None:
    for model in ("talk", "claude"):
        asked = sdk(gate).responses.create(model=model, input="Look.", tools=FLAT)
        (call,) = asked.output
        assert call.type == "function_call"
        same((call.name, json.loads(call.arguments)), ("look", ARGUMENTS))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "blue"}
        told_so_far: Any = [*QUESTION, call.model_dump(exclude_none=True), result]
        told = sdk(gate).responses.create(model=model, input=told_so_far, tools=FLAT)
        same(told.output_text, SENTENCE)
        with sdk(gate).responses.stream(model=model, input="Look.", tools=FLAT) as stream:
            (again,) = stream.until_done().get_final_response().output
        assert again.type == "function_call"
        same(json.loads(again.arguments), ARGUMENTS)


@check("responses, structured")
def responses_structured(gate: Gate) -> None:
    for model in ("talk", "claude"):
        asked = sdk(gate).responses.create(model=model, input="x", text=TEXT)
        same(json.loads(asked.output_text), FILLED)


@check("embeddings")
def embeddings(gate: Gate) -> None:
    found = sdk(gate).embeddings.create(model="talk", input=["a", "b"])
    same([one.embedding for one in found.data], [[0.5, -0.25]] * 2)
    same(found.usage.total_tokens, 8)
    plain = sdk(gate).embeddings.create(model="talk", input="a", encoding_format="float")
    same(plain.data[0].embedding, [0.5, -0.25])


@check("completions (legacy)")
def completions(gate: Gate) -> None:
    found = sdk(gate).completions.create(model="talk", prompt="x")
    same(found.choices[0].text, "fox")
    chunks = list(sdk(gate).completions.create(model="talk", prompt="x", stream=True))
    same([(one.choices[0].text, one.usage) for one in chunks], [("fox", None)])


@check("models")
def models(gate: Gate) -> None:
    names = {model.id for model in sdk(gate).models.list()}
    assert {"talk", "claude", "gpt", "native"} <= names
    same(sdk(gate).models.retrieve("talk").owned_by, "quartermaster")


@check("Azure deployments")
def azure_deployments(gate: Gate) -> None:
    client = azure(gate)
    for model in ("talk", "gpt"):
        asked = client.chat.completions.create(model=model, messages=QUESTION)
        same(asked.choices[0].message.content, SENTENCE)
        chunks = list(client.chat.completions.create(model=model, messages=QUESTION, stream=True))
        same(said(chunks), SENTENCE)
        called = client.chat.completions.create(model=model, messages=QUESTION, tools=TOOLS)
        same(called.choices[0].finish_reason, "tool_calls")
        same(client.embeddings.create(model=model, input="a").data[0].embedding, [0.5, -0.25])
    same(client.responses.create(model="talk", input="x").output_text, SENTENCE)
    assert "talk" in {model.id for model in client.models.list()}


@check("Azure errors")
def azure_errors(gate: Gate) -> None:
    create = azure(gate).chat.completions.create
    missing = raised(openai.NotFoundError, lambda: create(model="gpt-99", messages=QUESTION))
    same(missing.code, "DeploymentNotFound")
    busy = raised(openai.RateLimitError, lambda: create(model="busy", messages=QUESTION))
    same(busy.code, "429")
    stranger = openai.AzureOpenAI(
        azure_endpoint=gate.root, api_key="wrong", api_version="2024-10-21", max_retries=0
    )
    error = raised(
        openai.AuthenticationError,
        lambda: stranger.chat.completions.create(model="talk", messages=QUESTION),
    )
    same(error.code, "401")


@check("Azure v1")
def azure_v1(gate: Gate) -> None:
    client = openai.OpenAI(base_url=f"{gate.root}/openai/v1/", api_key=gate.key, max_retries=0)
    same(client.responses.create(model="talk", input="x").output_text, SENTENCE)
    asked = client.chat.completions.create(model="talk", messages=QUESTION)
    same(asked.choices[0].message.content, SENTENCE)
    assert "talk" in {model.id for model in client.models.list()}


@check("an Anthropic upstream")
def anthropic_upstream(gate: Gate) -> None:
    asked = sdk(gate).chat.completions.create(model="claude", messages=QUESTION)
    same((asked.choices[0].message.content, asked.choices[0].finish_reason), (SENTENCE, "stop"))
    assert asked.usage is not None
    same((asked.usage.prompt_tokens, asked.usage.completion_tokens), (13, 3))
    same(said(streamed(gate, model="claude")), SENTENCE)


@check("an Azure upstream")
def azure_upstream(gate: Gate) -> None:
    asked = sdk(gate).chat.completions.create(model="gpt", messages=QUESTION)
    same(asked.choices[0].message.content, SENTENCE)
    same(said(streamed(gate, model="gpt")), SENTENCE)


if __name__ == "__main__":
    main("openai")
