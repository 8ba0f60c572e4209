"""Requests that have a choice: who is asked next, what each attempt leaves, who rests."""

from typing import Any

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO,
    HELLO_STREAM,
    STREAM_HEAD,
    Bench,
    FakeClient,
    FakeUpstream,
    a_grant,
    an_index,
    chat_request,
    chunked,
    delta,
    plain_response,
    raw_request,
    usage_frame,
)

from quartermaster.gateway.attempts import ATTEMPTS_MAX
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.meter import Life
from quartermaster.gateway.responses import ResponseParser
from quartermaster.kernel.errors import NotDurableError
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.routing import Routing
from quartermaster.kernel.snapshot import Deployment
from quartermaster.kernel.units import Counts

ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3},
    }
)
SERVED = plain_response(ANSWER)
BUSY = plain_response(b'{"error":{"message":"busy"}}', "429 Too Many Requests", "retry-after: 17")
DOWN = plain_response(b"{}", "503 Service Unavailable")


def deployment(name: str, api: DeploymentApi = "openai", **routing: Any) -> Deployment:
    url = f"http://{name}.example/v1"
    return Deployment(name, "toy", url, f"toy-of-{name}", api=api, routing=Routing(**routing))


class Scene:
    """A bench with several deployments, and a request on its way through them."""

    def __init__(self, *deployments: Deployment, **grant: Any) -> None:
        self.bench = Bench(an_index(a_grant(**grant), deployments=deployments))
        self.client = self.bench.client()
        self.upstream = FakeUpstream()

    def ask(self, body: dict[str, Any] = HELLO, target: str = "/v1/chat/completions") -> Exchange:
        """A request that is admitted and dialled."""
        exchange = self.bench.request(raw_request("POST", target, body), self.client)
        assert exchange is not None, self.client.data
        self.bench.turn()
        return exchange

    def answer(self, exchange: Exchange, data: bytes) -> None:
        """The asked deployment takes the request and answers."""
        exchange.sent(self.upstream)
        parser = ResponseParser()
        parser.feed(data)
        exchange.upstream_data(parser)
        self.bench.turn()

    def settle(self) -> None:
        """The log is on disk."""
        self.bench.wal.sync()
        self.bench.turn()

    @property
    def rows(self) -> list[tuple[int, str, str, bool, Counts]]:
        """What the log says of each attempt."""
        wal = self.bench.wal
        return [
            (
                opened.attempt,
                opened.deployment,
                wal.closes[handle].failure,
                wal.closes[handle].cost_only,
                wal.closes[handle].counts,
            )
            for handle, opened in wal.open.items()
        ]


FIRST, SECOND = deployment("first"), deployment("second", priority=1)
NOTHING = Counts()
SAID = Counts(input=11, output=3)


@pytest.mark.parametrize("refusal", [BUSY, DOWN, plain_response(b"{}", "529 Overloaded")])
def test_a_busy_deployment_is_passed_over_and_its_attempt_costs_the_customer_nothing(
    refusal: bytes,
) -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask()
    scene.answer(exchange, refusal)
    assert scene.client.data == b""
    assert exchange.target.deployment.name == "second"
    assert b"toy-of-second" in exchange.upstream_bytes
    assert b"host: second.example" in exchange.upstream_bytes
    scene.answer(exchange, SERVED)
    scene.settle()
    assert (scene.client.status, scene.client.body) == (200, ANSWER)
    assert scene.rows == [
        (1, "first", "upstream_busy", True, NOTHING),
        (2, "second", "", False, SAID),
    ]
    ids = {opened.request_id for opened in scene.bench.wal.open.values()}
    assert ids == {exchange.request_id}
    assert sorted(scene.bench.wal.confirmed) == [1, 2]
    assert exchange.life is Life.DELIVERED
    assert (scene.bench.tallies.requests, scene.bench.tallies.failovers) == (1, 1)


def test_the_next_attempt_is_in_the_log_before_its_bytes_leave() -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask()
    scene.bench.story.clear()
    exchange.fail("upstream_unreachable", "The model server cannot be reached.")
    scene.bench.turn()
    assert scene.bench.story == ["closed", "opened", "flushed", "dialled"]


def test_an_unreachable_deployment_is_passed_over_also_for_a_stream() -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask(HELLO_STREAM)
    exchange.fail("upstream_unreachable", "The model server cannot be reached.")
    scene.bench.turn()
    frames = delta("Hi", "stop") + usage_frame(11, 3) + DONE
    scene.answer(exchange, STREAM_HEAD + chunked(frames) + b"0\r\n\r\n")
    scene.settle()
    assert scene.client.status == 200
    assert [row[1:4] for row in scene.rows] == [
        ("first", "upstream_unreachable", True),
        ("second", "", False),
    ]


