"""The unmodified SDKs of OpenAI, Azure OpenAI and Anthropic against a real gateway worker."""

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import MessageParam, ToolParam
from openai.types.responses import FunctionToolParam, ResponseInputParam
from tests.contract.dialect_server import (
    CLAUDE_USAGE,
    COMPLETED,
    EMBEDDED,
    DialectGateway,
    DialectServer,
)

from quartermaster.kernel.units import Counts

SENTENCE = "The quick fox"
HELLO: list[MessageParam] = [{"role": "user", "content": "Say a sentence."}]
TOOL: ToolParam = {
    "name": "look",
    "description": "Looks.",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
}
FUNCTION: FunctionToolParam = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object"},
    "strict": False,
}
COUNTS = Counts(7, 4, 0, 2, 1)


@pytest.fixture(scope="module")
def upstream() -> Iterator[DialectServer]:
    with DialectServer().running() as server:
        yield server  # type: ignore[misc]


@pytest.fixture(scope="module")
def gateway(
    upstream: DialectServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DialectGateway]:
    running = DialectGateway(tmp_path_factory.mktemp("dialects"), upstream.port)
    yield running
    running.process.kill()
    running.process.communicate()


@pytest.fixture
def claude(gateway: DialectGateway) -> Iterator[anthropic.Anthropic]:
    base = gateway.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=base, api_key=gateway.key, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def chat(gateway: DialectGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def azure(gateway: DialectGateway) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url.removesuffix("/v1"),
        api_key=gateway.key,
        api_version="2024-10-21",
        max_retries=0,
    ) as sdk:
        yield sdk


# -- Anthropic ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["talk", "gpt", "claude"])
def test_messages_plain(claude: anthropic.Anthropic, model: str) -> None:
    message = claude.messages.create(model=model, max_tokens=50, messages=HELLO, system="Brief.")
    (block,) = message.content
    assert block.type == "text"
    assert block.text == SENTENCE
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (7, 4)
    assert message.usage.output_tokens == 3
    assert message._request_id is not None
    assert message._request_id.startswith("req_")


@pytest.mark.parametrize("model", ["talk", "gpt", "claude"])
def test_messages_streaming(claude: anthropic.Anthropic, model: str) -> None:
    with claude.messages.stream(model=model, max_tokens=50, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == SENTENCE
        message = stream.get_final_message()
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 3)


def test_messages_with_a_tool(claude: anthropic.Anthropic) -> None:
    asked = claude.messages.create(model="talk", max_tokens=50, messages=HELLO, tools=[TOOL])
    (call,) = asked.content
    assert call.type == "tool_use"
    assert (call.name, call.input, asked.stop_reason) == ("look", {"at": "sky"}, "tool_use")
    result: list[MessageParam] = [
        *HELLO,
        {"role": "assistant", "content": asked.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "blue"}],
        },
    ]
    told = claude.messages.create(model="talk", max_tokens=50, messages=result, tools=[TOOL])
    assert told.content[0].type == "text"


