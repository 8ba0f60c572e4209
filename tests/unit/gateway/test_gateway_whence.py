"""Network and program of whoever asks: keyed hashes, of requests that are read, and no address."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.unit.gateway.gateway_fakes import HELLO, a_grant, raw_request
from tests.unit.gateway.test_gateway_held import MESSAGES, bench_of
from tests.unit.gateway.test_gateway_tap import GRANT, NOON, Ended

from quartermaster.gateway.repeated_head import RepeatedHead
from quartermaster.gateway.requests import (
    AGENT_BYTES_MAX,
    HEADS_LEARNED_MAX,
    Request,
    RequestParser,
)
from quartermaster.gateway.tap import Tap, open_tap
from quartermaster.gateway.whence import NOWHERE, Asking, Whence, network_of
from quartermaster.kernel import ring
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.tapped import SAMPLE, Content, decode

PEPPER = bytes(32)
PROXY = (ip_network("192.0.2.0/24"),)


class Client(NamedTuple):
    peer: str
    agent: bytes = b"OpenAI/Python 2.8.1"


def network(peer: str, pepper: bytes = PEPPER) -> str:
    return Whence(pepper, ()).of(Client(peer), Request())[0]


def test_a_network_is_a_24th_or_a_48th() -> None:
    home = network("203.0.113.9")
    assert home
    assert home == network("203.0.113.250") == network("::ffff:203.0.113.77")
    assert home != network("203.0.114.9")
    assert network("2001:db8:7::1") == network("2001:db8:7:ffff::2") != network("2001:db8:8::1")
    assert home != network("203.0.113.9", pepper=b"p" * 32)
    assert network_of(ip_address("10.1.2.3")) == network_of(ip_address("10.1.2.200"))


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "fe80::1", "0.0.0.0", "", "nonsense"])
def test_this_machine_and_what_cannot_be_read_are_nobodys_network(peer: str) -> None:
    assert network(peer) == ""


def test_behind_a_trusted_proxy_it_is_the_clients_network_in_a_known_head_too() -> None:
    whence = Whence(PEPPER, PROXY)
    first = Request(forwarded=b"203.0.113.9")
    again = RepeatedHead(b"", b"", b"", b"")
    again.forwarded = b"203.0.113.50"
    found = {whence.of(Client("192.0.2.1"), request)[0] for request in (first, Request(head=again))}
    assert found == {network("203.0.113.9")}
    long = Request(forwarded=b"203.0.113.9, " * 200)
    assert whence.of(Client("192.0.2.1"), long)[0] == ""
    # A stranger's word on its address counts for nothing.
    assert whence.of(Client("198.51.100.1"), first)[0] == network("198.51.100.1")


def test_a_program_is_what_its_head_names() -> None:
    one, other = (
        Whence(PEPPER, ()).of(Client("", agent), Request())[1] for agent in (b"curl/8", b"curl/9")
    )
    assert one
    assert one != other
    assert Whence(PEPPER, ()).of(Client("", b""), Request()) == NOWHERE


def test_the_parser_knows_the_program_of_its_connection() -> None:
    parser = RequestParser(head_bytes_max=65_536, body_bytes_max=1_000)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n%bContent-Length: 2\r\n\r\n{}"
    parser.feed(head % b"User-Agent: curl/8\r\n")
    assert parser.agent == b"curl/8"
    (again,) = parser.feed(head % b"User-Agent: curl/8\r\n")
    assert again.head is not None  # recognised, and not parsed
    assert parser.agent == b"curl/8"
    parser.feed(head % (b"user-agent: " + b"x" * 5_000 + b"\r\n"))
    assert parser.agent == b"x" * AGENT_BYTES_MAX


def test_customers_behind_one_proxy_connection_do_not_share_a_program() -> None:
    parser = RequestParser(head_bytes_max=65_536, body_bytes_max=1_000)
    whence = Whence(PEPPER, ())
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n%bContent-Length: 2\r\n\r\n{}"
    named, nameless = head % b"User-Agent: curl/8\r\n", head % b""

    def program(data: bytes) -> str:
        (request,) = parser.feed(data)
        return whence.of(Client("", parser.agent), request)[1]

    curl = program(named)
    assert curl
    assert [program(data) for data in (nameless, named, nameless, nameless)] == ["", curl, "", ""]
    # Of so many heads one stays known, whatever is parsed between.
    heads = [head % b"User-Agent: a/%d\r\n" % number for number in range(HEADS_LEARNED_MAX)]
    first = [program(data) for data in heads]
    program(head % b"User-Agent: other\r\n")
    assert [program(data) for data in heads] == first


class Counting(Whence):
    """Counts how often it is asked."""

    asked = 0

    def of(self, client: Asking, request: Request) -> tuple[str, str]:
        self.asked += 1
        return super().of(client, request)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    found = ring.folder_of(tmp_path)
    if found.exists():
        found.rmdir()


def read_of(tap: Tap, folder: Path, count: int) -> list[Content]:
    reader = ring.attach(ring.folder_of(folder) / f"w{ring.SUFFIX}")
    assert reader is not None
    tap.tick(Instant(NOON), 0.0)
    for number in range(count):
        taken = tap.take(GRANT, b"{}", NOON, Client("203.0.113.9"), Request())
        if taken is not None:
            taken.end(Ended(str(number)), 200)
    found = [decode(frame.payload) for frame in reader.frames()]
    reader.close()
    tap.close()
    return [one for one in found if isinstance(one, Content)]


@pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
def test_only_requests_that_are_read_are_looked_at_and_no_address_is_written(folder: Path) -> None:
    whence = Counting(PEPPER, ())
    tap = open_tap(folder, "w", ring_bytes=8 << 20, reads_per_s=10**6, whence=whence)
    found = read_of(tap, folder, 3_000)
    assert SAMPLE <= len(found) < 1_500
    assert whence.asked == len(found)
    assert {(one.network, one.client) for one in found} == {
        Whence(PEPPER, ()).of(Client("203.0.113.9"), Request())
    }
    assert all("203.0" not in repr(one) and "OpenAI" not in repr(one) for one in found)


@pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
def test_a_tap_without_it_says_neither(folder: Path) -> None:
    tap = open_tap(folder, "w", ring_bytes=8 << 20, reads_per_s=10**6)
    assert {(one.network, one.client) for one in read_of(tap, folder, 10)} == {NOWHERE}


@pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
@pytest.mark.parametrize("body", [HELLO, {**HELLO, "stream": True}, MESSAGES])
def test_the_dispatcher_hands_over_who_asks(folder: Path, body: dict[str, Any]) -> None:
    bench = bench_of(a_grant(watched=True))
    tap = open_tap(folder, "w", ring_bytes=1 << 20, reads_per_s=100, whence=Whence(PEPPER, ()))
    tap.tick(Instant(NOON), 0.0)
    bench.dispatcher.tap = tap
    client = bench.client()
    client.peer, client.agent = "203.0.113.9", b"curl/8"
    path = "/v1/messages" if body is MESSAGES else "/v1/chat/completions"
    exchange = bench.request(raw_request("POST", path, body), client)
    assert exchange is not None
    assert exchange.taken is not None
    exchange.taken.end(Ended("1"), 200)
    reader = ring.attach(ring.folder_of(folder) / f"w{ring.SUFFIX}")
    assert reader is not None
    (found,) = [decode(frame.payload) for frame in reader.frames()]
    assert isinstance(found, Content)
    assert (found.network, found.client) == Whence(PEPPER, ()).of(
        Client("203.0.113.9", b"curl/8"), Request()
    )
    reader.close()
    tap.close()
