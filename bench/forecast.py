"""Do 80 % intervals hold 80 %? In made-up worlds and on metered usage, ours and the naive ones.

    python bench/forecast.py [--windows 2000] [--json]

Made-up: independent series with one window each, so that hits are independent. Panels: every
origin, with the block-bootstrap interval of the measured coverage; 80 % should lie within it.
`naive` calibrates on the last three windows, as common tools do unless told. `error` is the mean
absolute error of the sum of the steps over the mean sum; beside it that of repeating the last
periods. `ex` leaves the largest customer out.
"""

import argparse
import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import mean
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.forecast_parts.worlds import WORLDS, one_window
from bench.public_data import PUBLIC_DATA
from quartermaster.revenue.judged import scores
from quartermaster.revenue.origins import Origins, Past
from quartermaster.sim.book import sample_book
from quartermaster.stats.bootstrap import block_rate
from quartermaster.stats.conformal import naive_bound, upper_bound
from quartermaster.stats.forecast import ORIGIN_MIN, paths

MISS = 0.2
SEED = 20240801
MONTHS, STEPS = 42, 3
DAY_S = 86_400
TOP = 10
Book = Mapping[str, Sequence[int]]


class Row(NamedTuple):
    """One line of the report."""

    name: str
    windows: int
    coverage: float
    low: float
    high: float
    naive: float
    error: float
    error_of_last: float


def jobs(name: str, step_days: int) -> Book:
    """CPU-hours by user and period, of a log of the Parallel Workloads Archive."""
    used: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    with gzip.open(PUBLIC_DATA / "panels" / name, "rt", errors="replace") as file:
        for line in file:
            fields = line.split()
            if line.startswith(";") or len(fields) < 12:
                continue
            seconds, processors = float(fields[3]), float(fields[4])
            if seconds > 0 and processors > 0:
                at = int(fields[1]) // (step_days * DAY_S)
                used[fields[11]][at] += seconds * processors / 3600
    return whole_periods(used)


def purchases(step_days: int) -> Book:
    """Cents by customer and period, of CDNOW."""
    spent: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    with gzip.open(PUBLIC_DATA / "panels" / "CDNOW_master.txt.gz", "rt") as file:
        for line in file:
            fields = line.split()
            if len(fields) == 4 and fields[1].isdigit():
                day = date(int(fields[1][:4]), int(fields[1][4:6]), int(fields[1][6:]))
                at = (day - date(1997, 1, 1)).days // step_days
                spent[fields[0]][at] += float(fields[3]) * 100
    return whole_periods(spent)


def whole_periods(amounts: Mapping[str, Mapping[int, float]]) -> Book:
    """Gapless series; the last period, which the data ends in, is left out."""
    last = max(max(by_period) for by_period in amounts.values())
    return {
        name: [round(by_period.get(at, 0.0)) for at in range(last)]
        for name, by_period in amounts.items()
    }


def months_of_sample() -> Book:
    """The product's own sample book."""
    rows = sample_book()
    months = sorted({row.month for row in rows})
    book: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(months, 0))
    for row in rows:
        book[row.group][row.month] += row.minor
    return {name: list(by_month.values()) for name, by_month in book.items()}


def judged(name: str, pasts: Sequence[Past], *, season: int, steps: int) -> Row:
    """Coverage and error of the sums of `steps`, of one series or of several side by side."""
    hits: dict[int, list[bool]] = defaultdict(list)
    naive, errors, lasts, sums = list[bool](), list[float](), list[float](), list[float]()
    for past in pasts:
        found = [abs(score) for score in scores(past, season, 0, steps)]
        bound = upper_bound(found, miss=MISS, delay=steps)
        for at, hit in enumerate(bound.hits, start=bound.first):
            hits[past.paths[at][0]].append(hit)
            known = found[: at - steps + 1]
            naive.append(found[at] <= naive_bound(known, miss=MISS))
        for origin, path in past.paths[: len(found)]:
            came = sum(past.actual[origin : origin + steps])
            errors.append(abs(came - sum(path)))
            lasts.append(abs(came - sum(past.actual[max(0, origin - steps) : origin])))
            sums.append(abs(came))
    windows = [(sum(hits[at]), len(hits[at])) for at in sorted(hits)]
    rate = block_rate(windows, block=2 * steps, seed=SEED)
    error, last = mean(errors) / mean(sums), mean(lasts) / mean(sums)
    return Row(name, rate.windows, rate.rate, rate.low, rate.high, mean(naive), error, last)


