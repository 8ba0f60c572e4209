"""One gateway process: sockets, timers and signals around the relay."""

import asyncio
import math
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvloop

from quartermaster.gateway import metrics_port, trace_socket
from quartermaster.gateway.budget import Purses
from quartermaster.gateway.budget_files import LeaseFiles, LeasePort
from quartermaster.gateway.dispatch import Dispatcher
from quartermaster.gateway.handover import Handover
from quartermaster.gateway.index import Index
from quartermaster.gateway.limits import Limiter
from quartermaster.gateway.limits_link import LimitLink, NoLink, open_link
from quartermaster.gateway.metrics_worker import Observer
from quartermaster.gateway.process import (
    adopt,
    close_port,
    open_files_max,
    read_pepper,
    require_alone,
    settle,
    tls_of,
)
from quartermaster.gateway.ptu_leased import lanes_of
from quartermaster.gateway.relay import Relay
from quartermaster.gateway.relay_control import Control
from quartermaster.gateway.router import Router
from quartermaster.gateway.server import ClientConnection
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.snapshots import SnapshotFollower
from quartermaster.gateway.status import (
    SECOND_LOG,
    Tallies,
    WorkerState,
    WorkerStatus,
    write_status,
)
from quartermaster.gateway.tap import forget_text, open_tap
from quartermaster.gateway.upstream import UpstreamPool
from quartermaster.gateway.waiting import WaitingRoom
from quartermaster.gateway.whence import Whence
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.errors import ConfigError, NotDurableError, UnavailableError
from quartermaster.kernel.lease import LEASE_POLL_S
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S, SNAPSHOT_POLL_S
from quartermaster.usage.disk_sync import KernelSync
from quartermaster.usage.files import OS_FILES, FileLayer
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal

# Names one life of a worker; lives of one worker must not share a name.
LIFE_BYTES: Final = 8
# Status, time-outs and the Date header need no finer grain.
TICK_S: Final = 1.0
# How often a worker whose log has failed asks whether the disk takes writes again.
LOG_RETRY_S: Final = 5.0
# How often a draining worker looks whether its last exchange has ended.
DRAIN_POLL_S: Final = 0.02
# A sync takes milliseconds, and a client that reads takes its last frame at once.
LAST_WORDS_S: Final = 2.0
# A client that has just connected sends its request within a round trip around the world.
LAST_REQUESTS_S: Final = 1.0
# Connections waiting in accept(): a burst of reconnecting clients after a restart.
ACCEPT_BACKLOG: Final = 1_024


