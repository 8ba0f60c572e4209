"""Tokens of streams whose model server does not say them: whole tokens, characters, sentences."""

import base64
import json
import textwrap
from pathlib import Path

import pytest
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO,
    HELLO_STREAM,
    STREAM_HEAD,
    Bench,
    a_grant,
    an_index,
    chunked,
    delta,
    plain_response,
)

from quartermaster.gateway.pieces import text_bytes_of, tokens_at_least, tokens_of
from quartermaster.gateway.token_estimate import MEDIA_PART_TOKENS
from quartermaster.kernel.limit import Limits
from quartermaster.tokens.count import count

PROSE = Path(__file__).parents[3].joinpath("docs", "why.md").read_text(encoding="utf-8")
CODE = Path(__file__).read_text(encoding="utf-8")
ENCODING = "gpt-4o"


@pytest.mark.parametrize("text", [PROSE, CODE], ids=["prose", "code"])
@pytest.mark.parametrize("pieces", ["characters", "sentences"])
def test_text_counts_where_pieces_are_no_tokens(text: str, pieces: str) -> None:
    true = count(text, ENCODING)[0]
    parts = list(text) if pieces == "characters" else textwrap.wrap(text, 90)
    size = len(text.encode())
    assert 0.7 * true < tokens_of(len(parts), size) < 1.4 * true


@pytest.mark.parametrize("text", [PROSE, CODE], ids=["prose", "code"])
def test_a_server_that_streams_characters_and_obeys_is_not_beyond_its_cap(text: str) -> None:
    true = count(text, ENCODING)[0]
    for part in (text, text[:400]):
        assert tokens_at_least(len(part), len(part.encode())) <= count(part, ENCODING)[0]
    assert tokens_at_least(len(text), len(text.encode())) > true / 4


def test_pieces_as_long_as_words_are_tokens() -> None:
    assert tokens_of(100, 430) == tokens_at_least(100, 430) == 100
    assert tokens_of(0, 0) == tokens_at_least(0, 0) == 0
    assert tokens_of(1, 1) == 1


@pytest.mark.parametrize("text", ["plain", "two\nlines", "für", "a\tb", '"quoted"', ""])
def test_a_text_is_as_long_as_without_its_escapes(text: str) -> None:
    for ascii_only in (True, False):
        raw = json.dumps(text, ensure_ascii=ascii_only).encode()
        assert abs(text_bytes_of(raw) - len(text.encode())) <= text.count("ü")


def test_a_stream_of_characters_without_usage_is_billed_by_its_text() -> None:
    bench = Bench()
    exchange = bench.send(HELLO_STREAM, bench.client())
    said = "The quick brown fox jumps over the lazy dog and runs."
    frames = [*(delta(one) for one in said), delta("", "stop"), DONE]
    bench.answer(exchange, STREAM_HEAD + b"".join(chunked(one) for one in frames) + b"0\r\n\r\n")
    closed = bench.wal.only_close
    assert closed.delivered_chunks == len(said)
    assert closed.counts.output == 14
    assert closed.count_source == "estimated"


def test_a_stream_of_sentences_without_usage_is_not_given_away() -> None:
    bench = Bench()
    exchange = bench.send(HELLO_STREAM, bench.client())
    frames = [delta("The quick brown fox jumps over the lazy dog. "), delta("", "stop"), DONE]
    bench.answer(exchange, STREAM_HEAD + b"".join(chunked(one) for one in frames) + b"0\r\n\r\n")
    assert bench.wal.only_close.counts.output == 12


def test_a_cap_counts_tokens_and_not_the_pieces_of_a_stream() -> None:
    """A hundred tokens of prose, sent character by character, by a server that ends there."""
    bench = Bench(an_index(a_grant(limits=Limits(output_tokens=100))))
    exchange = bench.send(HELLO_STREAM, bench.client())
    bench.answer(exchange, STREAM_HEAD)
    for one in PROSE[:450]:
        bench.answer(exchange, chunked(delta(one)))
    assert bench.upstream.calls == []
    for one in PROSE[450:2_000]:
        bench.answer(exchange, chunked(delta(one)))
    assert bench.upstream.calls == ["abort"]


@pytest.mark.parametrize("stream", [True, False])
def test_an_image_is_not_billed_as_the_text_that_it_is_written_in(stream: bool) -> None:
    """A model server that says nothing of usage, asked about a picture of 300 KB."""
    url = "data:image/png;base64," + base64.b64encode(bytes(300_000)).decode()
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {**HELLO, "stream": stream, "messages": [{"role": "user", "content": parts}]}
    bench = Bench()
    exchange = bench.send(body, bench.client())
    if stream:
        frames = [delta("Zeros.", "stop"), DONE]
        data = STREAM_HEAD + b"".join(chunked(one) for one in frames) + b"0\r\n\r\n"
    else:
        data = plain_response(b'{"choices":[{"message":{"content":"Zeros."}}]}')
    bench.answer(exchange, data)
    closed = bench.wal.only_close
    assert MEDIA_PART_TOKENS <= closed.counts.input < MEDIA_PART_TOKENS + 100
    (opened,) = bench.wal.open.values()
    assert opened.input_bytes > 400_000
