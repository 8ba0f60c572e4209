"""Streams: what a chunk costs beside nginx relaying the same stream, and 2,000 streams at once.

    python bench/streams.py [--reps 3] [--streams 100] [--json]

*paced*  so many streams at once of 300 chunks, 10 ms apart, through one worker and through nginx
         (`proxy_buffering off`), in turn: CPU of each by the scheduler's clock, and their ratio.
*burst*  20 chunks in one write of the model server, as peers are measured: CPU a stream.
*many*   2,000 streams open at once on one worker: its memory, and that every one of them is whole.

Load and model server run on CPU 0, the proxy under test on CPU 1.
"""

import argparse
import resource
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gateway_parts import command, load, processes
from bench.gateway_parts.clients import Streamed, request_bytes, streams
from bench.gateway_parts.command import spread

CHUNKS: Final = 300
PAUSE_MS: Final = 10.0
BURST_CHUNKS: Final = 20
BURST_CONNECTIONS: Final = 32
MANY: Final = 2_000
# Long enough that the last stream begins before the first one ends.
MANY_CHUNKS: Final = 24
MANY_PAUSE_MS: Final = 500.0
MANY_SPREAD_S: Final = 6.0
FILES: Final = 3 * MANY
SAMPLE_S: Final = 0.1

PACED_GOAL = "CPU at most 3 times nginx's"
BURST_GOAL = "at most 0.15 ms"
MANY_GOAL = "at most 300 MB"


def _upstreams(stack: ExitStack, folder: Path, mock_port: int) -> tuple[processes.Pinned, str]:
    """An nginx before the model server, and the model server's URL."""
    port = processes.free_port()
    body = processes.NGINX_PROXY.format(port=port, plain=mock_port, stream=mock_port)
    proxy = processes.nginx(folder / "proxy", body, port, processes.PROXY_CPU)
    return stack.enter_context(proxy), f"http://127.0.0.1:{mock_port}/v1"


def paced(folder: Path, reps: int, count: int) -> dict[str, Any]:
    """CPU a chunk of the worker and of nginx, in turn."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.stream_mock(CHUNKS, PAUSE_MS))
        nginx, url = _upstreams(stack, folder, mock.port)
        ours = stack.enter_context(processes.gateway(folder / "var", {processes.STREAM_MODEL: url}))
        body = load.chat_body(processes.STREAM_MODEL, stream=True)
        sides = {
            "gateway": (ours.pid, ours.port, "/v1/chat/completions"),
            "nginx": (nginx.pid, nginx.port, "/stream/v1/chat/completions"),
        }
        cpu: dict[str, list[float]] = {name: [] for name in sides}
        for rep in range(-1, reps):
            for name, (pid, port, path) in sides.items():
                # Begun over one pause, so that their chunks come one by one and not in step.
                wanted = count if rep >= 0 else max(count // 10, 1)
                before = processes.cpu_us(pid)
                found = streams(port, request_bytes(path, ours.key, body), wanted, PAUSE_MS / 1_000)
                spent_us = processes.cpu_us(pid) - before
                _all_whole(name, found)
                if rep >= 0:
                    cpu[name].append(spent_us / (wanted * CHUNKS))
    ratios = [a / b for a, b in zip(cpu["gateway"], cpu["nginx"], strict=True)]
    return {
        "streams": count,
        "chunks": CHUNKS,
        "pause_ms": PAUSE_MS,
        "cpu_us_a_chunk": {name: statistics.median(values) for name, values in cpu.items()},
        "ratio_to_nginx": spread(ratios),
        "goal": PACED_GOAL,
    }


def burst(folder: Path, reps: int, seconds: int) -> dict[str, Any]:
    """CPU of a whole stream whose chunks come in one write."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.stream_mock(BURST_CHUNKS, burst=True))
        nginx, url = _upstreams(stack, folder, mock.port)
        ours = stack.enter_context(processes.gateway(folder / "var", {processes.STREAM_MODEL: url}))
        body = load.chat_body(processes.STREAM_MODEL, stream=True)
        sides = {
            "gateway": (ours.pid, f"http://127.0.0.1:{ours.port}/v1/chat/completions"),
            "nginx": (nginx.pid, f"http://127.0.0.1:{nginx.port}/stream/v1/chat/completions"),
        }
        cpu: dict[str, list[float]] = {name: [] for name in sides}
        for rep in range(-1, reps):
            for name, (pid, url) in sides.items():
                before = processes.cpu_us(pid)
                run = load.wrk(
                    url,
                    ours.key,
                    body,
                    folder,
                    connections=BURST_CONNECTIONS,
                    seconds=1 if rep < 0 else seconds,
                )
                if run.failures:
                    raise RuntimeError(f"{name}: {run.failures} of {run.requests} failed")
                if rep >= 0:
                    cpu[name].append((processes.cpu_us(pid) - before) / run.requests / 1_000)
    ratios = [a / b for a, b in zip(cpu["gateway"], cpu["nginx"], strict=True)]
    return {
        "chunks": BURST_CHUNKS,
        "cpu_ms_a_stream": {name: spread(values) for name, values in cpu.items()},
        "ratio_to_nginx": spread(ratios),
        "goal": BURST_GOAL,
    }


