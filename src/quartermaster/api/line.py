"""Heavy questions stand in line: one is answered at a time, on one processor."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quartermaster.api.operation import Operation
from quartermaster.kernel.errors import RefusedError, UnavailableError

LINE_MAX = 9
"""Each takes seconds of one processor: whoever would wait a minute is told to come back."""
TOKEN_LINE_MAX = 3
"""Of one token: a customer's dashboard that asks too often keeps nobody else out."""

TOO_MANY_REQUESTS = 429


class Line:
    """One heavy question at a time; a few wait, the others are told to come back."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._standing: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, operation: Operation, token: str) -> AsyncIterator[None]:
        """Wait for the processor where the operation needs it for long.

        Raises:
            RefusedError: the token has asked too many already.
            UnavailableError: too many wait already.
        """
        if not operation.heavy:
            yield
            return
        if self._standing[token] >= TOKEN_LINE_MAX:
            raise RefusedError(
                f"{TOKEN_LINE_MAX} long questions of this token are waiting",
                code="too_many_requests",
                http_status=TOO_MANY_REQUESTS,
                hint="wait for their answers",
            )
        if self._standing.total() >= LINE_MAX:
            raise UnavailableError(
                "too many long questions are waiting", hint="try again in some seconds"
            )
        self._standing[token] += 1
        try:
            async with self._turn:
                yield
        finally:
            self._standing[token] -= 1
            # Nobody who is gone is remembered.
            self._standing += Counter()
