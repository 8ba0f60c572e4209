"""Continuous batching: one thread, a few slots, one decode call a step for all of them.

An answer joins at any step and leaves at any step. A step decodes one token of every answer under
way and one slice of a prompt that waits to be read, so a long prompt delays the others by a slice
at a time, never by its whole length.
"""

import logging
import random
import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from quartermaster.kernel.errors import QuartermasterError, UnavailableError
from quartermaster.model.detokenise import TextStream
from quartermaster.model.generation import (
    BusyError,
    Deliver,
    Delta,
    Failed,
    Finished,
    FinishReason,
    Prompt,
    Sampling,
)
from quartermaster.model.llama_binding import Entry
from quartermaster.model.sampler import Logits, Sampler

log = logging.getLogger(__name__)

WAITING_MAX = 64
"""Eight rounds of eight slots: at some 100 tokens/s together more would wait for minutes."""

PROMPT_SLICE_TOKENS = 64
"""Prompt tokens read in one call: about 0.3 s on one thread, and 96 % of the rate of 512."""

CLOSE_TIMEOUT_S = 30.0
"""A step is under half a second idle; sixty times that on a contended machine."""


class Runtime(Protocol):
    """What the loop needs of a model; `llama_binding.Llama` is one."""

    def decode(self, entries: Sequence[Entry]) -> None:
        """Run one batch."""

    def logits(self, index: int) -> Logits:
        """Scores after entry `index` of the last batch."""

    def piece(self, token: int) -> bytes:
        """Bytes of a token."""

    def ends_turn(self, token: int) -> bool:
        """Whether this token ends the answer."""

    def forget(self, slot: int) -> None:
        """Empty a slot."""

    def close(self) -> None:
        """Free everything."""


class Answer:
    """One request on its way through the loop; its `Ticket` for the caller."""

    def __init__(
        self, prompt: Prompt, sampling: Sampling, sampler: Sampler, deliver: Deliver
    ) -> None:
        self.ids = list(prompt.ids)
        self.prompt_tokens = len(prompt.ids)
        self.read_tokens = 0
        self.cancelled = False
        self._sampling = sampling
        self._sampler = sampler
        self._deliver = deliver
        self._rng = random.Random(sampling.seed)  # noqa: S311 - repeatable, not secret
        self._text = TextStream(sampling.stop)

    def cancel(self) -> None:
        """Leave at the next step; the slot is free after it."""
        self.cancelled = True

    @property
    def output_tokens(self) -> int:
        """Ids sampled so far as answer."""
        return len(self.ids) - self.prompt_tokens

    @property
    def unread_tokens(self) -> int:
        """Ids the runtime has not seen: the rest of the prompt, or the last sampled id."""
        return len(self.ids) - self.read_tokens

    @property
    def reading(self) -> bool:
        """Whether part of the prompt is still unread."""
        return self.read_tokens < self.prompt_tokens

    def read(self) -> tuple[int, list[int]]:
        """Position of the next unread id, and a slice of the prompt or the one sampled id."""
        start = self.read_tokens
        ids = self.ids[start : start + PROMPT_SLICE_TOKENS]
        self.read_tokens += len(ids)
        return start, ids

    def advance(self, logits: Logits, runtime: Runtime) -> bool:
        """Choose the next token and deliver what became text; False when the answer is complete."""
        token = self._sampler(logits, self.ids, self._rng)
        if runtime.ends_turn(token):
            return self._finish("stop")
        self.ids.append(token)
        text = self._text.feed(runtime.piece(token))
        if text:
            self._deliver(Delta(text, self.output_tokens))
        if self._text.stopped:
            return self._finish("stop")
        if self.output_tokens >= self._sampling.tokens_max:
            return self._finish("length")
        return True

    def _finish(self, reason: FinishReason) -> bool:
        if rest := self._text.finish():
            self._deliver(Delta(rest, self.output_tokens))
        self._deliver(Finished(reason, self.output_tokens))
        return False

    def fail(self, message: str) -> None:
        """Tell the caller that nothing more comes."""
        if not self.cancelled:
            self._deliver(Failed(message))


