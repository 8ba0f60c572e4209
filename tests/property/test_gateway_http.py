"""Whatever a client or a model server sends, the HTTP cores answer in their own words."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from quartermaster.gateway.requests import Request, RequestParser
from quartermaster.gateway.responses import ResponseParser
from quartermaster.kernel.errors import UpstreamError

HEAD_MAX = 4_096
BODY_MAX = 64

request_pieces = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n",
        b"POST / HTTP/1.0\r\n",
        b"host: h\r\n",
        b"Authorization: Bearer k\r\n",
        b"content-length: 3\r\n",
        b"content-length: 99\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"expect: 100-continue\r\n",
        b"connection: close\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n",
        b"\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0\r\ntrailer: x\r\n\r\n",
        b"\n",
        b" ",
        b":",
    ]
)
request_streams = st.lists(request_pieces | st.binary(max_size=8), max_size=14).map(b"".join)

response_pieces = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.0 503 Busy\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"content-length: 3\r\n",
        b"transfer-encoding: chunked\r\n",
        b"content-type: text/event-stream\r\n",
        b"connection: upgrade\r\nupgrade: x\r\n",
        b"\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
    ]
)
response_streams = st.lists(response_pieces | st.binary(max_size=8), max_size=10).map(b"".join)
cuts = st.lists(st.integers(0, 300), max_size=6)


def split(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in at)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def parse(parts: list[bytes]) -> list[Request]:
    parser = RequestParser(head_bytes_max=HEAD_MAX, body_bytes_max=BODY_MAX)
    requests = [request for part in parts for request in parser.feed(part)]
    refused = [request for request in requests if request.refusal is not None]
    assert len(refused) <= 1
    assert parser.broken is bool(refused)
    if refused:
        assert requests[-1] is refused[0]
    return requests


def seen(requests: list[Request]) -> list[object]:
    # Of two things that are wrong, the cut decides which is met first; unit tests hold each to its
    # own refusal.
    return [
        (r.method, r.target, r.authorization, r.body, r.keep_alive)
        if r.refusal is None
        else "refused"
        for r in requests
    ]


@given(request_streams, cuts)
def test_requests_are_taken_or_refused_whatever_the_split(data: bytes, at: list[int]) -> None:
    whole = parse([data])
    for request in whole:
        if request.refusal is None:
            assert len(request.body) <= BODY_MAX
        else:
            assert 400 <= request.refusal.http_status < 500
    assert seen(parse(split(data, at))) == seen(whole)
    assert seen(parse([data[i : i + 1] for i in range(len(data))])) == seen(whole)


@given(st.binary(max_size=400), cuts)
def test_arbitrary_bytes_never_break_the_request_core(data: bytes, at: list[int]) -> None:
    parse(split(data, at))


def answer(parts: list[bytes]) -> tuple[object, ...]:
    parser = ResponseParser()
    try:
        for part in parts:
            parser.feed(part)
    except UpstreamError:
        return ("not HTTP",)
    body = parser.take_body()
    return (parser.status, parser.complete, parser.content_type, body, parser.eof())


@given(response_streams | st.binary(max_size=200), cuts)
def test_responses_are_parsed_or_refused_whatever_the_split(data: bytes, at: list[int]) -> None:
    assert answer(split(data, at)) == answer([data])