@pytest.mark.parametrize(
    "refusal",
    [
        plain_response(b"{}", "500 Internal Server Error"),
        plain_response(b"{}", "400 Bad Request"),
        plain_response(b"{}", "401 Unauthorized"),
        plain_response(b"not json"),
    ],
)
def test_what_may_have_been_begun_is_not_done_twice(refusal: bytes) -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask()
    scene.answer(exchange, refusal)
    scene.settle()
    assert len(scene.rows) == 1
    assert scene.client.status in (400, 502)


def test_nothing_is_sent_again_once_the_client_has_read_a_byte() -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask(HELLO_STREAM)
    scene.answer(exchange, STREAM_HEAD + chunked(delta("Hi")))
    exchange.upstream_lost(ResponseParser(), reused=False)
    scene.settle()
    ((attempt, name, failure, cost_only, _),) = scene.rows
    assert (attempt, name, failure, cost_only) == (1, "first", "upstream_dropped", False)


def test_an_answer_that_timed_out_is_not_asked_for_again() -> None:
    scene = Scene(deployment("first", first_byte_s=2), SECOND)
    exchange = scene.ask()
    exchange.sent(scene.upstream)
    scene.bench.relay.tick(3.0)
    scene.settle()
    assert [row[1:3] for row in scene.rows] == [("first", "upstream_timeout")]
    assert scene.client.status == 504


def test_at_most_three_are_asked_each_once_and_the_last_word_is_the_clients() -> None:
    names = ["a", "b", "c", "d"]
    scene = Scene(*(deployment(name, priority=n) for n, name in enumerate(names)))
    exchange = scene.ask()
    for _ in range(ATTEMPTS_MAX):
        scene.answer(exchange, BUSY)
    scene.settle()
    assert [row[1] for row in scene.rows] == names[:ATTEMPTS_MAX]
    assert [row[3] for row in scene.rows] == [True, True, False]
    assert (scene.client.status, scene.client.error["message"]) == (429, "busy")
    assert b"retry-after: 17" in scene.client.data


def test_one_deployment_has_no_choice_and_its_words_pass() -> None:
    scene = Scene(FIRST)
    exchange = scene.ask()
    assert exchange.route is None
    scene.answer(exchange, BUSY)
    scene.settle()
    assert (scene.client.status, len(scene.rows)) == (429, 1)


def test_a_client_that_left_is_not_tried_for_again() -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask()
    exchange.sent(scene.upstream)
    exchange.client_gone()
    parser = ResponseParser()
    parser.feed(BUSY)
    exchange.upstream_data(parser)
    scene.settle()
    assert [row[1:4] for row in scene.rows] == [("first", "client_gone", False)]


def test_data_stays_in_its_zone_also_in_failover() -> None:
    first, second = deployment("first", zones=("EU",)), deployment("second", zones=("US",))
    scene = Scene(first, second, deployment("third", zones=("EU",), priority=1), zones=("EU",))
    exchange = scene.ask()
    for refusal in (BUSY, BUSY):
        scene.answer(exchange, refusal)
    scene.settle()
    assert [row[1] for row in scene.rows] == ["first", "third"]


def test_a_deployment_that_speaks_another_dialect_takes_over() -> None:
    scene = Scene(FIRST, deployment("claude", api="anthropic", priority=1))
    exchange = scene.ask()
    scene.answer(exchange, BUSY)
    assert b"POST /v1/messages" in exchange.upstream_bytes
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 11, "output_tokens": 3},
    }
    scene.answer(exchange, plain_response(msgspec.json.encode(message)))
    scene.settle()
    answer = msgspec.json.decode(scene.client.body)
    assert answer["choices"][0]["message"]["content"] == "Hi"
    assert scene.rows[1] == (2, "claude", "", False, SAID)


def test_a_stream_is_read_in_the_dialect_of_who_takes_over() -> None:
    scene = Scene(deployment("claude", api="anthropic"), SECOND)
    exchange = scene.ask(HELLO_STREAM)
    scene.answer(exchange, BUSY)
    assert b"POST /v1/chat/completions" in exchange.upstream_bytes
    frames = delta("Hi", "stop") + usage_frame(11, 3) + DONE
    scene.answer(exchange, STREAM_HEAD + chunked(frames) + b"0\r\n\r\n")
    scene.settle()
    assert delta("Hi", "stop") in scene.client.body
    assert scene.client.body.endswith(DONE)
    assert scene.rows[1] == (2, "second", "", False, SAID)


