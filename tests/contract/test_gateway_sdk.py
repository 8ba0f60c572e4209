"""The unmodified `openai` SDK against a real gateway worker."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.contract.gateway_process import (
    USAGE,
    WORDS,
    Gateway,
    ModelServer,
    running_gateway,
)

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say a sentence."}]


@pytest.fixture(scope="module")
def gateway(upstream: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("sdk"), upstream, body_bytes_max=20_000
    ) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        yield sdk


def test_plain(client: openai.OpenAI, upstream: ModelServer) -> None:
    response = client.chat.completions.with_raw_response.create(
        model="talk", messages=MESSAGES, seed=7
    )
    completion = response.parse()
    assert completion.choices[0].message.content == "".join(WORDS)
    assert completion.usage is not None
    assert completion.usage.total_tokens == USAGE["total_tokens"]
    assert response.headers["x-request-id"].startswith("req_")
    assert upstream.asked[-1] == {"model": "talk", "messages": MESSAGES, "seed": 7}
    assert "authorization: Bearer sk-upstream" in upstream.heads[-1]
    assert f"x-request-id: {response.headers['x-request-id']}" in upstream.heads[-1]


def test_streaming_without_asking_for_usage(client: openai.OpenAI, upstream: ModelServer) -> None:
    chunks = list(client.chat.completions.create(model="talk", messages=MESSAGES, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "".join(WORDS)
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert upstream.asked[-1]["stream_options"] == {"include_usage": True}


def test_streaming_with_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="talk",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == USAGE["prompt_tokens"]


def test_many_requests_share_few_connections(client: openai.OpenAI, upstream: ModelServer) -> None:
    client.chat.completions.create(model="talk", messages=MESSAGES)
    before = upstream.connections
    for _ in range(20):
        client.chat.completions.create(model="talk", messages=MESSAGES)
    assert upstream.connections <= before + 1


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"talk", "limit", "down"} <= names
    assert "silent" not in names  # it has no price
    assert client.models.retrieve("talk").owned_by == "quartermaster"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("org/unknown")


ERRORS: list[tuple[dict[str, Any], type[openai.APIStatusError], int, str | None]] = [
    ({"model": "gpt-unknown"}, openai.NotFoundError, 404, "model_not_found"),
    ({"model": "silent"}, openai.PermissionDeniedError, 403, "model_not_priced"),
    ({"messages": []}, openai.BadRequestError, 400, "invalid_type"),
    ({"model": "limit"}, openai.RateLimitError, 429, "rate_limit_exceeded"),
    ({"model": "crash"}, openai.InternalServerError, 502, "upstream_error"),
    ({"model": "drop"}, openai.InternalServerError, 502, "upstream_dropped"),
    ({"model": "down"}, openai.InternalServerError, 502, "upstream_unreachable"),
    ({"user": "x" * 20_000}, openai.APIStatusError, 413, "request_too_large"),
    ({"model": "limit", "stream": True}, openai.RateLimitError, 429, "rate_limit_exceeded"),
    ({"model": "down", "stream": True}, openai.InternalServerError, 502, "upstream_unreachable"),
]


@pytest.mark.parametrize(("fields", "kind", "status", "code"), ERRORS)
def test_errors_are_the_sdk_s_own(
    client: openai.OpenAI,
    fields: dict[str, Any],
    kind: type[openai.APIStatusError],
    status: int,
    code: str | None,
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{"model": "talk", "messages": MESSAGES, **fields})
    error = caught.value
    assert (error.status_code, error.code) == (status, code)
    assert error.request_id is not None
    assert error.request_id.startswith("req_")
    if status == 429:
        assert error.response.headers["retry-after"] == "17"


@pytest.mark.parametrize("key", ["qm-", "qm-wrong"])
def test_a_bad_key(gateway: Gateway, key: str) -> None:
    with (
        openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0) as sdk,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        sdk.models.list()
    assert (caught.value.status_code, caught.value.code) == (401, "invalid_api_key")


def test_a_stream_that_drops_raises_instead_of_ending(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="drop", messages=MESSAGES, stream=True)
    words = []
    with pytest.raises(openai.APIError) as caught:
        words += [chunk.choices[0].delta.content for chunk in stream]
    assert caught.value.code == "upstream_dropped"


def test_leaving_a_stream_early(client: openai.OpenAI, gateway: Gateway) -> None:
    stream = client.chat.completions.create(model="babble", messages=MESSAGES, stream=True)
    for _, _ in zip(range(5), stream, strict=False):
        pass
    stream.close()
    assert client.models.retrieve("talk").id == "talk"


def test_the_asynchronous_client_runs_requests_at_once(gateway: Gateway) -> None:
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=gateway.url, api_key=gateway.key) as sdk:
            create = sdk.chat.completions.create
            asked = [create(model="talk", messages=MESSAGES) for _ in range(24)]
            return [one.choices[0].message.content for one in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == ["".join(WORDS)] * 24
