"""The simulation of revenue at risk against the limit of its random numbers, and its accuracy.

    python bench/montecarlo.py [--scenarios 20000] [--reps 5] [--threads 0] [--json]

The full engine draws one normal a customer and month. Its limit is a loop that draws as many and
does nothing with them, on the same threads in the same run: once with the engine's own generator,
once with numpy's SFC64 in float32, the fastest that numpy has. Runs are interleaved, and
throughput is per second of CPU, so that other work on the machine hits all of them alike.
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
from quartermaster.stats.credit_risk import banded, loss_distribution
from quartermaster.stats.random_stream import fill_normals, key_of
from quartermaster.stats.tail import influence, measure_tail

CUSTOMERS, MONTHS = 1_000, 24
SEED = 20240801
BLOCK = 4_096
"""Positions a call of the bare generator: its arrays stay in the second cache."""
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


def own_generator(normals: int, threads: int) -> None:
    """As many normals as the engine draws, by its own generator."""
    positions, key = np.arange(BLOCK, dtype=np.uint32), key_of(SEED)
    calls = normals // (4 * BLOCK * threads)

    def work(thread: int) -> None:
        out = np.empty((4, BLOCK), np.float32)
        for call in range(calls):
            fill_normals(positions, np.uint32(thread * calls + call), *key, out)

    on_threads(threads, work)


def numpy_generator(normals: int, threads: int) -> None:
    """As many normals as the engine draws, by numpy's SFC64."""
    calls = normals // (4 * BLOCK * threads)

    def work(thread: int) -> None:
        draw = np.random.Generator(np.random.SFC64([SEED, thread]))
        out = np.empty(4 * BLOCK, np.float32)
        for _ in range(calls):
            draw.standard_normal(out=out, dtype=np.float32)

    on_threads(threads, work)


def throughput(scenarios: int, reps: int, threads: int) -> dict[str, float]:
    """Full engine, reduced engine and both bare generators, interleaved; medians."""
    book = build(payers(), everything_on())
    small = reduce(book)
    run = Run(scenarios=scenarios, seed=SEED, threads=threads)
    normals = scenarios * CUSTOMERS * MONTHS
    many = Run(scenarios=10 * scenarios, seed=SEED, threads=threads)
    works: dict[str, tuple[Callable[[], None], float]] = {
        "full": (lambda: void(losses(book, run)), normals),
        "own_generator": (lambda: own_generator(normals, run.workers), normals),
        "numpy_sfc64": (lambda: numpy_generator(normals, run.workers), normals),
        "reduced": (
            lambda: void(losses(small.book, many, small.rest, float(book.reference.sum()))),
            10 * normals,
        ),
    }
    losses(book, Run(scenarios=128, seed=1, threads=1))
    own_generator(4 * BLOCK * threads, threads)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(reps):
        for name, (work, _) in works.items():
            times[name].append(timed(work))
    cpu = {n: w[1] / statistics.median(t[0] for t in times[n]) for n, w in works.items()}
    wall = {n: w[1] / statistics.median(t[1] for t in times[n]) for n, w in works.items()}
    ratios = [o[0] / f[0] for o, f in zip(times["own_generator"], times["full"], strict=True)]
    return {
        "threads": run.workers,
        "full_cells_per_cpu_s": cpu["full"],
        "full_scenarios_per_s": wall["full"] / (CUSTOMERS * MONTHS),
        "own_generator_normals_per_cpu_s": cpu["own_generator"],
        "numpy_sfc64_normals_per_cpu_s": cpu["numpy_sfc64"],
        "full_over_own_generator": statistics.median(ratios),
        "full_over_numpy_sfc64": cpu["full"] / cpu["numpy_sfc64"],
        "reduced_scenarios_per_s": wall["reduced"] / (CUSTOMERS * MONTHS),
        "reduced_over_full": cpu["reduced"] / cpu["full"],
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
        "full over numpy's SFC64 >= 0.8": speed["full_over_numpy_sfc64"] >= RATIO_BAR,
        "full over its own generator >= 0.8": speed["full_over_own_generator"] >= RATIO_BAR,
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
