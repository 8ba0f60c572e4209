"""How large one request may be: of keys with and without a budget."""

import json
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO,
    HELLO_STREAM,
    STREAM_HEAD,
    TOY,
    Bench,
    FakeClient,
    a_grant,
    an_index,
    chat_request,
    chunked,
    delta,
    plain_response,
    raw_request,
    usage_frame,
)

from quartermaster.gateway.caps import TIME_OVER
from quartermaster.gateway.index import build
from quartermaster.gateway.output_cap import ABOVE_CAP
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import Snapshot

MESSAGES: dict[str, Any] = {**HELLO, "max_tokens": 5}
RESPONSES: dict[str, Any] = {"model": "toy", "input": "Hello"}
LEGACY: dict[str, Any] = {"model": "toy", "prompt": "Hello"}


def bench_of(api: DeploymentApi = "openai", **limits: int) -> Bench:
    toy = type(TOY)(TOY.name, TOY.model, TOY.url, TOY.upstream_model, api=api)
    return Bench(an_index(a_grant(limits=Limits(**limits)), deployments=(toy,)))


def told(bench: Bench, body: dict[str, Any], path: str = "/v1/chat/completions") -> dict[str, Any]:
    """What the model server is asked."""
    exchange = bench.request(raw_request("POST", path, body), client := bench.client())
    assert exchange is not None, client.data
    asked: dict[str, Any] = json.loads(exchange.upstream_bytes.partition(b"\r\n\r\n")[2])
    return asked


def refusal(
    bench: Bench, body: dict[str, Any], path: str = "/v1/chat/completions"
) -> tuple[FakeClient, dict[str, Any]]:
    client = bench.client()
    assert bench.request(raw_request("POST", path, body), client) is None
    return client, client.error


@pytest.mark.parametrize(
    ("api", "path", "body", "name"),
    [
        ("openai", "/v1/chat/completions", HELLO, "max_tokens"),
        ("azure", "/v1/chat/completions", HELLO, "max_completion_tokens"),
        ("openai", "/v1/completions", LEGACY, "max_tokens"),
        ("openai", "/v1/responses", RESPONSES, "max_tokens"),
        ("openai-responses", "/v1/responses", RESPONSES, "max_output_tokens"),
        ("anthropic", "/v1/chat/completions", HELLO, "max_tokens"),
    ],
)
def test_an_answer_without_a_limit_gets_the_cap_of_its_key(
    api: DeploymentApi, path: str, body: dict[str, Any], name: str
) -> None:
    assert told(bench_of(api, output_tokens=77), body, path)[name] == 77


def test_an_answer_within_the_cap_stays_as_it_was_asked() -> None:
    bench = bench_of(output_tokens=77)
    asked = told(bench, {**HELLO, "max_tokens": 77, "n": 2})
    assert (asked["max_tokens"], asked["n"]) == (77, 2)
    assert "max_completion_tokens" not in asked
    assert told(bench, {**HELLO, "max_completion_tokens": 3}).get("max_tokens") is None


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {**HELLO, "max_tokens": 78}, "max_tokens"),
        ("/v1/chat/completions", {**HELLO, "max_completion_tokens": 78}, "max_completion_tokens"),
        ("/v1/chat/completions", {**HELLO, "max_tokens": "78"}, "max_tokens"),
        ("/v1/chat/completions", {**HELLO, "n_predict": 78}, "n_predict"),
        ("/v1/chat/completions", {**HELLO, "n": "2"}, "n"),
        ("/v1/completions", {**LEGACY, "max_tokens": 78}, "max_tokens"),
        ("/v1/responses", {**RESPONSES, "max_output_tokens": 78}, "max_output_tokens"),
    ],
)
def test_who_asks_for_more_is_refused_by_name(path: str, body: dict[str, Any], param: str) -> None:
    bench = bench_of(output_tokens=77)
    client, error = refusal(bench, body, path)
    assert (client.status, error["param"]) == (400, param)
    assert bench.wal.open == {}


def test_an_anthropic_client_is_refused_in_its_words() -> None:
    client, error = refusal(bench_of(output_tokens=4), MESSAGES, "/v1/messages")
    assert (client.status, error["type"]) == (400, "invalid_request_error")
    assert "max_tokens" in error["message"]


