"""A batch and the states it goes through: the names and the order are OpenAI's.

validating -> in_progress -> finalizing -> completed
    |              |             +-------> expired
    |              +-> cancelling -------> cancelled
    +-> failed     (also from validating to cancelling)
"""

from typing import Final, Literal

import msgspec

from quartermaster.book.files import Tenant
from quartermaster.kernel.errors import ConflictError

BatchStatus = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]

BatchEnd = Literal["completed", "expired", "cancelled"]
"""States of a batch that leaves files."""

AFTER: Final[dict[BatchStatus, tuple[BatchStatus, ...]]] = {
    "validating": ("in_progress", "failed", "cancelling"),
    "in_progress": ("finalizing", "cancelling"),
    "finalizing": ("completed", "expired"),
    "cancelling": ("cancelled",),
    "failed": (),
    "completed": (),
    "expired": (),
    "cancelled": (),
}
"""Which states may follow."""

OPEN: Final = tuple(status for status, after in AFTER.items() if after)
"""States in which something is still to be done."""


class LineError(msgspec.Struct, frozen=True):
    """Why a batch failed, and at which line of its input (from 1), where it is one."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Tokens(msgspec.Struct, frozen=True):
    """What the answers of a batch say they used; the invoice follows the meter."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch; instants are microseconds UTC."""

    id: str
    tenant: Tenant
    key_id: str
    """The key that made it: while it works, the batch goes on."""
    endpoint: str
    """Such as `/v1/chat/completions`."""
    input_file: str
    created_at: int
    expires_at: int
    key: bytes
    """Wrapped; opens the answers that are not in a file yet."""
    status: BatchStatus = "validating"
    reached: dict[BatchStatus, int] = {}
    """When each state was entered."""
    metadata: dict[str, str] | None = None
    model: str = ""
    errors: tuple[LineError, ...] = ()
    output_file: str = ""
    error_file: str = ""
    output_lifetime_s: int | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    tokens: Tokens = Tokens()

    @property
    def open(self) -> bool:
        """Whether something is still to be done."""
        return self.status in OPEN

    def moved(self, status: BatchStatus, now: int) -> "Batch":
        """The batch in its next state.

        Raises:
            ConflictError: that state does not follow.
        """
        if status not in AFTER[self.status]:
            raise ConflictError(
                f"a batch that is {self.status} cannot become {status}", field="status"
            )
        return msgspec.structs.replace(self, status=status, reached={**self.reached, status: now})
