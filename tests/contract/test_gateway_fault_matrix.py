"""Each fault, streaming and plain: no usage lost or doubled, nothing stuck, no traceback.

All cases run at once against one real worker, each with a model of its own, so that every row of
the log belongs to one case; and all the while the worker's clock jumps.
"""

import gzip
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from tests.contract.faulty_peers import (
    CHAT,
    WORDS_MADE,
    Behaviour,
    Call,
    FaultyGateway,
    FaultyServer,
    behaves,
    half_closes,
    leaves,
    pipelines,
    reads_slowly,
    resets_on_us,
    sends,
    stops_talking,
)
from tests.contract.gateway_process import planted, until

from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.events import UsageEvent
from quartermaster.kernel.units import Counts
from quartermaster.usage.policy import is_waived

# All the while the machine's clock jumps by days, to and fro.
JUMPING = planted(
    "import itertools",
    "from quartermaster.gateway import worker as module",
    "steps, real = itertools.cycle((0, 86_400, -86_400, 3_600, -7_200)), module.system_clock",
    "module.system_clock = lambda: real() + next(steps) * 1_000_000",
)

MODES = ("stream", "plain")


class Expected(NamedTuple):
    """How a case ends for its client, and in the log."""

    status: tuple[int, int]
    """Of a stream and of a plain answer; 0 where the client reads none."""
    failures: tuple[str, str]
    """Of a stream's row and of a plain answer's."""
    rows: int = 1


def both(status: int, failure: str, rows: int = 1) -> Expected:
    """The same for a stream and for a plain answer."""
    return Expected((status, status), (failure, failure), rows)


DROPPED, MALFORMED = "upstream_dropped", "upstream_malformed"

# What the model server does wrong, with a client that behaves.
UPSTREAM: dict[str, Expected] = {
    "talks": both(200, ""),
    "closes_at_once": both(502, DROPPED),
    "closes_in_the_middle": Expected((200, 502), (DROPPED, DROPPED)),
    "resets": Expected((200, 502), (DROPPED, DROPPED)),
    "ends_unfinished": Expected((200, 502), (DROPPED, MALFORMED)),
    "breaks_json": Expected((200, 502), (DROPPED, MALFORMED)),
    "speaks_no_http": both(502, MALFORMED),
    "floods": both(502, MALFORMED),
    "never_breaks": Expected((200, 502), (MALFORMED, MALFORMED)),
    "packs": both(502, MALFORMED),
    "says_more": both(502, MALFORMED),
    "errs_in_the_answer": Expected((200, 502), ("upstream_error", "upstream_error")),
    "counts_negative": both(200, "usage_negative"),
    "counts_absurdly": both(200, "usage_too_large"),
    "says_nothing": both(504, "upstream_timeout"),
    "stalls": Expected((200, 504), ("upstream_timeout", "upstream_timeout")),
    "trickles": Expected((200, 504), ("upstream_timeout", "upstream_timeout")),
    "is_busy": both(429, "upstream_rejected"),
    "is_overloaded": both(502, "upstream_error"),
    "crashes": both(502, "upstream_error"),
    "unreachable": both(502, "upstream_unreachable"),
}


def smuggles(*headers: str) -> Behaviour:
    """Two requests in one, for a reader who trusts another length."""
    inner = b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 0\r\n\r\n"
    return sends(lambda call: call.head(*headers, length=5) + b"0\r\n\r\n" + inner)


# What the client does wrong, with a model server that behaves.
CLIENT: dict[str, tuple[Behaviour, Expected]] = {
    "leaves": (leaves, both(0, "client_gone")),
    "resets": (resets_on_us, both(0, "client_gone")),
    "half_closes": (half_closes, both(0, "client_gone")),
    "reads_slowly": (reads_slowly, both(200, "")),
    "pipelines": (pipelines, both(200, "", rows=3)),
    "stops_talking": (stops_talking, both(408, "", rows=0)),
    "stops_in_the_body": (sends(lambda call: call.whole[:-3]), both(408, "", rows=0)),
    "smuggles_chunks": (smuggles("transfer-encoding: chunked"), both(400, "", rows=0)),
    "smuggles_lengths": (smuggles("content-length: 60"), both(400, "", rows=0)),
    "smuggles_codings": (smuggles("transfer-encoding: xchunked"), both(400, "", rows=0)),
    "folds": (sends(lambda call: call.head("x-a: b\r\n c") + call.body), both(400, "", rows=0)),
    "floods": (
        sends(lambda call: call.head(*["x-more: " + "y" * 1000] * 60) + call.body),
        both(431, "", rows=0),
    ),
    "never_breaks": (
        sends(lambda call: call.head(target=CHAT + "?" + "y" * 60_000) + call.body),
        both(431, "", rows=0),
    ),
    "packs": (
        sends(
            lambda call: (
                call.head("content-encoding: gzip", length=len(gzip.compress(bytes(10**6))))
                + gzip.compress(bytes(10**6))
            )
        ),
        both(400, "", rows=0),
    ),
    "sends_no_json": (
        sends(lambda call: call.head(length=9) + b'{"model":'),
        both(400, "", rows=0),
    ),
}
# A client that leaves or dawdles needs a server that is still talking.
TALKING = {"leaves": "goes_on", "resets": "goes_on", "half_closes": "goes_on"}


