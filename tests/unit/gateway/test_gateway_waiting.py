"""Requests that wait for their worker's first lease, on a connection that only remembers."""

import json
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    TOY,
    Bench,
    a_grant,
    chat_request,
    plain_response,
)
from tests.unit.gateway.test_gateway_server import GET, FakeTransport

from quartermaster.billing.leases import LeaseLedger
from quartermaster.gateway import waiting
from quartermaster.gateway.budget import Purses
from quartermaster.gateway.dispatch import Dispatcher
from quartermaster.gateway.index import build
from quartermaster.gateway.server import ClientConnection
from quartermaster.gateway.waiting import WaitingRoom
from quartermaster.kernel.budget import FOREVER, BudgetGrant, Epoch, RateCard, Rates
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.snapshot import Snapshot

PATIENCE_S = 15
BUDGET = BudgetGrant("key", "key_1", "USD", (Epoch("@1", "", 0, FOREVER),), output_tokens=100)
NAME = BUDGET.id, "@1"
PLENTY = 10**9
ANSWER = plain_response(b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}')


class World:
    """One worker that has just begun, and whoever grants its leases."""

    connections_max = 9_999

    def __init__(self, patience_s: int = PATIENCE_S) -> None:
        self.bench = Bench()
        self.dispatcher: Dispatcher = self.bench.dispatcher
        self.connections: set[ClientConnection] = set()
        self.now_s = 100.0
        self.purses = self.dispatcher.purses = Purses("life", 1)
        self.room = WaitingRoom(self.purses, patience_s, lambda: self.now_s)
        self.dispatcher.room = self.room
        self.ledger = LeaseLedger()
        self.publish()
        self.look()

    def publish(self, standing: Standing = "active") -> None:
        """A snapshot in which the key has a budget."""
        snapshot = Snapshot(
            2,
            0,
            (a_grant(),),
            {"grp_1": standing},
            (TOY,),
            budgets={BUDGET.id: BUDGET},
            rate_cards={"list": RateCard("USD", {"toy": Rates(*[1_000] * 8)})},
        )
        index = build(snapshot, {})
        self.purses.follow(index.budgets, lambda: 1)
        self.dispatcher.index = index

    def know(self, amount: int = PLENTY) -> None:
        """The clerk has read its book."""
        self.ledger.agree({NAME: amount})
        self.ledger.settle(NAME, 0)

    def look(self, *, answered: bool = False) -> None:
        """What a worker does every twentieth of a second; `answered` before it, perhaps."""
        if answered:
            for grant in self.ledger.grants().values():
                self.purses.granted(grant.now)
        ask = self.purses.ask()
        if ask is not None:
            self.ledger.ask("gateway-0", ask)
        self.room.look()
        self.bench.turn()

    def client(self, data: bytes) -> FakeTransport:
        """A client that sends this."""
        connection, transport = ClientConnection(self), FakeTransport()
        connection.connection_made(transport)
        connection.data_received(data)
        self.bench.turn()
        return transport

    @property
    def sent(self) -> list[str]:
        """The last word of each request that went to the model server, in order."""
        return [
            json.loads(bytes(one.call.fields["messages"]))[0]["content"]
            for one, _ in self.bench.dialled
        ]


def saying(word: str, **fields: Any) -> bytes:
    return chat_request({**HELLO, "messages": [{"role": "user", "content": word}], **fields})


def status_of(transport: FakeTransport) -> str:
    return transport.data.partition(b" ")[2][:3].decode()


def test_requests_wait_for_the_first_lease_and_go_on_in_their_order() -> None:
    world = World()
    clients = [world.client(saying(word)) for word in "abc"]
    world.look()
    assert [one.data for one in clients] == [b"", b"", b""]
    world.know()
    world.look(answered=True)
    world.look(answered=True)
    assert world.sent == ["a", "b", "c"]
    assert not world.bench.tallies.refusals
    assert len(world.room) == 0


