"""Limits on a real gateway worker, as unmodified SDKs meet them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import anthropic
import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.contract.gateway_process import (
    Gateway,
    ModelServer,
    running_gateway,
    until,
)

from quartermaster.kernel.ids import new_key_secret
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import decode, write

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say a sentence."}]
TOKENS = 14


def publish(gateway: Gateway, secrets: list[str], own: Limits | None, shared: Limits) -> None:
    """Keys of one group, each with these limits, and limits that they share."""
    group = f"grp_{secrets[0][-6:]}"
    gateway.publish(*(gateway.grant(secret, group=group, limits=own) for secret in secrets))
    path = gateway.var / "snapshot.json"
    gateway.version += 1
    snapshot = msgspec.structs.replace(
        decode(path.read_bytes()), version=gateway.version, group_limits={group: shared}
    )
    write(path, snapshot)
    until(lambda: gateway.status.snapshot_version == gateway.version)


def limited(gateway: Gateway, **limits: int) -> str:
    """A key of its own group with limits."""
    secret = new_key_secret()
    publish(gateway, [secret], Limits(**limits), Limits())
    return secret


@contextmanager
def sdk_of(gateway: Gateway, key: str, *, retries: int = 0) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=retries) as sdk:
        yield sdk


def ask(sdk: openai.OpenAI, max_tokens: int = 10) -> dict[str, str]:
    """One plain answer; its headers."""
    answer = sdk.chat.completions.with_raw_response.create(
        model="talk", messages=MESSAGES, max_tokens=max_tokens
    )
    assert answer.status_code == 200
    return dict(answer.headers)


def refusals(gateway: Gateway) -> int:
    """How many were refused for a limit, by a status that is newer than the question."""
    asked_at = time.time_ns() // 1_000
    until(lambda: gateway.status.at > asked_at)
    return gateway.status.refusals.get("rate_limit_exceeded", 0)


def test_the_request_over_the_limit_is_told_when_to_come_back(gateway: Gateway) -> None:
    with sdk_of(gateway, limited(gateway, requests_per_minute=3)) as sdk:
        remaining = [ask(sdk)["x-ratelimit-remaining-requests"] for _ in range(3)]
        assert remaining == ["2", "1", "0"]
        with pytest.raises(openai.RateLimitError) as caught:
            ask(sdk)
    error, headers = caught.value, caught.value.response.headers
    assert (error.code, error.type) == ("rate_limit_exceeded", "requests")
    assert 15_000 < int(headers["retry-after-ms"]) <= 20_000
    assert int(headers["retry-after"]) == -(-int(headers["retry-after-ms"]) // 1_000)
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    assert "x-ratelimit-limit-tokens" not in headers
    assert refusals(gateway) >= 1


def test_the_sdk_waits_as_long_as_it_is_told_and_passes(
    gateway: Gateway, upstream: ModelServer
) -> None:
    told, asked, passed = refusals(gateway), len(upstream.asked), 0
    # One request in 1.5 s, and the SDK's own first pause would be half a second at most: if it did
    # not wait as it is told, its only other try would be refused as well.
    with sdk_of(gateway, limited(gateway, requests_per_minute=40), retries=1) as sdk:
        while gateway.status.refusals.get("rate_limit_exceeded", 0) == told:
            ask(sdk)
            passed += 1
    assert passed > 40
    assert len(upstream.asked) == asked + passed


def test_tokens_are_corrected_by_what_was_metered(gateway: Gateway) -> None:
    with sdk_of(gateway, limited(gateway, tokens_per_minute=6_000)) as sdk:
        first = ask(sdk, 5_000)
        assert int(first["x-ratelimit-remaining-tokens"]) < 1_000
        # Had the estimate stayed, this would have to wait.
        second = ask(sdk, 5_000)
        given_back = int(second["x-ratelimit-remaining-tokens"])
        assert int(first["x-ratelimit-remaining-tokens"]) - given_back <= TOKENS


def test_what_can_never_pass_is_not_tried_again(gateway: Gateway) -> None:
    key = limited(gateway, tokens_per_minute=6_000)
    before = refusals(gateway)
    with sdk_of(gateway, key, retries=5) as sdk, pytest.raises(openai.RateLimitError) as caught:
        ask(sdk, 7_000)
    assert caught.value.type == "tokens"
    assert "Request too large" in caught.value.message
    assert refusals(gateway) == before + 1


def test_an_open_stream_counts_until_it_is_read_or_left(gateway: Gateway) -> None:
    with sdk_of(gateway, limited(gateway, concurrent=1)) as sdk:
        stream = sdk.chat.completions.create(model="babble", messages=MESSAGES, stream=True)
        next(iter(stream))
        with pytest.raises(openai.RateLimitError) as caught:
            ask(sdk)
        assert caught.value.response.headers["retry-after"] == "1"
        stream.close()
        until(lambda: passes(sdk))
        list(sdk.chat.completions.create(model="talk", messages=MESSAGES, stream=True))
        until(lambda: passes(sdk))
        with pytest.raises(openai.InternalServerError):
            sdk.chat.completions.create(model="down", messages=MESSAGES)
        until(lambda: passes(sdk))


def passes(sdk: openai.OpenAI) -> bool:
    try:
        ask(sdk)
    except openai.RateLimitError:
        return False
    return True


def test_keys_of_a_group_share_its_limits_until_they_are_lifted(gateway: Gateway) -> None:
    secrets = [new_key_secret(), new_key_secret()]
    publish(gateway, secrets, None, Limits(requests_per_minute=2))
    for secret in secrets:
        with sdk_of(gateway, secret) as sdk:
            ask(sdk)
    with sdk_of(gateway, secrets[0]) as sdk:
        with pytest.raises(openai.RateLimitError, match="this account"):
            ask(sdk)
        publish(gateway, secrets, None, Limits(requests_per_minute=4))
        ask(sdk)
        gateway.publish(*(gateway.grant(secret) for secret in secrets))
        until(lambda: gateway.status.snapshot_version == gateway.version)
        assert "x-ratelimit-limit-requests" not in ask(sdk)


def test_anthropic_s_sdk_reads_its_own_headers(gateway: Gateway) -> None:
    key = limited(gateway, requests_per_minute=2, tokens_per_minute=6_000)
    base = gateway.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=base, api_key=key, max_retries=0) as sdk:
        messages = sdk.messages.with_raw_response
        for stream in (False, True):
            answer = messages.create(
                model="talk",
                max_tokens=9,
                stream=stream,
                messages=[{"role": "user", "content": "Say a sentence."}],
            )
            assert answer.headers["anthropic-ratelimit-requests-limit"] == "2"
            assert int(answer.headers["anthropic-ratelimit-tokens-remaining"]) < 6_000
            answer.http_response.read()
        with pytest.raises(anthropic.RateLimitError) as caught:
            sdk.messages.create(
                model="talk", max_tokens=9, messages=[{"role": "user", "content": "More."}]
            )
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["error"]["type"] == "rate_limit_error"
    headers = caught.value.response.headers
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert 20 <= int(headers["retry-after"]) <= 30


def test_azure_s_error_and_seconds(gateway: Gateway) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url.removesuffix("/v1"),
        api_key=limited(gateway, requests_per_minute=1),
        api_version="2024-10-21",
        max_retries=0,
    ) as sdk:
        assert ask(sdk)["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as caught:
            ask(sdk)
    assert caught.value.code == "429"
    assert 50 <= int(caught.value.response.headers["x-ratelimit-reset-requests"]) <= 60


def test_a_worker_of_several_lets_its_share_pass(
    upstream: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_gateway(tmp_path_factory.mktemp("two"), upstream, workers=2) as one_of_two:
        key = limited(one_of_two, requests_per_minute=5)
        with sdk_of(one_of_two, key) as sdk:
            told = [ask(sdk) for _ in range(3)]
            with pytest.raises(openai.RateLimitError):
                ask(sdk)
    assert [headers["x-ratelimit-limit-requests"] for headers in told] == ["5", "5", "5"]
    assert [headers["x-ratelimit-remaining-requests"] for headers in told] == ["2", "1", "0"]
