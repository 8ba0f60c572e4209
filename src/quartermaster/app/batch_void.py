"""Lines that end without an answer cost nothing, whatever was metered on the way.

An attempt whose answer was lost with its runner may be in the usage table with counts. Where the
line is not sent again, a later attempt that used nothing is metered here: of a line only the last
attempt is billed. It goes the way of all usage, through a write-ahead log of its own that the clerk
ships; the same batch voided twice gives the same rows, which the table takes once.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from quartermaster.book.batch_states import Batch
from quartermaster.book.batches import Line
from quartermaster.commands.ports import Book
from quartermaster.kernel.batch_run import ATTEMPT_STEP
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Closed, Endpoint, Opened
from quartermaster.kernel.units import Counts
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal

APP_ID: Final = "batch-void"
"""The log's name; one runner of an installation writes it at a time."""
FAILURE: Final = "batch_line_unanswered"
ENDPOINTS: Final[dict[str, Endpoint]] = {
    "/v1/chat/completions": "chat.completions",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "responses",
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images.generations",
    "/v1/images/edits": "images.edits",
}


class Voider:
    """Meters nothing, on purpose.

    Args:
        book: who made the batch, under which contract.
        var: root of the data folder.
        settings: of the log.
    """

    def __init__(self, book: Book, var: Path, settings: UsageSettings) -> None:
        self._book, self._directory, self._settings = book, var / "wal" / APP_ID, settings

    def void(self, batch: Batch, lines: Sequence[Line]) -> None:
        """Make it durable that these lines used nothing.

        Raises:
            UnavailableError: another runner writes the log.
            NotDurableError: the disk refuses.
        """
        rows = [self._row(batch, line) for line in lines]
        asyncio.run(self._written(rows))

    async def _written(self, rows: Sequence[tuple[Opened, Closed]]) -> None:
        loop = asyncio.get_running_loop()
        wal = Wal.open(self._directory, settings=self._settings, loop=loop, now=system_clock)
        try:
            durable = [loop.create_future() for _ in rows]
            for (opened, closed), done in zip(rows, durable, strict=True):
                handle = wal.opened(opened)
                wal.closed(handle, closed, done.set_result)
            for error in await asyncio.gather(*durable):
                if error is not None:
                    raise error
        finally:
            await wal.aclose()

    def _row(self, batch: Batch, line: Line) -> tuple[Opened, Closed]:
        """A row that depends on the line alone, so that writing it again changes nothing."""
        view = self._book.view()
        issued = view.keys[batch.key_id].issued
        contract = view.contract_at(issued.contract, batch.created_at)
        if contract is None:
            raise IntegrityError(f"{batch.id} was made under no contract")
        opened = Opened(
            request_id=line.request_id,
            attempt=line.attempt + ATTEMPT_STEP,
            opened_at=batch.created_at,
            customer=batch.tenant.customer,
            project=batch.tenant.project,
            key_id=batch.key_id,
            contract=contract.id,
            contract_version=contract.version,
            price_book=contract.price_book,
            price_book_version=0,
            model=batch.model,
            deployment="",
            endpoint=ENDPOINTS[batch.endpoint],
            service_class="batch",
            stream=False,
            cancelled_stream=contract.cancelled_stream,
            input_bytes=0,
        )
        closed = Closed(
            closed_at=batch.created_at,
            first_byte_at=0,
            http_status=0,
            counts=Counts(),
            count_source="engine",
            finish_reason="",
            upstream_id="",
            upstream_usage=b"",
            failure=FAILURE,
        )
        return opened, closed
