"""Exchanges between dialects: metered, held back until durable, refused in the client's shape."""

import json
from typing import Any

import pytest
from tests.unit.gateway.dialect_cases import CHAT_STREAM, CHAT_USAGE, CLAUDE_STREAM, events
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    SECRET,
    STREAM_HEAD,
    TOY,
    Bench,
    FakeClient,
    an_index,
    chunked,
    plain_response,
    raw_request,
)

from quartermaster.gateway.exchange import Exchange
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.snapshot import Deployment
from quartermaster.kernel.units import Counts

MESSAGES: dict[str, Any] = {
    "model": "toy",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
RESPONSES: dict[str, Any] = {"model": "toy", "input": "Hello"}
END = b"0\r\n\r\n"
AZURE = "/openai/deployments/toy/chat/completions?api-version=2024-10-21"
COUNTS = Counts(7, 4, 2, 3, 1)
ANSWER = {
    "id": "chatcmpl-7",
    "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
    "usage": CHAT_USAGE,
}


def deployed(api: DeploymentApi, url: str = "http://127.0.0.1:9/v1") -> Bench:
    """A bench whose one model is served by such a server."""
    return Bench(an_index(deployments=(Deployment("toy@here", "toy", url, "theirs", api=api),)))


def asked(
    bench: Bench, target: str, body: dict[str, Any] | bytes, **headers: str
) -> tuple[Exchange, FakeClient, bytes]:
    """A request that is admitted and sent upstream, and the bytes that were sent."""
    client = bench.client()
    exchange = bench.request(raw_request("POST", target, body, **headers), client)
    assert exchange is not None, client.data
    bench.turn()
    return exchange, client, exchange.sent(bench.upstream)


def finished(bench: Bench) -> None:
    bench.wal.sync()
    bench.turn()


def test_a_message_over_chat() -> None:
    bench = Bench()
    exchange, client, sent = asked(bench, "/v1/messages", MESSAGES)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"content-type: application/json" in head
    assert json.loads(body)["messages"] == [{"role": "user", "content": "Hello"}]
    bench.answer(exchange, plain_response(json.dumps(ANSWER).encode()))
    assert client.data == b""
    finished(bench)
    message = json.loads(client.body)
    assert message["content"][0]["text"] == "Hi"
    assert message["usage"]["input_tokens"] == 7
    request_id = exchange.request_id
    assert message["id"] == f"msg_{request_id.removeprefix('req_')}"
    assert f"\r\nrequest-id: {request_id}\r\n".encode() in client.data
    opened, closed = bench.wal.open[1], bench.wal.only_close
    assert (opened.endpoint, opened.model) == ("messages", "toy")
    assert (closed.counts, closed.upstream_id, closed.finish_reason) == (
        COUNTS,
        "chatcmpl-7",
        "stop",
    )
    assert json.loads(closed.upstream_usage) == CHAT_USAGE


@pytest.mark.parametrize("cut", [1, 29, 10_000])
@pytest.mark.parametrize(
    ("target", "body", "last"),
    [
        ("/v1/messages", MESSAGES, "message_stop"),
        ("/v1/responses", RESPONSES, "response.completed"),
    ],
)
def test_the_last_events_wait_for_the_disk(
    target: str, body: dict[str, Any], last: str, cut: int
) -> None:
    bench = Bench()
    exchange, client, _ = asked(bench, target, {**body, "stream": True})
    bench.answer(exchange, STREAM_HEAD)
    for start in range(0, len(CHAT_STREAM), cut):
        bench.answer(exchange, chunked(CHAT_STREAM[start : start + cut]))
    before = events(client.body)
    assert last not in [name for name, _ in before]
    bench.answer(exchange, END)
    assert events(client.body) == before
    finished(bench)
    assert events(client.body)[-1][0] == last
    assert client.data.endswith(END)
    closed = bench.wal.only_close
    assert (closed.counts, closed.count_source, closed.failure) == (COUNTS, "upstream", "")
    assert (closed.finish_reason, closed.delivered_chunks) == ("tool_calls", 5)


def test_chat_over_a_native_upstream() -> None:
    bench = deployed("anthropic")
    exchange, client, sent = asked(bench, "/v1/chat/completions", {**HELLO, "stream": True})
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\n")
    assert b"anthropic-version: 2023-06-01" in head
    assert json.loads(body)["max_tokens"] == 4096
    bench.answer(exchange, STREAM_HEAD + chunked(CLAUDE_STREAM) + END)
    finished(bench)
    assert client.body.endswith(b"data: [DONE]\n\n")
    closed = bench.wal.only_close
    assert closed.counts == Counts(472, 100, 0, 89)
    assert closed.upstream_id == "msg_014p7gG3wDgGV9EUtLvnow3U"
    assert bench.wal.open[1].endpoint == "chat.completions"


def test_messages_pass_to_a_native_upstream() -> None:
    bench = deployed("anthropic")
    exchange, client, _ = asked(bench, "/v1/messages", {**MESSAGES, "stream": True})
    bench.answer(exchange, STREAM_HEAD + chunked(CLAUDE_STREAM) + END)
    finished(bench)
    assert client.body == CLAUDE_STREAM
    assert bench.wal.only_close.counts == Counts(472, 100, 0, 89)


def test_azure_addresses_and_key_header() -> None:
    bench = Bench()
    exchange, client, sent = asked(
        bench, AZURE, {"messages": HELLO["messages"]}, authorization="", api_key=SECRET
    )
    assert json.loads(sent.partition(b"\r\n\r\n")[2])["model"] == "toy-upstream"
    filtered = {**ANSWER, "prompt_filter_results": [{"prompt_index": 0}]}
    bench.answer(exchange, plain_response(json.dumps(filtered).encode()))
    finished(bench)
    assert json.loads(client.body) == filtered
    assert bench.wal.only_close.counts == COUNTS


def test_an_azure_upstream() -> None:
    bench = deployed("azure", "https://here.openai.azure.com")
    _, _, sent = asked(bench, "/v1/chat/completions", HELLO)
    line = sent.partition(b"\r\n")[0]
    assert line == (
        b"POST /openai/deployments/theirs/chat/completions?api-version=2024-10-21 HTTP/1.1"
    )


@pytest.mark.parametrize(
    ("target", "body", "answer", "counts"),
    [
        (
            "/v1/embeddings",
            {"model": "toy", "input": "x"},
            {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}},
            Counts(8),
        ),
        (
            "/v1/completions",
            {"model": "toy", "prompt": "x"},
            {"choices": [{"text": "y"}], "usage": {"prompt_tokens": 8, "completion_tokens": 2}},
            Counts(8, output=2),
        ),
        (
            "/v1/images/generations",
            {"model": "toy", "prompt": "x"},
            {"data": [{}, {}]},
            Counts(image=2),
        ),
        (
            "/v1/images/edits",
            {"model": "toy", "prompt": "x", "images": [{"image_url": "https://x.io/a.png"}]},
            {"data": [{}], "usage": {"input_tokens": 50, "output_tokens": 9}},
            Counts(50, output=9),
        ),
        ("/v1/moderations", {"model": "toy", "input": "x"}, {"results": []}, Counts()),
    ],
)
def test_operations_that_pass(
    target: str, body: dict[str, Any], answer: dict[str, Any], counts: Counts
) -> None:
    bench = Bench()
    exchange, client, sent = asked(bench, target, body)
    assert sent.startswith(f"POST {target} HTTP/1.1\r\n".encode())
    raw = json.dumps(answer).encode()
    bench.answer(exchange, plain_response(raw))
    finished(bench)
    assert client.body == raw
    assert bench.wal.only_close.counts == counts
    assert bench.wal.only_close.failure == ""


