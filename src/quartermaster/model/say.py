"""One answer, waited for: for a person at a terminal."""

import queue
from collections.abc import Iterator

from quartermaster.kernel.errors import UnavailableError
from quartermaster.model.chat import Message
from quartermaster.model.generation import (
    Delta,
    Engine,
    Event,
    Failed,
    Finished,
    Sampling,
    room_for_answer,
)
from quartermaster.model.wire import DEFAULT_OUTPUT_TOKENS, DEFAULT_TEMPERATURE, DEFAULT_TOP_P


def answer(engine: Engine, text: str, *, seed: int) -> Iterator[str]:
    """The pieces of one answer as they become final.

    Raises:
        ContextError: the text is too long.
        UnavailableError: the engine failed.
    """
    prompt = engine.prompt([Message("user", text)])
    sampling = Sampling(
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        seed=seed,
        tokens_max=room_for_answer(engine, prompt, DEFAULT_OUTPUT_TOKENS),
    )
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    ticket = engine.start(prompt, sampling, events.put)
    try:
        while True:
            match events.get():
                case Delta(text=piece):
                    yield piece
                case Finished():
                    return
                case Failed(message=message):
                    raise UnavailableError(message)
    finally:
        ticket.cancel()
