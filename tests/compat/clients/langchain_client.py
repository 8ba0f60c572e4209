"""LangChain's OpenAI package: chat, embeddings, Azure and the Responses API."""

import asyncio
import json
from typing import Any

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import (
    AzureChatOpenAI,
    AzureOpenAIEmbeddings,
    ChatOpenAI,
    OpenAI,
    OpenAIEmbeddings,
)
from pydantic import BaseModel
from tests.compat.clients.checks import (
    ARGUMENTS,
    PNG,
    SENTENCE,
    TOOL,
    Gate,
    check,
    main,
    raised,
    same,
)

ASK = "Say a sentence."


class Animal(BaseModel):
    """An animal."""

    animal: str
    legs: int


def chat_model(gate: Gate, model: str = "talk", **fields: Any) -> Any:
    given = {"base_url": gate.url, "api_key": gate.key, "max_retries": 0, **fields}
    return ChatOpenAI(model=model, **given)


def azure(gate: Gate, model: str = "talk", **fields: Any) -> Any:
    given = {"azure_endpoint": gate.root, "api_key": gate.key, "api_version": "2024-10-21"}
    return AzureChatOpenAI(azure_deployment=model, max_retries=0, **{**given, **fields})


@check("chat")
def chat(gate: Gate) -> None:
    answer = chat_model(gate).invoke(ASK)
    same((answer.content, answer.response_metadata["finish_reason"]), (SENTENCE, "stop"))


@check("chat, streamed")
def chat_streamed(gate: Gate) -> None:
    same("".join(chunk.text for chunk in chat_model(gate).stream(ASK)), SENTENCE)


@check("chat, asynchronous")
def chat_asynchronous(gate: Gate) -> None:
    answers = asyncio.run(chat_model(gate).abatch([ASK] * 8))
    same([answer.content for answer in answers], [SENTENCE] * 8)


@check("tools")
def tools(gate: Gate) -> None:
    for model in ("talk", "claude"):
        bound = chat_model(gate, model).bind_tools([TOOL])
        asked = bound.invoke(ASK)
        (call,) = asked.tool_calls
        same((call["name"], call["args"]), ("look", ARGUMENTS))
        turns = [HumanMessage(ASK), asked, ToolMessage("blue", tool_call_id=call["id"])]
        same(bound.invoke(turns).content, SENTENCE)


@check("tools, streamed")
def tools_streamed(gate: Gate) -> None:
    whole: Any = None
    for chunk in chat_model(gate).bind_tools([TOOL]).stream(ASK):
        whole = chunk if whole is None else whole + chunk
    (call,) = whole.tool_calls
    same((call["name"], call["args"]), ("look", ARGUMENTS))


@check("structured outputs")
def structured(gate: Gate) -> None:
    for model in ("talk", "claude"):
        same(
            chat_model(gate, model).with_structured_output(Animal).invoke(ASK),
            Animal(animal="fox", legs=4),
        )


@check("images in messages")
def images(gate: Gate) -> None:
    image = {"type": "image_url", "image_url": {"url": PNG}}
    said = chat_model(gate, "echo").invoke([HumanMessage([{"type": "text", "text": "x"}, image])])
    same(json.loads(said.content)["messages"][0]["content"][1], image)


@check("log probabilities")
def log_probabilities(gate: Gate) -> None:
    answer = chat_model(gate, logprobs=True, top_logprobs=1).invoke(ASK)
    tokens = answer.response_metadata["logprobs"]["content"]
    same("".join(one["token"] for one in tokens), SENTENCE)


@check("several answers (n)")
def several(gate: Gate) -> None:
    (found,) = chat_model(gate, n=3).generate([[HumanMessage(ASK)]]).generations
    same([one.text for one in found], [SENTENCE] * 3)


@check("usage")
def usage(gate: Gate) -> None:
    used = chat_model(gate).invoke(ASK).usage_metadata
    same((used["input_tokens"], used["output_tokens"], used["total_tokens"]), (11, 3, 14))
    same(used["input_token_details"]["cache_read"], 4)


@check("usage, streamed")
def usage_streamed(gate: Gate) -> None:
    whole: Any = None
    for chunk in chat_model(gate, stream_usage=True).stream(ASK):
        whole = chunk if whole is None else whole + chunk
    same(whole.usage_metadata["total_tokens"], 14)


@check("error 400")
def bad_request(gate: Gate) -> None:
    error = raised(openai.BadRequestError, lambda: chat_model(gate, "strict").invoke(ASK))
    same(error.code, "context_length_exceeded")