def test_a_form_and_an_answer_that_is_no_json() -> None:
    form = (
        b'--abc\r\nContent-Disposition: form-data; name="model"\r\n\r\ntoy\r\n'
        b'--abc\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x00\xff\r\n--abc--\r\n'
    )
    bench = Bench()
    exchange, client, sent = asked(bench, "/v1/audio/transcriptions", form)
    assert b'content-type: multipart/form-data; boundary="abc"\r\n' in sent
    assert sent.endswith(form.replace(b"\r\ntoy\r\n", b"\r\ntoy-upstream\r\n"))
    bench.answer(exchange, plain_response(b"1\n00:00 --> 00:01\nHi\n"))
    finished(bench)
    assert client.body.startswith(b"1\n00:00")


@pytest.mark.parametrize("name", ["edits", "variations"])
def test_images_made_from_images_are_forms(name: str) -> None:
    form = (
        b'--abc\r\nContent-Disposition: form-data; name="model"\r\n\r\ntoy\r\n'
        b'--abc\r\nContent-Disposition: form-data; name="image"\r\n\r\n\x89PNG\r\n--abc--\r\n'
    )
    bench = Bench()
    exchange, client, sent = asked(bench, f"/v1/images/{name}", form)
    assert sent.startswith(f"POST /v1/images/{name} HTTP/1.1\r\n".encode())
    answer = b'{"created":1,"data":[{"url":"x"},{"url":"y"}]}'
    bench.answer(exchange, plain_response(answer))
    finished(bench)
    assert client.body == answer
    assert bench.wal.only_close.counts == Counts(image=2)


