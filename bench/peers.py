"""The gateway beside LiteLLM and Portkey: CPU a request and requests/s, in the same run.

    python bench/peers.py --install       make the peers' environments in .cache/peers, once
    python bench/peers.py [--seconds 2] [--reps 2] [--connections 32] [--json]

One process each, on one CPU, the load and the model server on another; a body of about 1,000
tokens, an answer in one piece and a stream of 20 chunks in one burst. Ours meters durably and
checks keys; LiteLLM checks one master key and keeps nothing, Portkey neither checks nor keeps. Ours
runs again with limits, and again with limits and a budget. A peer that is not installed is left
out, with the reason. CPU ms a request is the steadier figure; exit 1 where a goal is missed.
"""

import argparse
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gateway_parts import command, load, processes
from bench.gateway_parts.command import Report
from bench.peers_parts import installed
from bench.peers_parts.budgeted import budgeted
from bench.peers_parts.installed import AbsentError, Peer
from quartermaster.kernel.limit import Limits

CHUNKS = 20
WARM_UP_S = 1
# The slowest peer answers some thirty a second: it needs longer for a figure, and fewer at once.
PATIENCE = {"litellm": 3}
# Far above what one worker can serve, so that every request is counted and none is refused.
LIMITS = Limits(requests_per_minute=10**8, tokens_per_minute=10**11, concurrent=10**6)
GOALS_CPU_MS = {"ours": 0.04, "ours, budget": 0.06}
GOALS_TIMES = {"litellm": 50.0, "portkey": 5.0}
"""How many times the CPU of ours a peer must at least need for a plain request."""


class Side(NamedTuple):
    """One gateway under test."""

    name: str
    plain: Peer
    stream: Peer


class Figures(NamedTuple):
    """What one run cost."""

    run: load.Run
    cpu_ms: int

    @property
    def cpu_ms_each(self) -> float:
        """CPU a request."""
        return self.cpu_ms / max(self.run.requests, 1)


def ours(stack: ExitStack, var: Path, urls: dict[str, str], limits: Limits | None) -> Peer:
    """One worker of ours."""
    made = stack.enter_context(processes.gateway(var, urls, limits=limits))
    return Peer(processes.Pinned(made.pid, made.port), made.key, {})


def sides(stack: ExitStack, folder: Path, urls: dict[str, str]) -> tuple[list[Side], list[str]]:
    """Everybody who can be started, and why the others cannot."""
    plain = ours(stack, folder / "var", urls, None)
    limited = ours(stack, folder / "limited", urls, LIMITS)
    held = stack.enter_context(budgeted(folder / "held", urls, LIMITS))
    found = [
        Side("ours", plain, plain),
        Side("ours, limits", limited, limited),
        Side("ours, budget", held, held),
    ]
    absent = []
    try:
        peer = stack.enter_context(installed.litellm(folder, urls))
        found.append(Side("litellm", peer, peer))
    except AbsentError as error:
        absent.append(str(error))
    try:
        peer = stack.enter_context(installed.portkey(urls[processes.PLAIN_MODEL]))
        host = {**peer.headers, "x-portkey-custom-host": urls[processes.STREAM_MODEL]}
        found.append(Side("portkey", peer, peer._replace(headers=host)))
    except AbsentError as error:
        absent.append(str(error))
    return found, absent


def one_run(
    side: Side, options: argparse.Namespace, folder: Path, *, stream: bool, seconds: int
) -> Figures:
    """Load on one side."""
    peer = side.stream if stream else side.plain
    model = processes.STREAM_MODEL if stream else processes.PLAIN_MODEL
    body = load.chat_body(model, stream=stream, document_sentences=load.DOCUMENT_SENTENCES)
    before = processes.cpu_ms(peer.pinned.pid)
    run = load.wrk(
        f"http://127.0.0.1:{peer.pinned.port}/v1/chat/completions",
        peer.key,
        body,
        folder,
        connections=options.connections,
        seconds=seconds,
        headers=peer.headers,
    )
    if run.failures:
        raise RuntimeError(f"{side.name}: {run.failures} of {run.requests} failed")
    return Figures(run, processes.cpu_ms(peer.pinned.pid) - before)


