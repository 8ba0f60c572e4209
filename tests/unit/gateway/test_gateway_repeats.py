"""Heads that come again: the short way gives what the parser gives, or is not taken."""

import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.gateway.gateway_fakes import Bench, a_grant, an_index, chat_request

from quartermaster.gateway.repeated_answer import RepeatedAnswer
from quartermaster.gateway.requests import HEADS_LEARNED_MAX, Request, RequestParser
from quartermaster.gateway.responses import ResponseParser
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UpstreamError

BODY_MAX = 1_000
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k1\r\n"


def parser() -> RequestParser:
    return RequestParser(head_bytes_max=4_096, body_bytes_max=BODY_MAX)


def post(body: bytes, *, head: bytes = HEAD, length: bytes | None = None) -> bytes:
    said = str(len(body)).encode() if length is None else length
    return head + b"Content-Length: " + said + b"\r\nX-Last: z\r\n\r\n" + body


def seen(request: Request) -> tuple[Any, ...]:
    """A request without the memory of its head."""
    return (
        request.method,
        request.target,
        request.authorization,
        request.body,
        request.keep_alive,
        request.http_1_0,
        request.refusal and request.refusal.code,
    )


def test_a_repeated_head_is_recognised_with_another_length() -> None:
    one = parser()
    assert one.feed(post(b"{}"))[0].head is None
    (again,) = one.feed(post(b"{" + b" " * 200 + b"}"))
    assert again.head is not None
    assert again.authorization == b"Bearer k1"
    assert len(again.body) == 202
    (third,) = one.feed(post(b""))
    assert third.head is again.head
    assert third.body == b""


