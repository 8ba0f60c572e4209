"""An OpenAI-compatible server for the embedded model, on loopback only."""

import asyncio
import contextlib
import json
import logging
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from quartermaster.kernel.clock import US_PER_S, system_clock
from quartermaster.kernel.errors import NotFoundError, QuartermasterError, UnavailableError
from quartermaster.kernel.ids import new_id
from quartermaster.model.exchange import Exchange, begin
from quartermaster.model.generation import Delta, Engine, Failed, Finished
from quartermaster.model.settings import SMOLLM2, ModelSettings
from quartermaster.model.start import Engines, start_engines
from quartermaster.model.wire import BadRequestError, ChatRequest, error_body, parse, usage

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Loopback: there are no keys here; customers come through the gateway."""

BODY_BYTES_MAX = 1 << 20
"""One MiB holds any text that fits the model's context many times over."""

RETRY_AFTER_S = 5
"""About the time in which one of eight full slots becomes free."""

GRACE_S = 10
"""How long open answers may go on after SIGTERM; longer than a usual answer of 256 tokens at a
slot's share of the rate is not worth a supervisor's patience."""

CONNECTIONS_WAITING_MAX = 128
"""The listen queue; the engine's own queue of 64 answers is the smaller bound."""


class ModelServer:
    """The three routes over a set of engines."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._started_s = system_clock() // US_PER_S

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/healthz", self._health, methods=["GET"]),
            ],
            exception_handlers={
                QuartermasterError: _on_error,
                404: _on_unknown_path,
                405: _on_unknown_path,
            },
        )

    async def _models(self, request: Request) -> Response:
        del request
        data = [
            {"id": name, "object": "model", "created": self._started_s, "owned_by": "quartermaster"}
            for name in self._engines.by_model
        ]
        return JSONResponse({"object": "list", "data": data})

    async def _health(self, request: Request) -> Response:
        """Which engine is up, in words a person and a supervisor can use."""
        del request
        failures = {
            name: engine.failure
            for name, engine in self._engines.by_model.items()
            if engine.failure
        }
        load = {name: engine.load() for name, engine in self._engines.by_model.items()}
        body = {
            "status": "failed" if failures else "ok",
            "engine": self._engines.preferred,
            "models": [name for name in self._engines.by_model if name not in failures],
            "fallback_reason": self._engines.fallback_reason,
            "failures": failures,
            "answering": {name: counts[0] for name, counts in load.items()},
            "waiting": {name: counts[1] for name, counts in load.items()},
        }
        return JSONResponse(body, status_code=503 if failures else 200)

    async def _complete(self, request: Request) -> Response:
        asked = parse(await _body(request))
        seed = secrets.randbits(63) if asked.seed is None else asked.seed
        exchange = begin(self._engine(asked.model), asked, seed=seed)
        head = {
            "id": new_id("chatcmpl"),
            "created": system_clock() // US_PER_S,
            "model": asked.model,
        }
        if asked.stream:
            chunks = _stream(exchange, asked, head)
            return StreamingResponse(chunks, media_type="text/event-stream")
        return await _whole(request, exchange, head)

    def _engine(self, model: str) -> Engine:
        engine = self._engines.by_model.get(model)
        if engine is not None:
            return engine
        if model == SMOLLM2:
            raise UnavailableError(
                f"{model} is not up here: {self._engines.fallback_reason}",
                hint='the toy model answers as "toy"',
            )
        raise ModelNotFoundError(
            f"there is no model {model!r} here",
            hint=f"models: {', '.join(self._engines.by_model)}",
            field="model",
        )


class ModelNotFoundError(NotFoundError):
    """No such model."""

    code = "model_not_found"


async def _body(request: Request) -> bytes:
    """The request body, bounded.

    Raises:
        BadRequestError: it is longer than `BODY_BYTES_MAX`.
    """
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > BODY_BYTES_MAX:
            raise TooLargeError(f"the body is longer than {BODY_BYTES_MAX} bytes")
    return bytes(parts)


class TooLargeError(BadRequestError):
    """The body is too large."""

    code = "request_too_large"
    http_status = 413


async def _whole(request: Request, exchange: Exchange, head: dict[str, Any]) -> Response:
    """Collect all choices; stop at once when the client goes away."""
    collecting = asyncio.ensure_future(exchange.collect())
    watching = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({collecting, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not collecting.done():
            return Response(status_code=499)  # nobody reads it
        answers = collecting.result()
    finally:
        exchange.cancel()
        for task in (collecting, watching):
            task.cancel()
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": finished.reason,
        }
        for index, (text, finished) in enumerate(answers)
    ]
    output_tokens = sum(finished.output_tokens for _, finished in answers)
    return JSONResponse(
        {
            **head,
            "object": "chat.completion",
            "choices": choices,
            "usage": usage(exchange.prompt_tokens, output_tokens),
        }
    )


async def _gone(request: Request) -> None:
    """Return when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stream(
    exchange: Exchange, asked: ChatRequest, head: dict[str, Any]
) -> AsyncIterator[bytes]:
    """Server-sent events; closing the generator (client gone) frees the slots."""
    head = {**head, "object": "chat.completion.chunk"}
    output_tokens = 0
    try:
        for index in range(asked.choices):
            yield _chunk(head, asked, index, {"role": "assistant", "content": ""})
        async for index, event in exchange.events():
            match event:
                case Delta():
                    yield _chunk(head, asked, index, {"content": event.text})
                case Finished():
                    output_tokens += event.output_tokens
                    yield _chunk(head, asked, index, {}, event.reason)
                case Failed():
                    yield _event(error_body(UnavailableError(event.message)))
                    return
        if asked.include_usage:
            counts = usage(exchange.prompt_tokens, output_tokens)
            yield _event({**head, "choices": [], "usage": counts})
        yield b"data: [DONE]\n\n"
    finally:
        exchange.cancel()


