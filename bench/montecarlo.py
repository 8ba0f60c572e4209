"""The simulation of revenue at risk against the limit of its random numbers, and its accuracy.

    python bench/montecarlo.py [--scenarios 20000] [--reps 5] [--threads 0] [--json]

The limit is a loop that makes random numbers and does nothing with them, on the same threads in the
same run. Three of them, from the loosest to the strictest:

- `numpy_sfc64`: one float32 normal a customer and month by numpy's fastest generator;
- `own_normals`: the same count by the engine's own generator, Philox4x32-10 and Box-Muller, in the
  same vectorised loops over the same block of scenarios that the engine runs;
- `own_consumed`: besides them the exponential of each customer's departure: everything that the
  engine draws, but for the few common factors. No number that it draws is left unused.

The engine's ratio is its customer-months a second over the limit's. Runs are interleaved, and
throughput is per second of CPU, so that other work on the machine hits all of them alike; the
ratio is the median of the ratios of neighbours.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np

from quartermaster.exposure.risk_assumptions import (
    Assumptions,
    Backfill,
    Capacity,
    CustomerTerms,
    Departure,
    Growth,
    Hazards,
    Price,
)
from quartermaster.exposure.risk_book import Against, Book, Payer, build
from quartermaster.exposure.simulate import Run, losses
from quartermaster.exposure.simulate_rest import reduce
from quartermaster.exposure.simulate_world import LANES, QUAD
from quartermaster.stats.credit_risk import banded, loss_distribution
from quartermaster.stats.random_stream import (
    Compiled,
    compiled,
    draw_exponentials,
    draw_normals,
    draw_words,
    key_of,
)
from quartermaster.stats.tail import influence, measure_tail

CUSTOMERS, MONTHS = 1_000, 24
SEED = 20240801
NUMPY_BLOCK = 16_384
"""Normals a call of numpy's generator: the call costs nothing beside it, and they stay cached."""
RATIO_BAR, SPEED_UP_BAR, ERROR_BAR = 0.8, 16.0, 0.005
MEMORY_BAR_BYTES = 2 * 1024**3


def payers(count: int = CUSTOMERS) -> list[Payer]:
    """A customer of 24 % and a Zipf tail, 1,000 million a year in all."""
    rest = np.arange(1, count) ** -0.9
    shares = [0.24, *(0.76 * rest / rest.sum())]
    return [Payer(f"c{at}", Decimal(str(round(83.3e6 * s, 2)))) for at, s in enumerate(shares)]


