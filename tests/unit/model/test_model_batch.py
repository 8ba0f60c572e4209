"""The batch loop over a runtime of arithmetic: independence, slots, bounds, failure, close."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest
from tests.unit.model.conftest import ArithmeticRuntime

from quartermaster.kernel.errors import UnavailableError
from quartermaster.model.batch import PROMPT_SLICE_TOKENS, WAITING_MAX, Answer, BatchLoop
from quartermaster.model.generation import (
    BusyError,
    Deliver,
    Delta,
    Event,
    Failed,
    Finished,
    Prompt,
    Sampling,
)
from quartermaster.model.llama_binding import Entry
from quartermaster.model.sampler import Logits, NucleusSampler

SLOTS = 4
DEADLINE_S = 20.0


@pytest.fixture
def loop(runtime: ArithmeticRuntime) -> Iterator[BatchLoop]:
    loop = BatchLoop(runtime, SLOTS)
    yield loop
    loop.close()


class Inbox:
    """Collects the events of one answer."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.put: Deliver = self._events.put

    def wait(self) -> list[Event]:
        events: list[Event] = []
        while not events or isinstance(events[-1], Delta):
            events.append(self._events.get(timeout=DEADLINE_S))
        return events


def answer_of(prompt: Sequence[int], inbox: Inbox, *, seed: int = 0, tokens: int = 30) -> Answer:
    sampling = Sampling(temperature=1.0, top_p=0.9, seed=seed, tokens_max=tokens)
    return Answer(Prompt(tuple(prompt)), sampling, NucleusSampler(1.0, 0.9), inbox.put)


def endless(inbox: Inbox) -> Answer:
    """An answer that goes on until it is cancelled."""

    def never_zero(logits: Logits, context: Sequence[int], rng: Random) -> int:
        return 65

    sampling = Sampling(temperature=1.0, top_p=1.0, seed=0, tokens_max=10**9)
    return Answer(Prompt((1, 2)), sampling, never_zero, inbox.put)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


LENGTHS = (1, 7, PROMPT_SLICE_TOKENS, PROMPT_SLICE_TOKENS + 1, 200, 3)
PROMPTS = [[1 + (n * k) % 100 for k in range(length)] for n, length in enumerate(LENGTHS)]


def test_an_answer_is_the_same_alone_and_in_company(loop: BatchLoop) -> None:
    alone = []
    for seed, prompt in enumerate(PROMPTS):
        inbox = Inbox()
        answer = answer_of(prompt, inbox, seed=seed)
        loop.submit(answer)
        alone.append((inbox.wait(), answer.ids))
    inboxes = [Inbox() for _ in PROMPTS]
    pairs = enumerate(zip(PROMPTS, inboxes, strict=True))
    answers = [answer_of(prompt, inbox, seed=seed) for seed, (prompt, inbox) in pairs]
    for answer in answers:
        loop.submit(answer)
    together = [(inbox.wait(), answer.ids) for inbox, answer in zip(inboxes, answers, strict=True)]
    assert together == alone


def test_prompts_are_read_in_slices_in_calls_of_their_own(
    loop: BatchLoop, runtime: ArithmeticRuntime
) -> None:
    inboxes = [Inbox() for _ in PROMPTS]
    for prompt, inbox in zip(PROMPTS, inboxes, strict=True):
        loop.submit(answer_of(prompt, inbox))
    for inbox in inboxes:
        inbox.wait()
    for call in runtime.calls:
        slots = {entry.slot for entry in call}
        assert len(slots) == 1 or len(call) == len(slots)
        assert len(call) <= PROMPT_SLICE_TOKENS
        if len(call) > 1 and len(slots) == 1:
            assert call[0].position % PROMPT_SLICE_TOKENS == 0


def test_counts_and_text_agree_with_the_sampled_ids(loop: BatchLoop) -> None:
    inbox = Inbox()
    answer = answer_of([5, 6, 7], inbox, seed=3, tokens=12)
    loop.submit(answer)
    *deltas, end = inbox.wait()
    sampled = answer.ids[3:]
    assert isinstance(end, Finished)
    assert end.output_tokens == len(sampled)
    assert "".join(d.text for d in deltas if isinstance(d, Delta)) == bytes(sampled).decode()
    assert (end.reason == "length") == (len(sampled) == 12)


def test_cancelling_frees_the_slot_for_a_waiting_answer(loop: BatchLoop) -> None:
    holders = [endless(Inbox()) for _ in range(SLOTS)]
    for holder in holders:
        loop.submit(holder)
    until(lambda: loop.load() == (SLOTS, 0))
    inbox = Inbox()
    loop.submit(answer_of([9], inbox))
    assert loop.load() == (SLOTS, 1)
    holders[2].cancel()
    assert isinstance(inbox.wait()[-1], Finished)
    for holder in holders:
        holder.cancel()
    until(lambda: loop.load() == (0, 0))


def test_the_queue_is_bounded(loop: BatchLoop) -> None:
    holders = [endless(Inbox()) for _ in range(SLOTS)]
    for holder in holders:
        loop.submit(holder)
    until(lambda: loop.load() == (SLOTS, 0))
    waiting = [endless(Inbox()) for _ in range(WAITING_MAX)]
    for answer in waiting:
        loop.submit(answer)
    with pytest.raises(BusyError) as caught:
        loop.submit(endless(Inbox()))
    assert caught.value.http_status == 429
    for answer in holders + waiting:
        answer.cancel()


def test_a_failing_runtime_reaches_every_caller_and_refuses_more() -> None:
    class Breaking(ArithmeticRuntime):
        def decode(self, entries: Sequence[Entry]) -> None:
            if len(self.calls) == 6:
                raise UnavailableError("the runtime broke")
            super().decode(entries)

    loop = BatchLoop(Breaking(), 1)
    inboxes = [Inbox(), Inbox()]
    for inbox in inboxes:
        loop.submit(endless(inbox))
    assert [inbox.wait()[-1] for inbox in inboxes] == [Failed("the runtime broke")] * 2
    with pytest.raises(UnavailableError, match="the runtime broke"):
        loop.submit(endless(Inbox()))
    assert loop.failure == "the runtime broke"
    loop.close()


def test_a_failing_sampler_does_not_leave_callers_waiting(runtime: ArithmeticRuntime) -> None:
    def broken(logits: Logits, context: Sequence[int], rng: Random) -> int:
        raise ZeroDivisionError

    loop = BatchLoop(runtime, 1)
    inbox = Inbox()
    sampling = Sampling(temperature=1.0, top_p=1.0, seed=0, tokens_max=5)
    loop.submit(Answer(Prompt((1,)), sampling, broken, inbox.put))
    assert isinstance(inbox.wait()[-1], Failed)
    loop.close()


def test_closing_fails_open_answers_and_frees_the_runtime(runtime: ArithmeticRuntime) -> None:
    loop = BatchLoop(runtime, 1)
    inbox = Inbox()
    loop.submit(endless(inbox))
    until(lambda: loop.load()[0] == 1)
    loop.close()
    assert isinstance(inbox.wait()[-1], Failed)
    assert runtime.closed
    assert not any(thread.name == "model-batch" for thread in threading.enumerate())
    with pytest.raises(UnavailableError):
        loop.submit(endless(Inbox()))
