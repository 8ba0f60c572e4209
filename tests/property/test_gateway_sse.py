"""The stream scanner sees the same whatever the network did to the bytes."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gateway.gateway_fakes import DONE, delta, frame, usage_frame

from quartermaster.gateway.sse import SseScanner

LARGE = 1 << 20

pieces = st.sampled_from(
    [
        delta("a"),
        delta("\n\n"),
        delta("x", "stop"),
        usage_frame(3, 4),
        frame({"error": {"message": "m"}}),
        frame({"choices": {"odd": 1}, "usage": {"prompt_tokens": 1}}),
        b": comment\n\n",
        b"event: e\r\ndata: {}\r\n\r\n",
        b"data: 1\r\r",
        b"\n",
        b"\r",
        DONE,
    ]
)
streams = st.lists(pieces | st.binary(max_size=6), max_size=12).map(b"".join)


def outcome(parts: list[bytes], *, keep_usage: bool) -> tuple[object, ...]:
    scanner = SseScanner(keep_usage=keep_usage, frame_bytes_max=LARGE)
    forwarded = b"".join(scanner.feed(part) for part in parts) + scanner.finish()
    return (
        forwarded,
        scanner.held,
        scanner.deltas,
        scanner.usage,
        scanner.finish_reason,
        scanner.upstream_id,
        scanner.done,
        scanner.error,
    )


@given(streams, st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_splitting_changes_nothing(data: bytes, cuts: list[int], keep_usage: bool) -> None:
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    parts = [data[a:b] for a, b in itertools.pairwise(edges)]
    whole = outcome([data], keep_usage=keep_usage)
    assert outcome(parts, keep_usage=keep_usage) == whole
    single = [data[at : at + 1] for at in range(len(data))]
    assert outcome(single, keep_usage=keep_usage) == whole


@given(streams)
def test_what_is_not_usage_or_done_is_forwarded_unchanged(data: bytes) -> None:
    scanner = SseScanner(keep_usage=True, frame_bytes_max=LARGE)
    forwarded = scanner.feed(data)
    if not scanner.held:
        assert data.startswith(forwarded)
        assert b"\n\n" not in data[len(forwarded) :]
