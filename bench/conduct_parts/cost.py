"""What reading a request costs, and what a day takes in memory."""

import statistics
import time

from bench.conduct_parts.corpus import KEY, rows
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import Request
from quartermaster.conduct.sketch import DaySketch

CHARS = 600
SAMPLE = 4_000


def microseconds(chars: int = CHARS) -> tuple[float, float]:
    """Median and 95th percentile of CPU time to add one request of about `chars` to a sketch."""
    texts = []
    for row in rows():
        for request in row.requests:
            text = " ".join([request.system, *request.turns])
            if len(text) >= chars:
                texts.append(text[:chars])
        if len(texts) >= SAMPLE:
            break
    observer = Observer(KEY)
    times = []
    for at, text in enumerate(texts[:SAMPLE]):
        if at % 200 == 0:  # a fresh day before the reservoir begins to skip
            sketch = DaySketch("a", str(at), observer, KEY)
        request = Request((text,))
        began = time.perf_counter_ns()
        sketch.add(request)
        times.append((time.perf_counter_ns() - began) / 1000)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def bytes_a_day() -> int:
    """Memory of one account-day's sketches, however many requests it has."""
    return DaySketch("a", "", Observer(KEY), KEY).nbytes
