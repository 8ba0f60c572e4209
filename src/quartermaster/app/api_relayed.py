"""Customers' files, batches and usage in the console's process, and the runner beside them."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial

from starlette.types import ASGIApp

from quartermaster.api import batches, files, organization
from quartermaster.api.relayed import PREFIX, RelayedPorts, build
from quartermaster.api.server import beside
from quartermaster.app.api_usage import OwnUsage
from quartermaster.app.batch_ending import Ending
from quartermaster.app.batch_gateway import GatewaySender
from quartermaster.app.batch_input import ModelError
from quartermaster.app.batch_runner import Runner
from quartermaster.app.batch_void import Voider
from quartermaster.app.rooms import Rooms
from quartermaster.book.batch_states import Batch, LineError
from quartermaster.book.pepper import load_pepper
from quartermaster.book.sealed_files import Vault
from quartermaster.commands.key import ANY_MODEL
from quartermaster.commands.key_holder import KeyRing
from quartermaster.commands.publish import unpriced_models
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import UnavailableError

ROWS = (*files.ROWS, *batches.ROWS, *organization.ROWS)
STOP_S = 10.0
"""The runner waits five seconds for answers that are on their way, then writes what it has."""

log = logging.getLogger("quartermaster.batches")


class Relayed:
    """What gateways relay to this process, and the runner of what was queued through it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._pepper = load_pepper(rooms.var / "secrets" / "key_pepper")
        self._stopping = threading.Event()
        self._runner: Runner | None = None

    @cached_property
    def vault(self) -> Vault:
        """The sealed files.

        Raises:
            UnavailableError: the extra `files` is not installed.
        """
        return Vault(self._rooms.var / "files", self._pepper)

    def application(self) -> ASGIApp:
        """The face, under `/v1`."""
        rooms = self._rooms
        return build(
            RelayedPorts(
                book=rooms.book,
                vault=lambda: self.vault,
                ring=KeyRing(rooms.book, self._pepper),
                usage=OwnUsage(rooms),
                settings=rooms.settings.api,
                clock=rooms.now,
                hosts=rooms.settings.console.hosts,
                queued=self._queued,
            ),
            ROWS,
        )

    def runner(self) -> Runner:
        """A runner over the same book and files.

        Raises:
            UnavailableError: the extra `files` is not installed.
        """
        rooms, settings = self._rooms, self._rooms.settings
        sender = GatewaySender(settings.gateway, self._pepper, rooms.now)
        voider = Voider(rooms.book, rooms.var, settings.usage)
        return Runner(
            book=rooms.book,
            vault=self.vault,
            send=sender.send,
            hang_up=sender.hang_up,
            ending=Ending(
                book=rooms.book,
                vault=self.vault,
                void=voider.void,
                settings=settings.api,
                clock=rooms.now,
            ),
            model_error=partial(model_error, rooms),
            key_of=partial(key_of, rooms),
            standing_of=partial(standing_of, rooms),
            settings=settings.api,
            line_bytes_max=settings.gateway.body_bytes_max,
            clock=rooms.now,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """The runner works in a thread until the block ends."""
        try:
            self._runner = self.runner()
        except UnavailableError as error:
            log.warning("no batches are run: %s (%s)", error.message, error.hint)
            yield
            return
        thread = threading.Thread(
            target=self._runner.run, args=(self._stopping,), name="batch-runner", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._runner.wake()
            thread.join(STOP_S)

    def _queued(self) -> None:
        if self._runner is not None:
            self._runner.wake()


@contextmanager
def with_relayed(rooms: Rooms) -> Iterator[Callable[[ASGIApp], ASGIApp]]:
    """Puts the face beside other applications, where the settings want it, and runs batches."""
    if not rooms.settings.api.enabled:
        yield lambda other: other
        return
    relayed = Relayed(rooms)
    with relayed.running():
        yield partial(beside, relayed.application(), prefix=PREFIX)


def key_of(rooms: Rooms, batch: Batch) -> str:
    """In whose name a batch goes on: its own key, or the one that this was rotated to."""
    view, now = rooms.book.view(), rooms.now()
    for key_id in (batch.key_id, *view.successors(batch.key_id)):
        if view.keys[key_id].live(now):
            return key_id
    return batch.key_id  # the gateway says why it refuses it


def standing_of(rooms: Rooms, batch: Batch) -> Standing:
    """Whether the customer of a batch is served."""
    view = rooms.book.view()
    return view.standing.get(view.customers[batch.tenant.customer].group, "active")


def model_error(rooms: Rooms, batch: Batch) -> ModelError:
    """Whether the models of a batch are served to its key, at a price of the class batch."""
    view, now = rooms.book.view(), rooms.now()
    issued = view.keys[batch.key_id].issued
    contract = view.contract_at(issued.contract, now)
    served = {deployed.fact.model for deployed in view.deployments.values()}
    unpriced = served if contract is None else unpriced_models(view, contract, now, "batch")

    def error(model: str) -> LineError | None:
        if model not in served:
            text = f"The model '{model}' does not exist."
            return LineError("model_not_found", text, "body.model")
        if ANY_MODEL not in issued.models and model not in issued.models:
            text = f"This key may not use the model '{model}'."
            return LineError("model_not_allowed", text, "body.model")
        if model in unpriced:
            text = f"The contract has no complete batch price for the model '{model}'."
            return LineError("model_not_priced", text, "body.model")
        return None

    return error
