"""Requests of keys that are held to something, through the dispatcher: scopes, slices, units."""

import json
from typing import Any

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    HELLO_STREAM,
    NOW,
    PEPPER,
    TOY,
    Bench,
    a_grant,
    chat_request,
    plain_response,
    raw_request,
)

from quartermaster.gateway.addresses import networks
from quartermaster.gateway.index import build
from quartermaster.gateway.responses import ResponseParser
from quartermaster.kernel.batch_run import BatchRun, sign
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.limit import Limits, Throttle
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Provisioned, Snapshot

EUROPE = Deployment("toy@units", "toy", "http://127.0.0.1:8/v1", "toy-units", created_at_s=1_700)
MESSAGES = {"model": "toy", "max_tokens": 9, "messages": HELLO["messages"]}
INSIDE, OUTSIDE = "203.0.113.9", "198.51.100.1"
HELD = {"networks": ("203.0.113.0/24", "2001:db8::/32"), "endpoints": ("chat.completions",)}


def bench_of(*grants: KeyGrant, deployments: tuple[Deployment, ...] = (TOY,), **more: Any) -> Bench:
    snapshot = Snapshot(7, 0, grants, more.pop("standing", {}), deployments, **more)
    return Bench(build(snapshot, {}))


def ask(bench: Bench, raw: bytes, peer: str = INSIDE) -> tuple[int, str]:
    """Status and error code; 0 for a request that is let pass."""
    client = bench.client()
    client.peer = peer
    if bench.request(raw, client) is not None:
        return 0, ""
    error = client.error
    return client.status, str(error.get("code") or error.get("type"))


def test_a_key_works_from_its_networks_only() -> None:
    bench = bench_of(a_grant(**HELD))
    assert ask(bench, chat_request(HELLO)) == (0, "")
    assert ask(bench, chat_request(HELLO), "2001:db8:7::1") == (0, "")
    assert ask(bench, chat_request(HELLO), OUTSIDE) == (403, "address_not_allowed")
    assert ask(bench, raw_request("GET", "/v1/models"), OUTSIDE) == (403, "address_not_allowed")
    counting = raw_request("POST", "/v1/messages/count_tokens", MESSAGES)
    assert ask(bench, counting, OUTSIDE) == (403, "permission_error")


def test_what_a_proxy_says_counts_only_where_it_is_trusted() -> None:
    raw = chat_request(HELLO, x_forwarded_for=INSIDE)
    bench = bench_of(a_grant(**HELD))
    assert ask(bench, raw, "10.0.0.1") == (403, "address_not_allowed")
    bench.dispatcher.trusted = networks(["10.0.0.0/8"])
    assert ask(bench, raw, "10.0.0.1") == (0, "")
    assert ask(bench, raw, OUTSIDE) == (403, "address_not_allowed")
    forged = chat_request(HELLO, x_forwarded_for=f"{INSIDE}, {OUTSIDE}")
    assert ask(bench, forged, "10.0.0.1") == (403, "address_not_allowed")


def test_a_key_works_for_its_endpoints_only() -> None:
    bench = bench_of(a_grant(**HELD))
    embedding = raw_request("POST", "/v1/embeddings", {"model": "toy", "input": "x"})
    assert ask(bench, embedding) == (403, "endpoint_not_allowed")
    azure = "/openai/deployments/toy/chat/completions?api-version=2024-10-21"
    assert ask(bench, raw_request("POST", azure, HELLO)) == (0, "")
    assert ask(bench, raw_request("POST", "/v1/messages", MESSAGES)) == (403, "permission_error")


def test_the_offending_slice_is_throttled_and_the_rest_is_served() -> None:
    throttle = Throttle(limits=Limits(concurrent=1), endpoints=("messages",))
    bench = bench_of(
        a_grant(), standing={"grp_1": "throttled"}, throttles={"grp_1": throttle}
    )  # fmt: skip
    message = raw_request("POST", "/v1/messages", MESSAGES)
    assert ask(bench, message) == (0, "")
    assert ask(bench, message) == (429, "rate_limit_error")
    for _ in range(3):
        assert ask(bench, chat_request(HELLO)) == (0, "")


def test_keys_of_one_project_share_its_limits() -> None:
    one, other = a_grant(), a_grant(project="prj_2")
    limits = {"cus_1/default": Limits(concurrent=1)}
    bench = bench_of(one, project_limits=limits)
    assert bench.dispatcher.index is not None
    assert bench.dispatcher.index.by_key_id["key_1"].held
    assert ask(bench, chat_request(HELLO)) == (0, "")
    assert ask(bench, chat_request(HELLO)) == (429, "rate_limit_exceeded")
    free = bench_of(other, project_limits=limits)
    assert free.dispatcher.index is not None
    assert not free.dispatcher.index.by_key_id["key_1"].held
    assert [ask(free, chat_request(HELLO)) for _ in range(2)] == [(0, "")] * 2


def test_a_new_snapshot_forgets_nothing_of_a_throttled_slice() -> None:
    throttle = Throttle(limits=Limits(requests_per_minute=1))
    bench = bench_of(a_grant(), standing={"grp_1": "throttled"}, throttles={"grp_1": throttle})
    assert bench.dispatcher.index is not None
    served(bench, HELLO, {"prompt_tokens": 1, "completion_tokens": 1})
    bench.turn()
    bench.dispatcher.limiter.keep(bench.dispatcher.index.every_limit())
    assert ask(bench, chat_request(HELLO)) == (429, "rate_limit_exceeded")


