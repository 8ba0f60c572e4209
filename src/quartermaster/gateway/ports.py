"""What the relay needs from its surroundings, so that it can be tested without any of them."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from quartermaster.gateway.requests import Request
from quartermaster.gateway.route import Target
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.status import Tallies
from quartermaster.kernel.clock import Clock
from quartermaster.kernel.events import Closed, Opened, Progress

E = TypeVar("E", contravariant=True)
"""An exchange; the relay and its exchanges know each other."""

WhenDurable = Callable[[Exception | None], None]


class WalPort(Protocol):
    """The write-ahead log as a worker sees it; all calls come from one asyncio thread."""

    @property
    def app_id(self) -> str:
        """The name under which this worker's frames enter the usage table."""

    @property
    def writable(self) -> bool:
        """False after any write or sync error: nothing new may be served."""

    def opened(self, opened: Opened) -> int:
        """Buffer an open frame; the handle stays valid for the life of the request."""

    def progressed(self, handle: int, progress: Progress) -> None:
        """Buffer how far a stream has come."""

    def closed(self, handle: int, closed: Closed, when_durable: WhenDurable) -> None:
        """Buffer a close frame; call back on the loop once it is on disk, or with the error."""

    def delivered(self, *handles: int) -> None:
        """Buffer that the last bytes of requests left this process."""

    def flush(self) -> None:
        """Hand everything buffered to the operating system."""


class ClientPort(Protocol):
    """The client's connection, as an exchange sees it."""

    @property
    def drained(self) -> bool:
        """Whether every byte written has been handed to the kernel."""

    @property
    def peer(self) -> str:
        """Address of whoever opened the connection; empty where it has none."""

    @property
    def agent(self) -> bytes:
        """The header `User-Agent` of its last head that was parsed."""

    @property
    def lost(self) -> bool:
        """Whether the connection is gone; what had not drained by then never arrived."""

    def write(self, data: bytes) -> None:
        """Send bytes; nothing happens once the client is gone."""

    def abort(self) -> None:
        """Drop the connection now; the exchange is told that its client is gone."""

    def finish(self, data: bytes, *, keep_alive: bool) -> None:
        """Send an exchange's last bytes, if any; the connection may go on or close."""

    def ask_again(self, request: Request) -> None:
        """What its request waited for is here, or will not come."""


class UpstreamPort(Protocol):
    """A connection to a model server, as an exchange sees it."""

    def pause(self) -> None:
        """Stop reading: the client does not keep up."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Drop the connection now; the exchange hears nothing more from it."""

    def detach(self) -> None:
        """The exchange needs no more bytes; finish the response unseen and reuse the connection."""


class Home(Protocol[E]):
    """The worker around an exchange."""

    wal: WalPort
    clock: Clock
    tallies: Tallies
    settings: GatewaySettings
    date: bytes
    """The current Date header line."""
    now_s: int
    """A coarse monotonic clock for time-outs, renewed once a second."""

    def redial(self, exchange: E) -> None:
        """Send the request again over a fresh connection."""

    def again(self, exchange: E) -> None:
        """Send the request to another deployment, after its open frame has been written."""

    def serving(self, opened: Opened) -> tuple[Target, ...] | None:
        """Deployments that may serve an open request by the newest snapshot; None before one."""

    def released(self, exchange: E) -> None:
        """The last byte went to the transport: no more time-outs; confirm its delivery later."""

    def finished(self, exchange: E) -> None:
        """The exchange needs no more time-outs."""