def test_who_cannot_say_a_request_is_passed_over() -> None:
    """Several answers at once have no counterpart in Anthropic's dialect."""
    scene = Scene(deployment("claude", api="anthropic"), SECOND)
    exchange = scene.ask({**HELLO, "n": 2})
    assert exchange.target.deployment.name == "second"
    alone = Scene(deployment("a", api="anthropic"), deployment("b", api="anthropic"))
    assert alone.bench.request(chat_request({**HELLO, "n": 2}), alone.client) is None
    assert alone.client.status == 400
    assert alone.bench.dispatcher.router.circuits() == {}


def test_whom_a_request_cannot_be_said_to_is_no_attempt() -> None:
    """However many there are; and the trace counts as the usage table does."""
    claudes = [deployment(f"claude-{n}", api="anthropic") for n in range(ATTEMPTS_MAX)]
    last = deployment("third", priority=2)
    scene = Scene(*claudes, deployment("second", priority=1), last)
    exchange = scene.ask({**HELLO, "n": 2})
    scene.answer(exchange, BUSY)
    scene.answer(exchange, SERVED)
    scene.settle()
    assert [row[:3] for row in scene.rows] == [(1, "second", "upstream_busy"), (2, "third", "")]
    assert exchange.route is not None
    told = [(one.number, one.outcome) for one in exchange.route.trace().attempts]
    assert told == [(1, "unsupported")] * ATTEMPTS_MAX + [(1, "429"), (2, "served")]


def test_a_log_that_fails_between_two_attempts_ends_the_request() -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask()
    scene.bench.wal.writable = False
    scene.answer(exchange, BUSY)
    assert (scene.client.status, scene.client.error["code"]) == (503, "meter_unavailable")
    assert exchange.life is Life.LOST
    scene.bench.wal.sync(NotDurableError())
    assert scene.bench.wal.confirmed == []
    assert exchange.route is not None
    assert [one.outcome for one in exchange.route.trace().attempts] == ["429", "meter_unavailable"]


# -- health ------------------------------------------------------------------------------------


def asked_of(scene: Scene, count: int) -> list[str]:
    """Whom that many further requests go to; each is answered."""
    names = []
    for _ in range(count):
        exchange = scene.ask()
        names.append(exchange.target.deployment.name)
        scene.answer(exchange, SERVED)
        scene.settle()
        scene.client = FakeClient(scene.bench.story)
    return names


def test_a_throttled_deployment_is_left_alone_for_as_long_as_it_asked() -> None:
    scene = Scene(FIRST, SECOND)
    scene.answer(scene.ask(), BUSY)
    assert scene.bench.dispatcher.router.circuits()["first"].circuit == "cooling"
    assert asked_of(scene, 3) == ["second"] * 3
    scene.bench.relay.tick(16.0)
    assert asked_of(scene, 1) == ["second"]
    scene.bench.relay.tick(17.0)
    assert asked_of(scene, 2) == ["first"] * 2


