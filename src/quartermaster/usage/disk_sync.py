"""`fdatasync` without a thread: the kernel's own asynchronous I/O, told by an eventfd.

A thread that syncs needs the interpreter's lock twice for every sync, and on a busy worker waits
for it as long as the sync itself takes. Linux can do the same call in the background
(`IOCB_CMD_FDSYNC`, since 4.18, for every file system that can sync); the outcome is that of
`fdatasync`, errors included. Where it is not to be had, the log uses its thread.

Source: io_submit(2), linux/aio_abi.h.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, Self

from quartermaster.kernel.errors import IntegrityError

WhenSynced = Callable[[Exception | None], None]


class Watcher(Protocol):
    """The part of an event loop that watches a descriptor."""

    def add_reader(self, fd: int, callback: Callable[..., object]) -> object:
        """Call back whenever the descriptor can be read."""

    def remove_reader(self, fd: int) -> object:
        """Watch no more."""


class DiskSync(Protocol):
    """Syncs one file at a time, in the background; all calls come from the loop's thread."""

    def start(self, descriptor: int, when_synced: WhenSynced) -> None:
        """Begin; the callback comes on the loop, with None or the error of `fdatasync`.

        Raises:
            OSError: it could not begin, and the callback will not come.
        """

    def close(self) -> None:
        """Return when the sync that is running has ended, and its callback has been called."""


class _Calls(NamedTuple):
    """Numbers of the system calls; the C library has no wrappers for them."""

    setup: int
    destroy: int
    getevents: int
    submit: int


_CALLS: Final = {
    "x86_64": _Calls(setup=206, destroy=207, getevents=208, submit=209),
    "aarch64": _Calls(setup=0, destroy=1, getevents=4, submit=2),
}
_FDSYNC: Final = 3
_NOTIFY_EVENTFD: Final = 1
# data, key, rw_flags, opcode, priority, descriptor, buffer, bytes, offset, reserved, flags, eventfd
_IOCB: Final = struct.Struct("<QIIHhIQQqQII")
# data, iocb, result, result2
_EVENT: Final = struct.Struct("<QQqq")
# One sync runs at a time: the next covers whatever is written meanwhile.
_IN_FLIGHT_MAX: Final = 1


class KernelSync:
    """See the module's text; made by `open`."""

    def __init__(self, loop: Watcher, calls: _Calls, syscall: Callable[..., int]) -> None:
        self._loop = loop
        self._calls = calls
        self._syscall = syscall
        self._context = ctypes.c_ulong(0)
        self._call(calls.setup, _IN_FLIGHT_MAX, ctypes.byref(self._context))
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._iocb = ctypes.create_string_buffer(_IOCB.size)
        self._iocbs = (ctypes.c_void_p * 1)(ctypes.addressof(self._iocb))
        self._event = ctypes.create_string_buffer(_EVENT.size)
        self._when_synced: WhenSynced | None = None
        loop.add_reader(self._eventfd, self._told)

    @classmethod
    def open(cls, loop: Watcher) -> Self | None:
        """Ready to sync, or None where this kernel, or its sandbox, does not offer it."""
        calls = _CALLS.get(platform.machine())
        if sys.platform != "linux" or sys.byteorder != "little" or calls is None:
            return None
        try:
            return cls(loop, calls, ctypes.CDLL(None, use_errno=True).syscall)
        except OSError:
            return None

    def start(self, descriptor: int, when_synced: WhenSynced) -> None:
        """Begin; see `DiskSync`."""
        if self._when_synced is not None:
            raise IntegrityError("a sync was started while another runs")
        _IOCB.pack_into(
            self._iocb, 0,
            0, 0, 0, _FDSYNC, 0, descriptor, 0, 0, 0, 0, _NOTIFY_EVENTFD, self._eventfd,
        )  # fmt: skip
        self._call(self._calls.submit, self._context, 1, self._iocbs)
        self._when_synced = when_synced

    def close(self) -> None:
        """See `DiskSync`."""
        self._loop.remove_reader(self._eventfd)
        if self._when_synced is not None:
            self._reap()
        self._call(self._calls.destroy, self._context)
        os.close(self._eventfd)

    def _told(self) -> None:
        os.eventfd_read(self._eventfd)
        self._reap()

    def _reap(self) -> None:
        """Take the event of the one sync; waits where it has not ended."""
        one = ctypes.c_long(1)
        waiting = True
        while waiting:
            try:
                self._call(self._calls.getevents, self._context, one, one, self._event, None)
                waiting = False
            except InterruptedError:
                pass  # a signal, such as the one that ends the worker: the sync still runs
        result = _EVENT.unpack_from(self._event)[2]
        when_synced, self._when_synced = self._when_synced, None
        assert when_synced is not None
        when_synced(OSError(-result, os.strerror(-result)) if result < 0 else None)

    def _call(self, number: int, *arguments: Any) -> int:  # noqa: ANN401 - as C takes them
        result = self._syscall(number, *arguments)
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result
