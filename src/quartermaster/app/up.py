"""Start everything, show one real request from answer to risk, then watch until asked to stop."""

import fcntl
import http.client
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from quartermaster.app import live, own_gateway, story
from quartermaster.app.first_start import EMBEDDED_MODELS, prepare
from quartermaster.app.roles import can_watch
from quartermaster.app.rooms import Rooms
from quartermaster.app.supervisor import Supervisor
from quartermaster.commands.identity import Identity
from quartermaster.gateway.status import read_status
from quartermaster.kernel import ring
from quartermaster.kernel.errors import ConflictError, UpstreamError

Say = Callable[[str], None]

READY_TIMEOUT_S = 60.0
"""Loading 98 MB of weights from a cold disk on a busy machine takes several seconds."""
PROBE_TIMEOUT_S = 1.0
"""A health check on loopback answers in milliseconds; a stuck one must not hold up the others."""


def up(
    rooms: Rooms,
    *,
    once: bool,
    sample: bool,
    options: Mapping[str, str | None],
    say: Say,
    show: Say,
) -> int:
    """Run the product.

    Args:
        rooms: settings and stores.
        once: stop after the first request was shown.
        sample: show the sample book beside the real one.
        options: global options of the command line, handed on to the children.
        say: one line of talk (stderr).
        show: one line of data (stdout).

    Raises:
        ConflictError: already running, or a port is taken.
        UnavailableError: a part did not become ready.
    """
    with _only_one(rooms.var):
        _require_free_ports(rooms)
        secret = prepare(rooms)
        _forget_the_last_run(rooms.var)
        drain_s = float(rooms.settings.gateway.drain_timeout_s)
        supervisor = Supervisor(rooms.var / "log", say, drain_s=drain_s)
        supervisor.install_signals()
        try:
            _start(supervisor, rooms, sample, options)
            _wait(supervisor, rooms, say)
            tell = partial(story.tell, rooms, secret, sample=sample, supervisor=supervisor)
            model = _told(tell, say, show, required=once)
            if not once:
                _invite(rooms, secret, model, say, show)
                supervisor.run(GatewayReload(supervisor, rooms, options, say))
        finally:
            say("stopping")
            supervisor.stop()
    return 0


def _told(tell: Callable[..., str], say: Say, show: Say, *, required: bool) -> str:
    """Show one request; a server goes on serving where its own one is refused.

    Its customer may be suspended by now, or its budget be spent.

    Returns:
        The model to name in examples.

    Raises:
        UpstreamError: it is required, and was refused.
    """
    try:
        return tell(show=show)
    except UpstreamError as error:
        if required:
            raise
        say(f"the request that would show how it works was refused: {error.message}")
        return EMBEDDED_MODELS[0]


def _forget_the_last_run(var: Path) -> None:
    """Remove what processes of an earlier run, or version, said; those of this run say it anew."""
    live.forget(var)
    for status in (var / "status").glob("*.json"):
        status.unlink()
    # Of workers that were killed, and perhaps are not started any more.
    for left in ring.folder_of(var).glob(f"*{ring.SUFFIX}"):
        ring.wipe_left(left)


def _start(
    supervisor: Supervisor, rooms: Rooms, sample: bool, options: Mapping[str, str | None]
) -> None:
    common = _common(rooms, options)
    supervisor.add("model", [*common, "model"])
    if can_watch():
        # Before the gateways: what starts first is stopped last, and reads their last requests.
        supervisor.add("watch", [*common, "watch"])
    for worker in range(rooms.settings.gateway.workers):
        supervisor.add(f"gateway-{worker}", [*common, "gateway", "--worker", str(worker)])
    supervisor.add("clerk", [*common, "clerk"])
    supervisor.add("console", [*common, "console", *([] if sample else ["--empty"])])


def _common(rooms: Rooms, options: Mapping[str, str | None]) -> list[str]:
    """The arguments of every child, up to the name of its role."""
    config = options.get("config_file")
    return ["--var", str(rooms.var), *(["--config", config] if config else []), "up", "--role"]


