"""The sans-IO core of the client side."""

import pytest

from quartermaster.gateway.requests import PIPELINED_MAX, Request, RequestParser

HEAD_MAX = 1_000
BODY_MAX = 100
GET = b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n"


def a_parser() -> RequestParser:
    return RequestParser(head_bytes_max=HEAD_MAX, body_bytes_max=BODY_MAX)


def post(body: bytes, *headers: str) -> bytes:
    lines = "\r\n".join(["POST /x HTTP/1.1", "Host: h", *headers])
    return f"{lines}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def only(requests: list[Request]) -> Request:
    (request,) = requests
    return request


def refusal_of(data: bytes, size: int = 1 << 20) -> tuple[int, str]:
    parser = a_parser()
    requests: list[Request] = []
    for at in range(0, len(data), size):
        requests += parser.feed(data[at : at + size])
    refusal = requests[-1].refusal
    assert refusal is not None, requests
    assert parser.broken
    assert parser.feed(GET) == []
    return refusal.http_status, refusal.code


def test_a_request_with_a_body() -> None:
    request = only(a_parser().feed(post(b"hello", "Authorization: Bearer k", "X-Other: y")))
    assert request == Request(b"POST", b"/x", b"Bearer k", b"hello", True, False, None)


def test_header_names_have_no_case() -> None:
    assert only(a_parser().feed(post(b"", "aUTHORIZATION: Bearer k"))).authorization == b"Bearer k"


def test_a_request_byte_by_byte() -> None:
    parser = a_parser()
    data = post(b"hello", "authorization: Bearer k")
    requests = [request for at in range(len(data)) for request in parser.feed(data[at : at + 1])]
    assert only(requests).body == b"hello"
    assert not parser.mid_request


def test_pipelined_requests_come_out_in_order_and_keep_their_bodies() -> None:
    requests = a_parser().feed(post(b"one", "authorization: a") + post(b"two") + GET)
    assert [r.body for r in requests] == [b"one", b"two", b""]
    assert [r.authorization for r in requests] == [b"a", b"", b""]


def test_a_chunked_body() -> None:
    head = b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    data = head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert only(a_parser().feed(data)).body == b"abcde"


@pytest.mark.parametrize(
    ("version", "header", "keep_alive"),
    [("1.1", "", True), ("1.1", "connection: close", False), ("1.0", "", False)],
)
def test_whether_the_connection_stays(version: str, header: str, keep_alive: bool) -> None:
    data = f"GET / HTTP/{version}\r\nhost: h\r\n{header}{chr(13) + chr(10) if header else ''}\r\n"
    request = only(a_parser().feed(data.encode()))
    assert request.keep_alive is keep_alive
    assert request.http_1_0 is (version == "1.0")


