"""A mock model server for the gateway bench: one fixed stream of chunks, or one fixed answer.

It is as cheap as Python allows, so that the load it can give is not the figure that is measured.
"""

import argparse
import asyncio
from typing import cast

import httptools
import uvloop

ANSWER = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1720000000,"model":"bench",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps '
    b'over the lazy dog and runs away."},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":24,"completion_tokens":12,"total_tokens":36,'
    b'"prompt_tokens_details":{"cached_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":0}}}'
)
SENTENCE = b"The quick brown fox jumps over the lazy dog and runs away."
# Twelve tokens a sentence: three hundred.
LONG_ANSWER = ANSWER.replace(SENTENCE, b" ".join([SENTENCE] * 25))
_DELTA = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1720000000,'
    b'"model":"bench","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,'
    b'"finish_reason":null}],"usage":null}\n\n'
)
_STOP = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1720000000,'
    b'"model":"bench","choices":[{"index":0,"delta":{},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":null}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1720000000,'
    b'"model":"bench","choices":[],"usage":{"prompt_tokens":24,"completion_tokens":%d,'
    b'"total_tokens":%d}}\n\n'
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def frames(chunks: int) -> list[bytes]:
    """The writes of one stream: head and first delta, one delta each, then the end."""
    end = _chunk(_STOP) + _chunk(_USAGE % (chunks, chunks + 24)) + _chunk(b"data: [DONE]\n\n")
    return [_HEAD + _chunk(_DELTA), *[_chunk(_DELTA)] * (chunks - 1), end + b"0\r\n\r\n"]


class MockModelServer(asyncio.Protocol):
    """Answers every request with the same stream, `pause_s` between two chunks."""

    def __init__(self, writes: list[bytes], pause_s: float) -> None:
        self._writes = writes
        self._pause_s = pause_s
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """httptools: a whole request has arrived."""
        self._step(0)

    def _step(self, at: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(self._writes[at])
        if at + 1 < len(self._writes):
            self._loop.call_later(self._pause_s, self._step, at + 1)


async def serve(port: int, chunks: int, pause_s: float, burst: bool) -> None:
    writes = [b"".join(frames(chunks))] if burst else frames(chunks)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: MockModelServer(writes, pause_s), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    parser.add_argument("--burst", action="store_true", help="all chunks in one write")
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.chunks, options.pause_ms / 1000, options.burst))


if __name__ == "__main__":
    main()
