"""Keep-alive connections to model servers: an asyncio protocol around the response parser."""

import asyncio
import ssl
from typing import Final, cast

from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.responses import ResponseParser
from quartermaster.gateway.route import Origin
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import UpstreamError

# A response that goes on after [DONE] is only its chunked terminator; a second is generous.
DETACHED_S: Final = 2


class UpstreamConnection(asyncio.Protocol):
    """One connection; carries one exchange at a time."""

    __slots__ = (
        "_exchange",
        "_paused",
        "_pool",
        "deadline_s",
        "detached",
        "idle",
        "parser",
        "transport",
        "uses",
    )

    transport: asyncio.Transport

    def __init__(self, pool: "UpstreamPool", idle: "list[UpstreamConnection]") -> None:
        self._pool = pool
        self.idle = idle
        self.parser = ResponseParser()
        self._exchange: Exchange | None = None
        self._paused = False
        self.detached = False
        self.uses = 0
        self.deadline_s = 0

    def start(self, exchange: Exchange) -> None:
        """Send the exchange's request."""
        self._exchange = exchange
        self.uses += 1
        self.transport.write(exchange.sent(self))

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast(asyncio.Transport, transport)
        self._pool.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the response."""
        exchange = self._exchange
        parser = self.parser
        if exchange is None:
            if not self.detached:
                self.transport.abort()  # nobody asked
                return
        elif exchange.takes_whole and (whole := parser.whole(data)) is not None:
            self._exchange = None
            exchange.answered(*whole)
            self._rest()
            return
        try:
            parser.feed(data)
        except UpstreamError as error:
            self.transport.abort()
            self._exchange = None
            if exchange is not None:
                exchange.upstream = None
                exchange.fail(
                    "upstream_malformed", f"{error.message[:1].upper()}{error.message[1:]}."
                )
            return
        if parser.complete:
            self._exchange = None
            if exchange is not None:
                exchange.upstream_data(parser)
            self._reuse()
        elif exchange is not None:
            exchange.upstream_data(parser)
        else:
            parser.take_body()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer closed, or we did."""
        del exc  # why it broke does not change what the client is told
        self._pool.forget(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if self.parser.eof():
            exchange.upstream_data(self.parser)
        else:
            exchange.upstream_lost(self.parser, reused=self.uses > 1)

    def _reuse(self) -> None:
        self.detached = False
        parser = self.parser
        if not parser.keep_alive:
            self.transport.close()
            return
        parser.reset()
        self._rest()

    def _rest(self) -> None:
        if self._paused:
            self.resume()
        pool = self._pool
        self.deadline_s = pool.now_s + pool.idle_s
        self.idle.append(self)

    # -- UpstreamPort ----------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop reading: the client does not keep up."""
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection now."""
        self._exchange = None
        self.transport.abort()

    def detach(self) -> None:
        """The exchange needs no more bytes; read the rest of the response unseen."""
        self._exchange = None
        self.detached = True
        self.deadline_s = self._pool.now_s + DETACHED_S
        self.resume()

    def close(self) -> None:
        """Close an idle connection."""
        self.transport.close()


class UpstreamPool:
    """All upstream connections of a worker; the most recently used is taken first.

    Args:
        loop: the worker's loop.
        settings: limits and time-outs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: GatewaySettings) -> None:
        self._loop = loop
        self._settings = settings
        self.idle_s = settings.upstream_idle_s
        self._idle: dict[str, list[UpstreamConnection]] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._tls: ssl.SSLContext | None = None
        self.connections: set[UpstreamConnection] = set()
        self.now_s = 0

    def send(self, exchange: Exchange, fresh: bool) -> None:
        """Send the exchange over an idle connection, or over a new one."""
        idle = self._idle.get(exchange.target.pool)
        while idle and not fresh:
            connection = idle.pop()
            if not connection.transport.is_closing():
                connection.start(exchange)
                return
        used = len(self.connections) + len(self._connecting)
        if used >= self._settings.upstream_connections_max and not self._make_room():
            exchange.fail("upstream_saturated", "All connections to the model server are in use.")
            return
        task = self._loop.create_task(self._connect(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, exchange: Exchange) -> None:
        target = exchange.target
        origin = target.origin
        idle = self._idle.setdefault(target.pool, [])

        def factory() -> UpstreamConnection:
            return UpstreamConnection(self, idle)

        try:
            async with asyncio.timeout(target.connect_s):
                _, connection = await self._loop.create_connection(
                    factory, origin.host, origin.port, ssl=self._context(origin)
                )
        except (OSError, TimeoutError, ValueError):
            # ValueError: a name or an address that the resolver does not take.
            if exchange.target is target:
                exchange.fail("upstream_unreachable", "The model server cannot be reached.")
            return
        if exchange.target is not target or not exchange.awaits_upstream:
            # Its request, with another server's key, has gone elsewhere meanwhile, or is over.
            self.put_back(connection)
        elif connection.transport.is_closing():
            exchange.fail("upstream_unreachable", "The model server closed the connection at once.")
        else:
            connection.start(exchange)

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if not origin.tls:
            return None
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _make_room(self) -> bool:
        """Close a connection that waits for requests to some other server; whether there was one.

        After a failover they are all to the server that nobody asks any more.
        """
        for idle in self._idle.values():
            if idle:
                unused = idle.pop(0)
                self.connections.discard(unused)
                unused.close()
                return True
        return False

    def put_back(self, connection: UpstreamConnection) -> None:
        """The connection is free: nobody waits for it any more."""
        connection.uses += 1  # it may be closed while it is idle, as one that was used
        connection.deadline_s = self.now_s + self.idle_s
        connection.idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """The connection is gone."""
        self.connections.discard(connection)
        if connection in connection.idle:
            connection.idle.remove(connection)

    def tick(self, monotonic_s: float) -> None:
        """Once a second: close what has been idle, or detached, for too long."""
        self.now_s = int(monotonic_s)
        for idle in self._idle.values():
            while idle and idle[0].deadline_s < self.now_s:
                idle.pop(0).close()
        for connection in list(self.connections):
            if connection.detached and connection.deadline_s < self.now_s:
                connection.abort()

    async def aclose(self) -> None:
        """Drop every connection."""
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self.connections):
            connection.abort()
