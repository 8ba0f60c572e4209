"""Gateway against nginx proxy_pass: requests/s, CPU a request, streaming, added first-byte time.

    python bench/gateway.py [--seconds 5] [--reps 3] [--connections 64] [--json]

nginx serves a fixed answer as the mock model server, and nginx proxy_pass is the proxy to compare
with. Ours is one real worker with key hash, JSON decode, usage and the group-synced write-ahead
log on this disk. A plain request has about 1,000 tokens, 4 KB, a short one thirty. Load and mock
run on CPU 0, the proxy under test on CPU 1; runs are interleaved, so that other work on the machine
hits both. CPU ms a request is the steadier figure.

Last, requests of 1,000 tokens with answers of 300: what a seller of $20M a month of them serves, at
$0.15 and $0.60 a million tokens, is 60 billion a month, on average `MEAN_LOAD` a second.
"""

import argparse
import json
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gateway_parts import command, load, processes
from bench.gateway_parts.command import Report, spread
from bench.gateway_parts.load import Run
from bench.gateway_parts.upstream import LONG_ANSWER

CHUNKS = 100
MEAN_LOAD = 23_000
WARM_UP_S = 1
FIRST_BYTE_SAMPLES = 200
# A stream of 100 chunks takes a core's milliseconds: fewer streams at once fill the machine.
STREAM_CONNECTIONS = 16


class Side(NamedTuple):
    """One proxy under test."""

    name: str
    pid: int
    port: int
    stream_path: str


class Figures(NamedTuple):
    """What one run cost."""

    run: Run
    cpu_ms: int

    @property
    def cpu_ms_per_request(self) -> float:
        """CPU of the proxy a request."""
        return self.cpu_ms / max(self.run.requests, 1)


def measure(
    sides: list[Side], options: argparse.Namespace, folder: Path, key: str, body: str
) -> dict[str, list[Figures]]:
    """Interleaved repetitions of one kind of load on every side."""
    stream = processes.STREAM_MODEL in body
    connections = STREAM_CONNECTIONS if stream else options.connections
    figures: dict[str, list[Figures]] = {side.name: [] for side in sides}
    for rep in range(-1, options.reps):
        for side in sides:
            path = side.stream_path if stream else "/v1/chat/completions"
            seconds = WARM_UP_S if rep < 0 else options.seconds
            before = processes.cpu_ms(side.pid)
            url = f"http://127.0.0.1:{side.port}{path}"
            run = load.wrk(url, key, body, folder, connections=connections, seconds=seconds)
            spent = processes.cpu_ms(side.pid) - before
            if run.failures:
                raise RuntimeError(f"{side.name}: {run.failures} of {run.requests} failed")
            if rep >= 0:
                figures[side.name].append(Figures(run, spent))
    return figures


def summary(figures: dict[str, list[Figures]], unit: int) -> dict[str, object]:
    """Spreads of both sides and of the ratio within each repetition; `unit` parts a request."""
    pairs = zip(figures["gateway"], figures["nginx"], strict=True)
    ratio = [ours.run.requests_per_s / theirs.run.requests_per_s for ours, theirs in pairs]
    pairs = zip(figures["gateway"], figures["nginx"], strict=True)
    cpu = [theirs.cpu_ms_per_request / ours.cpu_ms_per_request for ours, theirs in pairs]
    report: dict[str, object] = {"ratio_to_nginx": spread(ratio), "cpu_ratio": spread(cpu)}
    for name, runs in figures.items():
        report[name] = {
            "per_s": spread([f.run.requests_per_s * unit for f in runs]),
            "cpu_ms_each": spread([f.cpu_ms_per_request / unit for f in runs]),
            "p50_ms": statistics.median(f.run.p50_ms for f in runs),
            "p99_ms": statistics.median(f.run.p99_ms for f in runs),
        }
    return report


def mean_load(runs: list[Figures]) -> dict[str, object]:
    """What one worker on one core carries of the mean load."""
    return {
        "per_s": spread([f.run.requests_per_s for f in runs]),
        "of_mean_load": spread([f.run.requests_per_s / MEAN_LOAD for f in runs]),
    }


def first_byte(direct_port: int, gateway: processes.Gateway) -> dict[str, float]:
    """Median time to the first byte of a stream, direct and through us, and the difference."""
    body = load.chat_body(processes.STREAM_MODEL, stream=True)
    path = "/v1/chat/completions"
    direct, ours = [], []
    for _ in range(FIRST_BYTE_SAMPLES):
        direct.append(load.first_byte_ms(direct_port, path, gateway.key, body))
        ours.append(load.first_byte_ms(gateway.port, path, gateway.key, body))
    added = statistics.median(ours) - statistics.median(direct)
    return {
        "direct_ms_p50": statistics.median(direct),
        "gateway_ms_p50": statistics.median(ours),
        "added_ms_p50": added,
    }