def test_milliseconds_are_read_first_and_a_date_is_no_number() -> None:
    for header, wait_s in (
        ("retry-after-ms: 1500\r\nretry-after: 9", 1.5),
        ("Retry-After-Ms: soon\r\nRetry-After: 9", 9.0),
        ("retry-after: Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("retry-after: -5", 0.0),
        ("x-nothing: 1", None),
    ):
        parser = ResponseParser()
        parser.feed(plain_response(b"{}", "429 Too Many Requests", header))
        assert parser.wait_s == wait_s


def test_failures_open_the_circuit_and_one_request_closes_it_again() -> None:
    scene = Scene(FIRST, SECOND)
    for _ in range(3):
        exchange = scene.ask()
        assert exchange.target.deployment.name == "first"
        exchange.fail("upstream_unreachable", "")
        scene.bench.turn()
        scene.answer(exchange, SERVED)
        scene.settle()
    assert scene.bench.dispatcher.router.circuits()["first"].circuit == "open"
    assert asked_of(scene, 2) == ["second"] * 2
    scene.bench.relay.tick(1.0)
    probe = scene.ask()
    assert probe.target.deployment.name == "first"
    # While it finds out, all others stay away.
    assert scene.ask().target.deployment.name == "second"
    scene.answer(probe, SERVED)
    assert scene.bench.dispatcher.router.circuits() == {}
    assert scene.bench.dispatcher.router.opened == 1


def test_a_stream_says_at_its_first_byte_that_the_deployment_serves() -> None:
    scene = Scene(FIRST, SECOND)
    for _ in range(2):
        scene.ask().fail("upstream_unreachable", "")
    exchange = scene.ask(HELLO_STREAM)
    scene.answer(exchange, STREAM_HEAD + chunked(delta("Hi")))
    scene.ask().fail("upstream_unreachable", "")
    assert scene.bench.dispatcher.router.circuits() == {}


def test_a_customer_who_leaves_says_nothing_about_the_deployment() -> None:
    scene = Scene(FIRST, SECOND)
    for _ in range(5):
        exchange = scene.ask()
        exchange.sent(scene.upstream)
        scene.bench.hang_up(exchange)
    assert scene.bench.dispatcher.router.circuits() == {}


def test_open_requests_are_counted_until_they_end() -> None:
    scene = Scene(FIRST, SECOND)
    exchanges = [scene.ask({**HELLO, "user": "u"}) for _ in range(3)]
    for exchange in exchanges:
        scene.answer(exchange, SERVED)
    router = scene.bench.dispatcher.router
    route = router.route((exchanges[0].target,), exchanges[0].route.affinity)  # type: ignore[union-attr]
    (attempt,) = route.trace().attempts
    assert attempt.considered[0].in_flight == 0


def test_every_decision_can_be_read_by_the_requests_id() -> None:
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask({**HELLO, "prompt_cache_key": "session-1"})
    scene.answer(exchange, BUSY)
    scene.answer(exchange, SERVED)
    route = scene.bench.dispatcher.router.find(exchange.request_id)
    assert route is not None
    trace = route.trace()
    assert (trace.request_id, trace.affinity) == (exchange.request_id, "prompt_cache_key")
    told = [(one.deployment, one.why, one.outcome, one.wait_s) for one in trace.attempts]
    assert told == [("first", "only", "429", 17.0), ("second", "only", "served", None)]
    seen = {one.deployment: (one.circuit, one.tried) for one in trace.attempts[1].considered}
    assert seen == {"first": ("cooling", True), "second": ("closed", False)}
    assert scene.bench.dispatcher.router.find("req_unknown") is None


# -- patience ----------------------------------------------------------------------------------


def test_a_deployment_has_its_own_patience() -> None:
    scene = Scene(deployment("a", idle_s=3, total_s=10, connect_s=7))
    exchange = scene.ask(HELLO_STREAM)
    assert exchange.target.connect_s == 7
    scene.answer(exchange, STREAM_HEAD + chunked(delta("Hi")))
    for second in (2.0, 4.0, 6.0, 8.0, 10.0):
        scene.bench.relay.tick(second)
        parser = ResponseParser()
        parser.feed(STREAM_HEAD + chunked(delta("Hi")))
        exchange.upstream_data(parser)
    assert scene.bench.wal.closes == {}
    scene.bench.relay.tick(11.0)
    assert scene.bench.wal.only_close.failure == "upstream_timeout"
    assert scene.bench.wal.only_close.delivered_chunks == 6


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/moderations", {"model": "toy", "input": "x"}),
        ("/v1/embeddings", {"model": "toy", "input": "x"}),
        ("/v1/completions", {"model": "toy", "prompt": "x", "stream": True}),
    ],
)
@pytest.mark.parametrize("api", ["azure", "anthropic", None])
def test_who_was_changed_or_removed_meanwhile_is_asked_what_it_can_be_asked_or_not_at_all(
    target: str, body: dict[str, Any], api: DeploymentApi | None
) -> None:
    """A moderation cannot be asked of Azure: the client reads the last word, and nothing breaks."""
    scene = Scene(FIRST, SECOND)
    exchange = scene.ask(body, target)
    changed = () if api is None else (deployment("second", api, priority=1),)
    scene.bench.relay.end_barred(an_index(deployments=(FIRST, *changed)))
    scene.answer(exchange, BUSY)
    if api == "azure" and target != "/v1/moderations":
        assert exchange.target.deployment.name == "second"
        assert b"/openai/deployments/toy-of-second/" in exchange.upstream_bytes
        return
    scene.settle()
    assert scene.client.status == 429
    (row,) = scene.rows
    assert row[1:3] == ("first", "upstream_rejected")