class Case(NamedTuple):
    """One fault in one mode under one policy."""

    name: str
    mode: str
    fault: str
    behaviour: Behaviour
    expected: Expected
    policy: CancelledStream = "bill_delivered"

    @property
    def model(self) -> str:
        """Its own model, by which its rows are found."""
        return f"{self.name}.{self.mode}"

    @property
    def status(self) -> int:
        """What its client reads; 0 for nothing."""
        return self.expected.status[MODES.index(self.mode)]

    @property
    def failure(self) -> str:
        """What its rows say."""
        return self.expected.failures[MODES.index(self.mode)]

    def play(self, gateway: FaultyGateway, upstream: FaultyServer) -> bytes:
        """What its client reads."""
        key, stream = gateway.secrets[self.policy], self.mode == "stream"
        call = Call(gateway.port, key, self.model, stream, upstream.began, upstream.left.add)
        return self.behaviour(call)


def matrix() -> Iterator[Case]:
    """The whole matrix."""
    for mode in MODES:
        for fault, expected in UPSTREAM.items():
            yield Case(f"upstream_{fault}", mode, fault, behaves, expected)
        for name, (behaviour, expected) in CLIENT.items():
            fault = TALKING.get(name, "talks")
            yield Case(f"client_{name}", mode, fault, behaviour, expected)
        gone = both(0, "client_gone")
        yield Case("leaves_in_full", mode, "goes_on", leaves, gone, "bill_full")
        yield Case("leaves_free", mode, "goes_on", leaves, gone, "free")


CASES = {case.model: case for case in matrix()}


class Played(NamedTuple):
    """What came of the matrix."""

    answers: dict[str, bytes]
    rows: list[UsageEvent]
    asked: Counter[str]
    said: str

    def of(self, model: str) -> list[UsageEvent]:
        """The rows of one case."""
        return [row for row in self.rows if row.opened.model == model]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Play all cases at once, and drain the worker."""
    var = tmp_path_factory.mktemp("faults") / "var"
    with FaultyServer({m: case.fault for m, case in CASES.items()}).running() as upstream:
        assert isinstance(upstream, FaultyServer)
        gateway = FaultyGateway(var, upstream, JUMPING)
        try:
            answers = play(gateway, upstream, CASES)
            until(lambda: gateway.status.in_flight == gateway.status.connections == 0)
            rows = gateway.stop()
        finally:
            gateway.process.kill()
            gateway.process.communicate()
        asked = Counter(str(one["model"]) for one in upstream.asked)
        yield Played(answers, rows, asked, gateway.said.read_text())


def play(
    gateway: FaultyGateway, upstream: FaultyServer, cases: dict[str, Case]
) -> dict[str, bytes]:
    """What each case's client read."""

    def one(case: Case) -> bytes:
        return case.play(gateway, upstream)

    with ThreadPoolExecutor(len(cases)) as pool:
        return dict(zip(cases, pool.map(one, cases.values()), strict=True))


@pytest.mark.parametrize("model", CASES)
def test_a_fault_leaves_one_row_a_request_and_its_client_reads_why(
    played: Played, model: str
) -> None:
    case, rows, answer = CASES[model], played.of(model), played.answers[model]
    assert [row.closed.failure for row in rows] == [case.failure] * case.expected.rows
    if case.status:
        assert answer.startswith(b"HTTP/1.1 %d " % case.status), answer[:200]
    ends = answer.count(b"[DONE]")
    whole = case.status == 200 and case.mode == "stream" and not case.failure.startswith("up")
    assert ends == (case.expected.rows if whole else 0)
    if case.failure.startswith("upstream_") and case.status == 200:
        assert b'"error":' in answer


def test_no_usage_is_lost_or_doubled(played: Played) -> None:
    ids = Counter((row.opened.request_id, row.opened.attempt) for row in played.rows)
    assert set(ids.values()) == {1}
    expected = sum(case.expected.rows for case in CASES.values())
    assert len(played.rows) == expected
    assert all(row.status == "closed" for row in played.rows)
    sent = Counter(row.opened.model for row in played.rows)
    for model, case in CASES.items():
        if case.fault == "unreachable":
            assert played.asked[model] == 0
        elif case.fault == "closes_at_once":
            # A kept connection that ends before its answer begins is tried again on a fresh one.
            assert played.asked[model] in (1, 2)
        else:
            assert played.asked[model] == sent[model]


def test_there_is_no_traceback(played: Played) -> None:
    assert played.said == ""


def test_who_leaves_owes_what_the_contract_says(played: Played) -> None:
    counted = Counts(input=11, output=20)
    (delivered,) = played.of("client_leaves.stream")
    seen = delivered.closed.delivered_chunks
    assert 2 <= seen < WORDS_MADE
    assert delivered.closed.counts == Counts(input=11, output=20 * seen // WORDS_MADE)
    assert (delivered.closed.count_source, delivered.closed.upstream_counts) == (
        "estimated",
        counted,
    )
    (plainly,) = played.of("client_leaves.plain")
    assert (plainly.closed.counts, plainly.closed.upstream_counts) == (Counts(input=11), counted)
    for mode in MODES:
        (full,) = played.of(f"leaves_in_full.{mode}")
        assert (full.closed.counts, full.closed.upstream_counts) == (counted, None)
        assert full.closed.count_source == "upstream"
        (free,) = played.of(f"leaves_free.{mode}")
        assert is_waived(free.opened.cancelled_stream, free.closed.failure)
        # It was stopped at once: nobody heard what it would have counted.
        assert (free.closed.upstream_usage, free.closed.count_source) == (b"", "estimated")
