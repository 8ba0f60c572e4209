"""Everything a gateway worker may know, in one immutable, versioned file.

Facts go up, snapshots come down. A snapshot is written beside the old one and replaced atomically;
workers poll the file and acknowledge the version they serve.
"""

import os
from pathlib import Path

import msgspec

from quartermaster.kernel.budget import BudgetGrant, RateCard
from quartermaster.kernel.contract import CancelledStream, Standing
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.limit import Limits, Throttle
from quartermaster.kernel.routing import Routing

SNAPSHOT_POLL_S = 0.2
"""Five looks a second keep a standing change under one second with room for a slow disk."""

OUT_OF_CONTACT_S = 5
"""A worker writes its status every second and looks for news five times; one that is silent, or
cannot read what is news, for longer has lost contact."""


class Provisioned(msgspec.Struct, frozen=True):
    """Throughput that a contract has of one model, all its units together."""

    model: str
    input_tokens_per_minute: int
    output_weight: int
    spillover: bool
    deployment: str = ""


class KeyGrant(msgspec.Struct, frozen=True):
    """What the holder of one key may do, resolved at publication."""

    key_id: str
    key_hash: str
    """Hex of `ids.key_hash`."""
    customer: str
    group: str
    project: str
    contract: str
    contract_version: int
    price_book: str
    price_book_version: int
    cancelled_stream: CancelledStream
    models: tuple[str, ...] = ("*",)
    expires_at: int | None = None
    unpriced_models: tuple[str, ...] = ()
    """Models with a metered axis that this contract's price book does not price, and that the
    contract does not queue."""
    limits: Limits | None = None
    """Of this key alone; its group may have limits besides."""
    zones: tuple[str, ...] = ()
    """Only deployments that lie in all of these may be asked."""
    endpoints: tuple[str, ...] = ()
    """What it may be used for, as `events.Endpoint` names it; empty is everything."""
    networks: tuple[str, ...] = ()
    """From where it may be used, `203.0.113.0/24` or `2001:db8::/32`; empty is from anywhere."""
    prepaid: bool = False
    provisioned: tuple[Provisioned, ...] = ()
    """Of its contract, shared by all keys of it."""

    unpriced_batch_models: tuple[str, ...] = ()
    """The same for the service class of batches, which has prices of its own."""
    watched: bool = False
    """Whether the contract permits the content tap."""
    budgeted_before: tuple[str, ...] = ()
    """Keys with a budget that it was rotated from; it spends theirs, besides its own."""


class Deployment(msgspec.Struct, frozen=True):
    """One place where a model is served: a base URL ending in `/v1`, of Azure the resource's."""

    name: str
    model: str
    url: str
    upstream_model: str
    secret_file: str = ""
    created_at_s: int = 0
    api: DeploymentApi = "openai"
    routing: Routing = Routing()
    drained: bool = False
    """It takes no new requests."""


class Snapshot(msgspec.Struct, frozen=True):
    """The gateway's whole knowledge."""

    version: int
    published_at: int
    keys: tuple[KeyGrant, ...] = ()
    standing: dict[str, Standing] = {}
    """By group; a group that is not named is active."""
    deployments: tuple[Deployment, ...] = ()
    throttles: dict[str, Throttle] = {}
    """By group, of those whose standing is `throttled`."""
    investigated: tuple[str, ...] = ()
    """Groups under investigation: a worker that has lost contact does not serve them."""
    group_limits: dict[str, Limits] = {}
    """By group, shared by all its keys; a group that is not named has none."""
    budgets: dict[str, BudgetGrant] = {}
    """By `budget_id`; what may be spent of them comes in leases."""
    rate_cards: dict[str, RateCard] = {}
    """By price book, of those that keys with a budget are billed by."""
    project_limits: dict[str, Limits] = {}
    """By `project_name`, shared by all keys of the project; one that is not named has none."""
    revoked: tuple[str, ...] = ()
    """Keys that were lately revoked, for machines that have an older snapshot."""


def encode(snapshot: Snapshot) -> bytes:
    """Stable bytes: the same snapshot encodes the same everywhere."""
    return msgspec.json.encode(snapshot, order="sorted")


def decode(data: bytes) -> Snapshot:
    """The snapshot in these bytes.

    Raises:
        IntegrityError: not a snapshot.
    """
    try:
        return msgspec.json.decode(data, type=Snapshot)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"the snapshot cannot be read: {error}") from error


def write(path: Path, snapshot: Snapshot) -> None:
    """Replace the snapshot file atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(encode(snapshot))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
