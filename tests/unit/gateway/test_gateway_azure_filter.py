"""Content filters on Azure's addresses: Azure's own words pass, others' are told as Azure would."""

import json
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    STREAM_HEAD,
    Bench,
    FakeClient,
    an_index,
    chunked,
    frame,
    plain_response,
    raw_request,
)

from quartermaster.gateway.exchange import Exchange
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.snapshot import Deployment
from quartermaster.kernel.units import Counts

CHAT = "/openai/deployments/toy/chat/completions?api-version=2024-10-21"
ADDRESSES = (CHAT, "/openai/v1/chat/completions", "/v1/chat/completions")
SAFE = {"filtered": False, "severity": "safe"}
RESULTS = {"hate": SAFE, "violence": {"filtered": True, "severity": "high"}}
PROMPT = [{"prompt_index": 0, "content_filter_results": {"hate": SAFE}}]
# As the service answers; the order of names and the spaces are its own.
REFUSAL: dict[str, Any] = {
    "error": {
        "message": "The response was filtered due to the prompt triggering a policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": RESULTS},
    }
}


def asked(
    api: DeploymentApi, target: str, body: dict[str, Any]
) -> tuple[Bench, Exchange, FakeClient]:
    url = "https://r.openai.azure.com" if api == "azure" else "http://127.0.0.1:9/v1"
    bench = Bench(an_index(deployments=(Deployment("toy@here", "toy", url, "theirs", api=api),)))
    client = bench.client()
    exchange = bench.request(raw_request("POST", target, body), client)
    assert exchange is not None, client.data
    bench.turn()
    exchange.sent(bench.upstream)
    return bench, exchange, client


@pytest.mark.parametrize("target", ADDRESSES)
def test_a_refusal_of_azures_filter_passes_as_it_is(target: str) -> None:
    bench, exchange, client = asked("azure", target, HELLO)
    raw = json.dumps(REFUSAL, indent=1).encode()
    bench.answer(exchange, plain_response(raw, "400 Bad Request"))
    bench.wal.sync()
    assert (client.status, client.body) == (400, raw)
    assert bench.wal.only_close.counts == Counts()


@pytest.mark.parametrize("target", ADDRESSES)
def test_results_of_azures_filter_pass_as_they_are(target: str) -> None:
    bench, exchange, client = asked("azure", target, HELLO)
    choice = {
        "index": 0,
        "finish_reason": "content_filter",
        "message": {"role": "assistant"},
        "content_filter_results": RESULTS,
    }
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    answer = {"choices": [choice], "prompt_filter_results": PROMPT, "usage": usage, "id": "c"}
    raw = json.dumps(answer, indent=1).encode()
    bench.answer(exchange, plain_response(raw))
    bench.wal.sync()
    closed = bench.wal.only_close
    assert (client.status, client.body) == (200, raw)
    assert (closed.counts, closed.finish_reason) == (Counts(9, output=2), "content_filter")


@pytest.mark.parametrize("target", ADDRESSES)
@pytest.mark.parametrize("shows_usage", [False, True])
@pytest.mark.parametrize("cut", [7, 1 << 20])
def test_a_stream_with_asynchronous_filters_passes_as_it_is(
    target: str, shows_usage: bool, cut: int
) -> None:
    """Results of the prompt first, of what was said later, without a delta and after the end."""
    options = {"stream_options": {"include_usage": True}} if shows_usage else {}
    bench, exchange, client = asked("azure", target, {**HELLO, "stream": True, **options})
    later = {
        "index": 0,
        "finish_reason": None,
        "content_filter_results": RESULTS,
        "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198},
    }
    frames = [
        frame({"id": "", "object": "", "choices": [], "prompt_filter_results": PROMPT}),
        frame({"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": None}),
        frame({"id": "", "choices": [later]}),
        frame({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        frame({"id": "", "choices": [{**later, "finish_reason": "content_filter"}]}),
    ]
    usage = frame({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
    data = b"".join(frames) + usage + b"data: [DONE]\n\n"
    bench.answer(exchange, STREAM_HEAD)
    for at in range(0, len(data), cut):
        bench.answer(exchange, chunked(data[at : at + cut]))
    bench.wal.sync()
    assert client.body == (data if shows_usage else data.replace(usage, b""))
    closed = bench.wal.only_close
    assert (closed.counts, closed.delivered_chunks) == (Counts(9, output=2), 1)
    assert (closed.finish_reason, closed.upstream_id) == ("content_filter", "c")


FLAGGED = "Invalid prompt: your prompt was flagged as potentially violating our usage policy."


@pytest.mark.parametrize(
    ("error", "inner"),
    [
        ({"message": "Filtered.", "code": "content_filter"}, {}),
        ({"message": FLAGGED, "code": "invalid_prompt", "type": "invalid_request_error"}, {}),
        # Some other gateway in front of Azure.
        (REFUSAL["error"], RESULTS),
    ],
)
def test_a_refusal_of_another_filter_is_told_as_azure_tells_it(
    error: dict[str, Any], inner: dict[str, Any]
) -> None:
    bench, exchange, client = asked("openai", CHAT, HELLO)
    bench.answer(exchange, plain_response(json.dumps({"error": error}).encode(), "400 Bad Request"))
    bench.wal.sync()
    assert client.status == 400
    assert client.error == {
        "message": error["message"],
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": inner},
    }


def test_a_refusal_to_draw_is_told_as_azure_tells_it() -> None:
    target = "/openai/deployments/toy/images/generations?api-version=2024-10-21"
    bench, exchange, client = asked("openai", target, {"model": "toy", "prompt": "x"})
    error = {"message": "No.", "type": "image_generation_user_error", "code": "moderation_blocked"}
    bench.answer(exchange, plain_response(json.dumps({"error": error}).encode(), "400 Bad Request"))
    bench.wal.sync()
    assert client.error == {
        "message": "No.",
        "type": "image_generation_user_error",
        "param": "prompt",
        "code": "content_policy_violation",
        "status": 400,
        "inner_error": {"code": "ResponsibleAIPolicyViolation", "content_filter_results": {}},
    }


def test_other_invalid_prompts_stay_what_they_are() -> None:
    bench, exchange, client = asked("openai", CHAT, HELLO)
    error = {"message": "The prompt is empty.", "code": "invalid_prompt", "type": "invalid"}
    bench.answer(exchange, plain_response(json.dumps({"error": error}).encode(), "400 Bad Request"))
    bench.wal.sync()
    assert client.error == {**error, "param": None}
