"""SmolLM2 in this process: chat template, tokens and the batch loop behind one `Engine`."""

from collections.abc import Sequence
from pathlib import Path

from quartermaster.model.batch import Answer, BatchLoop
from quartermaster.model.chat import Message, render
from quartermaster.model.generation import Deliver, Prompt, Sampling
from quartermaster.model.llama_binding import Llama
from quartermaster.model.sampler import Sampler, sampler_for
from quartermaster.model.settings import SMOLLM2


class EmbeddedEngine:
    """SmolLM2-135M-Instruct on the CPU, several answers at a time."""

    model = SMOLLM2

    def __init__(self, weights: Path, *, threads: int, slots: int, context_tokens: int) -> None:
        """Load the weights and start the batch loop.

        Raises:
            UnavailableError: runtime or weights cannot be used here.
        """
        self._llama = Llama(weights, threads=threads, slots=slots, context_tokens=context_tokens)
        self.context_tokens = self._llama.context_tokens
        self._loop = BatchLoop(self._llama, slots)

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The conversation in ChatML as the model's ids."""
        ids: list[int] = []
        for segment in render(messages):
            ids += self._llama.tokenise(segment.text, control=segment.control)
        return Prompt(tuple(ids))

    def start(
        self,
        prompt: Prompt,
        sampling: Sampling,
        deliver: Deliver,
        sampler: Sampler | None = None,
    ) -> Answer:
        """Begin an answer; `sampler` replaces the default one (a watermark does)."""
        answer = Answer(prompt, sampling, sampler or sampler_for(sampling), deliver)
        self._loop.submit(answer)
        return answer

    def load(self) -> tuple[int, int]:
        """Answers under way and answers waiting."""
        return self._loop.load()

    @property
    def failure(self) -> str:
        """Why the engine stopped; empty while it runs."""
        return self._loop.failure

    def close(self) -> None:
        """Stop the loop and free the weights."""
        self._loop.close()
