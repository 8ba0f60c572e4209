"""Continuous batching: one thread, a few slots, one decode call a step for all of them.

An answer joins at any step and leaves at any step. A step decodes one token of every answer under
way and a slice of the prompts that wait to be read, so a long prompt delays the others by a slice,
never by its whole length.
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
from quartermaster.model.llama_binding import BATCH_TOKENS_MAX, Entry
from quartermaster.model.sampler import Logits, Sampler

log = logging.getLogger(__name__)

WAITING_MAX = 64
"""Eight rounds of eight slots: at some 100 tokens/s together more would wait for minutes."""

PROMPT_SLICE_TOKENS = 64
"""Prompt tokens read in a step while others are answering: about 0.3 s on one thread."""

CLOSE_TIMEOUT_S = 30.0
"""The longest step is one full batch (512 tokens, 3 s); ten times that on a contended machine."""


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
        """One decode call, then one choice for every answer whose ids are all read."""
        entries, ready = self._batch()
        if not entries:
            return
        self._runtime.decode(entries)
        self.steps += 1
        for number, index in ready:
            answer = self._slots[number]
            assert answer is not None, "only this thread frees slots"
            if not answer.cancelled and not answer.advance(
                self._runtime.logits(index), self._runtime
            ):
                with self._changed:
                    self._slots[number] = None

    def _batch(self) -> tuple[list[Entry], list[tuple[int, int]]]:
        """Entries of this step, and (slot, entry index) of each answer that can choose after it."""
        entries: list[Entry] = []
        ready = []
        answering = any(slot and slot.unread_tokens == 1 for slot in self._slots)
        room = PROMPT_SLICE_TOKENS if answering else BATCH_TOKENS_MAX - len(self._slots)
        for number, answer in enumerate(self._slots):
            if answer is None:
                continue
            count = answer.unread_tokens
            if count > 1:
                count = min(count, room)
                room -= count
            start = answer.read_tokens
            answer.read_tokens += count
            done = answer.unread_tokens == 0
            entries += [
                Entry(token, position, number, False)
                for position, token in enumerate(answer.ids[start : start + count], start)
            ]
            if done:
                entries[-1] = entries[-1]._replace(wants_logits=True)
                ready.append((number, len(entries) - 1))
        return entries, ready

    def _drop_all(self, message: str) -> None:
        with self._changed:
            self.failure = message
            answers = [slot for slot in self._slots if slot] + list(self._waiting)
            self._slots = [None] * len(self._slots)
            self._waiting.clear()
        for answer in answers:
            answer.fail(message)
