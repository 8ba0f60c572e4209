"""What the gateway adds to an answer's time, how fast it starts, and what a second worker brings.

    python bench/latency.py [--rate 1000] [--seconds 6] [--reps 3] [--json]

*added*  a steady 1,000 requests a second, due at even moments, answered or not: direct to the model
         server and through one worker, in turn. The wait for the disk is told apart: the access log
         knows it of every request, and `besides the sync` is the same latencies without it.
*first*  what the first byte of a stream comes later, one request at a time.
*start*  from the start of the process until `/readyz` says yes, and its memory then and after load.
*two*    CPU a request of two workers that share a port, beside one, each with 64 connections.
*slices* requests/s of two workers that share a port, beside one.

Load and model server run on CPU 0, workers on CPU 1. Of two cores none is left to load two workers
with. So `two` runs both on CPU 1 in turn, which costs them more than a core each would, and tells
what two cores would carry by CPU a request. And `slices` gives each worker a core of its own, of
which the kernel lets it have three tenths: what is left of both carries load and model server.
"""

import argparse
import http.client
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gateway_parts import command, load, processes, quota
from bench.gateway_parts.clients import Answered, log_lines, open_loop, quantile, request_bytes
from bench.gateway_parts.command import spread

PATH: Final = "/v1/chat/completions"
FIRST_BYTE_SAMPLES: Final = 200
FIRST_BYTE_CHUNKS: Final = 3
STARTS: Final = 5
CONNECTIONS: Final = 64
# The worker writes what it logged at the latest after a second.
LOG_S: Final = 2.0

ADDED_GOAL = "p50 at most 0.5 ms, p99 at most 5 ms, besides the sync"
FIRST_GOAL = "p50 at most 1 ms"
START_GOAL = "at most 1.5 s, and 120 MB a worker"
TWO_GOAL = "at least 1.7 times one"
SLICE: Final = 0.3
"""Of a core for each worker: two then leave twice as much for load and model server as they use."""