def measure(
    found: list[Side], options: argparse.Namespace, folder: Path, *, stream: bool
) -> dict[str, list[Figures]]:
    """Interleaved repetitions of one kind of load on every side."""
    figures: dict[str, list[Figures]] = {side.name: [] for side in found}
    for rep in range(-1, options.reps):
        for side in found:
            seconds = options.seconds * PATIENCE.get(side.name, 1) if rep >= 0 else WARM_UP_S
            made = one_run(side, options, folder, stream=stream, seconds=seconds)
            if rep >= 0:
                figures[side.name].append(made)
    return figures


def summary(figures: dict[str, list[Figures]]) -> dict[str, dict[str, float]]:
    """Medians by side, and how many times ours each needs."""
    told = {}
    for name, runs in figures.items():
        cpu = [f.cpu_ms_each for f in runs]
        base = zip(runs, figures["ours"], strict=True)
        told[name] = {
            "cpu_ms": statistics.median(cpu),
            "cpu_ms_max": max(cpu),
            "per_s": statistics.median(f.run.requests_per_s for f in runs),
            "p50_ms": statistics.median(f.run.p50_ms for f in runs),
            "times_ours": statistics.median(t.cpu_ms_each / o.cpu_ms_each for t, o in base),
        }
    return told


def bench(options: argparse.Namespace, folder: Path) -> Report:
    """Start everything, measure, stop everything."""
    with ExitStack() as stack:
        mock = stack.enter_context(processes.plain_mock(folder / "mock"))
        stream = stack.enter_context(processes.stream_mock(CHUNKS, burst=True))
        urls = {
            processes.PLAIN_MODEL: f"http://127.0.0.1:{mock.port}/v1",
            processes.STREAM_MODEL: f"http://127.0.0.1:{stream.port}/v1",
        }
        found, absent = sides(stack, folder, urls)
        plain = summary(measure(found, options, folder, stream=False))
        streamed = summary(measure(found, options, folder, stream=True))
    report: Report = {name: getattr(options, name) for name in ("reps", "seconds", "connections")}
    report |= {"plain": plain, "stream": streamed, "absent": absent, "missed": missed(plain)}
    return report


def missed(plain: dict[str, dict[str, float]]) -> list[str]:
    """The goals that a plain request does not reach."""
    found = [
        f"{name}: {plain[name]['cpu_ms']:.4f} CPU ms a request, goal {goal}"
        for name, goal in GOALS_CPU_MS.items()
        if name in plain and plain[name]["cpu_ms"] > goal
    ]
    return found + [
        f"{name} needs {plain[name]['times_ours']:.0f} times ours, goal {goal:.0f}"
        for name, goal in GOALS_TIMES.items()
        if name in plain and plain[name]["times_ours"] < goal
    ]


def show(report: Report) -> None:
    """Print the report for people."""
    for kind in ("plain", "stream"):
        print(
            f"{kind}: medians of {report['reps']} x {report['seconds']} s, "
            f"{report['connections']} at once"
        )
        for name, row in report[kind].items():
            print(
                f"  {name:<14} {row['cpu_ms']:>9.4f} CPU ms each  {row['per_s']:>9,.0f} /s"
                f"  p50 {row['p50_ms']:>8.2f} ms  {row['times_ours']:>7.1f} x ours"
            )
    for line in (*report["absent"], *report["missed"]):
        print(line)


def main() -> int:
    """Print the figures; exit 1 when a goal is missed, 2 when a tool is."""
    parser = command.parser(__doc__, reps=2)
    parser.add_argument("--install", action="store_true", help="make the peers' environments")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    if options.install:
        troubles = installed.install()
        print("\n".join(troubles) or f"the peers are in {installed.CACHE}", file=sys.stderr)
        return command.EXIT_MISSING if troubles else 0
    return command.run(options, bench, show)


if __name__ == "__main__":
    sys.exit(main())
