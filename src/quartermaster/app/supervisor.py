"""Start child processes, restart those that die, stop all of them cleanly.

The restart rule is a pure function; sockets and signals stay at the edge. A child dies with its
supervisor, also after `kill -9`: it holds the read end of a pipe whose write end only the
supervisor has, and ends itself when the pipe closes.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quartermaster.kernel.errors import UnavailableError

RESTART_DELAYS_S = (0.1, 0.5, 1.0, 2.0, 5.0)
"""A single crash is invisible to customers; a crash loop must not eat the machine."""
CRASH_WINDOW_S = 60.0
"""A child that lived this long starts again with the shortest delay."""
STOP_GRACE_S = 5.0
"""How much longer than a child wants for its own clean end it has before it is killed."""
POLL_S = 0.05
LOG_BYTES_MAX = 10_000_000
"""A log over this size is moved aside at the next start; one old log is kept."""


def restart_delay_s(recent_crashes: int) -> float:
    """Seconds to wait before the next start, after so many crashes in the window (>= 1)."""
    return RESTART_DELAYS_S[min(recent_crashes, len(RESTART_DELAYS_S)) - 1]


@dataclass
class Child:
    """One supervised process."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    crashes: list[float] = field(default_factory=list)
    start_at: float = 0.0
    leaving: bool = False
    """It was asked to end in its own time, and is not started again."""


class Supervisor:
    """Owns the children; every method is called from the main thread."""

    def __init__(
        self, log_folder: Path, say: Callable[[str], None], *, drain_s: float = 0.0
    ) -> None:
        """Nothing is started yet.

        Args:
            log_folder: where each child's output goes.
            say: one line of talk.
            drain_s: how long the slowest child may take to end cleanly after it was asked to.
        """
        self._stop_s = drain_s + STOP_GRACE_S
        self._log_folder = log_folder
        self._say = say
        self._children: list[Child] = []
        self._lifeline_read, self._lifeline_write = os.pipe()
        self.stopping = threading.Event()
        self.reload_asked = threading.Event()
        log_folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, arguments: Sequence[str]) -> None:
        """Start a child: `python -m quartermaster` with these arguments."""
        child = Child(name, arguments)
        self._children.append(child)
        self._start(child)

    def install_signals(self) -> None:
        """SIGTERM and SIGINT ask for a clean stop, SIGHUP for new workers in place of the old."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        signal.signal(signal.SIGHUP, lambda *_: self.reload_asked.set())

    def watch_once(self) -> None:
        """Restart what died; call every `POLL_S`."""
        now = time.monotonic()
        for child in list(self._children):
            if child.leaving:
                self._bury(child)
            elif child.process is None:
                if now >= child.start_at:
                    self._start(child)
            elif child.process.poll() is not None:
                child.crashes = [at for at in child.crashes if now - at < CRASH_WINDOW_S] + [now]
                delay_s = restart_delay_s(len(child.crashes))
                code = child.process.returncode
                self._say(f"{child.name} ended with {code}; starts again in {delay_s:g} s")
                child.process, child.start_at = None, now + delay_s

    def _bury(self, child: Child) -> None:
        """Forget a child that has ended as it was asked to."""
        if child.process is None or child.process.poll() is not None:
            self._children.remove(child)
            self._say(f"{child.name} has handed over and ended")

    def leaves(self, name: str) -> bool:
        """Whether a child of this name still ends what it had begun."""
        return any(child.leaving and child.name == name for child in self._children)

    def replace(
        self, name: str, arguments: Sequence[str], serves: Callable[[int], bool], timeout_s: float
    ) -> bool:
        """Start a child's successor beside it; when that serves, have the child hand over and end.

        Args:
            name: of both.
            arguments: of the successor.
            serves: whether the child with this process id serves.
            timeout_s: how long the successor may take; then it is given up, and the child stays.

        Returns:
            Whether the successor serves.
        """
        old = next(child for child in self._children if child.name == name and not child.leaving)
        new = Child(name, arguments)
        self._start(new)
        end = time.monotonic() + timeout_s
        while new.process is not None and not serves(new.process.pid):
            ended = new.process.poll() is not None
            if ended or time.monotonic() > end or self.stopping.is_set():
                new.process.kill()
                new.process.wait()
                self._say(f"the successor of {name} does not serve; nothing was changed")
                return False
            self.watch_once()
            time.sleep(POLL_S)
        self._children.append(new)
        old.leaving = True
        if old.process is not None:
            old.process.send_signal(signal.SIGHUP)
        return True

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Poll `ready` while watching the children.

        Raises:
            UnavailableError: not ready in time; the log is named.
            KeyboardInterrupt: asked to stop before it was ready.
        """
        end = time.monotonic() + timeout_s
        while not ready():
            self.watch_once()
            if self.stopping.is_set():
                raise KeyboardInterrupt
            if time.monotonic() > end:
                raise UnavailableError(
                    f"{what} did not become ready in {timeout_s:g} s",
                    hint=f"its log is in {self._log_folder}",
                )
            time.sleep(POLL_S)

    def run(self, reload: Callable[[], None]) -> None:
        """Watch until somebody asks to stop; `reload` when somebody asks for new workers."""
        while not self.stopping.wait(POLL_S):
            self.watch_once()
            if self.reload_asked.is_set():
                self.reload_asked.clear()
                reload()

    def stop(self) -> None:
        """Ask the children to end, newest first, and kill what does not within the grace time."""
        self.stopping.set()
        alive = [child for child in reversed(self._children) if child.process is not None]
        for child in alive:
            assert child.process is not None, "filtered above"
            child.process.terminate()
        end = time.monotonic() + self._stop_s
        for child in alive:
            assert child.process is not None, "filtered above"
            try:
                child.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{child.name} did not stop in {self._stop_s:g} s and was killed")
                child.process.kill()
                child.process.wait()
        os.close(self._lifeline_write)
        os.close(self._lifeline_read)

    def pids(self) -> dict[str, int]:
        """Process ids of the living children by name."""
        return {
            child.name: child.process.pid
            for child in self._children
            if child.process and not child.leaving
        }

    def _start(self, child: Child) -> None:
        path = self._log_folder / f"{child.name}.log"
        if path.is_file() and path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.old"))
        with path.open("ab") as log:
            child.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "quartermaster",
                    *child.arguments,
                    "--lifeline",
                    str(self._lifeline_read),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lifeline_read,),
                # A terminal's Ctrl-C reaches the supervisor only; it stops the children in order.
                start_new_session=True,
            )


def die_with(lifeline: int) -> None:
    """In a child: end this process when the supervisor is gone."""

    def wait() -> None:
        os.read(lifeline, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