class GatewayReload:
    """New gateway workers in place of the old, one after the other, without a dropped stream.

    Each successor reads the settings anew and has a log of its own; the old worker ends what it had
    begun. The number of workers stays: each has a fixed share of the limits.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        rooms: Rooms,
        options: Mapping[str, str | None],
        say: Say,
    ) -> None:
        self._supervisor = supervisor
        self._rooms = rooms
        self._common = _common(rooms, options)
        self._say = say
        self._successors = [0] * rooms.settings.gateway.workers

    def __call__(self) -> None:
        """Replace every worker; the first that cannot be replaced ends it."""
        for worker, handed_over in enumerate(self._successors):
            name = f"gateway-{worker}"
            if self._supervisor.leaves(name):
                self._say(f"{name} still ends what it had begun before the last reload; not now")
                return
            number = ["--worker", str(worker), "--successor", str(handed_over + 1)]
            arguments = [*self._common, "gateway", *number]
            if not self._supervisor.replace(name, arguments, self._serves, READY_TIMEOUT_S):
                return
            self._successors[worker] += 1
            self._say(f"{name} has a successor")

    def _serves(self, pid: int) -> bool:
        for path in (self._rooms.var / "status").glob("*.json"):
            try:
                status = read_status(path)
            except FileNotFoundError:
                continue  # replaced in this moment; the next look finds it
            if status.pid == pid and status.state == "serving":
                return True
        return False


def _wait(supervisor: Supervisor, rooms: Rooms, say: Say) -> None:
    settings = rooms.settings
    model, console = settings.model, settings.console
    parts: list[tuple[str, Connect, str]] = [
        ("the embedded model", partial(_plain, "127.0.0.1", model.port), "/healthz"),
        ("the gateway", partial(own_gateway.connect, settings.gateway), "/readyz"),
        ("the console", partial(_plain, console.host, console.port), "/healthz"),
    ]
    for what, connect, path in parts:
        connection = connect(timeout_s=PROBE_TIMEOUT_S)
        say(f"waiting for {what} on {connection.host}:{connection.port}")
        supervisor.wait_until(partial(answers, connection, path), what, READY_TIMEOUT_S)


class Connect(Protocol):
    """Makes a connection that is opened by its first request."""

    def __call__(self, *, timeout_s: float) -> http.client.HTTPConnection:
        """The connection, with the time that an answer may take."""


def _plain(host: str, port: int, *, timeout_s: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def answers(connection: http.client.HTTPConnection, path: str) -> bool:
    """Whether a GET is answered with 200; the connection is closed, to be opened again."""
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        # Not listening yet is the normal case here; `wait_until` sets the bound.
        return False
    finally:
        connection.close()


def _invite(rooms: Rooms, secret: str, model: str, say: Say, show: Say) -> None:
    settings = rooms.settings
    console = settings.console.url
    gateway = own_gateway.base_url(settings.gateway)
    show("")
    for line in story.snippets(gateway, secret, model):
        show(line)
    show("")
    identity = Identity(rooms.book)
    if identity.has_users():
        show(f"Console: {console}")
    else:
        token = identity.issue_link(("admin",), rooms.now())
        show("Console, first admin (the link works once, within a day):")
        show(f"  {console}/join/{token}")
    say("running; stop with Ctrl-C")


@contextmanager
def _only_one(var: Path) -> Iterator[None]:
    path = var / "supervisor.lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"another `quartermaster up` runs on {var}",
                hint="stop it, or name another data folder with --var",
            ) from error
        yield
    finally:
        os.close(file)


def _require_free_ports(rooms: Rooms) -> None:
    settings = rooms.settings
    wanted = [
        ("gateway", settings.gateway.host, settings.gateway.port),
        ("console", settings.console.host, settings.console.port),
        ("model", "127.0.0.1", settings.model.port),
    ]
    for section, host, port in wanted:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise ConflictError(
                    f"{section}: cannot listen on {host}:{port}: {error.strerror}",
                    hint="stop what uses it, or choose another port with "
                    f"QUARTERMASTER_{section.upper()}__PORT",
                    field=f"{section}.port",
                ) from error