class BatchLoop:
    """Owns a runtime in its own thread and feeds it."""

    def __init__(self, runtime: Runtime, slots: int) -> None:
        self._runtime = runtime
        self._slots: list[Answer | None] = [None] * slots
        self._waiting: deque[Answer] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self.failure = ""
        self.steps = 0
        self._thread = threading.Thread(target=self._run, name="model-batch", daemon=True)
        self._thread.start()

    def submit(self, answer: Answer) -> None:
        """Queue an answer, from any thread.

        Raises:
            BusyError: `WAITING_MAX` answers wait already.
            UnavailableError: the engine has failed or is closing.
        """
        with self._changed:
            if self.failure or self._closing:
                raise UnavailableError(self.failure or "the model is shutting down")
            if len(self._waiting) >= WAITING_MAX:
                raise BusyError(hint="try again in a few seconds")
            self._waiting.append(answer)
            self._changed.notify()

    def load(self) -> tuple[int, int]:
        """Answers under way and answers waiting."""
        with self._changed:
            return sum(slot is not None for slot in self._slots), len(self._waiting)

    def close(self) -> None:
        """Stop after the current step and free the runtime; answers under way fail."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            log.warning("the model did not stop within %s s", CLOSE_TIMEOUT_S)
            return
        self._runtime.close()

    def _run(self) -> None:
        try:
            while self._admit():
                self._step()
            self._drop_all("the model is shutting down")
        except QuartermasterError as error:
            log.exception("the embedded model failed")
            self._drop_all(error.message)
        except Exception:
            # A sampler is foreign code; whatever it raises must reach the callers, not hang them.
            log.exception("the embedded model failed")
            self._drop_all("the embedded model failed; its log has the reason")

    def _admit(self) -> bool:
        """Wait for work, free cancelled slots, fill free ones; False when closing."""
        with self._changed:
            self._free_cancelled()
            while not self._closing and not self._waiting and not any(self._slots):
                self._changed.wait()
            if self._closing:
                return False
            for number, slot in enumerate(self._slots):
                if slot is None and self._waiting:
                    self._runtime.forget(number)
                    self._slots[number] = self._waiting.popleft()
            return True

    def _free_cancelled(self) -> None:
        self._waiting = deque(answer for answer in self._waiting if not answer.cancelled)
        self._slots = [slot if slot and not slot.cancelled else None for slot in self._slots]

    def _step(self) -> None:
        """Read one slice of one prompt, then one token for every answer that is being written.

        The two are separate calls, and slices start at multiples of `PROMPT_SLICE_TOKENS`, so that
        the arithmetic of an answer does not depend on its company: its logits are the same bit
        for bit alone and in a full batch, and so are its tokens.
        """
        writing = [n for n, answer in enumerate(self._slots) if answer and not answer.reading]
        reading = [n for n, answer in enumerate(self._slots) if answer and answer.reading]
        if reading:
            # The one nearest to its first token, so that prompts finish one by one.
            number = min(reading, key=lambda n: self._answer(n).unread_tokens)
            self._decode([number])
        if writing:
            self._decode(writing)

    def _answer(self, number: int) -> Answer:
        answer = self._slots[number]
        assert answer is not None, "only this thread fills and frees slots"
        return answer

    def _decode(self, numbers: Sequence[int]) -> None:
        """Run the next ids of these slots, then let each that has read all its ids choose."""
        entries: list[Entry] = []
        ready = []
        for number in numbers:
            answer = self._answer(number)
            start, ids = answer.read()
            entries += [Entry(token, start + at, number, False) for at, token in enumerate(ids)]
            if answer.unread_tokens == 0:
                entries[-1] = entries[-1]._replace(wants_logits=True)
                ready.append((number, len(entries) - 1))
        self._runtime.decode(entries)
        self.steps += 1
        for number, index in ready:
            answer = self._answer(number)
            if answer.cancelled or answer.advance(self._runtime.logits(index), self._runtime):
                continue
            with self._changed:
                self._slots[number] = None

    def _drop_all(self, message: str) -> None:
        with self._changed:
            self.failure = message
            answers = [slot for slot in self._slots if slot] + list(self._waiting)
            self._slots = [None] * len(self._slots)
            self._waiting.clear()
        for answer in answers:
            answer.fail(message)
