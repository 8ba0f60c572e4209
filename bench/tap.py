"""The content tap: CPU of a request with consent and without, alternating on one gateway worker.

    python bench/tap.py [--seconds 3] [--reps 6] [--connections 64] [--json]

One worker has two keys, one of a contract that permits the tap. Slices of load with each alternate,
so that other work on the machine hits both; the ratio is taken within each pair of neighbours, and
the bar is 1.05 at the median. Of a busy customer few requests are drawn, so what a drawn one costs,
and what the watcher spends on it, stand beside, with what the limit of reads a second makes of it.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gateway_parts import command, load, processes
from bench.gateway_parts.command import Report, spread
from quartermaster.app.watch import Watcher
from quartermaster.conduct.observe import Observer
from quartermaster.gateway.settings import TAP_READS_PER_S
from quartermaster.gateway.tap import Tap, open_tap
from quartermaster.gateway.wire import ChatCall, read_call
from quartermaster.kernel import ring
from quartermaster.kernel.clock import Instant, system_clock
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.ids import key_hash, new_key_secret
from quartermaster.kernel.snapshot import KeyGrant, decode, write

WARM_UP_S = 1
BAR = 1.05
DRAWN = 2_000
"""Requests whose drawing is timed, of so few to an account that each is drawn."""
ACCOUNTS = 20


def with_consent(var: Path) -> str:
    """Add a key whose contract permits the tap; returns it."""
    path = var / "snapshot.json"
    snapshot = decode(path.read_bytes())
    pepper = (var / "secrets" / "key_pepper").read_bytes()
    key = new_key_secret()
    grant = replace(
        snapshot.keys[0],
        key_id="key_watched",
        key_hash=key_hash(key.encode(), pepper).hex(),
        customer="cus_watched",
        group="grp_watched",
        watched=True,
    )
    write(path, replace(snapshot, version=2, keys=(*snapshot.keys, grant)))
    return key


def pairs(
    options: argparse.Namespace, gateway: processes.Gateway, keys: dict[str, str], folder: Path
) -> list[dict[str, float]]:
    """CPU microseconds a request, off and on, one pair a repetition; the order alternates."""
    body = load.chat_body(
        processes.PLAIN_MODEL, stream=False, document_sentences=load.DOCUMENT_SENTENCES
    )
    url = f"http://127.0.0.1:{gateway.port}/v1/chat/completions"
    found = []
    for rep in range(-1, options.reps):
        pair = {}
        for name in ("off", "on") if rep % 2 else ("on", "off"):
            before = processes.cpu_us(gateway.pid)
            seconds = WARM_UP_S if rep < 0 else options.seconds
            run = load.wrk(
                url, keys[name], body, folder, connections=options.connections, seconds=seconds
            )
            if run.failures:
                raise RuntimeError(f"{name}: {run.failures} of {run.requests} failed")
            pair[name] = (processes.cpu_us(gateway.pid) - before) / max(run.requests, 1)
            pair[f"{name}_per_s"] = run.requests_per_s
        if rep >= 0:
            found.append(pair)
    return found


class Served:
    """An exchange as the tap sees it at its end."""

    endpoint: Endpoint = "chat.completions"

    def __init__(self, request_id: str, grant: KeyGrant, call: ChatCall, final: bytes) -> None:
        self.request_id, self.grant, self.call, self.final = request_id, grant, call, final


def drawn_us(var: Path) -> tuple[float, float]:
    """CPU of drawing and writing one request in the gateway, and of reading it in the watcher."""
    body = load.chat_body("m", stream=False, document_sentences=load.DOCUMENT_SENTENCES).encode()
    call, final = read_call(body), b'{"choices":[{"message":{"content":"' + b"word " * 200
    grant = decode((var / "snapshot.json").read_bytes()).keys[0]
    tap = open_tap(var, "bench", ring_bytes=64 << 20, reads_per_s=10**9)
    now = system_clock()
    tap.tick(now, 0.0)
    served = [
        Served(str(at), replace(grant, customer=f"c{at % ACCOUNTS}"), call, final)
        for at in range(DRAWN)
    ]
    began = time.process_time()
    for one in served:
        _draw(tap, one, body, now)
    wrote = time.process_time() - began
    key = bytes(32)
    watching = Watcher(ring.folder_of(var), var / "facts", "bench", key, Observer(key))
    began = time.process_time()
    read = watching.look()
    spent = time.process_time() - began
    watching.close()
    tap.close()
    assert read == DRAWN
    return wrote / DRAWN * 1e6, spent / DRAWN * 1e6


def _draw(tap: Tap, one: Served, body: bytes, now: Instant) -> None:
    taken = tap.take(one.grant, body, now)
    assert taken is not None
    taken.end(one, 200)


def bench(options: argparse.Namespace, folder: Path) -> Report:
    """Everything."""
    var = folder / "var"
    with processes.plain_mock(folder / "mock") as mock:
        off = processes.lay_out(var, {processes.PLAIN_MODEL: f"http://127.0.0.1:{mock.port}/v1"})
        keys = {"off": off, "on": with_consent(var)}
        port = processes.free_port()
        worker = processes.worker_command(var, port)
        with processes.started(worker, port, processes.PROXY_CPU) as process:
            gateway = processes.Gateway(process, process.pid, port, off)
            found = pairs(options, gateway, keys, folder)
        wrote, read = drawn_us(var)
    left = ring.folder_of(var)
    if left.exists():
        left.rmdir()
    ratios = [pair["on"] / pair["off"] for pair in found]
    return {
        "pairs": found,
        "ratio": spread(ratios),
        "drawn_us": wrote,
        "watcher_us": read,
        "cores_at_the_limit": {
            "gateway": wrote * TAP_READS_PER_S / 1e6, "watcher": read * TAP_READS_PER_S / 1e6,
        },
    }  # fmt: skip


def main() -> int:
    parser = command.parser(__doc__, reps=6)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    return command.run(options, bench, show)


def show(report: Report) -> None:
    """Print the report for people."""
    for pair in report["pairs"]:
        print(
            f"  off {pair['off']:.1f} us   on {pair['on']:.1f} us a request"
            f"   ratio {pair['on'] / pair['off']:.3f}   at {pair['on_per_s']:,.0f} requests/s"
        )
    ratio, cores = report["ratio"], report["cores_at_the_limit"]
    print(f"on to off: {json.dumps(ratio)}; the bar is {BAR}")
    print(f"a drawn request: {report['drawn_us']:.1f} us here, {report['watcher_us']:.0f} us there")
    print(f"cores at the limit of {TAP_READS_PER_S} reads a second: {json.dumps(cores)}")


if __name__ == "__main__":
    sys.exit(main())
