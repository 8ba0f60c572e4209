"""What a worker needs of its process and machine: files, memory, secrets, certificates, ports."""

import asyncio
import gc
import os
import resource
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from quartermaster.gateway.settings import FILES_RESERVED, GatewaySettings
from quartermaster.kernel.errors import ConfigError, UnavailableError
from quartermaster.kernel.ids import PEPPER_BYTES

# The default of 700 allocations scans live exchanges thousands of times a second for nothing:
# they are freed by reference counts.
GC_GENERATION_0: Final = 50_000
# TLS takes two round trips around the world and some milliseconds; a stranger who never ends its
# handshake must not keep a worker from ending.
HANDSHAKE_S: Final = 2.0


def open_files_max(settings: GatewaySettings) -> int:
    """The limit of open files, raised as far as is wanted and allowed.

    Debian starts processes with 1,024; what they may ask for is far more.
    """
    wanted = settings.client_connections_max + settings.upstream_connections_max + FILES_RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def require_alone(host: str, port: int) -> None:
    """Check that nobody listens there, also nobody who would share the port.

    Raises:
        OSError: somebody does.
    """
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)


def close_port(server: asyncio.Server) -> list[socket.socket]:
    """Stop listening; the connections that nobody has accepted yet, to be served all the same.

    A listener that is closed resets what waits in its queue, also where a successor listens beside
    it. What is still in its handshake in these microseconds is reset too, unless the machine is
    told to hand it on (Linux, `net.ipv4.tcp_migrate_req = 1`).
    """
    ports = [socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets]
    server.close()
    waiting: list[socket.socket] = []
    for port in ports:
        with port, suppress(BlockingIOError, ConnectionError):
            port.setblocking(False)
            while True:
                waiting.append(port.accept()[0])
    return waiting


async def adopt(
    loop: asyncio.AbstractEventLoop,
    waiting: Sequence[socket.socket],
    serve: Callable[[], asyncio.Protocol],
    tls: ssl.SSLContext | None,
) -> None:
    """Serve connections that nobody had accepted when the port was closed.

    Whoever cannot speak TLS, or not within `HANDSHAKE_S`, loses its own connection and nothing
    else: requests of others are running, and the worker is about to end.

    Args:
        loop: the worker's.
        waiting: from `close_port`.
        serve: makes what answers one of them.
        tls: how clients are spoken to.
    """
    shaking = [
        loop.create_task(loop.connect_accepted_socket(serve, one, ssl=tls)) for one in waiting
    ]
    if not shaking:
        return
    done, late = await asyncio.wait(shaking, timeout=HANDSHAKE_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in done:
        failure = task.exception()
        if failure is not None and not isinstance(failure, OSError):
            context = {"message": "a waiting connection failed", "exception": failure}
            loop.call_exception_handler(context)


def settle() -> None:
    """Tune the interpreter for the hot path, once everything is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_GENERATION_0)


def read_pepper(path: Path) -> bytes:
    """The key of the keyed hash of customer keys.

    Raises:
        UnavailableError: it cannot be read.
        ConfigError: it is none.
    """
    try:
        pepper = path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"the key pepper {path} cannot be read: {error.strerror}",
            hint="run `quartermaster up`, which makes it, or restore it from the backup",
        ) from error
    if len(pepper) != PEPPER_BYTES:
        raise ConfigError(
            f"the key pepper {path} has {len(pepper)} bytes instead of {PEPPER_BYTES}",
            hint="restore it from the backup; without it no customer key works",
        )
    return pepper


def tls_of(settings: GatewaySettings) -> ssl.SSLContext | None:
    """How clients are spoken to; None in plain HTTP.

    Raises:
        ConfigError: the certificate or its key cannot be used.
    """
    if not settings.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the TLS certificate {settings.tls_certificate} cannot be used: {error}",
            field="gateway.tls_certificate",
        ) from error
    return context