def added(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Latencies at a steady rate, direct and through one worker."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.plain_mock(folder / "mock"))
        url = f"http://127.0.0.1:{mock.port}/v1"
        ours = stack.enter_context(
            processes.gateway(folder / "var", {processes.PLAIN_MODEL: url}, "--access-log")
        )
        request = request_bytes(PATH, ours.key, load.chat_body(processes.PLAIN_MODEL, stream=False))
        direct: list[list[Answered]] = []
        through: list[list[Answered]] = []
        for rep in range(-1, options.reps):
            seconds = 1.0 if rep < 0 else options.seconds
            for port, kept in ((mock.port, direct), (ours.port, through)):
                found = open_loop(port, request, rate=options.rate, seconds=seconds)
                bad = sum(one.status != 200 for one in found)
                if bad:
                    raise RuntimeError(f"{bad} of {len(found)} requests failed")
                if rep >= 0:
                    kept.append(found)
        cpu = processes.cpu_us(ours.pid)
        time.sleep(LOG_S)
        rows = log_lines(_log(folder / "var"))
        memory_mb = processes.resident_mb(ours.pid)
        pairs = zip(direct, through, strict=True)
        runs = [compare(theirs, ours_, rows) for theirs, ours_ in pairs]
    return {
        "rate": options.rate,
        "requests": sum(len(one) for one in through),
        "cpu_s": cpu / 1e6,
        "memory_mb": memory_mb,
        "runs": runs,
        "median": {name: statistics.median(run[name] for run in runs) for name in runs[0]},
        "goal": ADDED_GOAL,
    }


def _log(var: Path) -> str:
    return "".join(path.read_text() for path in sorted((var / "log").glob("access-*")))


def compare(
    direct: list[Answered], through: list[Answered], rows: dict[str, dict[str, float]]
) -> dict[str, float]:
    """Quantiles of one repetition; an answer without a line in the log is an error."""
    base = [one.latency_ms for one in direct]
    ours = [one.latency_ms for one in through]
    syncs = [rows[one.request_id]["log_sync_ms"] for one in through]
    besides = [one - sync for one, sync in zip(ours, syncs, strict=True)]
    found = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        found[f"direct_ms_{name}"] = quantile(base, share)
        found[f"gateway_ms_{name}"] = quantile(ours, share)
        found[f"sync_ms_{name}"] = quantile(syncs, share)
        found[f"added_ms_{name}"] = quantile(ours, share) - quantile(base, share)
        found[f"besides_sync_ms_{name}"] = quantile(besides, share) - quantile(base, share)
    return found


def first_byte(folder: Path) -> dict[str, Any]:
    """Median time to the first byte of a stream, direct and through us, in turn."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.stream_mock(FIRST_BYTE_CHUNKS))
        url = f"http://127.0.0.1:{mock.port}/v1"
        ours = stack.enter_context(processes.gateway(folder / "var", {processes.STREAM_MODEL: url}))
        body = load.chat_body(processes.STREAM_MODEL, stream=True)
        direct, through = [], []
        for _ in range(FIRST_BYTE_SAMPLES):
            direct.append(load.first_byte_ms(mock.port, PATH, ours.key, body))
            through.append(load.first_byte_ms(ours.port, PATH, ours.key, body))
    return {
        "direct_ms_p50": statistics.median(direct),
        "gateway_ms_p50": statistics.median(through),
        "added_ms_p50": statistics.median(through) - statistics.median(direct),
        "added_ms_p99": quantile(through, 0.99) - quantile(direct, 0.99),
        "goal": FIRST_GOAL,
    }


def start(folder: Path) -> dict[str, Any]:
    """Seconds until a worker is ready, and its memory then."""
    seconds, memory = [], []
    for number in range(STARTS):
        var = folder / f"var-{number}"
        processes.lay_out(var, {processes.PLAIN_MODEL: "http://127.0.0.1:9/v1"})
        port = processes.free_port()
        began = time.perf_counter()
        with processes.started(
            processes.worker_command(var, port), port, processes.PROXY_CPU
        ) as process:
            while not _ready(port):
                time.sleep(0.005)
            seconds.append(time.perf_counter() - began)
            memory.append(processes.resident_mb(process.pid))
    return {"seconds": spread(seconds), "memory_mb": spread(memory), "goal": START_GOAL}


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def two(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """CPU a request of one worker and of two that share the port, in turn."""
    found = _in_turn(folder, options, 1.0)
    one, both = ([run.cpu_us for run in found[count]] for count in (1, 2))
    ratios = [2 * alone / shared for alone, shared in zip(one, both, strict=True)]
    return {
        "cpu_us_a_request": {"1": statistics.median(one), "2": statistics.median(both)},
        "smaller_worker_s_share": spread([run.smaller_share for run in found[2]]),
        "times_one": spread(ratios),
        "goal": TWO_GOAL,
    }


def slices(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Requests/s of one worker and of two, each with a slice of a core of its own, in turn."""
    if not quota.available():
        return {"missing": "control groups cannot be written here: that takes root"}
    found = _in_turn(folder, options, SLICE)
    one, both = ([run.per_s for run in found[count]] for count in (1, 2))
    ratios = [shared / alone for alone, shared in zip(one, both, strict=True)]
    return {
        "per_s": {"1": statistics.median(one), "2": statistics.median(both)},
        "slice": SLICE,
        "used": {str(n): statistics.median(run.cores for run in found[n]) for n in (1, 2)},
        "smaller_worker_s_share": spread([run.smaller_share for run in found[2]]),
        "times_one": spread(ratios),
        "goal": TWO_GOAL,
    }


class Shared(NamedTuple):
    """One run of workers that share a port."""

    per_s: float
    cpu_us: float
    """A request."""
    cores: float
    """That all of them used."""
    smaller_share: float
    """Of the work, that the worker with less of it had."""


def _in_turn(folder: Path, options: argparse.Namespace, share: float) -> dict[int, list[Shared]]:
    """Runs of one worker and of two; with a share below one each has a CPU of its own."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.plain_mock(folder / "mock"))
        url = f"http://127.0.0.1:{mock.port}/v1"
        found: dict[int, list[Shared]] = {1: [], 2: []}
        for rep in range(options.reps):
            for count in found:
                var = folder / f"var-{rep}-{count}"
                found[count].append(_workers(var, url, count, share, options))
    return found


def _workers(var: Path, url: str, count: int, share: float, options: argparse.Namespace) -> Shared:
    """Load so many workers for some seconds."""
    key = processes.lay_out(var, {processes.PLAIN_MODEL: url})
    port = processes.free_port()
    cpus = (processes.PROXY_CPU, processes.PROXY_CPU if share == 1.0 else processes.LOAD_CPU)
    with ExitStack() as stack:
        running: list[subprocess.Popen[str]] = []
        for number in range(count):
            more = ("--workers", str(count), "--worker", str(number))
            worker = processes.worker_command(var, port, *more)
            running.append(stack.enter_context(processes.started(worker, port, cpus[number])))
        while not all((var / "status" / f"gateway-{n}.json").exists() for n in range(count)):
            time.sleep(0.01)
        if share < 1.0:
            for process in running:
                stack.enter_context(quota.sliced(process.pid, share, str(process.pid)))
        before = [processes.cpu_us(process.pid) for process in running]
        run = load.wrk(
            f"http://127.0.0.1:{port}{PATH}",
            key,
            load.chat_body(processes.PLAIN_MODEL, stream=False),
            var,
            connections=CONNECTIONS * count,
            seconds=options.two_seconds,
        )
        if run.failures:
            raise RuntimeError(f"{run.failures} of {run.requests} requests failed")
        spent_us = [
            processes.cpu_us(process.pid) - was
            for process, was in zip(running, before, strict=True)
        ]
    total_us = sum(spent_us)
    return Shared(
        run.requests_per_s,
        total_us / run.requests,
        total_us / run.seconds / 1e6,
        min(spent_us) / total_us,
    )


PARTS: Final = ("added", "first", "start", "two", "slices")


def bench(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All parts, or those that were asked for."""
    report: dict[str, Any] = {}
    for name in options.only or PARTS:
        part = folder / name
        part.mkdir()
        if name == "added":
            report[name] = added(part, options)
        elif name == "first":
            report[name] = first_byte(part)
        elif name == "start":
            report[name] = start(part)
        elif name == "two":
            report[name] = two(part, options)
        else:
            report[name] = slices(part, options)
    return report


def show(report: dict[str, Any]) -> None:
    """Print the report for people."""
    if part := report.get("added"):
        row = part["median"]
        print(
            f"added latency at {part['rate']} requests/s, medians of {len(part['runs'])} runs, ms"
        )
        for name in ("direct", "gateway", "sync", "added", "besides_sync"):
            p50, p99 = row[f"{name}_ms_p50"], row[f"{name}_ms_p99"]
            print(f"  {name.replace('_', ' the '):<16} p50 {p50:6.2f}   p99 {p99:6.2f}")
        print(f"  (goal: {part['goal']}); memory after it {part['memory_mb']:.0f} MB")
    if part := report.get("first"):
        print(f"first byte of a stream: p50 {part['added_ms_p50']:.2f} ms later", end="")
        print(f", p99 {part['added_ms_p99']:.2f}  (goal: {part['goal']})")
    if part := report.get("start"):
        row, memory = part["seconds"], part["memory_mb"]
        print(f"start: {row['min']:.2f} / {row['median']:.2f} / {row['max']:.2f} s", end="")
        print(f", {memory['median']:.0f} MB  (goal: {part['goal']})")
    if part := report.get("two"):
        cpu, row = part["cpu_us_a_request"], part["times_one"]
        print(f"two workers: {cpu['1']:.1f} us CPU a request alone, {cpu['2']:.1f} as two", end="")
        print(f" = {row['min']:.2f} / {row['median']:.2f} / {row['max']:.2f} times one", end="")
        print(f"  (goal: {part['goal']})")
        print(f"  the smaller one had {part['smaller_worker_s_share']['median']:.0%} of the work")
    if part := report.get("slices"):
        show_slices(part)


def show_slices(part: dict[str, Any]) -> None:
    """Print the last part."""
    if "missing" in part:
        print(f"two workers, a slice of a core each: not measured: {part['missing']}")
        return
    per_s, used, row = part["per_s"], part["used"], part["times_one"]
    print(f"two workers, {part['slice']:.0%} of a core each: ", end="")
    print(f"{per_s['1']:,.0f} requests/s alone, {per_s['2']:,.0f} as two", end="")
    print(f" = {row['min']:.2f} / {row['median']:.2f} / {row['max']:.2f} times one", end="")
    print(f"  (goal: {part['goal']})")
    print(f"  {used['1']:.2f} and {used['2']:.2f} cores used by them")


def main() -> int:
    parser = command.parser(__doc__, reps=3)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--two-seconds", type=int, default=4)
    parser.add_argument("--only", action="append", choices=PARTS)
    options = parser.parse_args()
    return command.run(options, bench, show)


if __name__ == "__main__":
    sys.exit(main())
