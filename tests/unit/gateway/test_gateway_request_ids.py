"""Request ids: unique, sorted by time, never from a client."""

import re

from tests.unit.gateway.gateway_fakes import HELLO, NOW, Bench

from quartermaster.gateway.request_ids import RequestIds
from quartermaster.kernel.ids import CROCKFORD

SHAPE = re.compile(rf"req_[{CROCKFORD}]{{26}}")


def test_shape_and_order() -> None:
    ids = RequestIds()
    made = [ids.new(NOW + ms * 1_000) for ms in range(2_000)]
    assert all(SHAPE.fullmatch(one) for one in made)
    assert made == sorted(made)


def test_two_workers_at_the_same_instant_do_not_meet() -> None:
    one, other = RequestIds(), RequestIds()
    made = [ids.new(NOW) for _ in range(2_000) for ids in (one, other)]
    assert len(set(made)) == len(made)
    assert len({each[:14] for each in made}) == 1


def test_every_random_character_is_used() -> None:
    ids = RequestIds()
    assert {c for _ in range(500) for c in ids.new(NOW)[14:]} == set(CROCKFORD)


def test_a_client_cannot_choose_its_id() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client(), x_request_id="req_mine")
    assert exchange.request_id != "req_mine"
    assert bench.wal.open[1].request_id == exchange.request_id