class Worker:
    """The state of one gateway process.

    Args:
        settings: limits, address, time-outs.
        usage: settings of the write-ahead log.
        var: root of the data folder.
        number: of this worker on this machine, from 0.
        files: the file layer of the write-ahead log.
        successor: how many workers of this number have handed over before it.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        usage: UsageSettings,
        var: Path,
        number: int,
        files: FileLayer,
        successor: int = 0,
    ) -> None:
        loop = asyncio.get_running_loop()
        settings = settings.within(open_files_max(settings))
        self._settings = settings
        self._var = var
        self.connections_max = settings.client_connections_max
        self._number = number
        self._loop = loop
        self._successor = successor
        # Two logs take turns: the one before may still end what it had begun.
        turn = SECOND_LOG if successor % 2 else ""
        self.app_id = f"{settings.app_prefix}-{number}{turn}"
        self._pepper = read_pepper(var / "secrets" / "key_pepper")
        self._tls = tls_of(settings)
        self._wal = self._open_log(usage, files)
        self._pool = UpstreamPool(loop, settings)
        self._tallies = Tallies()
        self._started_at = system_clock()
        self._observer = Observer(
            settings, var, self.app_id, self._tallies, loop.call_soon_threadsafe, self._started_at
        )
        self._relay = self._new_relay()
        self._router = Router(loop.time)
        self._purses = Purses(secrets.token_hex(LIFE_BYTES), self._wal.segment)
        self._leases: LeasePort = LeaseFiles(var / "leases", self.app_id)
        self._lease_error = ""
        self._room = WaitingRoom(self._purses, settings.lease_wait_s, loop.time)
        self._limit_link: LimitLink | NoLink = NoLink()
        self.dispatcher = self._dispatcher()
        self.connections: set[ClientConnection] = set()
        notices = self._limit_link.notices
        self._follower = SnapshotFollower(var / "snapshot.json", var, settings, notices)
        self._status_path = var / "status" / f"{self.app_id}.json"
        self._status_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handover = Handover(self._status_path, self.dispatcher)
        self._contact_s = loop.time()
        self._careful = False
        """Whether those are refused whose balance or standing may have changed unseen."""
        self._index: Index | None = None
        """As it was published; while contact is lost, the dispatcher has a more careful one."""
        self._requests_at_tick = 0
        self._requests_per_s = 0
        self._port = settings.port
        self._state: WorkerState = "starting"
        self._stopping = asyncio.Event()
        self._traces: asyncio.AbstractServer | None = None
        self._patience_s = settings.drain_timeout_s
        self._end_by_s = math.inf
        self._hands_over = False

    def _open_log(self, usage: UsageSettings, files: FileLayer) -> Wal:
        return Wal.open(
            self._var / "wal" / self.app_id,
            settings=usage,
            loop=self._loop,
            now=system_clock,
            files=files,
            # A file layer of a test has a disk of its own, which the kernel knows nothing of.
            disk_sync=KernelSync.open(self._loop) if files is OS_FILES else None,
        )

    def _new_relay(self) -> Relay:
        return Relay(
            wal=self._wal,
            settings=self._settings,
            clock=system_clock,
            tallies=self._tallies,
            call_soon=self._loop.call_soon,
            call_later=self._loop.call_later,
            dial=self._pool.send,
            observe=self._observer.ended,
        )

    def _dispatcher(self) -> Dispatcher:
        """What answers requests, with everything that decides on them."""
        settings, number = self._settings, self._number
        limiter = self._limiter(settings, number)
        made = Dispatcher(self._relay, self._pepper, limiter, self._router, self._purses)
        made.lanes = lanes_of(limiter, settings.workers, number)
        made.room = self._room
        made.trusted = settings.trusted
        if settings.control_url:
            made.control = Control(self._loop, settings.control_url, self._relay)
        made.tracer = self._observer.tracer
        made.when_refused = self._observer.when_refused
        return made

    def _limiter(self, settings: GatewaySettings, number: int) -> Limiter:
        """What limits requests: this machine by itself, or together with others."""
        if not settings.shared_limits_url:
            return Limiter(settings.workers, number)
        link = open_link(settings, self._var, number, self.app_id, system_clock, self._pepper)
        self._limit_link, link.when_told = link, self._poll_snapshot
        return link.limiter

    async def serve(self) -> None:
        """Serve until a signal asks to stop, then drain."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._hand_over)
        timers: list[asyncio.Task[None]] = []
        server: asyncio.Server | None = None
        metrics: asyncio.Server | None = None
        try:
            forget_text(self._var, self.app_id)
            self._poll_snapshot()
            # Ask for leases before the first request comes that needs one.
            self._poll_leases()
            # The coarse clock must run before the first connection asks it for a deadline.
            self._tick()
            metrics = await metrics_port.listen(
                self._settings, self._var, system_clock, successor=bool(self._successor)
            )
            await self._handover.ask(self._index)
            server = await self._listen()
            self._port = server.sockets[0].getsockname()[1]
            self._traces = await self._listen_for_traces()
            self._state = "serving"
            timers.append(self._loop.create_task(self._each(SNAPSHOT_POLL_S, self._poll_snapshot)))
            timers.append(self._loop.create_task(self._each(TICK_S, self._tick)))
            timers.append(self._loop.create_task(self._each(LEASE_POLL_S, self._poll_leases)))
            timers.append(self._loop.create_task(self._end_when_log_can_be_recovered()))
            timers.append(self._loop.create_task(self._limit_link.run()))
            self._write_status()
            settle()
            await self._until_stopped(timers)
        finally:
            if server is not None:
                await self._drain(server)
            for timer in timers:
                timer.cancel()
            await asyncio.gather(*timers, return_exceptions=True)
            self._forget_traces()
            self._handover.end()
            await self._pool.aclose()
            if self.dispatcher.tap is not None:
                await self.dispatcher.tap.drain(asyncio.sleep)
            await self._wal.aclose()
            self._state = "stopped"
            self._write_status()
            self._observe()
            await asyncio.to_thread(self._observer.stop)
            if metrics is not None:
                metrics.close()

    def _hand_over(self) -> None:
        """A successor serves on the same port: take nothing new, and end what runs in peace."""
        if not self._stopping.is_set():
            self._patience_s = self._settings.reload_drain_s
            self._hands_over = True
            self._stopping.set()

    def _stop(self) -> None:
        """Asked to end: also one that has handed over then has no more time than any other."""
        self._patience_s = self._settings.drain_timeout_s
        self._end_by_s = min(self._end_by_s, self._loop.time() + self._patience_s)
        self._stopping.set()

    async def _until_stopped(self, timers: list["asyncio.Task[None]"]) -> None:
        """A timer that dies stops the worker: without it suspensions would not arrive."""
        stop = self._loop.create_task(self._stopping.wait())
        done, _ = await asyncio.wait((stop, *timers), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for task in done:
            if task is not stop:
                task.result()

    async def _listen(self) -> asyncio.Server:
        settings = self._settings
        try:
            if settings.workers == 1 and not self._successor:
                # Sharing is for workers of one installation; a single worker wants to hear that
                # somebody else, perhaps another installation, already has its port.
                require_alone(settings.host, settings.port)
            return await self._loop.create_server(
                lambda: ClientConnection(self),
                settings.host,
                settings.port,
                reuse_port=True,
                backlog=ACCEPT_BACKLOG,
                ssl=self._tls,
            )
        except OSError as error:
            raise UnavailableError(
                f"the gateway cannot listen on {settings.host}:{settings.port}: {error.strerror}",
                hint="stop the program that uses the port, or set gateway.port to a free one",
            ) from error

    async def _listen_for_traces(self) -> asyncio.AbstractServer | None:
        """Answer how requests were decided on; a worker serves without it where it cannot be."""
        path = self._status_path.with_suffix(".sock")
        try:
            return await trace_socket.listen(self._loop, path, self._router)
        except OSError:
            self._tallies.failed("trace_socket_unavailable")
            return None

    def _forget_traces(self) -> None:
        if self._traces is not None:
            self._traces.close()
            self._status_path.with_suffix(".sock").unlink(missing_ok=True)

    async def _each(self, seconds: float, do: Callable[[], None]) -> None:
        while True:
            do()
            await asyncio.sleep(seconds)

    async def _end_when_log_can_be_recovered(self) -> None:
        """A failed log stays failed in this process; free space helps only its successor."""
        while True:
            await asyncio.sleep(LOG_RETRY_S)
            if self._wal.writable or not self._relay.idle:
                continue
            if await asyncio.to_thread(self._wal.disk_takes_writes):
                raise NotDurableError(
                    f"the write-ahead log of {self.app_id} had failed; its disk takes writes again",
                    hint="start the worker again, as `quartermaster up` does: it recovers the log",
                )

    def _poll_snapshot(self) -> None:
        index = self._follower.poll()
        self._handover.look(index or self._index)
        now_s = self._loop.time()
        if self._follower.in_contact:
            self._contact_s = now_s
        out_of_contact = now_s - self._contact_s > OUT_OF_CONTACT_S
        if index is not None:
            if self._purses.follow(index.budgets, self._next_segment):
                self._relay.spend_from(index, self._purses)
            self._index = index
        careful = out_of_contact or self._limit_link.out_of_contact
        if self._index and (index is not None or careful != self._careful):
            self.dispatcher.index = self._index.without_contact() if careful else self._index
        self._careful = careful
        self.dispatcher.out_of_contact = out_of_contact
        if index is not None:
            self._follow_consent(index)
            self._relay.end_barred(index)
            self.dispatcher.look_again(index)
            self._router.keep(index.every_deployment())
            self.dispatcher.lanes.keep(index.every_lane())
            self.dispatcher.limiter.keep(index.every_limit())
            self._limit_link.obeys(index.version, self._follower.version)
            self._write_status()

    def _follow_consent(self, index: Index) -> None:
        """Open the content tap with the first contract that permits it; close it with the last."""
        wanted = any(entry.grant.watched for entry in index.by_key_id.values())
        tap = self.dispatcher.tap
        if tap is not None and not wanted:
            tap.close()
            self.dispatcher.tap = None
        elif tap is None and wanted:
            try:
                tap = open_tap(
                    self._var,
                    self.app_id,
                    ring_bytes=self._settings.ring_bytes,
                    reads_per_s=self._settings.tap_reads_per_s,
                    whence=Whence(self._pepper, self._settings.trusted),
                )
            except (UnavailableError, ConfigError):
                # Customers are served; that nobody watches is counted, and the analysis says so.
                self._tallies.failed("tap_unavailable")
                return
            tap.tick(system_clock(), self._loop.time())
            self.dispatcher.tap = tap

    def _next_segment(self) -> int:
        """Spending before a budget and leased spending do not share a segment of the log."""
        self._wal.rotate()
        return self._wal.segment

    def _poll_leases(self) -> None:
        error = self._leases.look(self._purses)
        if error and error != self._lease_error:
            self._tallies.failed("leases_unavailable")
        self._lease_error = error
        self._room.look()

    def _tick(self) -> None:
        now_s = self._loop.time()
        self._purses.next_second()
        self._pool.tick(now_s)
        if self.dispatcher.tap is not None:
            self.dispatcher.tap.tick(system_clock(), now_s)
        self._relay.tick(now_s)
        for connection in list(self.connections):
            connection.tick()
        requests = self._tallies.requests
        self._requests_per_s = requests - self._requests_at_tick
        self._requests_at_tick = requests
        self.dispatcher.note = self._limit_link.note
        self._write_status()
        self._observe()

    async def _drain(self, server: asyncio.Server) -> None:
        """Let running requests end; take no new connection, keep no idle one."""
        self._state = "draining"
        self.dispatcher.draining = True
        await adopt(self._loop, close_port(server), lambda: ClientConnection(self), self._tls)
        self._write_status()
        self._end_by_s = self._loop.time() + self._patience_s
        if self._hands_over:
            # Requests that are on their way are answered here, and their connections closed then.
            await asyncio.sleep(LAST_REQUESTS_S)
        self._handover.close()
        if not await self._idle_in_time():
            self._relay.end_all()
            self._room.close()
            self._end_by_s = self._loop.time() + LAST_WORDS_S
            await self._idle_in_time()
        for connection in list(self.connections):
            connection.abort()

    async def _idle_in_time(self) -> bool:
        """Wait for what runs; whether all of it has ended."""
        while True:
            for connection in list(self.connections):
                connection.close_if_idle()
            if self._relay.idle and not any(c.busy for c in self.connections):
                return True
            if self._loop.time() >= self._end_by_s:
                return False
            await asyncio.sleep(DRAIN_POLL_S)

    def _write_status(self) -> None:
        try:
            write_status(self._status_path, self._status())
        except OSError:
            # A full disk must not end the worker, which still has answers to refuse; readers see
            # by `at` that the file is old, and the count shows when it can be written again.
            self._tallies.failed("status_unwritable")

    def _observe(self) -> None:
        contact_s, syncs = self._contact_s, self._wal.syncs
        self._observer.tick(self._relay.active, syncs, contact_s, self._loop.time(), system_clock())

    def _status(self) -> WorkerStatus:
        index = self.dispatcher.index
        return WorkerStatus(
            app_id=self.app_id,
            worker=self._number,
            pid=os.getpid(),
            host=self._settings.host,
            port=self._port,
            state=self._state,
            started_at=self._started_at,
            at=system_clock(),
            snapshot_version=None if index is None else index.version,
            snapshot_error=self._follower.error,
            out_of_contact=self.dispatcher.out_of_contact,
            wal_writable=self._wal.writable,
            wal_syncs=self._wal.syncs,
            provisioned=self.dispatcher.lanes.status(system_clock()),
            running=dict(Counter(one.target.deployment.name for one in self._relay.active)),
            circuits=self._router.circuits(),
            circuits_opened=self._router.opened,
            failovers=self._tallies.failovers,
            connections=len(self.connections),
            upstream_connections=len(self._pool.connections),
            in_flight=len(self._relay.active),
            requests=self._tallies.requests,
            requests_per_s=self._requests_per_s,
            refusals=self._tallies.refusals,
            failures=self._tallies.failures,
            shared=self._limit_link.shown(),
        )


def run(
    settings: GatewaySettings,
    *,
    var: Path,
    worker: int,
    usage: UsageSettings | None = None,
    files: FileLayer = OS_FILES,
    successor: int = 0,
) -> int:
    """Run one worker until SIGTERM or SIGINT; blocks.

    Args:
        settings: of the gateway.
        var: root of the data folder.
        worker: number of this worker on this machine, from 0.
        usage: settings of the write-ahead log; its defaults when None.
        files: the file layer of the write-ahead log; durability tests give their own.
        successor: how many workers of this number have handed over before it; the last of them may
            still be there, on the same port, until it has ended what it had begun.

    Returns:
        The exit code, 0 after a clean drain.

    Raises:
        UnavailableError: the port, the pepper or the log is not to be had.
        ConfigError: a setting or the pepper cannot be used.
        NotDurableError: the log cannot be written, or could not and could be recovered now.
    """

    async def serve() -> None:
        await Worker(settings, usage or UsageSettings(), var, worker, files, successor).serve()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    return 0