def test_messages_streaming_with_a_tool(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(
        model="talk", max_tokens=50, messages=HELLO, tools=[TOOL]
    ) as stream:
        message = stream.get_final_message()
    (call,) = message.content
    assert call.type == "tool_use"
    assert (call.id, call.input) == ("call_1", {"at": "sky"})


def test_counting_tokens(claude: anthropic.Anthropic) -> None:
    assert claude.messages.count_tokens(model="talk", messages=HELLO).input_tokens > 0


def test_models(claude: anthropic.Anthropic, chat: openai.OpenAI) -> None:
    seen = list(claude.models.list())
    assert [model.id for model in seen] == ["busy", "claude", "gpt", "talk"]
    assert seen[0].display_name == "busy"
    assert seen[0].created_at.year == 1970
    assert claude.models.retrieve("talk").type == "model"
    assert [model.id for model in chat.models.list()] == [model.id for model in seen]


def test_anthropic_errors(gateway: DialectGateway, claude: anthropic.Anthropic) -> None:
    def ask(model: str = "talk", **fields: Any) -> None:
        claude.messages.create(model=model, max_tokens=9, messages=HELLO, **fields)

    with pytest.raises(anthropic.NotFoundError) as missing:
        ask("none")
    assert missing.value.type == "not_found_error"
    assert missing.value.request_id is not None
    with pytest.raises(anthropic.RateLimitError) as busy:
        ask("busy")
    assert busy.value.api_message == "slow down"
    assert busy.value.response.headers["retry-after"] == "3"
    with pytest.raises(anthropic.BadRequestError):
        ask(extra_body={"container": "c"})
    base = gateway.url.removesuffix("/v1")
    with (
        anthropic.Anthropic(base_url=base, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model="talk", max_tokens=9, messages=HELLO)


def test_the_key_in_anthropics_own_header(gateway: DialectGateway, upstream: DialectServer) -> None:
    base = gateway.url.removesuffix("/v1")
    keyed: Any = {"x-api-key": gateway.key, "Authorization": anthropic.omit}
    with anthropic.Anthropic(
        base_url=base, api_key="", default_headers=keyed, max_retries=0
    ) as sdk:
        message = sdk.messages.create(model="claude", max_tokens=9, messages=HELLO)
    assert message.content
    assert "x-api-key: sk-upstream" in upstream.heads[-1]
    assert gateway.key not in upstream.heads[-1]


# -- OpenAI ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["talk", "claude"])
def test_responses_plain(chat: openai.OpenAI, model: str) -> None:
    response = chat.responses.create(model=model, input="Say a sentence.", store=False)
    assert (response.output_text, response.status) == (SENTENCE, "completed")
    assert response.usage is not None
    assert response.usage.input_tokens_details.cached_tokens == 4
    assert response.usage.output_tokens == 3


@pytest.mark.parametrize("model", ["talk", "claude"])
def test_responses_streaming(chat: openai.OpenAI, model: str) -> None:
    with chat.responses.stream(model=model, input="Say a sentence.") as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    assert numbers == sorted(numbers)
    assert final.output_text == SENTENCE
    assert final.usage is not None


def test_responses_with_a_tool(chat: openai.OpenAI) -> None:
    asked = chat.responses.create(model="talk", input="Look.", tools=[FUNCTION])
    (call,) = asked.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("look", '{"at": "sky"}')
    result: ResponseInputParam = [
        {"role": "user", "content": "Look."},
        {
            "type": "function_call",
            "call_id": call.call_id,
            "name": call.name,
            "arguments": call.arguments,
        },
        {"type": "function_call_output", "call_id": call.call_id, "output": "blue"},
    ]
    told = chat.responses.create(model="talk", input=result, tools=[FUNCTION])
    assert told.output_text == SENTENCE
    with chat.responses.stream(model="talk", input="Look.", tools=[FUNCTION]) as stream:
        for _ in stream:
            pass
        (again,) = stream.get_final_response().output
    assert again.type == "function_call"


def test_stored_responses_are_refused(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="not stored") as refused:
        chat.responses.create(model="talk", input="x", previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"
    with pytest.raises(openai.NotFoundError):
        chat.responses.retrieve("resp_1")


def test_chat_over_a_native_upstream(chat: openai.OpenAI) -> None:
    completion = chat.chat.completions.create(
        model="claude", messages=[{"role": "user", "content": "Say a sentence."}]
    )
    assert completion.choices[0].message.content == SENTENCE
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 13
    chunks = list(
        chat.chat.completions.create(
            model="claude",
            messages=[{"role": "user", "content": "Say a sentence."}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert text == SENTENCE
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == CLAUDE_USAGE["output_tokens"]


def test_embeddings(chat: openai.OpenAI) -> None:
    found = chat.embeddings.create(model="talk", input="x", encoding_format="float")
    assert found.data[0].embedding == [0.5, -0.25]
    assert found.usage.prompt_tokens == EMBEDDED["prompt_tokens"]


def test_legacy_completions(chat: openai.OpenAI) -> None:
    found = chat.completions.create(model="talk", prompt="x")
    assert found.choices[0].text == "fox"
    assert found.usage is not None
    assert found.usage.total_tokens == COMPLETED["total_tokens"]
    chunks = list(chat.completions.create(model="talk", prompt="x", stream=True))
    assert [one.choices[0].text for one in chunks] == ["fox"]


def test_transcriptions(chat: openai.OpenAI, upstream: DialectServer) -> None:
    heard = chat.audio.transcriptions.create(model="talk", file=("a.wav", b"RIFF\x00\xff"))
    assert heard.text == SENTENCE
    form = upstream.asked[-1]["form"]
    assert b"theirs" in form
    assert b"RIFF\x00\xff" in form


# -- Azure -------------------------------------------------------------------------------------


def test_azure_deployments(azure: openai.AzureOpenAI) -> None:
    completion = azure.chat.completions.create(
        model="talk", messages=[{"role": "user", "content": "Say a sentence."}]
    )
    assert completion.choices[0].message.content == SENTENCE
    chunks = list(
        azure.chat.completions.create(
            model="talk",
            messages=[{"role": "user", "content": "Say a sentence."}],
            stream=True,
        )
    )
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == SENTENCE
    assert azure.embeddings.create(model="talk", input="x", encoding_format="float").data
    assert azure.responses.create(model="talk", input="x").output_text == SENTENCE
    with pytest.raises(openai.NotFoundError) as missing:
        azure.chat.completions.create(model="none", messages=[{"role": "user", "content": "x"}])
    assert missing.value.code == "DeploymentNotFound"
    with pytest.raises(openai.RateLimitError) as busy:
        azure.chat.completions.create(model="busy", messages=[{"role": "user", "content": "x"}])
    assert busy.value.code == "429"  # in Azure's words, whoever the upstream is


def test_azure_v1(gateway: DialectGateway) -> None:
    base = gateway.url.replace("/v1", "/openai/v1/")
    with openai.OpenAI(base_url=base, api_key=gateway.key, max_retries=0) as sdk:
        assert sdk.responses.create(model="talk", input="x").output_text == SENTENCE
        assert sdk.embeddings.create(model="talk", input="x", encoding_format="float").data
        assert "talk" in [model.id for model in sdk.models.list()]


# -- the meter ---------------------------------------------------------------------------------

ASK: list[tuple[str, Counts, Callable[[openai.OpenAI, anthropic.Anthropic], object]]] = [
    (
        "messages",
        COUNTS,
        lambda _, claude: claude.messages.create(model="talk", max_tokens=9, messages=HELLO),
    ),
    (
        "messages",
        Counts(7, 4, 2, 3),
        lambda _, claude: claude.messages.create(model="claude", max_tokens=9, messages=HELLO),
    ),
    ("responses", COUNTS, lambda chat, _: chat.responses.create(model="gpt", input="x")),
    (
        "embeddings",
        Counts(8),
        lambda chat, _: chat.embeddings.create(model="talk", input="x", encoding_format="float"),
    ),
    (
        "completions",
        Counts(11, output=3),
        lambda chat, _: list(chat.completions.create(model="talk", prompt="x", stream=True)),
    ),
    (
        "chat.completions",
        Counts(7, 4, 2, 3),
        lambda chat, _: chat.chat.completions.create(
            model="claude", messages=[{"role": "user", "content": "x"}]
        ),
    ),
]


def test_every_dialect_is_metered(
    upstream: DialectServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway = DialectGateway(tmp_path_factory.mktemp("metered"), upstream.port)
    base = gateway.url.removesuffix("/v1")
    with (
        openai.OpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0) as chat,
        anthropic.Anthropic(base_url=base, api_key=gateway.key, max_retries=0) as claude,
    ):
        for _, _, ask in ASK:
            ask(chat, claude)
    rows = gateway.stop()
    assert [(row.opened.endpoint, row.closed.counts) for row in rows] == [
        (endpoint, counts) for endpoint, counts, _ in ASK
    ]
    assert {row.status for row in rows} == {"closed"}
    assert all(row.closed.count_source == "upstream" for row in rows)
    assert all(row.closed.upstream_usage for row in rows)
    heavy = {"numpy", "jinja2", "sqlalchemy", "pyarrow", "pydantic"}
    assert not heavy.intersection(gateway.modules)