def test_http_1_0_may_stay_when_it_asks() -> None:
    request = only(a_parser().feed(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"))
    assert (request.keep_alive, request.http_1_0) == (True, True)


SMUGGLING = {
    "length beside coding": b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding beside length": b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n"
    b"content-length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n"
    b"content-length: 4\r\n\r\nabcd",
    "signed length": b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +3\r\n\r\nabc",
    "unknown coding": b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, identity\r\n\r\n",
    "space before colon": b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length : 3\r\n\r\nabc",
    "folded header": b"POST / HTTP/1.1\r\nhost: h\r\nx: a\r\n b\r\ncontent-length\r\n: 3\r\n\r\n",
    "bare line feeds in chunks": b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\nabc\n0\n\n",
    "bad chunk size": b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3;\x00\r\n",
    "negative chunk": b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two keys": b"GET / HTTP/1.1\r\nhost: a\r\nauthorization: a\r\nauthorization: b\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00",
    "unknown method": b"BREW / HTTP/1.1\r\nhost: h\r\n\r\n",
    "tunnel": b"CONNECT a:443 HTTP/1.1\r\nhost: h\r\n\r\n",
    "upgrade": b"POST / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
    b"content-length: 3\r\n\r\nabc",
}


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("data", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_dangerous_shapes_are_refused(data: bytes, size: int) -> None:
    assert refusal_of(data, size) == (400, "malformed_http")


def test_a_declared_body_that_is_too_large_is_refused_before_it_arrives() -> None:
    data = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 101\r\n\r\n"
    assert refusal_of(data) == (413, "request_too_large")
    assert refusal_of(data.replace(b"101", b"9" * 18)) == (413, "request_too_large")
    assert only(a_parser().feed(post(b"x" * BODY_MAX))).refusal is None


def test_a_chunked_upload_is_cut_off_at_the_limit() -> None:
    parser = a_parser()
    head = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    assert parser.feed(head + b"64\r\n" + b"x" * 100 + b"\r\n") == []
    refusal = only(parser.feed(b"1\r\nx\r\n")).refusal
    assert refusal is not None
    assert refusal.code == "request_too_large"


HUGE = {
    "one header": b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"y" * HEAD_MAX + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nhost: h\r\n" + b"x: y\r\n" * 600 + b"\r\n",
    "target": b"GET /" + b"y" * HEAD_MAX + b" HTTP/1.1\r\nhost: h\r\n\r\n",
    "header without end": b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"y" * HEAD_MAX,
}


@pytest.mark.parametrize("size", [50, 1 << 20])
@pytest.mark.parametrize("data", HUGE.values(), ids=HUGE.keys())
def test_a_head_that_is_too_large_is_refused(data: bytes, size: int) -> None:
    assert refusal_of(data, size) == (431, "headers_too_large")


@pytest.mark.parametrize("before", [GET, post(b"hello\n"), GET * 3], ids=["get", "post", "more"])
@pytest.mark.parametrize("data", HUGE.values(), ids=HUGE.keys())
def test_a_head_that_is_too_large_behind_another_request_is_refused(
    data: bytes, before: bytes
) -> None:
    """Wherever the reads fall: all in one, some of the head with the request before it, ..."""
    for first in (1 << 20, len(before) + 1, len(before) + 20, len(before) + HEAD_MAX // 2):
        parser = a_parser()
        together = before + data
        requests = parser.feed(together[:first]) + parser.feed(together[first:])
        assert [one.refusal for one in requests[:-1]] == [None] * (len(requests) - 1)
        refusal = requests[-1].refusal
        assert refusal is not None
        assert (refusal.http_status, refusal.code) == (431, "headers_too_large")


def test_a_head_behind_a_large_body_is_not_charged_for_it() -> None:
    """Some of the head comes with the body; only its own bytes count."""
    large = post(b"x" * 5_000)
    together = large + post(b"y", "x-long: " + "z" * (HEAD_MAX // 2))
    for cut in range(len(large), len(together), 7):
        parser = RequestParser(head_bytes_max=HEAD_MAX, body_bytes_max=1 << 20)
        requests = parser.feed(together[:cut]) + parser.feed(together[cut:])
        assert [one.body for one in requests] == [b"x" * 5_000, b"y"]


@pytest.mark.parametrize("endless", [b"0\r\nx: ", b"1;x="], ids=["trailer", "chunk extension"])
def test_what_never_ends_after_the_head_is_refused(endless: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    assert refusal_of(head + endless + b"y" * 2 * HEAD_MAX, 50) == (431, "headers_too_large")


def test_small_requests_in_one_large_read_are_not_a_large_head() -> None:
    requests = a_parser().feed(GET * 60)
    assert len(requests) == 60
    assert all(request.refusal is None for request in requests)


def test_only_so_many_requests_wait() -> None:
    requests = a_parser().feed(GET * (PIPELINED_MAX + 5))
    assert len(requests) == PIPELINED_MAX + 1
    assert requests[-1].refusal is not None


def test_expect_continue_is_offered_once_the_head_is_good() -> None:
    parser = a_parser()
    assert parser.feed(post(b"abc", "expect: 100-continue")[:-3]) == []
    assert parser.wants_continue
    assert only(parser.feed(b"abc")).body == b"abc"
    assert not parser.wants_continue


def test_no_continue_is_offered_to_a_body_that_will_be_refused() -> None:
    parser = a_parser()
    data = b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 999\r\n\r\n"
    assert only(parser.feed(data)).refusal is not None
    assert not parser.wants_continue


def test_other_expectations_fail() -> None:
    assert refusal_of(post(b"", "expect: 200-ok")) == (417, "expectation_failed")
