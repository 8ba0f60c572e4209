"""One request's choices, from the engine's thread to the event loop."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from hashlib import blake2b

from quartermaster.kernel.errors import UnavailableError
from quartermaster.model.generation import (
    Delta,
    Engine,
    Event,
    Failed,
    Finished,
    Ticket,
    room_for_answer,
)
from quartermaster.model.wire import ChatRequest


class Exchange:
    """The events of all choices of one request, on the loop that began it."""

    def __init__(self, prompt_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens
        self._tickets: list[Ticket] = []
        self._queue: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def add(self, ticket: Ticket) -> None:
        """One more choice under way."""
        self._tickets.append(ticket)

    def deliver(self, index: int, event: Event) -> None:
        """Hand an event over; from the engine's thread."""
        # The loop is closed only while the process ends, when nobody waits for the event.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (index, event))

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        """Events with their choice's index until every choice is complete or one failed."""
        open_choices = len(self._tickets)
        while open_choices:
            index, event = await self._queue.get()
            open_choices -= isinstance(event, Finished)
            yield index, event
            if isinstance(event, Failed):
                return

    async def collect(self) -> list[tuple[str, Finished]]:
        """Text and end of every choice, in order.

        Raises:
            UnavailableError: the engine failed.
        """
        texts = [""] * len(self._tickets)
        ends: dict[int, Finished] = {}
        async for index, event in self.events():
            match event:
                case Delta():
                    texts[index] += event.text
                case Finished():
                    ends[index] = event
                case Failed():
                    raise UnavailableError(event.message)
        return [(text, ends[index]) for index, text in enumerate(texts)]

    def cancel(self) -> None:
        """Free the slots of choices that still run."""
        for ticket in self._tickets:
            ticket.cancel()


def begin(engine: Engine, asked: ChatRequest, *, seed: int) -> Exchange:
    """Start every choice of a request.

    Raises:
        BadRequestError: a message is not text.
        ContextError: the conversation is too long.
        BusyError: no room in the queue for all choices; none is left running.
    """
    prompt = engine.prompt(asked.conversation())
    tokens_max = room_for_answer(engine, prompt, asked.tokens_wanted)
    exchange = Exchange(prompt.tokens)
    try:
        for index in range(asked.choices):
            sampling = asked.sampling(seed=choice_seed(seed, index), tokens_max=tokens_max)
            exchange.add(engine.start(prompt, sampling, partial(exchange.deliver, index)))
    except BaseException:
        exchange.cancel()
        raise
    return exchange


def choice_seed(seed: int, index: int) -> int:
    """The seed of a choice: the request's own for the first, a hash of both for the others."""
    if index == 0:
        return seed
    digest = blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