@pytest.mark.parametrize(
    "data",
    [
        post(b"{}", head=HEAD.replace(b"k1", b"k2")),
        post(b"{}", head=HEAD + b"Transfer-Encoding: chunked\r\n"),
        post(b"{}", head=HEAD + b"Content-Length: 2\r\n"),
        post(b"{}", head=HEAD + b"Connection: close\r\n"),
        post(b"{}") + post(b"[]"),
        post(b"{}")[:-1],
        post(b"{}", length=b"-2"),
        post(b"{}", length=b"+2"),
        post(b"{}", length=b"0x2"),
        post(b"{}", length=b"2 2"),
        post(b"{}", length=b""),
        post(b"{}", length=b"\xb2"),
        post(b"{}", length=b"002"),
        post(b"x" * (BODY_MAX + 1)),
        b"GET" + post(b"")[4:],
        b"\r\n" + post(b"{}"),
    ],
)
def test_whatever_differs_reads_as_if_nothing_had_been_learned(data: bytes) -> None:
    learned, fresh = parser(), parser()
    learned.feed(post(b"{}"))
    fresh._heads_learned = HEADS_LEARNED_MAX
    fresh.feed(post(b"{}"))
    assert [seen(r) for r in learned.feed(data)] == [seen(r) for r in fresh.feed(data)]
    assert learned.broken == fresh.broken
    assert learned.mid_request == fresh.mid_request


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=60), st.integers(1, 400))))
def test_any_split_of_any_requests_reads_the_same_with_and_without_memory(
    given_requests: list[tuple[int, bytes, int]],
) -> None:
    learned, plain = parser(), parser()
    plain._heads_learned = HEADS_LEARNED_MAX
    for kind, body, cut in given_requests:
        head = HEAD.replace(b"k1", b"k%d" % (kind // 2))
        data = post(body, head=head)
        parts = (data[:cut], data[cut:]) if kind % 2 else (data, b"")
        for part in filter(None, parts):
            ours = [seen(r) for r in learned.feed(part)]
            assert ours == [seen(r) for r in plain.feed(part)]


CLOSED = post(b"{}", head=HEAD + b"Connection: close\r\n")
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@given(
    st.lists(
        st.sampled_from(
            (
                post(b"{}"),
                post(b"{}") + b"PO",
                CHUNKED + b"PO",
                b"ST /",
                b"P",
                b"OST / ",
                b"\r\n",
                CLOSED,
            )
        ),
        max_size=6,
    )
)
@example([CLOSED, post(b"{1}")])
@example([CHUNKED + b"PO", post(b"{1}"), b"ST /other HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_request_that_has_begun_is_not_taken_for_a_boundary(pieces: list[bytes]) -> None:
    learned, plain = parser(), parser()
    plain._heads_learned = HEADS_LEARNED_MAX
    for part in (post(b"{}"), *pieces):
        assert [seen(r) for r in learned.feed(part)] == [seen(r) for r in plain.feed(part)]
        assert learned.broken == plain.broken


# Around every change in the number of a length's digits, up to seven of them.
SIZES = (0, 1, 9, 10, 11, 99, 100, 101, 999, 1_000, 9_999, 10_000, 99_999, 100_000, 1_000_000)


@pytest.mark.parametrize("first", SIZES)
def test_a_length_is_told_by_what_came_whatever_came_before(first: int) -> None:
    learned = parser()
    learned.feed(post(b"{}"))
    known = learned.feed(post(b"{}"))[0].head
    assert known is not None
    for size in SIZES:
        for body in (b"x" * first, b"y" * size):
            # An empty one behind a length of two digits goes to the parser.
            assert known.body_of(post(body), 1_000_000) == body or not body


@pytest.mark.parametrize("first", SIZES[:-3])
def test_no_other_length_than_the_bodys_is_recognised(first: int) -> None:
    learned = parser()
    learned.feed(post(b"{}"))
    known = learned.feed(post(b"{}"))[0].head
    assert known is not None
    for size in SIZES[:-3]:
        for said in (size - 10, size - 2, size - 1, size + 1, size + 2, size + 10, -size):
            if said != size:
                known.body_of(post(b"x" * first), 10**6)
                data = post(b"y" * size, length=b"%d" % said)
                assert known.body_of(data, 10**6) is None


def test_a_head_that_changes_every_time_is_not_learned_for_ever() -> None:
    one = parser()
    for turn in range(HEADS_LEARNED_MAX + 3):
        one.feed(post(b"{}", head=HEAD + b"X-Turn: %d\r\n" % turn))
    again = post(b"{}", head=HEAD + b"X-Turn: %d\r\n" % (HEADS_LEARNED_MAX + 2))
    assert one.feed(again)[0].head is None


def test_a_remembered_key_is_refused_as_soon_as_the_snapshot_says_so() -> None:
    bench = Bench()
    one = parser()
    raw = chat_request({"model": "toy", "messages": [{"role": "user", "content": "x"}]})
    one = RequestParser(head_bytes_max=4_096, body_bytes_max=BODY_MAX)
    one.feed(raw)
    for _ in range(2):
        (request,) = one.feed(raw)
        assert not isinstance(bench.dispatcher.handle(request, bench.client()), bytes)
    bench.dispatcher.index = an_index(standing={"grp_1": "suspended"})
    (request,) = one.feed(raw)
    answer = bench.dispatcher.handle(request, bench.client())
    assert isinstance(answer, bytes)
    assert b"account_suspended" in answer


def test_a_remembered_key_does_not_keep_the_snapshot_in_memory() -> None:
    bench = Bench()
    old = bench.dispatcher.index
    held = sys.getrefcount(old)
    one = RequestParser(head_bytes_max=4_096, body_bytes_max=BODY_MAX)
    raw = chat_request({"model": "toy", "messages": [{"role": "user", "content": "x"}]})
    for _ in range(3):
        (request,) = one.feed(raw)
        assert not isinstance(bench.dispatcher.handle(request, bench.client()), bytes)
    assert request.head is not None
    assert request.head.entry is not None
    assert sys.getrefcount(old) == held


def test_a_remembered_key_expires_on_time() -> None:
    bench = Bench(an_index(a_grant(expires_at=1_700_000_000_000_010)))
    one = parser()
    raw = chat_request({"model": "toy", "messages": [{"role": "user", "content": "x"}]})
    one.feed(raw)
    (request,) = one.feed(raw)
    assert not isinstance(bench.dispatcher.handle(request, bench.client()), bytes)
    bench.now = Instant(bench.now + 10)
    (request,) = one.feed(raw)
    answer = bench.dispatcher.handle(request, bench.client())
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 401")


# -- answers -----------------------------------------------------------------------------------


def answer(body: bytes, **headers: str) -> bytes:
    given_headers = {
        "Server": "uvicorn",
        "Date": "Mon, 23 Nov 2026 16:00:00 GMT",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given_headers.items())
    return b"HTTP/1.1 200 OK\r\n" + lines.encode() + b"\r\n" + body


def outcome(one: ResponseParser, data: bytes) -> tuple[Any, ...]:
    whole = one.whole(data)
    if whole is not None:
        body, content_type = whole
        return (200, content_type, b"", False, True, True, True, len(body), body)
    one.feed(data)
    return (
        one.status, one.content_type, one.retry_after, one.encoded, one.head_done, one.complete,
        one.keep_alive, one.body_bytes, one.take_body(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "short_way"),
    [
        (answer(b'{"a":1}'), True),
        (answer(b'{"a":1}', Date="Tue, 24 Nov 2026 00:00:00 GMT"), True),
        (answer(b""), True),
        (answer(b"{}", Content_Type="text/plain"), False),
        (answer(b"{}", Connection="close"), False),
        (answer(b"{}", Content_Encoding="gzip"), False),
        (answer(b"{}", Retry_After="3"), False),
        (answer(b"{}").replace(b"200 OK", b"429 Slow Down"), False),
        (answer(b"{}")[:-1], False),
        (answer(b"{}", Date="a\x00b"), False),
        (answer(b"2\r\n{}\r\n0\r\n\r\n", Content_Length="5", Transfer_Encoding="chunked"), False),
    ],
)
def test_an_answer_reads_the_same_the_short_way(data: bytes, short_way: bool) -> None:
    learned, plain = ResponseParser(), ResponseParser()
    learned.feed(answer(b"{}"))
    learned.reset()
    repeated = RepeatedAnswer.learn(answer(b"{}"), b"application/json")
    assert repeated is not None
    assert (repeated.body_of(data) is not None) == short_way
    outcomes = []
    for one in (learned, plain):
        try:
            outcomes.append(outcome(one, data))
        except UpstreamError as error:
            outcomes.append((str(error),))
    assert outcomes[0] == outcomes[1]


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=12),
            st.sampled_from(["a", "b"]),
            st.sampled_from([0, 0, 0, 1, -1]),
            st.sampled_from(["Date", "X-Late"]),
        ),
        max_size=8,
    )
)
def test_answers_on_one_connection_read_the_same_whatever_came_before(
    answers: list[tuple[bytes, str, int, str]],
) -> None:
    learned = ResponseParser()
    for body, value, off, name in answers:
        data = answer(body, Content_Length=str(max(len(body) + off, 0)), X_Late="0")
        data = data.replace(
            b"\r\n%b: " % name.encode(), b"\r\n%b: %b" % (name.encode(), value.encode())
        )
        outcomes = []
        for one in (learned, ResponseParser()):
            try:
                outcomes.append(outcome(one, data))
            except UpstreamError as error:
                outcomes.append((str(error),))
        assert outcomes[0] == outcomes[1]
        if off or outcomes[0][0] != 200:
            return  # an unfinished or broken answer ends the connection
        learned.reset()