def of_book(name: str, book: Book, *, season: int, steps: int) -> Iterator[Row]:
    """A reconciled book: all, without its largest customer, and its named parts one by one."""
    totals = {customer: sum(values) for customer, values in book.items()}
    largest = max(totals, key=lambda customer: totals[customer])
    origins = Origins(book, steps=steps, top=TOP, season=season, named=largest)
    past = [origins.window(at) for at in range(ORIGIN_MIN, origins.length)]
    whole, ex = origins.past_sum(past), origins.past_sum(past, largest)
    yield judged(f"{name}: all", [whole], season=season, steps=steps)
    yield judged(f"{name}: all, one series", [origins.past_part("")], season=season, steps=steps)
    yield judged(f"{name}: ex largest", [ex], season=season, steps=steps)
    today = origins.chosen(origins.length)
    keys: list[str | frozenset[str]] = [*today, frozenset(today)]
    parts = [origins.past_part(key) for key in keys]
    yield judged(f"{name}: parts", parts, season=season, steps=steps)


def of_total(name: str, book: Book, *, season: int, steps: int) -> Row:
    """The sum of a book as one series."""
    total = [sum(step) for step in zip(*book.values(), strict=True)]
    found = paths([float(value) for value in total], horizon=steps, season=season)
    past = Past(list(zip(range(ORIGIN_MIN, len(total)), found, strict=False)), total)
    return judged(name, [past], season=season, steps=steps)


def made_up(windows: int) -> Iterator[Row]:
    """Coverage in each made-up world and over all, one independent window a series."""
    each = windows // len(WORLDS)
    ours, naive = 0, 0
    for world in WORLDS:
        held = [
            one_window(world, seed, months=MONTHS, steps=STEPS, miss=MISS) for seed in range(each)
        ]
        ours += sum(window.ours for window in held)
        naive += sum(window.naive for window in held)
        rate = block_rate([(window.ours, 1) for window in held], block=1, seed=SEED)
        share = mean(window.naive for window in held)
        yield Row(f"made up: {world}", each, rate.rate, rate.low, rate.high, share, 0, 0)
    count = each * len(WORLDS)
    spread = 1.645 * (ours / count * (1 - ours / count) / count) ** 0.5
    rate_ = ours / count
    yield Row("made up: all", count, rate_, rate_ - spread, rate_ + spread, naive / count, 0, 0)


def measured(windows: int) -> Iterator[Row]:
    """Everything."""
    yield from made_up(windows)
    yield from of_book("sample, 3 months", months_of_sample(), season=12, steps=3)
    hpc, ctc = "HPC2N-2002-2.2-cln.swf.gz", "CTC-SP2-1996-3.1-cln.swf.gz"
    needed = [PUBLIC_DATA / "panels" / name for name in (hpc, ctc, "CDNOW_master.txt.gz")]
    absent = [path.name for path in needed if not path.exists()]
    if absent:
        print(f"without {', '.join(absent)}: not there", file=sys.stderr)
        return
    yield from of_book("HPC2N, 3 x 30 days", jobs(hpc, 30), season=12, steps=3)
    yield from of_book("HPC2N, 4 weeks", jobs(hpc, 7), season=1, steps=4)
    yield of_total("HPC2N, 28 days", jobs(hpc, 1), season=7, steps=28)
    yield from of_book("CTC, 4 weeks", jobs(ctc, 7), season=1, steps=4)
    yield of_total("CTC, 28 days", jobs(ctc, 1), season=7, steps=28)
    # Customers joined CDNOW in its first 84 days only; before that end there is no panel.
    late = {name: values[84:] for name, values in purchases(1).items()}
    yield of_total("CDNOW, 28 days", late, season=7, steps=28)
    yield of_total("CDNOW, 7 days", late, season=7, steps=7)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=2_000, help="in all made-up worlds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    if not options.json:
        print(f"{'':32} windows cover   90% interval  naive  error  of last")
    for row in measured(options.windows):
        rows.append(row._asdict())
        if not options.json:
            print(
                f"{row.name:32} {row.windows:7} {row.coverage:5.3f}  {row.low:5.3f}-{row.high:5.3f}"
                f"  {row.naive:5.3f}  {row.error:5.3f}  {row.error_of_last:5.3f}",
                flush=True,
            )
    if options.json:
        print(json.dumps({"miss": MISS, "seed": SEED, "rows": rows}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
