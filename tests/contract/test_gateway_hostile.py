"""A real gateway between hostile clients and a hostile model server."""

import random
from pathlib import Path

import pytest
from tests.contract.hostile_peers import run_hostile, statuses


def test_broken_bytes_on_sockets_end_in_time(tmp_path: Path) -> None:
    ended = run_hostile(tmp_path / "var", 400, 20_261_123)
    print(ended)
    assert ended.asked > 100
    assert {200, 400, 502} <= ended.statuses.keys()


def test_answers_one_after_another_are_told_apart() -> None:
    one = b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nab"
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert statuses(one + go_on + one + one[:-1]) == [404, 404, 404]


@pytest.mark.long
def test_fifty_thousand_hostile_connections(tmp_path: Path) -> None:
    print(run_hostile(tmp_path / "var", 50_000, random.SystemRandom().randrange(2**32)))