@pytest.mark.parametrize("first", SIZES)
def test_an_answers_length_is_told_by_what_came_whatever_came_before(first: int) -> None:
    known = RepeatedAnswer.learn(answer(b"{}"), b"application/json")
    assert known is not None
    for size in SIZES:
        for body in (b"x" * first, b"y" * size):
            assert known.body_of(answer(body)) == body
        for said in (size - 10, size - 1, size + 1, size + 10, -size):
            if said != size:
                assert known.body_of(answer(b"y" * size, Content_Length=str(said))) is None


def test_bytes_behind_a_repeated_answer_are_still_an_error() -> None:
    one = ResponseParser()
    one.feed(answer(b"{}"))
    one.reset()
    data = answer(b"{}") + answer(b"{}")
    assert one.whole(data) is None
    with pytest.raises(UpstreamError, match="model server"):
        one.feed(data)


@pytest.mark.parametrize("cut", [1, 8, 30, -1])
@pytest.mark.parametrize("turns", [0, 1, 3])
def test_an_answer_cannot_begin_before_it_is_asked_for(cut: int, turns: int) -> None:
    one = ResponseParser()
    for _ in range(turns):
        one.feed(answer(b"{}"))
        one.reset()
    data = answer(b"{}") + answer(b'{"whose":"theirs"}')[:cut]
    assert one.whole(data) is None
    with pytest.raises(UpstreamError, match="bytes after its response"):
        one.feed(data)


def test_an_interim_head_with_a_length_is_not_learned_as_an_answer() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nContent-Length: %d\r\n\r\n"
    one = ResponseParser()
    for body in (b"{}", b'{"a":1}'):
        inner = answer(body)
        assert one.whole(early % len(inner) + inner) is None
        one.feed(early % len(inner) + inner)
        assert (one.status, one.take_body()) == (200, body)
        one.reset()


def test_what_the_parser_refuses_is_told_in_the_dialect_of_its_address() -> None:
    bench = Bench()
    (request,) = parser().feed(
        b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (BODY_MAX + 1)
    )
    told = bench.dispatcher.handle(request, bench.client())
    assert isinstance(told, bytes)
    assert b'"type":"request_too_large"' in told
