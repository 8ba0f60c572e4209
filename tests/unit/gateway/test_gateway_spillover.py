"""Requests that leave their deployment: failed units, and deployments drained meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    HELLO_STREAM,
    NOW,
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
)

from quartermaster.gateway.budget import Purse, Purses
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.index import build
from quartermaster.gateway.responses import ResponseParser
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.upstream import UpstreamConnection, UpstreamPool
from quartermaster.kernel.budget import BudgetGrant, Epoch, RateCard, Rates
from quartermaster.kernel.lease import GrantedLease
from quartermaster.kernel.lease import Life as LeaseLife
from quartermaster.kernel.routing import Routing
from quartermaster.kernel.snapshot import Deployment, Provisioned, Snapshot
from quartermaster.kernel.units import Counts

ANSWER = msgspec.json.encode(
    {
        "id": "c",
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3},
    }
)
SERVED = plain_response(ANSWER)
FAILED = plain_response(b"{}", "500 Oops")
BUSY = plain_response(b"{}", "429 Too Many Requests", "retry-after: 17")


def a_deployment(name: str, **more: Any) -> Deployment:
    return Deployment(name, "toy", f"http://{name}.example/v1", f"toy-of-{name}", **more)


UNITS, FIRST, SECOND = (a_deployment(name) for name in ("units", "first", "second"))
SECOND = msgspec.structs.replace(SECOND, routing=Routing(priority=1))


class Scene:
    """A key with units of its own, and standard deployments beside them."""

    def __init__(
        self,
        *,
        spillover: bool = True,
        deployment: str = "units",
        carried: int = 100,
        units: Deployment = UNITS,
        standard: tuple[Deployment, ...] = (FIRST, SECOND),
        **more: Any,
    ) -> None:
        terms = Provisioned("toy", carried, 4, spillover, deployment)
        grant = a_grant(provisioned=(terms,), **more.pop("grant", {}))
        snapshot = Snapshot(7, 0, (grant,), {}, (units, *standard), **more)
        self.bench = Bench(build(snapshot, {}))
        self.upstream = FakeUpstream()

    def ask(self, body: dict[str, Any] = HELLO) -> tuple[Exchange, FakeClient]:
        client = self.bench.client()
        exchange = self.bench.request(chat_request(body), client)
        assert exchange is not None, client.data
        self.bench.turn()
        exchange.sent(self.upstream)
        return exchange, client

    def answer(self, exchange: Exchange, data: bytes) -> None:
        """The asked deployment answers; the next one takes the request, if there is one."""
        parser = ResponseParser()
        parser.feed(data)
        exchange.upstream_data(parser)
        self.bench.turn()
        if exchange.awaits_upstream:
            exchange.sent(self.upstream)

    @property
    def rows(self) -> list[tuple[str, str, str, bool, Counts]]:
        """What the log says of each attempt."""
        self.bench.wal.sync()
        wal = self.bench.wal
        return [
            (
                opened.deployment,
                opened.service_class,
                wal.closes[handle].failure,
                wal.closes[handle].cost_only,
                wal.closes[handle].counts,
            )
            for handle, opened in wal.open.items()
        ]


@pytest.mark.parametrize("body", [HELLO, HELLO_STREAM])
@pytest.mark.parametrize("refusal", [FAILED, BUSY, plain_response(b"{}", "504 Late")])
def test_units_that_fail_spill_over_at_standard_prices(
    refusal: bytes, body: dict[str, Any]
) -> None:
    scene = Scene()
    exchange, client = scene.ask(body)
    scene.answer(exchange, refusal)
    assert client.data == b""
    scene.answer(exchange, SERVED)
    failure = "upstream_busy" if b"429" in refusal else "upstream_error"
    assert scene.rows == [
        ("units", "provisioned", failure, True, Counts()),
        ("first", "standard", "", False, Counts(input=11, output=3)),
    ]
    assert (client.status, client.body) == (200, ANSWER)
    assert b"x-ms-spillover-from-deployment: toy\r\n" in client.data
    assert b"x-ms-deployment-name: first\r\n" in client.data
    # What was tried on the units took nothing of them.
    (lane,) = scene.bench.dispatcher.lanes.status(scene.bench.now)
    assert (lane.utilisation_permille, lane.spilled) == (0, 1)
    # A trace numbers attempts as the usage table does.
    found = scene.bench.dispatcher.router.find(exchange.request_id)
    assert found is not None
    assert [(one.number, one.deployment) for one in found.trace().attempts] == [(2, "first")]


@pytest.mark.parametrize("how", ["unreachable", "dropped", "silent"])
def test_units_that_cannot_be_reached_or_drop_or_say_nothing_spill_over(how: str) -> None:
    scene = Scene()
    exchange, _client = scene.ask()
    if how == "unreachable":
        exchange.fail("upstream_unreachable", "No.")
    elif how == "dropped":
        exchange.upstream_lost(ResponseParser(), reused=False)
    else:
        scene.bench.relay.tick(exchange.deadline_s + 1)
    assert exchange.target.deployment.name == "first"


def test_an_answer_that_has_begun_stays_where_it_is() -> None:
    scene = Scene()
    exchange, client = scene.ask(HELLO_STREAM)
    scene.answer(exchange, STREAM_HEAD + chunked(delta("a")))
    exchange.upstream_lost(ResponseParser(), reused=False)
    assert [row[:3] for row in scene.rows] == [("units", "provisioned", "upstream_dropped")]
    assert b"upstream_dropped" in client.body


@pytest.mark.parametrize("terms", [{"spillover": False}, {"deployment": ""}])
def test_who_agreed_to_no_spillover_reads_what_the_units_say(terms: dict[str, Any]) -> None:
    scene = Scene(**terms)
    exchange, client = scene.ask()
    scene.answer(exchange, FAILED)
    assert [row[1:3] for row in scene.rows] == [("provisioned", "upstream_error")]
    assert client.status == 502
    assert b"x-ms-spillover" not in client.data


def test_after_a_failover_the_header_names_who_served() -> None:
    """Both where the units were full, and where they failed."""
    scene = Scene(carried=1)
    served, _ = scene.ask()
    scene.answer(served, SERVED)
    exchange, client = scene.ask()
    assert exchange.target.deployment.name == "first"
    scene.answer(exchange, BUSY)
    scene.answer(exchange, SERVED)
    scene.bench.wal.sync()
    assert b"x-ms-deployment-name: second\r\n" in client.data
    assert client.data.count(b"x-ms-deployment-name") == 1


def test_where_the_standard_deployments_fail_too_the_status_is_told() -> None:
    scene = Scene()
    exchange, client = scene.ask()
    scene.answer(exchange, FAILED)
    scene.answer(exchange, FAILED)
    assert [row[0] for row in scene.rows] == ["units", "first"]
    assert client.status == 502
    assert b"x-ms-spillover-error: 500\r\n" in client.data


BUDGET = BudgetGrant("key", "key_1", "EUR", (Epoch("e", "", 0, 2 * NOW),))
CARD = {"list": RateCard("EUR", {"toy": Rates(*(1_000_000,) * 8)})}


def with_budget(leased: int, **more: Any) -> tuple[Scene, Purse]:
    """A key that has a budget besides its units."""
    scene = Scene(budgets={BUDGET.id: BUDGET}, rate_cards=CARD, **more)
    purses = scene.bench.dispatcher.purses = Purses("life", 1)
    purses.follow({BUDGET.id: BUDGET}, lambda: 1)
    assert purses.ask() is not None
    purses.granted(LeaseLife("life", 1, 1, (GrantedLease(BUDGET.id, "e", 1, leased, leased, 0),)))
    (purse,) = purses.all()
    return scene, purse


@pytest.mark.parametrize(
    ("leased", "deployment", "service_class"),
    [(0, "units", "provisioned"), (10**12, "first", "standard")],
)
def test_spilling_over_is_held_to_the_budget(
    leased: int, deployment: str, service_class: str
) -> None:
    """Units take nothing of a budget; standard prices do, and only what is there."""
    scene, purse = with_budget(leased)
    exchange, client = scene.ask()
    assert purse.used == 0
    scene.answer(exchange, FAILED)
    assert (exchange.target.deployment.name, exchange.call.service_class) == (
        deployment,
        service_class,
    )
    if leased:
        # The standard deployment is told a cap, without which there would be no worst case.
        assert b"max_tokens" in exchange.upstream_bytes
        assert purse.reserved > 0
        scene.answer(exchange, SERVED)
    scene.bench.wal.sync()
    assert client.status == (200 if leased else 502)
    assert (purse.reserved, purse.spent) == (0, 14 * 1_000 if leased else 0)


CLAUDE = a_deployment("claude", api="anthropic")


@pytest.mark.parametrize("body", [HELLO, HELLO_STREAM])
def test_what_spills_over_is_said_in_the_language_of_whoever_serves_it(
    body: dict[str, Any],
) -> None:
    scene = Scene(standard=(CLAUDE,))
    exchange, _client = scene.ask(body)
    scene.answer(exchange, BUSY)
    assert exchange.target.deployment.name == "claude"
    assert exchange.upstream_bytes.startswith(b"POST /v1/messages HTTP/1.1\r\n")


def test_what_nobody_else_can_say_stays_with_the_units_and_sets_nothing_aside() -> None:
    scene, purse = with_budget(10**12, standard=(CLAUDE,))
    exchange, client = scene.ask({**HELLO, "n": 2})
    scene.answer(exchange, BUSY)
    assert [row[:2] for row in scene.rows] == [("units", "provisioned")]
    assert (client.status, purse.used) == (429, 0)


def test_who_takes_over_has_its_own_patience_and_its_own_second_chance() -> None:
    scene = Scene()
    exchange, _client = scene.ask()
    exchange.upstream_lost(ResponseParser(), reused=True)
    assert scene.bench.dialled[-1] == (exchange, True)
    late_s = exchange.deadline_s + 1
    scene.bench.relay.tick(late_s)
    scene.bench.turn()
    exchange.sent(scene.upstream)
    scene.bench.relay.tick(late_s + 1)
    exchange.upstream_lost(ResponseParser(), reused=True)
    assert scene.bench.dialled[-1] == (exchange, True)
    assert exchange.target.deployment.name == "first"
    assert list(scene.bench.wal.closes) == [1]


def test_whoever_is_out_of_time_does_not_begin_again_elsewhere() -> None:
    scene = Scene(units=msgspec.structs.replace(UNITS, routing=Routing(total_s=5)))
    exchange, client = scene.ask()
    scene.bench.relay.tick(exchange.last_s + 1)
    assert [row[0] for row in scene.rows] == ["units"]
    assert client.error["code"] == "upstream_timeout"


def test_a_deployment_that_speaks_another_language_by_now_is_not_asked_in_the_old_one() -> None:
    pool = Pool(FIRST, SECOND, BESIDES)
    pool.publish(FIRST, msgspec.structs.replace(SECOND, api="anthropic"), BESIDES)
    pool.bench.answer(pool.exchange, BUSY)
    assert pool.exchange.target.deployment.name == "third"


class Pool:
    """A request on its way through two deployments, and a newer snapshot."""

    def __init__(self, *deployments: Deployment) -> None:
        self.bench = Bench(an_index(deployments=deployments))
        self.bench.relay.end_barred(an_index(deployments=deployments))
        self.client = self.bench.client()
        exchange = self.bench.request(chat_request(HELLO), self.client)
        assert exchange is not None
        self.exchange = exchange
        self.bench.turn()
        exchange.sent(self.bench.upstream)

    def publish(self, *deployments: Deployment) -> None:
        self.bench.relay.end_barred(an_index(deployments=deployments))


DRAINED = msgspec.structs.replace(SECOND, drained=True)
MOVED = msgspec.structs.replace(SECOND, url="http://moved.example/v1")
BESIDES = a_deployment("third", routing=Routing(priority=2))


@pytest.mark.parametrize("newer", [(FIRST, DRAINED, BESIDES), (FIRST, BESIDES)])
def test_nothing_goes_on_to_a_deployment_that_was_drained_or_removed_meanwhile(
    newer: tuple[Deployment, ...],
) -> None:
    pool = Pool(FIRST, SECOND, BESIDES)
    pool.publish(*newer)
    pool.bench.answer(pool.exchange, BUSY)
    assert pool.exchange.target.deployment.name == "third"
    pool = Pool(FIRST, SECOND)
    pool.publish(*newer)
    pool.bench.answer(pool.exchange, BUSY)
    pool.bench.wal.sync()
    assert pool.client.status == 429


def test_a_deployment_that_moved_is_asked_where_it_is_now() -> None:
    pool = Pool(FIRST, SECOND)
    pool.publish(FIRST, MOVED)
    pool.bench.answer(pool.exchange, BUSY)
    assert pool.exchange.target.origin.host == "moved.example"


def test_a_lost_connection_is_not_made_again_to_a_drained_deployment() -> None:
    pool = Pool(SECOND)
    pool.exchange.upstream_lost(ResponseParser(), reused=True)
    assert pool.bench.dialled[-1] == (pool.exchange, True)
    pool = Pool(SECOND)
    pool.publish(DRAINED)
    pool.exchange.upstream_lost(ResponseParser(), reused=True)
    pool.bench.wal.sync()
    assert (pool.client.status, pool.client.error["code"]) == (503, "model_drained")
    assert len(pool.bench.dialled) == 1
    pool = Pool(FIRST, SECOND)
    pool.publish(msgspec.structs.replace(FIRST, drained=True), SECOND)
    pool.exchange.upstream_lost(ResponseParser(), reused=True)
    pool.bench.turn()
    assert pool.bench.dialled[-1][0].target.deployment.name == "second"
    # Being drained says nothing about its health.
    assert pool.bench.dispatcher.router.circuits() == {}


class Written(asyncio.Transport):
    """What was written to a server."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def is_closing(self) -> bool:
        """It stays."""
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sent."""
        self.data += data


class SlowLoop:
    """A loop whose connections are made, or fail, when the test says so."""

    def __init__(self) -> None:
        self.create_task = asyncio.get_running_loop().create_task
        self.made: dict[str, asyncio.Future[None]] = {}
        self.servers: dict[str, Written] = {}

    async def create_connection(
        self, factory: Callable[[], UpstreamConnection], host: str, *_: object, **__: object
    ) -> tuple[asyncio.Transport, UpstreamConnection]:
        """Waits for the test."""
        self.made[host] = asyncio.get_running_loop().create_future()
        await self.made[host]
        connection = factory()
        self.servers[host] = Written()
        connection.connection_made(self.servers[host])
        return self.servers[host], connection


@pytest.mark.parametrize("error", [None, OSError()])
def test_a_connection_that_is_made_too_late_gets_nothing_that_goes_elsewhere(
    error: OSError | None,
) -> None:
    async def play() -> None:
        scene, loop = Scene(), SlowLoop()
        pool = UpstreamPool(cast(asyncio.AbstractEventLoop, loop), GatewaySettings())
        scene.bench.dial = pool.send
        exchange = scene.bench.request(chat_request(HELLO), scene.bench.client())
        assert exchange is not None
        scene.bench.turn()
        await asyncio.sleep(0)
        scene.bench.relay.tick(exchange.deadline_s + 1)
        scene.bench.turn()
        await asyncio.sleep(0)
        late = loop.made["units.example"]
        late.set_result(None) if error is None else late.set_exception(error)
        await asyncio.sleep(0.001)
        loop.made["first.example"].set_result(None)
        await asyncio.sleep(0.001)
        assert loop.servers["first.example"].data.count(b"POST ") == 1
        if error is None:
            assert loop.servers["units.example"].data == b""
        assert list(scene.bench.wal.closes) == [1]  # of the units, and of nobody else

    asyncio.run(play())


@pytest.mark.parametrize("change", ["paused", "withdrawn", "new price"])
def test_what_changed_since_a_request_came_holds_for_it_when_it_leaves_its_units(
    change: str,
) -> None:
    """Its budget may be paused by now, or its contract have no spillover any more."""
    scene = Scene()
    exchange, client = scene.ask()
    budget = BudgetGrant("key", "key_1", "USD", (Epoch("@1", "", 0, 2**62),), False, 100)
    terms = Provisioned("toy", 100, 4, change != "withdrawn", "units")
    budget = msgspec.structs.replace(budget, paused=change == "paused")
    snapshot = Snapshot(
        8,
        0,
        (a_grant(provisioned=(terms,)),),
        {},
        (UNITS, FIRST),
        budgets={} if change == "withdrawn" else {budget.id: budget},
        rate_cards={"list": RateCard("USD", {})},
    )
    index = build(snapshot, {})
    scene.bench.dispatcher.index = index
    scene.bench.relay.end_barred(index)
    scene.answer(exchange, FAILED)
    scene.bench.wal.sync()
    assert client.status == 502
    assert [opened.deployment for opened in scene.bench.wal.open.values()] == ["units"]
