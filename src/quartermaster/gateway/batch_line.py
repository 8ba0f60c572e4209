"""One line of a batch, as the batch runner sends it: in a customer's name, in a class of its own.

It is metered like every request, under the request id and the attempt that the runner has written
down before; see `kernel.batch_run`. It does not count towards limits a minute: a batch waits for
what the interactive load leaves, and has a day.
"""

from functools import partial
from typing import Any, Final, Self

import msgspec

from quartermaster.gateway.admit import account_barred, check_expiry
from quartermaster.gateway.index import Entry, Index
from quartermaster.gateway.planned import PlannedExchange
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.requests import Request
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.batch_run import PATH_PREFIX, BatchRun, read
from quartermaster.kernel.units import ServiceClass

BATCH_LINES: Final = PATH_PREFIX.encode()
"""Behind it stands what stands behind `/v1/`."""
BATCH: Final[ServiceClass] = "batch"
_BEARER: Final = b"Bearer "


def is_batch_run(authorization: bytes, pepper: bytes, now: int) -> bool:
    """Whether a header carries a credential of the batch runner."""
    return _run_of(authorization, pepper, now) is not None


def _run_of(authorization: bytes, pepper: bytes, now: int) -> BatchRun | None:
    return read(authorization.removeprefix(_BEARER).decode("ascii", "replace"), pepper, now)


class BatchLine(msgspec.Struct, frozen=True):
    """An admitted line."""

    run: BatchRun
    entry: Entry

    @classmethod
    def admit(cls, index: Index, request: Request, pepper: bytes, now: int) -> Self:
        """Whose line it is.

        Raises:
            RefusedError: 401 for a forged or old credential and for a key that is over, 403 when
                the group's standing bars it.
        """
        run = _run_of(request.authorization, pepper, now)
        entry = None if run is None else index.by_key_id.get(run.key_id)
        if run is None or entry is None:
            raise refused("invalid_api_key", "Incorrect API key provided.")
        check_expiry(entry, now)
        if entry.barred:
            raise account_barred(entry.barred)
        return cls(run, entry)

    def take(self, call: ChatCall) -> None:
        """Put the request into the class of batches.

        Raises:
            RefusedError: the model has no complete price in the class of batches.
        """
        if call.model in self.entry.grant.unpriced_batch_models:
            raise refused(
                "model_not_priced",
                f"The contract has no complete batch price for the model '{call.model}'.",
                param="model",
                hint="Nothing was served and nothing is charged.",
            )
        call.service_class = BATCH

    @property
    def exchange(self) -> "partial[BatchExchange]":
        """Makes the exchange that meters it."""
        return partial(BatchExchange, self.run)


class BatchExchange(PlannedExchange):
    """A line of a batch on its way.

    Raises:
        NotDurableError: the write-ahead log has failed; nothing was opened.
    """

    __slots__ = ("attempt",)

    def __init__(self, run: BatchRun, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        # What is opened depends on it, so it comes first.
        self.attempt = run.attempt
        super().__init__(*arguments, **named)