def test_how_many_images_there_are_is_noted_where_tokens_are_counted() -> None:
    bench = Bench()
    exchange, client, _ = asked(bench, "/v1/images/generations", {"model": "toy", "prompt": "x"})
    usage = {"input_tokens": 50, "output_tokens": 9}
    answer = json.dumps({"data": [{}, {}], "usage": usage}).encode()
    bench.answer(exchange, plain_response(answer))
    finished(bench)
    assert client.body == answer
    assert bench.wal.only_close.counts == Counts(50, output=9)
    assert json.loads(bench.wal.only_close.upstream_usage) == {"images": 2, **usage}


def test_absurd_usage_is_estimated_and_named_for_review() -> None:
    bench = Bench()
    exchange, client, _ = asked(bench, "/v1/messages", MESSAGES)
    answer = {**ANSWER, "usage": {"prompt_tokens": -5, "completion_tokens": 3}}
    bench.answer(exchange, plain_response(json.dumps(answer).encode()))
    finished(bench)
    closed = bench.wal.only_close
    assert (closed.count_source, closed.failure) == ("estimated", "usage_negative")
    assert json.loads(closed.upstream_usage)["prompt_tokens"] == -5
    usage = json.loads(client.body)["usage"]
    assert usage["input_tokens"] == closed.counts.input > 0


# -- refusals ----------------------------------------------------------------------------------


def refused_with(target: str, body: dict[str, Any], **headers: str) -> FakeClient:
    bench = Bench()
    client = bench.client()
    assert bench.request(raw_request("POST", target, body, **headers), client) is None
    assert not bench.wal.open
    return client


def test_each_client_is_refused_in_its_own_shape() -> None:
    client = refused_with("/v1/messages", {**MESSAGES, "model": "none"})
    body = json.loads(client.body)
    assert (client.status, body["type"]) == (404, "error")
    assert body["error"]["type"] == "not_found_error"
    assert f"request-id: {body['request_id']}\r\n".encode() in client.data
    client = refused_with(AZURE, {"messages": []}, authorization="", api_key="wrong")
    assert (client.status, client.error["code"]) == (401, "401")
    client = refused_with(AZURE.replace("toy", "none"), {"messages": HELLO["messages"]})
    assert (client.status, client.error["code"]) == (404, "DeploymentNotFound")
    client = refused_with(AZURE.partition("?")[0], {"messages": HELLO["messages"]})
    assert (client.status, client.error["param"]) == (400, "api-version")
    client = refused_with("/v1/responses", {**RESPONSES, "store": True})
    assert (client.status, client.error["param"]) == (400, "store")


def test_a_key_header_counts_where_there_is_no_bearer_token() -> None:
    assert refused_with("/v1/messages", MESSAGES, authorization="").status == 401
    assert (
        refused_with("/v1/messages", MESSAGES, x_api_key=SECRET, authorization="Bearer x").status
        == 401
    )
    exchange, _, _ = asked(Bench(), "/v1/messages", MESSAGES, authorization="", x_api_key=SECRET)
    assert exchange.grant.key_id == "key_1"


def test_what_a_model_server_cannot_be_asked_for() -> None:
    bench = deployed("anthropic")
    client = bench.client()
    body = {"model": "toy", "input": "x"}
    assert bench.request(raw_request("POST", "/v1/embeddings", body), client) is None
    assert (client.status, client.error["param"]) == (400, "model")


def test_a_deployment_that_can_is_chosen() -> None:
    other = Deployment("toy@claude", "toy", "http://127.0.0.1:9/v1", "claude", api="anthropic")
    bench = Bench(an_index(deployments=(other, TOY)))
    for _ in range(3):
        exchange, _, _ = asked(bench, "/v1/embeddings", {"model": "toy", "input": "x"})
        assert exchange.target.deployment.name == "toy@here"
    chosen = {asked(bench, "/v1/messages", MESSAGES)[0].target.deployment.name for _ in range(4)}
    assert chosen == {"toy@claude", "toy@here"}


def test_stored_responses_are_not_here() -> None:
    bench = Bench()
    client = bench.client()
    assert bench.request(raw_request("GET", "/v1/responses/resp_1"), client) is None
    assert (client.status, client.error["code"]) == (404, "unknown_url")


def test_counting_tokens_costs_nothing() -> None:
    bench = Bench()
    client = bench.client()
    body = {key: value for key, value in MESSAGES.items() if key != "max_tokens"}
    assert bench.request(raw_request("POST", "/v1/messages/count_tokens", body), client) is None
    assert json.loads(client.body)["input_tokens"] > 0
    assert not bench.wal.open