def _chunk(
    head: dict[str, Any],
    asked: ChatRequest,
    index: int,
    delta: dict[str, str],
    reason: str | None = None,
) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
    body = {**head, "choices": [choice]}
    if asked.include_usage:
        body["usage"] = None
    return _event(body)


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


async def _on_error(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, QuartermasterError), "registered for the error tree only"
    busy = error.http_status == 429
    headers = {"retry-after": str(RETRY_AFTER_S)} if busy else None
    return JSONResponse(error_body(error), status_code=error.http_status, headers=headers)


async def _on_unknown_path(request: Request, error: Exception) -> Response:
    del error
    missing = NotFoundError(
        f"no {request.method} {request.url.path} here",
        hint="use POST /v1/chat/completions, GET /v1/models or GET /healthz",
    )
    return JSONResponse(error_body(missing), status_code=404)


class _Uvicorn(uvicorn.Server):
    """Uvicorn that ends with our exit code, and when an engine has failed.

    Its own version raises the signal again at the end.
    """

    def __init__(self, config: uvicorn.Config, engines: Engines) -> None:
        super().__init__(config)
        self._engines = engines

    async def on_tick(self, counter: int) -> bool:
        """Whether to end: a failed engine answers nothing more until a new process starts it."""
        return await super().on_tick(counter) or bool(self._engines.failure)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on SIGTERM and SIGINT."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(settings: ModelSettings, *, var: Path) -> int:
    """Serve until SIGTERM or SIGINT; open answers get `GRACE_S` seconds to finish.

    Raises:
        UnavailableError: the port is taken, a demanded engine cannot start, or one has failed.
    """
    listener = _listen(settings.port)
    engines = start_engines(settings, var)
    config = uvicorn.Config(
        ModelServer(engines).app(),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
    )
    log.info("model server on port %s: %s", listener.getsockname()[1], ", ".join(engines.by_model))
    try:
        _Uvicorn(config, engines).run(sockets=[listener])
        if engines.failure:
            raise UnavailableError(
                f"an engine has failed: {engines.failure}",
                hint="start the model server again, as `quartermaster up` does",
            )
    finally:
        engines.close()
        listener.close()
    return 0


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise UnavailableError(
            f"port {port} on {HOST} cannot be used: {error.strerror}",
            hint="stop what listens there, or set model.port",
        ) from error
    listener.listen(CONNECTIONS_WAITING_MAX)
    return listener