def test_a_closed_slice_is_refused_in_words() -> None:
    bench = bench_of(
        a_grant(), standing={"grp_1": "throttled"}, throttles={"grp_1": Throttle(models=("toy",))}
    )
    assert ask(bench, chat_request(HELLO_STREAM)) == (403, "account_throttled")


def units(*, spillover: bool = False, deployment: str = "", carried: int = 100) -> KeyGrant:
    terms = Provisioned("toy", carried, 4, spillover, deployment)
    return a_grant(provisioned=(terms,))


def served(bench: Bench, body: dict[str, Any], usage: dict[str, int]) -> bytes:
    """One request, answered with this usage; what the client reads."""
    client = bench.client()
    bench.parser = ResponseParser()
    exchange = bench.send(body, client)
    answer = {"id": "c", "choices": [{"message": {"content": "x"}}], "usage": usage}
    bench.answer(exchange, plain_response(json.dumps(answer).encode()))
    bench.wal.sync()
    return client.data


def test_requests_run_on_the_units_until_they_are_fully_used() -> None:
    bench = bench_of(units())
    usage = {"prompt_tokens": 20, "completion_tokens": 60}
    served(bench, HELLO, usage)
    (opened,) = bench.wal.open.values()
    assert opened.service_class == "provisioned"
    client = bench.client()
    assert bench.request(chat_request(HELLO), client) is None
    assert client.status == 429
    # 20 + 4 * 60 is 160 over, at 100 a minute, and one unit of room.
    assert b"retry-after-ms: 96600\r\n" in client.data
    assert "provisioned throughput" in client.error["message"]
    azure = "/openai/deployments/toy/chat/completions?api-version=2024-10-21"
    assert ask(bench, raw_request("POST", azure, HELLO)) == (429, "429")
    (lane,) = bench.dispatcher.lanes.status(bench.now)
    assert (lane.utilisation_permille, lane.served, lane.refused) == (2_600, 1, 2)
    bench.now = Instant(NOW + 97_000_000)
    assert ask(bench, chat_request(HELLO)) == (0, "")


@pytest.mark.parametrize("deployment", ["", EUROPE.name])
def test_what_the_units_do_not_carry_spills_over_to_standard_deployments(deployment: str) -> None:
    bench = bench_of(units(spillover=True, deployment=deployment), deployments=(EUROPE, TOY))
    usage = {"prompt_tokens": 100, "completion_tokens": 0}
    assert b"x-ms-spillover" not in served(bench, HELLO, usage)
    data = served(bench, HELLO, usage)
    assert b"x-ms-spillover-from-deployment: toy\r\n" in data
    first, second = bench.wal.open.values()
    assert (first.service_class, second.service_class) == ("provisioned", "standard")
    assert f"x-ms-deployment-name: {second.deployment}\r\n".encode() in data
    if deployment:
        assert (first.deployment, second.deployment) == (EUROPE.name, TOY.name)


def test_nobody_else_is_served_by_a_dedicated_deployment() -> None:
    other = a_grant(key_id="key_2", key_hash="00", contract="con_2")
    snapshot = Snapshot(
        7, 0, (units(deployment=EUROPE.name), other), {}, (EUROPE, TOY)
    )  # fmt: skip
    index = build(snapshot, {})
    names = {
        key_id: {one.deployment.name for one in entry.models["toy"]}
        for key_id, entry in index.by_key_id.items()
    }
    assert names == {"key_1": {EUROPE.name, TOY.name}, "key_2": {TOY.name}}


def test_a_refusal_by_another_limit_takes_nothing_of_the_units() -> None:
    grant = units(carried=100_000)
    snapshot = Snapshot(
        7, 0, (grant,), {}, (TOY,), group_limits={"grp_1": Limits(concurrent=1)}
    )  # fmt: skip
    bench = Bench(build(snapshot, {}))
    assert ask(bench, chat_request(HELLO)) == (0, "")
    (before,) = bench.dispatcher.lanes.status(bench.now)
    assert ask(bench, chat_request(HELLO)) == (429, "rate_limit_exceeded")
    assert bench.dispatcher.lanes.status(bench.now) == (before,)


def test_plain_keys_are_asked_nothing_of_it() -> None:
    (entry,) = bench_of(a_grant()).dispatcher.index.keys.values()  # type: ignore[union-attr]
    assert not entry.held


def test_units_that_are_away_cost_no_standard_prices_unless_that_was_agreed() -> None:
    drained = msgspec.structs.replace(EUROPE, drained=True)
    held_to, agreed = (units(spillover=may, deployment=EUROPE.name) for may in (False, True))
    assert ask(bench_of(held_to, deployments=(drained, TOY)), chat_request(HELLO)) == (
        503, "model_drained",
    )  # fmt: skip
    assert ask(bench_of(agreed, deployments=(drained, TOY)), chat_request(HELLO)) == (0, "")


def test_batches_keep_off_dedicated_units() -> None:
    run = BatchRun(a_grant().key_id, "req_01BATCH", 1, NOW + 1_000_000)
    line = raw_request(
        "POST", "/batch/v1/chat/completions", HELLO, authorization=f"Bearer {sign(run, PEPPER)}"
    )
    grant = units(deployment=EUROPE.name)
    bench = bench_of(grant, deployments=(EUROPE, TOY))
    for _ in range(20):
        exchange = bench.request(line, bench.client())
        assert exchange is not None
        assert exchange.target.deployment.name == TOY.name
    assert ask(bench_of(grant, deployments=(EUROPE,)), line) == (400, "unsupported_value")
