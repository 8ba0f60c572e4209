"""Ask a running worker how it decided on a request: one line in, one JSON line out, on a socket.

The socket lies beside the worker's status file, in a folder that only its owner may enter. Nothing
of it is written to disk: a worker remembers its last requests, and forgets them when it ends.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, cast

import msgspec

from quartermaster.gateway.attempts import Trace
from quartermaster.gateway.router import Router
from quartermaster.kernel.errors import IntegrityError

# A request id has thirty characters; a longer line is not one.
LINE_BYTES_MAX: Final = 128
# The worker answers from memory; one that is stuck for longer is asked in vain.
ANSWER_TIMEOUT_S: Final = 2.0
_PIECE_BYTES: Final = 65_536


class TraceProtocol(asyncio.Protocol):
    """One question.

    Args:
        router: of the worker.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody of this machine asks."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """A request id, ended by a line break."""
        self._line += data
        line, ended, _ = self._line.partition(b"\n")
        if ended:
            route = self._router.find(line.decode("ascii", "replace"))
            self._transport.write(msgspec.json.encode(None if route is None else route.trace()))
            self._transport.close()
        elif len(self._line) > LINE_BYTES_MAX:
            self._transport.abort()


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a socket that the kernel accepts however deep the folder lies (108 bytes)."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def listen(
    loop: asyncio.AbstractEventLoop, path: Path, router: Router
) -> asyncio.AbstractServer:
    """Answer at this socket until the server is closed.

    Raises:
        OSError: the file system has no room, or no sockets.
    """
    return await loop.create_unix_server(lambda: TraceProtocol(router), sock=_bound(path))


def _bound(path: Path) -> socket.socket:
    """A socket in the place of one that a dead worker may have left."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            listening.bind(name)
        path.chmod(0o600)
    except OSError:
        listening.close()
        raise
    return listening


def ask(path: Path, request_id: str) -> Trace | None:
    """What the worker behind this socket knows of a request; None where it knows nothing.

    A worker that has ended knows nothing, whether or not its socket's file is still there.

    Raises:
        IntegrityError: what answers is not a worker of this version.
    """
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(ANSWER_TIMEOUT_S)
        with suppress(OSError), _short(path) as name:
            asking.connect(name)
            asking.sendall(f"{request_id}\n".encode())
            while piece := asking.recv(_PIECE_BYTES):
                answer += piece
    if not answer:
        return None
    try:
        return msgspec.json.decode(answer, type=Trace | None)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"{path} does not answer with a trace: {error}") from error