@check("error 401")
def unauthorized(gate: Gate) -> None:
    raised(openai.AuthenticationError, lambda: chat_model(gate, api_key="wrong").invoke(ASK))


@check("error 404")
def not_found(gate: Gate) -> None:
    raised(openai.NotFoundError, lambda: chat_model(gate, "gpt-99").invoke(ASK))


@check("error 429")
def too_many(gate: Gate) -> None:
    raised(openai.RateLimitError, lambda: chat_model(gate, "busy").invoke(ASK))


@check("error 502")
def bad_gateway(gate: Gate) -> None:
    for model in ("ill", "locked"):
        raised(
            openai.InternalServerError,
            lambda model=model: chat_model(gate, model).invoke(ASK),  # type: ignore[misc]
        )


@check("error in a stream")
def broken_stream(gate: Gate) -> None:
    raised(openai.APIError, lambda: list(chat_model(gate, "dropping").stream(ASK)))


@check("responses")
def responses(gate: Gate) -> None:
    for model in ("talk", "claude", "native"):
        answer = chat_model(gate, model, use_responses_api=True).invoke(ASK)
        same((answer.text, answer.usage_metadata["output_tokens"]), (SENTENCE, 3))


@check("responses, streamed")
def responses_streamed(gate: Gate) -> None:
    for model in ("talk", "claude", "native"):
        stream = chat_model(gate, model, use_responses_api=True).stream(ASK)
        same("".join(chunk.text for chunk in stream), SENTENCE)


@check("responses with tools")
def responses_tools(gate: Gate) -> None:
    bound = chat_model(gate, use_responses_api=True).bind_tools([TOOL])
    asked = bound.invoke(ASK)
    (call,) = asked.tool_calls
    same((call["name"], call["args"]), ("look", ARGUMENTS))
    turns = [HumanMessage(ASK), asked, ToolMessage("blue", tool_call_id=call["id"])]
    same(bound.invoke(turns).text, SENTENCE)


@check("responses, structured")
def responses_structured(gate: Gate) -> None:
    made = chat_model(gate, use_responses_api=True).with_structured_output(Animal).invoke(ASK)
    same(made, Animal(animal="fox", legs=4))


@check("embeddings")
def embeddings(gate: Gate) -> None:
    # The tokenizer that cuts long texts would be fetched from elsewhere.
    given: Any = {"base_url": gate.url, "api_key": gate.key, "check_embedding_ctx_length": False}
    made = OpenAIEmbeddings(model="talk", **given)
    same(made.embed_documents(["a", "b"]), [[0.5, -0.25]] * 2)
    same(made.embed_query("a"), [0.5, -0.25])


@check("completions (legacy)")
def completions(gate: Gate) -> None:
    given: Any = {"base_url": gate.url, "api_key": gate.key, "max_retries": 0}
    same(OpenAI(model="talk", **given).invoke("x"), "fox")


@check("Azure deployments")
def azure_deployments(gate: Gate) -> None:
    for model in ("talk", "gpt"):
        same(azure(gate, model).invoke(ASK).content, SENTENCE)
        same("".join(chunk.text for chunk in azure(gate, model).stream(ASK)), SENTENCE)
    given: Any = {"azure_endpoint": gate.root, "api_key": gate.key, "api_version": "2024-10-21"}
    made = AzureOpenAIEmbeddings(azure_deployment="talk", check_embedding_ctx_length=False, **given)
    same(made.embed_query("a"), [0.5, -0.25])


@check("Azure errors")
def azure_errors(gate: Gate) -> None:
    missing = raised(openai.NotFoundError, lambda: azure(gate, "gpt-99").invoke(ASK))
    same(missing.code, "DeploymentNotFound")
    raised(openai.RateLimitError, lambda: azure(gate, "busy").invoke(ASK))
    raised(openai.AuthenticationError, lambda: azure(gate, api_key="wrong").invoke(ASK))


@check("an Anthropic upstream")
def anthropic_upstream(gate: Gate) -> None:
    answer = chat_model(gate, "claude").invoke(ASK)
    same((answer.content, answer.usage_metadata["input_tokens"]), (SENTENCE, 13))


@check("an Azure upstream")
def azure_upstream(gate: Gate) -> None:
    same(chat_model(gate, "gpt").invoke(ASK).content, SENTENCE)


if __name__ == "__main__":
    main("langchain-openai", "langchain-core", "openai")