def bench(options: argparse.Namespace, folder: Path) -> Report:
    """Start everything, measure, stop everything."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.plain_mock(folder / "mock"))
        long = stack.enter_context(processes.plain_mock(folder / "long", LONG_ANSWER))
        stream = stack.enter_context(processes.stream_mock(CHUNKS))
        proxy_port = processes.free_port()
        proxy_body = processes.NGINX_PROXY.format(
            port=proxy_port, plain=mock.port, stream=stream.port
        )
        proxy = stack.enter_context(
            processes.nginx(folder / "proxy", proxy_body, proxy_port, processes.PROXY_CPU)
        )
        urls = {
            processes.PLAIN_MODEL: f"http://127.0.0.1:{mock.port}/v1",
            processes.STREAM_MODEL: f"http://127.0.0.1:{stream.port}/v1",
            processes.LONG_MODEL: f"http://127.0.0.1:{long.port}/v1",
        }
        gateway = stack.enter_context(processes.gateway(folder / "var", urls))
        sides = [
            Side("gateway", gateway.pid, gateway.port, "/v1/chat/completions"),
            Side("nginx", proxy.pid, proxy.port, "/stream/v1/chat/completions"),
        ]
        model, sentences = processes.PLAIN_MODEL, load.DOCUMENT_SENTENCES
        body = load.chat_body(model, stream=False, document_sentences=sentences)
        plain = measure(sides, options, folder, gateway.key, body)
        short = measure(sides, options, folder, gateway.key, load.chat_body(model, stream=False))
        report: Report = {"reps": options.reps, "seconds": options.seconds}
        report |= {"plain": summary(plain, 1), "short": summary(short, 1)}
        report["plain_body_bytes"] = len(body)
        if not options.plain_only:
            body = load.chat_body(processes.STREAM_MODEL, stream=True)
            streams = measure(sides, options, folder, gateway.key, body)
            report["stream_chunks"] = summary(streams, CHUNKS)
            report["first_byte"] = first_byte(stream.port, gateway)
            body = load.chat_body(processes.LONG_MODEL, stream=False, document_sentences=sentences)
            report["mean_load"] = mean_load(
                measure(sides[:1], options, folder, gateway.key, body)["gateway"]
            )
        gateway.stop()
        report["wal_syncs"] = _syncs(folder / "var", plain["gateway"])
        return report


def _syncs(var: Path, runs: list[Figures]) -> dict[str, float]:
    """Disk syncs over the life of the worker, and how many requests shared one."""
    status = json.loads(next((var / "status").glob("*.json")).read_text())
    syncs = status["wal_syncs"]
    per_sync = status["requests"] / max(syncs, 1)
    rate = statistics.median(f.run.requests_per_s for f in runs) / per_sync
    return {"total": syncs, "requests_a_sync": per_sync, "per_s_plain_about": rate}


def show(report: Report) -> None:
    """Print the report for people."""
    kinds = (("plain", "requests"), ("short", "requests"), ("stream_chunks", "chunks"))
    for kind, noun in kinds:
        if kind not in report:
            continue
        part = report[kind]
        print(f"{kind}: {report['reps']} x {report['seconds']} s, min / median / max")
        for name in ("gateway", "nginx"):
            row = part[name]
            rate, cpu = row["per_s"], row["cpu_ms_each"]
            print(
                f"  {name:<8} {rate['min']:>9,.0f} / {rate['median']:>9,.0f} / {rate['max']:>9,.0f}"
                f" {noun}/s   {cpu['min']:.4f} / {cpu['median']:.4f} / {cpu['max']:.4f} CPU ms each"
                f"   p50 {row['p50_ms']:.2f} ms  p99 {row['p99_ms']:.2f} ms"
            )
        ratio = part["ratio_to_nginx"]
        print(f"  ratio to nginx  {ratio['min']:.3f} / {ratio['median']:.3f} / {ratio['max']:.3f}")
    print("1,000 tokens in, 300 out:", json.dumps(report.get("mean_load")))
    print("first byte:", json.dumps(report.get("first_byte")))
    print("log syncs:", json.dumps(report["wal_syncs"]))


def main() -> int:
    parser = command.parser(__doc__, reps=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--plain-only", action="store_true")
    options = parser.parse_args()
    return command.run(options, bench, show)


if __name__ == "__main__":
    sys.exit(main())