def everything_on() -> Assumptions:
    """Every part of the model at work: nothing is skipped."""
    terms = []
    for at in range(CUSTOMERS):
        floor = at < 20
        terms.append(
            CustomerTerms(
                group=f"c{at}",
                currency="EUR" if at % 5 == 1 else "",
                sector="b" if at % 2 else "a",
                commitment_per_month="100000" if floor else "0",
                commitment_months=18 if floor else 0,
            )
        )
    return Assumptions(
        hazard_per_year=Hazards(top=0.35, rest=0.10),
        growth=Growth(
            drift_per_year=0.05,
            own_volatility_per_year=0.3,
            market_volatility_per_year=0.1,
            sector_volatility_per_year=0.05,
        ),
        departure=Departure(notice_months=1, ramp_months=6, kept_share=0.05),
        price=Price(change_per_year=-0.05),
        backfill=Backfill(share=0.2, delay_months=6),
        capacity=Capacity(cost_share=0.5, avoidable_share=0.4),
        fx={"EUR": 0.08},
        customer=tuple(terms),
    )


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds of all threads, and seconds on the wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def on_threads(threads: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


@compiled
def bare_passes(
    ids: Compiled,
    customers: Compiled,
    departures: Compiled,
    key: Compiled,
    words: Compiled,
    numbers: Compiled,
) -> None:
    """The engine's random numbers for a block of scenarios at a time, and nothing else."""
    for first in range(0, ids.size, LANES):
        part = ids[first : first + LANES]
        for customer in range(customers):
            if departures and customer % QUAD == 0:
                draw_words(part, customer // QUAD, 0, 1, key, words)
                draw_exponentials(words, numbers)
            for quad in range(MONTHS // QUAD):
                draw_words(part, customer, quad, 0, key, words)
                draw_normals(words, numbers)


def own_generator(scenarios: int, threads: int, *, departures: bool) -> None:
    """As many numbers as the engine draws, by its own generator."""
    key, each = key_of(SEED), scenarios // (threads * LANES) * LANES

    def work(thread: int) -> None:
        ids = np.arange(thread * each, (thread + 1) * each, dtype=np.uint32)
        words = np.empty((QUAD, LANES), np.uint32)
        bare_passes(ids, CUSTOMERS, departures, key, words, np.empty((QUAD, LANES), np.float32))

    on_threads(threads, work)


def numpy_generator(normals: int, threads: int) -> None:
    """As many normals as the engine draws, by numpy's SFC64."""
    calls = normals // (NUMPY_BLOCK * threads)

    def work(thread: int) -> None:
        draw = np.random.Generator(np.random.SFC64([SEED, thread]))
        out = np.empty(NUMPY_BLOCK, np.float32)
        for _ in range(calls):
            draw.standard_normal(out=out, dtype=np.float32)

    on_threads(threads, work)


def throughput(scenarios: int, reps: int, threads: int) -> dict[str, float]:
    """Full engine, reduced engine and the bare generators, interleaved; medians."""
    scenarios -= scenarios % (threads * LANES)
    book = build(payers(), everything_on())
    small = reduce(book)
    run = Run(scenarios=scenarios, seed=SEED, threads=threads)
    many = Run(scenarios=10 * scenarios, seed=SEED, threads=threads)
    cells = scenarios * CUSTOMERS * MONTHS
    works: dict[str, tuple[Callable[[], None], float]] = {
        "own_consumed": (lambda: own_generator(scenarios, threads, departures=True), cells),
        "full": (lambda: void(losses(book, run)), cells),
        "own_normals": (lambda: own_generator(scenarios, threads, departures=False), cells),
        "reduced": (
            lambda: void(losses(small.book, many, small.rest, float(book.reference.sum()))),
            10 * cells,
        ),
        "numpy_sfc64": (lambda: numpy_generator(cells, threads), cells),
    }
    losses(book, Run(scenarios=LANES, seed=1, threads=1))
    for departures in (True, False):
        own_generator(threads * LANES, threads, departures=departures)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(reps):
        for name, (work, _) in works.items():
            times[name].append(timed(work))
    cpu = {n: w[1] / statistics.median(t[0] for t in times[n]) for n, w in works.items()}
    wall = {n: w[1] / statistics.median(t[1] for t in times[n]) for n, w in works.items()}

    def ratio(over: str, under: str) -> float:
        share = works[under][1] / works[over][1]
        pairs = zip(times[over], times[under], strict=True)
        return statistics.median(o[0] / u[0] * share for o, u in pairs)

    return {
        "threads": threads,
        "full_customer_months_per_cpu_s": cpu["full"],
        "full_scenarios_per_s": wall["full"] / (CUSTOMERS * MONTHS),
        "own_consumed_per_cpu_s": cpu["own_consumed"],
        "own_normals_per_cpu_s": cpu["own_normals"],
        "numpy_sfc64_normals_per_cpu_s": cpu["numpy_sfc64"],
        "full_over_numpy_sfc64": ratio("numpy_sfc64", "full"),
        "full_over_own_normals": ratio("own_normals", "full"),
        "full_over_own_consumed": ratio("own_consumed", "full"),
        "reduced_scenarios_per_s": wall["reduced"] / (CUSTOMERS * MONTHS),
        "reduced_over_full": ratio("full", "reduced"),
        "reduced_customers_simulated": float(small.rows.size),
        "reduced_classes": float(small.rest.usage.shape[0]),
    }


def void(value: object) -> None:
    del value


def accuracy(scenarios: int, threads: int) -> dict[str, float]:
    """ES of the reduced engine over that of the full one, same random numbers for the top."""
    found = {}
    againsts: tuple[Against, ...] = ("path", "plan")
    for against in againsts:
        book: Book = build(payers(), everything_on(), against=against)
        small = reduce(book)
        run = Run(scenarios=scenarios, seed=SEED + 1, threads=threads)
        full, _ = losses(book, run)
        quick, _ = losses(small.book, run, small.rest, float(book.reference.sum()))
        for quantile in (0.95, 0.99):
            truth = measure_tail(full, quantile).expected_shortfall.value
            near = measure_tail(quick, quantile).expected_shortfall.value
            gap = influence(quick, quantile) - influence(full, quantile)
            found[f"es{100 * quantile:.0f}_error_against_{against}"] = near / truth - 1
            found[f"es{100 * quantile:.0f}_error_se_against_{against}"] = float(
                gap.std() / np.sqrt(scenarios) / truth
            )
    return found


def closed_form(scenarios: int, threads: int) -> dict[str, float]:
    """VaR99 and ES99 over CreditRisk+ where the model is CreditRisk+: one month, at once."""
    customers, chance, variance = 2_000, 0.001, 0.5
    sizes = [Decimal(100 + 3_701 * at % 10_000) for at in range(customers)]
    rate = chance * 12 / (0.5 - 0.0005)
    assumed = Assumptions(
        horizon_months=1,
        growth=Growth(own_volatility_per_year=0, market_volatility_per_year=0),
        departure=Departure(ramp_months=0, frailty_variance=variance),
        hazard_per_year=Hazards(top=rate, rest=rate),
    )
    book = build([Payer(f"c{at}", size) for at, size in enumerate(sizes)], assumed)
    exact = loss_distribution(banded([float(s) for s in sizes], [chance] * customers, 10), variance)
    found, _ = losses(book, Run(scenarios=scenarios, seed=SEED, threads=threads))
    tail, (level, shortfall, _) = measure_tail(found * book.scale, 0.99), exact.tail(0.99)
    return {
        "var99_error": tail.value_at_risk / level - 1,
        "es99_error": tail.expected_shortfall.value / shortfall - 1,
        "es99_standard_error": tail.expected_shortfall.standard_error / shortfall,
    }


def whole_command(scenarios: int) -> dict[str, float]:
    """`quartermaster risk` on a CSV of 1,000 customers x 24 months: seconds and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "revenue.csv"
        months = [f"20{23 + at // 12}-{at % 12 + 1:02}" for at in range(MONTHS)]
        rows = [f"{p.name},{m},{p.per_month},USD" for p in payers() for m in months]
        file.write_text("customer,month,revenue,currency\n" + "\n".join(rows) + "\n", "utf-8")
        command = [sys.executable, "-m", "quartermaster", "risk", str(file), "--hazard", "top=35%"]
        command += ["--scenarios", str(scenarios)]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {
        "scenarios": float(scenarios),
        "seconds": seconds,
        "peak_bytes": float(peak),
        "progress_lines": float(done.stderr.count("simulating")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=20_000)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--accuracy-scenarios", type=int, default=200_000)
    parser.add_argument("--closed-scenarios", type=int, default=2_000_000)
    parser.add_argument("--memory-scenarios", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    threads = Run(scenarios=1, seed=0, threads=given.threads).workers
    found = {
        "throughput": throughput(given.scenarios, given.reps, threads),
        "reduced_engine": accuracy(given.accuracy_scenarios, threads),
        "credit_risk_plus": closed_form(given.closed_scenarios, threads),
        "command": whole_command(given.memory_scenarios),
    }
    speed, command = found["throughput"], found["command"]
    errors = [v for k, v in found["reduced_engine"].items() if k.startswith("es99_error_against")]
    bars = {
        "full over numpy's SFC64 normals >= 0.8": speed["full_over_numpy_sfc64"] >= RATIO_BAR,
        "full over its own normals >= 0.8": speed["full_over_own_normals"] >= RATIO_BAR,
        "full over all that it draws >= 0.8": speed["full_over_own_consumed"] >= RATIO_BAR,
        "reduced over full >= 16": speed["reduced_over_full"] >= SPEED_UP_BAR,
        "reduced ES99 within 0.5 %": max(map(abs, errors)) <= ERROR_BAR,
        "VaR99 within 0.5 % of CreditRisk+": (
            abs(found["credit_risk_plus"]["var99_error"]) <= ERROR_BAR
        ),
        "100,000 scenarios below 2 GB": command["peak_bytes"] < MEMORY_BAR_BYTES,
    }
    if given.json:
        print(json.dumps({**found, "bars": bars}, indent=2))
        return
    for part, figures in found.items():
        print(part)
        for name, value in figures.items():
            print(f"  {name:38} {value:,.5g}")
    for name, met in bars.items():
        print(f"{'met   ' if met else 'MISSED'}  {name}")


if __name__ == "__main__":
    main()
