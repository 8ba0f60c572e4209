"""The embedded model's rates: tokens a second through the engine, as ratios to a bare decode loop.

Run: python bench/model.py [WEIGHTS]. Three kinds are measured in turns within one run, so that a
busy machine disturbs them alike: the runtime alone (a C call a token, greedy, nothing else), the
engine with one answer, and the engine with a full batch. Rates begin when every answer has begun
and end at 64 tokens each on average, so prompts are left out; "CPU ms" is this process's CPU time
a token, the steadier figure on a shared machine.
"""

import queue
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from quartermaster.model.chat import Message
from quartermaster.model.engine import EmbeddedEngine
from quartermaster.model.generation import Event, Finished, Sampling
from quartermaster.model.llama_binding import Entry, Llama
from quartermaster.model.settings import ModelSettings
from quartermaster.model.weights import verify, weights_path

ROUNDS = 5
TOKENS = 64
SLOTS = 8
QUESTION = "Describe a harbour at night, with its sounds and smells."
IDS = list(range(400, 436))
"""A prompt of 36 ids for the bare loop, as long as the question in its template."""


def read_prompts(llama: Llama, slots: int) -> None:
    """Before the measured part: every slot has read a prompt."""
    for slot in range(slots):
        llama.forget(slot)
        llama.decode([Entry(token, at, slot, False) for at, token in enumerate(IDS)])


def bare_tokens(llama: Llama, slots: int) -> int:
    """The measured part of the bare loop; returns the tokens it made."""
    token = 500
    for step in range(TOKENS):
        llama.decode([Entry(token, len(IDS) + step, slot, True) for slot in range(slots)])
        token = int(llama.logits(0).argmax())
    return TOKENS * slots


def engine_rate(engine: EmbeddedEngine, answers: int) -> tuple[float, float]:
    """Tokens a second of wall and of CPU, from when every answer has begun to the first end."""
    events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
    prompt = engine.prompt([Message("user", QUESTION)])
    begun: set[int] = set()
    made = dict.fromkeys(range(answers), 0)
    start_wall = start_cpu = 0.0
    at_start = 0
    tickets = []
    for index in range(answers):
        sampling = Sampling(temperature=1.0, top_p=0.95, seed=index, tokens_max=10_000)
        tickets.append(engine.start(prompt, sampling, lambda e, i=index: events.put((i, e))))  # type: ignore[misc]
    while True:
        index, event = events.get()
        made[index] = event.output_tokens  # type: ignore[union-attr]
        if start_wall == 0.0:
            begun.add(index)
            if len(begun) == answers:
                start_wall, start_cpu = time.perf_counter(), time.process_time()
                at_start = sum(made.values())
        elif sum(made.values()) - at_start >= TOKENS * answers or isinstance(event, Finished):
            break
    wall, cpu = time.perf_counter() - start_wall, time.process_time() - start_cpu
    for ticket in tickets:
        ticket.cancel()
    while engine.load() != (0, 0):
        time.sleep(0.001)
    tokens = sum(made.values()) - at_start
    return tokens / wall, tokens / cpu


def timed(work: Callable[[], int]) -> tuple[float, float]:
    """Tokens a second of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = work()
    return tokens / (time.perf_counter() - wall), tokens / (time.process_time() - cpu)


def main() -> None:
    """Measure and print one line a kind."""
    weights = Path(sys.argv[1]) if len(sys.argv) > 1 else weights_path(Path("var"))
    verify(weights)
    context = ModelSettings().context_tokens
    llama = Llama(weights, threads=1, slots=SLOTS, context_tokens=context)
    engine = EmbeddedEngine(weights, threads=1, slots=SLOTS, context_tokens=context)
    rates: dict[str, list[tuple[float, float]]] = {}

    def note(kind: str, rate: tuple[float, float]) -> None:
        rates.setdefault(kind, []).append(rate)

    for _ in range(ROUNDS):
        for slots in (1, SLOTS):
            read_prompts(llama, slots)
            note(f"bare loop, {slots}", timed(lambda n=slots: bare_tokens(llama, n)))  # type: ignore[misc]
            note(f"engine, {slots}", engine_rate(engine, slots))
    engine.close()
    llama.close()
    wall = {kind: statistics.median(rate[0] for rate in seen) for kind, seen in rates.items()}
    cpu = {kind: statistics.median(rate[1] for rate in seen) for kind, seen in rates.items()}
    heads = ("tokens/s", "a slot", "of bare", "CPU ms", "of bare")
    print(f"{'answers at once':<16}" + "".join(f"{head:>9}" for head in heads))
    for slots in (1, SLOTS):
        bare_kind = f"bare loop, {slots}"
        for kind in (bare_kind, f"engine, {slots}"):
            print(
                f"{kind:<16}{wall[kind]:>9.1f}{wall[kind] / slots:>9.1f}"
                f"{wall[kind] / wall[bare_kind]:>9.2f}"
                f"{1000 / cpu[kind]:>9.2f}{cpu[kind] / cpu[bare_kind]:>9.2f}"
            )
    together = wall[f"engine, {SLOTS}"] / wall["engine, 1"]
    print(f"{SLOTS} answers together against one alone: {together:.2f} times the tokens/s")


if __name__ == "__main__":
    main()