def test_embeddings_have_no_output_to_cap() -> None:
    asked = told(bench_of(output_tokens=4), {"model": "toy", "input": "x"}, "/v1/embeddings")
    assert set(asked) == {"model", "input"}


def test_the_tightest_of_key_project_and_group_counts() -> None:
    grant = a_grant(limits=Limits(output_tokens=90, body_bytes=5_000))
    snapshot = Snapshot(
        2,
        0,
        (grant,),
        {},
        (TOY,),
        group_limits={"grp_1": Limits(output_tokens=30, requests_per_minute=9)},
        project_limits={"cus_1/default": Limits(output_tokens=60)},
    )
    bench = Bench(build(snapshot, {}))
    assert told(bench, HELLO)["max_tokens"] == 30
    client, _ = refusal(bench, {**HELLO, "user": "x" * 5_000})
    assert client.status == 413


def test_a_larger_body_is_refused() -> None:
    bench = bench_of(body_bytes=200)
    told(bench, HELLO)
    client, error = refusal(bench, {**HELLO, "user": "x" * 200})
    assert (client.status, error["code"]) == (413, "request_too_large")
    long_prompt = {**LEGACY, "prompt": "x" * 200}
    assert refusal(bench, long_prompt, "/v1/completions")[0].status == 413


def test_a_stream_that_ignores_the_cap_ends_at_it() -> None:
    """As with a budget, but there is no budget here."""
    bench = bench_of(output_tokens=10)
    client = bench.client()
    exchange = bench.send(HELLO_STREAM, client)
    bench.answer(exchange, STREAM_HEAD + b"".join(chunked(delta(" word")) for _ in range(40)))
    bench.wal.sync()
    assert bench.upstream.calls[-1] == "abort"
    assert bench.wal.only_close.failure == ABOVE_CAP
    assert b'"finish_reason":"length"' in client.body
    assert client.body.endswith(DONE)


def test_a_stream_that_obeys_is_left_alone() -> None:
    bench = bench_of(output_tokens=10)
    exchange = bench.send(HELLO_STREAM, bench.client())
    frames = [*(delta("x") for _ in range(10)), delta("", "length"), usage_frame(9, 10), DONE]
    bench.answer(exchange, STREAM_HEAD + b"".join(chunked(one) for one in frames) + b"0\r\n\r\n")
    closed = bench.wal.only_close
    assert (closed.failure, closed.counts.output) == ("", 10)


@pytest.mark.parametrize("body", [HELLO, HELLO_STREAM])
def test_an_answer_that_takes_too_long_is_ended_with_a_word_of_why(body: dict[str, Any]) -> None:
    bench = bench_of(stream_seconds=30)
    bench.relay.tick(1_000)
    client = bench.client()
    exchange = bench.send(body, client)
    if body is HELLO_STREAM:
        bench.answer(exchange, STREAM_HEAD + chunked(delta("Hi")))
    bench.relay.tick(1_031)
    assert not bench.wal.closes
    bench.relay.tick(1_032)
    closed = bench.wal.only_close
    assert closed.failure == TIME_OVER
    assert closed.counts.output == (1 if body is HELLO_STREAM else 0)
    bench.wal.sync()
    assert TIME_OVER.encode() in client.data
    assert bench.upstream.calls[-1] == "abort"
    if body is HELLO:
        assert client.status == 403


def test_a_limit_of_time_does_not_end_what_has_ended() -> None:
    bench = bench_of(stream_seconds=30)
    exchange = bench.send(HELLO, bench.client())
    answer = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    bench.answer(exchange, plain_response(answer))
    bench.relay.tick(1_000)
    bench.wal.sync()
    assert bench.wal.only_close.failure == ""


def test_a_key_without_limits_is_held_to_nothing() -> None:
    bench = Bench()
    asked = told(bench, {**HELLO, "max_tokens": 10**9})
    assert asked["max_tokens"] == 10**9
    exchange = bench.request(chat_request(HELLO), bench.client())
    assert exchange is not None
    assert exchange.permit is None
