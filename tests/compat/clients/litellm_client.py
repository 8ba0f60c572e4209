"""LiteLLM as a client: through OpenAI's dialect, Azure's and Anthropic's."""

import asyncio
import json
from typing import Any

import litellm
from tests.compat.clients.checks import (
    ARGUMENTS,
    FILLED,
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

litellm.telemetry = False
litellm.suppress_debug_info = True
FORMAT = {"type": "json_schema", "json_schema": {"name": "animal", "schema": SCHEMA}}
IMAGE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": PNG}},
        ],
    }
]


def ask(gate: Gate, model: str = "openai/talk", **fields: Any) -> Any:
    given = {"messages": QUESTION, "api_base": gate.url, "api_key": gate.key, "num_retries": 0}
    return litellm.completion(model=model, **{**given, **fields})


def said(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@check("chat")
def chat(gate: Gate) -> None:
    for model in ("openai/talk", "litellm_proxy/talk", "openai/claude"):
        answer = ask(gate, model)
        same(
            (answer.choices[0].message.content, answer.choices[0].finish_reason), (SENTENCE, "stop")
        )
    same(ask(gate, "anthropic/talk", api_base=gate.root).choices[0].message.content, SENTENCE)


@check("chat, streamed")
def chat_streamed(gate: Gate) -> None:
    same(said(list(ask(gate, stream=True))), SENTENCE)
    same(said(list(ask(gate, "anthropic/talk", api_base=gate.root, stream=True))), SENTENCE)


@check("chat, asynchronous")
def chat_asynchronous(gate: Gate) -> None:
    async def many() -> list[Any]:
        given = {"messages": QUESTION, "api_base": gate.url, "api_key": gate.key}
        asked = [litellm.acompletion(model="openai/talk", **given) for _ in range(8)]
        return [one.choices[0].message.content for one in await asyncio.gather(*asked)]

    same(asyncio.run(many()), [SENTENCE] * 8)


@check("tools")
def tools(gate: Gate) -> None:
    for model, base in (("openai/talk", gate.url), ("anthropic/talk", gate.root)):
        asked = ask(gate, model, api_base=base, tools=[TOOL])
        message = asked.choices[0].message
        (call,) = message.tool_calls
        same((call.function.name, json.loads(call.function.arguments)), ("look", ARGUMENTS))
        turns = [*QUESTION, message, {"role": "tool", "tool_call_id": call.id, "content": "blue"}]
        told = ask(gate, model, api_base=base, tools=[TOOL], messages=turns)
        same(told.choices[0].message.content, SENTENCE)


@check("tools, streamed")
def tools_streamed(gate: Gate) -> None:
    for model, base in (("openai/talk", gate.url), ("anthropic/talk", gate.root)):
        chunks = list(ask(gate, model, api_base=base, tools=[TOOL], stream=True))
        whole: Any = litellm.stream_chunk_builder(chunks)
        (call,) = whole.choices[0].message.tool_calls
        same((call.function.name, json.loads(call.function.arguments)), ("look", ARGUMENTS))


@check("structured outputs")
def structured(gate: Gate) -> None:
    asked = ask(gate, response_format=FORMAT)
    same(json.loads(asked.choices[0].message.content), FILLED)


@check("images in messages")
def images(gate: Gate) -> None:
    asked = ask(gate, "openai/echo", messages=IMAGE)
    same(json.loads(asked.choices[0].message.content)["messages"], IMAGE)


@check("log probabilities")
def log_probabilities(gate: Gate) -> None:
    asked = ask(gate, logprobs=True, top_logprobs=1)
    same("".join(one.token for one in asked.choices[0].logprobs.content), SENTENCE)


@check("several answers (n)")
def several(gate: Gate) -> None:
    same([c.message.content for c in ask(gate, n=3).choices], [SENTENCE] * 3)


@check("usage")
def usage(gate: Gate) -> None:
    used = ask(gate).usage
    same((used.prompt_tokens, used.completion_tokens, used.total_tokens), (11, 3, 14))
    same(used.prompt_tokens_details.cached_tokens, 4)


@check("usage, streamed")
def usage_streamed(gate: Gate) -> None:
    chunks = list(ask(gate, stream=True, stream_options={"include_usage": True}))
    same(chunks[-1].usage.total_tokens, 14)


@check("error 400")
def bad_request(gate: Gate) -> None:
    raised(litellm.ContextWindowExceededError, lambda: ask(gate, "openai/strict"))


@check("error 401")
def unauthorized(gate: Gate) -> None:
    raised(litellm.AuthenticationError, lambda: ask(gate, api_key="wrong"))
    raised(
        litellm.AuthenticationError,
        lambda: ask(gate, "anthropic/talk", api_base=gate.root, api_key="wrong"),
    )


@check("error 404")
def not_found(gate: Gate) -> None:
    raised(litellm.NotFoundError, lambda: ask(gate, "openai/gpt-99"))


@check("error 429")
def too_many(gate: Gate) -> None:
    error = raised(litellm.RateLimitError, lambda: ask(gate, "openai/busy"))
    same(error.status_code, 429)


@check("error 502")
def bad_gateway(gate: Gate) -> None:
    for model in ("openai/ill", "openai/locked"):
        error = raised(litellm.BadGatewayError, lambda model=model: ask(gate, model))  # type: ignore[misc]
        same(error.status_code, 502)


@check("error in a stream")
def broken_stream(gate: Gate) -> None:
    raised(
        litellm.exceptions.MidStreamFallbackError,
        lambda: list(ask(gate, "openai/dropping", stream=True)),
    )


@check("responses")
def responses(gate: Gate) -> None:
    for model in ("openai/talk", "openai/native"):
        answer: Any = litellm.responses(
            model=model, input="Say a sentence.", api_base=gate.url, api_key=gate.key
        )
        same((answer.output[0].content[0].text, answer.usage.output_tokens), (SENTENCE, 3))


@check("responses, streamed")
def responses_streamed(gate: Gate) -> None:
    stream: Any = litellm.responses(
        model="openai/talk", input="x", stream=True, api_base=gate.url, api_key=gate.key
    )
    deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
    same("".join(deltas), SENTENCE)


@check("embeddings")
def embeddings(gate: Gate) -> None:
    found = litellm.embedding(
        model="openai/talk", input=["a", "b"], api_base=gate.url, api_key=gate.key
    )
    same([one["embedding"] for one in found.data], [[0.5, -0.25]] * 2)


@check("completions (legacy)")
def completions(gate: Gate) -> None:
    found = litellm.text_completion(
        model="text-completion-openai/talk", prompt="x", api_base=gate.url, api_key=gate.key
    )
    same(found.choices[0].text, "fox")


@check("models")
def models(gate: Gate) -> None:
    found = litellm.get_valid_models(
        check_provider_endpoint=True,
        custom_llm_provider="litellm_proxy",
        api_base=gate.root,
        api_key=gate.key,
    )
    assert "litellm_proxy/talk" in found, found


@check("Azure deployments")
def azure_deployments(gate: Gate) -> None:
    given = {"api_base": gate.root, "api_version": "2024-10-21"}
    same(ask(gate, "azure/talk", **given).choices[0].message.content, SENTENCE)
    same(said(list(ask(gate, "azure/talk", stream=True, **given))), SENTENCE)
    found = litellm.embedding(model="azure/talk", input=["a"], api_key=gate.key, **given)
    same(found.data[0]["embedding"], [0.5, -0.25])


@check("Azure errors")
def azure_errors(gate: Gate) -> None:
    given = {"api_base": gate.root, "api_version": "2024-10-21"}
    raised(litellm.NotFoundError, lambda: ask(gate, "azure/gpt-99", **given))
    raised(litellm.RateLimitError, lambda: ask(gate, "azure/busy", **given))
    raised(
        litellm.AuthenticationError, lambda: ask(gate, "azure/talk", **{**given, "api_key": "x"})
    )


@check("an Anthropic upstream")
def anthropic_upstream(gate: Gate) -> None:
    answer = ask(gate, "anthropic/claude", api_base=gate.root)
    same(answer.choices[0].message.content, SENTENCE)
    same((answer.usage.prompt_tokens, answer.usage.completion_tokens), (13, 3))


@check("an Azure upstream")
def azure_upstream(gate: Gate) -> None:
    same(ask(gate, "openai/gpt").choices[0].message.content, SENTENCE)


if __name__ == "__main__":
    main("litellm", "openai")