def test_a_grantor_that_has_not_read_its_book_says_nothing_of_what_is_left() -> None:
    """Its first answers come before it knows the budget: that is no spent budget."""
    world = World()
    client = world.client(saying("a"))
    for _ in range(20):
        world.look(answered=True)
        world.now_s += 0.05
    assert client.data == b""
    world.know()
    for _ in range(10):
        world.look(answered=True)
    assert world.sent == ["a"]


def test_nobody_waits_longer_than_the_limit_and_nobody_for_who_is_gone() -> None:
    world = World()
    first = world.client(saying("a"))
    world.look()
    world.now_s += PATIENCE_S - 1
    second = world.client(saying("b"))
    world.look()
    assert (first.data, second.data) == (b"", b"")
    world.now_s += 1
    world.look()
    # The second waited a second only: the grantor has been silent for all of the time.
    assert [status_of(one) for one in (first, second)] == ["429", "429"]
    assert b"retry-after-ms: " in first.data
    assert status_of(world.client(saying("c"))) == "429"
    world.know()
    world.look(answered=True)
    world.look(answered=True)
    world.client(saying("d"))
    assert world.sent == ["d"]


def test_money_that_is_in_use_is_waited_for_two_answers_long() -> None:
    """The whole budget is set aside by another request: the client is told to come back."""
    world = World()
    world.know(2_000)
    world.client(saying("a"))
    for _ in range(12):
        world.look(answered=True)
    assert world.sent == ["a"]
    late = world.client(saying("b"))
    assert late.data == b""
    for _ in range(20):
        world.look(answered=True)
    assert status_of(late) == "429"


def test_a_spent_budget_is_refused_at_once() -> None:
    world = World()
    world.know(10)
    world.look(answered=True)
    world.look(answered=True)
    client = world.client(saying("a"))
    assert status_of(client) == "429"
    assert b"x-should-retry: false" in client.data


def test_who_hangs_up_waits_no_more() -> None:
    world = World()
    world.client(saying("a"))
    connection = next(iter(world.connections))
    connection.connection_lost(None)
    assert len(world.room) == 0
    world.know()
    world.look(answered=True)
    world.look(answered=True)
    assert world.sent == []


def test_a_customer_who_is_suspended_meanwhile_is_told_so() -> None:
    world = World()
    client = world.client(saying("a"))
    world.publish("suspended")
    world.room.again()
    assert status_of(client) == "403"
    assert b"account_suspended" in client.data


def test_a_worker_that_ends_lets_nobody_wait() -> None:
    world = World()
    client = world.client(saying("a"))
    world.room.close()
    assert status_of(client) == "429"
    assert status_of(world.client(saying("b"))) == "429"


def test_what_is_pipelined_behind_one_that_waits_is_answered_after_it() -> None:
    world = World()
    client = world.client(saying("a") + GET)
    assert client.data == b""
    world.know()
    world.look(answered=True)
    world.look(answered=True)
    exchange = world.bench.dialled[-1][0]
    exchange.sent(world.bench.upstream)
    world.bench.answer(exchange, ANSWER)
    world.bench.wal.sync()
    assert client.data.count(b"HTTP/1.1 200 OK") == 2


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WAITING_MAX", 2)
    world = World()
    clients = [world.client(saying(word)) for word in "abc"]
    assert [status_of(one) for one in clients] == ["", "", "429"]
    monkeypatch.setattr(waiting, "WAITING_MAX", 9)
    monkeypatch.setattr(waiting, "WAITING_BYTES_MAX", 1_000)
    clients = [world.client(saying("a" * 600)) for _ in range(2)]
    assert [status_of(one) for one in clients] == ["", "429"]


def test_without_patience_nobody_waits() -> None:
    world = World(patience_s=0)
    assert status_of(world.client(saying("a"))) == "429"


def test_what_waits_is_wanted_once_however_often_it_is_looked_at() -> None:
    """Else a worker would ask for the leases of its neighbours."""
    world = World()
    world.client(saying("a"))
    (purse,) = world.purses.all()
    wanted = purse.demand
    assert wanted > 0
    for _ in range(5):
        world.room.again()
    assert purse.demand == wanted
    assert len(world.room) == 1
