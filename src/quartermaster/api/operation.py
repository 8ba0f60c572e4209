"""One row of the API: who may ask what, in which shape, and what the answer looks like."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from quartermaster.api.ports import Ports
from quartermaster.commands.actor import Actor
from quartermaster.commands.api_token import Bearer
from quartermaster.kernel.clock import Instant

PREFIX = "/api/v1"
"""Changes with a change that an old client would notice; new fields alone are no such change."""

STAFF = frozenset({"viewer", "finance", "trust", "admin"})
"""Everybody of the seller."""
ANYBODY = STAFF | {"customer"}
"""A customer's token, too: it sees its own account, whatever is asked."""

JSON_BYTES_MAX = 1_048_576
"""A price book of ten thousand prices fits; anything else is under a kilobyte."""
UPLOAD_BYTES_MAX = 16 * 1_048_576
"""A thousand customers for ten years of months, with names; larger files go to the command line,
which does not hold them in a process that others wait for."""
TOML_BYTES_MAX = 1_048_576
"""Scenarios and cases are written by hand."""

CSV, TOML, JSON_LINES = "text/csv", "application/toml", "application/jsonl"

S = TypeVar("S", bound=msgspec.Struct)


class Upload(msgspec.Struct, frozen=True):
    """A body that is a file, as the command line would read it."""

    media_type: str
    data: bytes


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries: one struct as JSON, or a file of one of these media types."""

    kind: Any = None
    """The struct, or None for a file."""
    media_types: tuple[str, ...] = ("application/json",)
    bytes_max: int = JSON_BYTES_MAX


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request of one caller, checked against its operation."""

    bearer: Bearer
    now: Instant
    ports: Ports
    path: Mapping[str, str]
    query: msgspec.Struct | None = None
    body: msgspec.Struct | Upload | None = None

    @property
    def actor(self) -> Actor:
        """The author of whatever is written."""
        return self.bearer.actor

    def asked(self, kind: type[S]) -> S:
        """The query, of the operation's own kind."""
        assert isinstance(self.query, kind), "the operation declares this query"
        return self.query

    def given(self, kind: type[S]) -> S:
        """The body, of the operation's own kind."""
        assert isinstance(self.body, kind), "the operation declares this body"
        return self.body

    def upload(self) -> Upload:
        """The body, where it is a file."""
        assert isinstance(self.body, Upload), "the operation declares a file"
        return self.body


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. What is not a row does not exist, and no row is open to nobody."""

    method: str
    path: str
    """Below `PREFIX`, with `{names}`."""
    name: str
    summary: str
    tag: str
    roles: frozenset[str]
    handler: Callable[[Call], object]
    answer: Any
    """Type of the answer; the OpenAPI document is made from it."""
    query: type[msgspec.Struct] | None = None
    without: frozenset[str] = frozenset()
    """Fields of the query that do not apply here: they are unknown, and in no document."""
    body: Body | None = None
    status: int = 200
    writes: bool = False
    """Then a POST honours `Idempotency-Key`."""
    conflicts: bool = False
    """Whether a request that writes nothing may contradict what is written."""
    lacks: bool = False
    """Whether what it shows may not be there yet, without anything named in its path."""
    heavy: bool = False
    """Takes seconds of a processor: one at a time, the others wait in a short line."""