def many(folder: Path) -> dict[str, Any]:
    """Memory of one worker while 2,000 streams are open."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.stream_mock(MANY_CHUNKS, MANY_PAUSE_MS))
        url = f"http://127.0.0.1:{mock.port}/v1"
        ours = stack.enter_context(processes.gateway(folder / "var", {processes.STREAM_MODEL: url}))
        body = load.chat_body(processes.STREAM_MODEL, stream=True)
        idle_mb = processes.resident_mb(ours.pid)
        peak = _Peak(ours.pid)
        request = request_bytes("/v1/chat/completions", ours.key, body)
        with peak:
            found = streams(ours.port, request, MANY, MANY_SPREAD_S)
        _all_whole("gateway", found)
        return {
            "streams": MANY,
            "open_at_once": found.open_max,
            "whole": found.whole,
            "idle_mb": idle_mb,
            "peak_mb": peak.mb,
            "kb_a_stream": (peak.mb - idle_mb) * 1_000 / found.open_max,
            "goal": MANY_GOAL,
        }


class _Peak:
    """Looks at a process's memory ten times a second."""

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.mb = max(self.mb, processes.resident_mb(self._pid))


def _all_whole(name: str, found: Streamed) -> None:
    if found.whole < found.streams:
        raise RuntimeError(f"{name}: {found.streams - found.whole} streams were cut")


def bench(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All parts, or the one that was asked for."""
    wanted = options.only or ("paced", "burst", "many")
    report: dict[str, Any] = {}
    for name in wanted:
        part = folder / name
        part.mkdir()
        if name == "paced":
            report[name] = paced(part, options.reps, options.streams)
        elif name == "burst":
            report[name] = burst(part, options.reps, options.seconds)
        else:
            report[name] = many(part)
    return report


def show(report: dict[str, Any]) -> None:
    """Print the report for people."""
    if part := report.get("paced"):
        cpu, ratio = part["cpu_us_a_chunk"], part["ratio_to_nginx"]
        print(f"paced: {part['streams']} streams of {CHUNKS} chunks, {PAUSE_MS:g} ms apart")
        print(f"  CPU a chunk: gateway {cpu['gateway']:.1f} us, nginx {cpu['nginx']:.1f} us")
        print(f"  ratio {ratio['min']:.2f} / {ratio['median']:.2f} / {ratio['max']:.2f}", end="")
        print(f"  (goal: {part['goal']})")
    if part := report.get("burst"):
        print(f"burst: {BURST_CHUNKS} chunks in one write")
        for name, row in part["cpu_ms_a_stream"].items():
            print(f"  {name:<8} {row['min']:.4f} / {row['median']:.4f} / {row['max']:.4f} CPU ms")
        print(f"  (goal of the gateway: {part['goal']})")
    if part := report.get("many"):
        print(f"many: {part['open_at_once']} of {MANY} streams open at once, {part['whole']} whole")
        print(
            f"  memory {part['idle_mb']:.0f} MB idle, {part['peak_mb']:.0f} MB at the peak", end=""
        )
        print(f", {part['kb_a_stream']:.0f} KB a stream  (goal: {part['goal']})")


def main() -> int:
    parser = command.parser(__doc__, reps=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each burst run")
    parser.add_argument("--streams", type=int, default=100, help="paced, at once")
    parser.add_argument("--only", action="append", choices=("paced", "burst", "many"))
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    return command.run(options, bench, show)


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"took {time.monotonic() - began:.0f} s", file=sys.stderr)
    sys.exit(code)
