"""The write-ahead log against the disk's own limit, its CPU an event, and shipping.

    python bench/metering.py [--seconds 3] [--reps 3] [--in-flight 256] [--rows 50000] [--json]

An event is one request: open, close, wait until durable, delivered. The limit is a loop that does
nothing but append the same bytes for as many events at once and call `fdatasync`: no Python runs
for a single event. Runs are interleaved, so that other work on the machine hits both. CPU an event
is the steadier figure.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.events import Closed, Opened
from quartermaster.kernel.ids import new_id
from quartermaster.kernel.units import Counts
from quartermaster.usage import frames
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal

CALLS = 100_000
"""Calls for the CPU of the three calls alone."""


class Figures(NamedTuple):
    """One run."""

    events_per_s: float
    cpu_us_per_event: float


def opened() -> Opened:
    return Opened(
        request_id=new_id("req"),
        attempt=0,
        opened_at=system_clock(),
        customer="cus_tiktok",
        project="default",
        key_id="key_01J0000000000000000000",
        contract="ctr_2024",
        contract_version=1,
        price_book="pb_2024",
        price_book_version=1,
        model="smollm2-135m-instruct",
        deployment="embedded",
        endpoint="chat.completions",
        service_class="standard",
        stream=False,
        cancelled_stream="bill_delivered",
        input_bytes=1_234,
    )


def closed() -> Closed:
    return Closed(
        closed_at=system_clock(),
        first_byte_at=system_clock(),
        http_status=200,
        counts=Counts(input=100, output=50),
        count_source="upstream",
        finish_reason="stop",
        upstream_id="chatcmpl-01J0000000000000",
        upstream_usage=b'{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150}',
        delivered_chunks=1,
    )


def unless_failed(error: Exception | None) -> None:
    """A callback that has nothing to release."""
    if error is not None:
        raise error


def event_bytes() -> int:
    """Bytes that one event puts into the log."""
    open_bytes = len(frames.frame(frames.OPEN, [(1_000, opened())]))
    return open_bytes + len(frames.frame(frames.CLOSE, [(1_000, closed())]))


def bare_limit(folder: Path, seconds: float, in_flight: int) -> Figures:
    """Append `in_flight` events' bytes and sync, again and again."""
    data = bytes(event_bytes() * in_flight)
    path = folder / "bare"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    cpu, start, syncs = time.process_time(), time.monotonic(), 0
    while (elapsed := time.monotonic() - start) < seconds:
        os.write(descriptor, data)
        os.fdatasync(descriptor)
        syncs += 1
    cpu = time.process_time() - cpu
    os.close(descriptor)
    path.unlink()
    events = syncs * in_flight
    return Figures(events / elapsed, cpu * 1e6 / events)


async def log(folder: Path, seconds: float, in_flight: int) -> Figures:
    """`in_flight` requests at a time, each opened when another is durable."""
    loop = asyncio.get_running_loop()
    wal = Wal.open(folder / "bench-0", settings=UsageSettings(), loop=loop, now=system_clock)
    open_record, close_record = opened(), closed()
    events = 0
    running = in_flight
    start, cpu = time.monotonic(), time.process_time()
    done: asyncio.Future[None] = loop.create_future()

    def begin() -> None:
        handle = wal.opened(open_record)

        def durable(error: Exception | None) -> None:
            nonlocal events, running
            if error is not None:
                raise error
            events += 1
            wal.delivered(handle)
            if time.monotonic() - start < seconds:
                begin()
                return
            running -= 1
            if not running:
                done.set_result(None)

        wal.closed(handle, close_record, durable)

    for _ in range(in_flight):
        begin()
    await done
    elapsed, cpu = time.monotonic() - start, time.process_time() - cpu
    await wal.aclose()
    return Figures(events / elapsed, cpu * 1e6 / events)


async def calls_us(folder: Path) -> tuple[float, float]:
    """CPU of opened, closed and delivered for one event; of writing it to the page cache."""
    loop = asyncio.get_running_loop()
    settings = UsageSettings(seal_bytes=1 << 40)
    wal = Wal.open(folder / "bench-1", settings=settings, loop=loop, now=system_clock)
    open_record, close_record = opened(), closed()

    start = time.process_time()
    for _ in range(CALLS):
        handle = wal.opened(open_record)
        wal.closed(handle, close_record, unless_failed)
        wal.delivered(handle)
    called = time.process_time()
    wal.flush()
    flushed = time.process_time()
    await wal.aclose()
    return (called - start) * 1e6 / CALLS, (flushed - called) * 1e6 / CALLS


async def fill(root: Path, rows: int) -> None:
    """Sealed segments with so many rows."""
    loop = asyncio.get_running_loop()
    wal = Wal.open(root / "bench-2", settings=UsageSettings(), loop=loop, now=system_clock)
    for number in range(rows):
        handle = wal.opened(opened())
        wal.closed(handle, closed(), unless_failed)
        wal.delivered(handle)
        if number % 1_000 == 0:
            await asyncio.sleep(0)
    await wal.aclose()


def shipping_rows_per_s(folder: Path, rows: int) -> float:
    """Rows that a clerk moves to the table in a second, synced and checked."""
    from quartermaster.usage.ship import ship_sealed
    from quartermaster.usage.table import UsageTable

    table = UsageTable(folder / "usage")
    for count in (100, rows):
        uvloop.run(fill(folder / "wal", count))
        start = time.monotonic()
        shipped = sum(fact.rows for fact in ship_sealed(folder / "wal", table))
        elapsed = time.monotonic() - start
        if shipped != count:
            raise RuntimeError(f"{shipped} of {count} rows were shipped")
    return rows / elapsed


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    bare, ours = [], []
    for _ in range(options.reps):
        bare.append(bare_limit(folder, options.seconds, options.in_flight))
        ours.append(uvloop.run(log(folder, options.seconds, options.in_flight)))
    calls, write = uvloop.run(calls_us(folder))
    ratios = [o.events_per_s / b.events_per_s for o, b in zip(ours, bare, strict=True)]
    return {
        "in_flight": options.in_flight,
        "bytes_per_event": event_bytes(),
        "bare_events_per_s": statistics.median(b.events_per_s for b in bare),
        "bare_syncs_per_s": statistics.median(b.events_per_s / options.in_flight for b in bare),
        "log_events_per_s": statistics.median(o.events_per_s for o in ours),
        "ratio_to_bare": statistics.median(ratios),
        "log_cpu_us_per_event": statistics.median(o.cpu_us_per_event for o in ours),
        "three_calls_cpu_us": calls,
        "write_cpu_us": write,
        "shipping_rows_per_s": shipping_rows_per_s(folder, options.rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, default=Path(), help="On the disk to measure.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-") as folder:
        figures = measure(options, Path(folder))
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:24} {value:14,.2f}")


if __name__ == "__main__":
    main()