def test_models_by_every_address() -> None:
    bench = Bench()
    version = "?api-version=2024-10-21"
    for target in ("/v1/models", "/openai/v1/models", f"/openai/models{version}"):
        client = bench.client()
        bench.request(raw_request("GET", target), client)
        assert [card["id"] for card in json.loads(client.body)["data"]] == ["toy"]


# -- upstreams that fail -----------------------------------------------------------------------


def test_an_upstream_refusal_keeps_its_words_in_the_client_shape() -> None:
    error = {"error": {"message": "Too long", "type": "invalid_request_error", "code": "x"}}
    raw = json.dumps(error).encode()
    bench = Bench()
    exchange, client, _ = asked(bench, "/v1/messages", MESSAGES)
    bench.answer(exchange, plain_response(raw, "429 Too Many Requests", "retry-after: 7"))
    finished(bench)
    assert client.error == {"type": "rate_limit_error", "message": "Too long"}
    assert b"retry-after: 7\r\n" in client.data
    assert bench.wal.only_close.counts == Counts()
    bench = Bench()
    exchange, client, _ = asked(bench, AZURE, {"messages": HELLO["messages"]})
    bench.answer(exchange, plain_response(raw, "400 Bad Request"))
    finished(bench)
    # Azure's error has a `param` in any case.
    assert json.loads(client.body) == {"error": {**error["error"], "param": None}}


@pytest.mark.parametrize("answer", [b"[]", b'{"choices":[]}', b'{"choices":[{"message":3}]}'])
def test_an_answer_that_cannot_be_translated(answer: bytes) -> None:
    bench = Bench()
    exchange, client, _ = asked(bench, "/v1/messages", MESSAGES)
    bench.answer(exchange, plain_response(answer))
    finished(bench)
    assert (client.status, client.error["type"]) == (502, "api_error")
    assert bench.wal.only_close.counts == Counts()


def test_what_an_untranslatable_answer_cost_is_kept() -> None:
    bench = Bench()
    exchange, _, _ = asked(bench, "/v1/messages", MESSAGES)
    answer = {"id": "chatcmpl-7", "choices": [{"message": 3}], "usage": CHAT_USAGE}
    bench.answer(exchange, plain_response(json.dumps(answer).encode()))
    finished(bench)
    assert json.loads(bench.wal.only_close.upstream_usage) == CHAT_USAGE


@pytest.mark.parametrize(
    ("target", "body", "name"),
    [("/v1/messages", MESSAGES, "error"), ("/v1/responses", RESPONSES, "response.failed")],
)
def test_a_stream_that_breaks_off_ends_with_an_error_event(
    target: str, body: dict[str, Any], name: str
) -> None:
    bench = Bench()
    exchange, client, _ = asked(bench, target, {**body, "stream": True})
    begin = CHAT_STREAM[: CHAT_STREAM.index(b'{"id": "chatcmpl-7", "object"', 300)]
    begin = begin[: begin.rindex(b"\n\n") + 2]
    bench.answer(exchange, STREAM_HEAD + chunked(begin))
    exchange.upstream_lost(bench.parser, reused=False)
    finished(bench)
    assert events(client.body)[-1][0] == name
    # Only `response.failed` says in every SDK that no more comes.
    assert client.data.endswith(END) is (name == "response.failed")
    closed = bench.wal.only_close
    assert (closed.failure, closed.count_source) == ("upstream_dropped", "estimated")
    assert closed.counts.output == closed.delivered_chunks > 0


def test_a_client_that_leaves_a_translated_stream() -> None:
    bench = Bench()
    exchange, _, _ = asked(bench, "/v1/messages", {**MESSAGES, "stream": True})
    bench.answer(exchange, STREAM_HEAD + chunked(CHAT_STREAM[: CHAT_STREAM.index(b"call_1")]))
    bench.hang_up(exchange)
    finished(bench)
    closed = bench.wal.only_close
    assert (closed.failure, closed.counts.output) == ("client_gone", 2)
    assert "abort" in bench.upstream.calls


@pytest.mark.parametrize(("text", "told"), [("Grüß dich", b'{"characters":9}'), (["x"], b"")])
def test_speech_is_metered_by_the_characters_to_be_spoken(text: Any, told: bytes) -> None:
    bench = Bench()
    body = {"model": "toy", "input": text, "voice": "alloy"}
    exchange, _, _ = asked(bench, "/v1/audio/speech", body)
    bench.answer(exchange, plain_response(b"\xff\xfbaudio"))
    finished(bench)
    assert (bench.wal.only_close.upstream_usage, bench.wal.only_close.counts) == (told, Counts())
