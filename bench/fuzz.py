"""Fuzzing of the gateway: cases of broken bytes, bodies, answers and streams, until one breaks it.

    python bench/fuzz.py [--cases 1000000] [--connections 20000] [--seed N]

Cases go straight into the cores that read strangers' bytes: HTTP of clients and of model servers,
JSON bodies and forms of every operation towards every upstream, whole answers, and streams of every
dialect. Connections go through a real gateway between hostile clients and a hostile model server.
Accepted or a 4xx, never a traceback or a stuck connection; exit 1 with the seed where that fails.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.contract.hostile_peers import StuckOrBrokenError, run_hostile
from tests.property.fuzz_cases import KINDS, BrokeError, Tally, run_cases

# Cases between two lines of progress; each has a seed of its own, so that it can be repeated.
BATCH = 100_000


def pure(cases: int, seed: int) -> None:
    """The cores, batch by batch.

    Raises:
        BrokeError: a case was neither accepted nor refused.
    """
    began = time.monotonic()
    whole = Tally(Counter(), Counter())
    for number, start in enumerate(range(0, cases, BATCH)):
        tally = run_cases(min(BATCH, cases - start), seed + number)
        whole = Tally(whole.accepted + tally.accepted, whole.refused + tally.refused)
        print(f"{whole.cases:,} cases in {time.monotonic() - began:.0f} s", flush=True)
    for name in (kind.__name__ for kind in KINDS):
        print(
            f"  {name:<14} {whole.accepted[name]:>10,} accepted {whole.refused[name]:>10,} refused"
        )


def hostile(connections: int, seed: int) -> None:
    """A real gateway between hostile peers.

    Raises:
        StuckOrBrokenError: a connection was answered wrongly or not ended.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        ended = run_hostile(Path(folder) / "var", connections, seed)
    told = ", ".join(f"{count:,} x {status}" for status, count in sorted(ended.statuses.items()))
    print(f"{ended.cases:,} connections in {time.monotonic() - began:.0f} s: {told}")
    print(f"  the model server was asked {ended.asked:,} times; nothing stuck, no traceback")


def main() -> int:
    """Try everything; exit 1 when something broke."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--seed", type=int, help="to repeat a run")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    try:
        pure(asked.cases, seed)
        if asked.connections:
            hostile(asked.connections, seed)
    except (BrokeError, StuckOrBrokenError) as error:
        print(f"broken: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
