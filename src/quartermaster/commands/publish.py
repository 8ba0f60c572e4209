"""Snapshots: resolve what the book says into what a gateway may know, and hand it down."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from quartermaster.book.views import Key, View
from quartermaster.commands.budget import budget_grants, rate_cards
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant, system_clock
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.limit import Limits, LimitScope, Throttle
from quartermaster.kernel.snapshot import (
    OUT_OF_CONTACT_S,
    SNAPSHOT_POLL_S,
    Deployment,
    KeyGrant,
    Provisioned,
    Snapshot,
    decode,
    write,
)
from quartermaster.kernel.units import AXES, Axis, ServiceClass

REVOKED_NAMED_MAX = 1_000
"""Keys that machines with an older snapshot are told of at once; more are not revoked between two
publications of their clerks, but by a program, which has to wait for these."""

_AXES: dict[str, Axis] = {axis: axis for axis in AXES}


def build_snapshot(view: View, now: Instant, version: int) -> Snapshot:
    """Everything a gateway may know at this instant.

    A key is in it while it is neither revoked nor expired and its contract is in force.
    """
    before = view.budgeted_before()
    grants = (_grant(view, key, now, before) for key in view.keys.values() if key.live(now))
    return Snapshot(
        version=version,
        published_at=now,
        keys=tuple(grant for grant in grants if grant is not None),
        standing={group: s for group, s in view.standing.items() if s != "active"},
        deployments=tuple(
            Deployment(
                name=deployed.fact.name,
                model=deployed.fact.model,
                url=deployed.fact.url,
                upstream_model=deployed.fact.upstream_model,
                secret_file=deployed.fact.secret_file,
                created_at_s=deployed.first_at // US_PER_S,
                api=deployed.fact.api,
                routing=deployed.fact.routing,
                drained=deployed.drained,
            )
            for deployed in view.deployments.values()
        ),
        throttles={
            group: _followed(view, throttle)
            for group in view.standing
            if (throttle := view.throttle_of(group)) is not None
        },
        investigated=tuple(sorted(view.investigated)),
        group_limits=_limits_of(view, "group"),
        project_limits=_limits_of(view, "project"),
        budgets=budget_grants(view, now),
        rate_cards=rate_cards(view, now),
        revoked=_lately_revoked(view),
    )


def _lately_revoked(view: View) -> tuple[str, ...]:
    """Keys that were taken back last: by themselves, or with their project."""
    over: list[tuple[int, str]] = []
    for key_id, key in view.keys.items():
        project = view.projects.get((key.issued.customer, key.issued.project))
        ends = (key.revoked_at, None if project is None else project.archived_at)
        over += [(at, key_id) for at in ends if at is not None][:1]
    return tuple(sorted(key_id for _, key_id in sorted(over)[-REVOKED_NAMED_MAX:]))


def _limits_of(view: View, scope: LimitScope) -> dict[str, Limits]:
    return {name: limits for (of, name), limits in view.limits.items() if of == scope}


def publish(book: Book, path: Path, now: Instant, above: int = 0) -> Snapshot:
    """Write a snapshot with a higher version than any before, and return it.

    The book's write lock is held until the file is in place: of two publishers the later one knows
    all that the earlier one knew.

    Args:
        book: what is agreed.
        path: of the snapshot.
        now: microseconds UTC.
        above: the highest version that other machines are known to serve.
    """
    with book.writing() as unit:
        # A book restored from a backup counts lower than the file it once wrote.
        version = unit.next_snapshot_version(max(_published_version(path), above))
        snapshot = build_snapshot(unit.view(), now, version)
        write(path, snapshot)
    return snapshot


def refresh(book: Book, path: Path, now: Instant) -> Snapshot | None:
    """Publish only when something has changed: a fact, or a validity that began or ended.

    Returns:
        The new snapshot, or None when the published one still says it all.
    """
    known = published(path)
    if known is not None:
        fresh = build_snapshot(book.view(), now, known.version)
        if msgspec.structs.replace(fresh, published_at=known.published_at) == known:
            return None
    return publish(book, path, now)


class Acknowledgement(msgspec.Struct, frozen=True):
    """Which gateway workers serve a snapshot version, and which do not (yet)."""

    acknowledged: tuple[str, ...]
    late: tuple[str, ...]
    silent: tuple[str, ...]
    """Without a sign of life for `OUT_OF_CONTACT_S`; nobody waits for them."""
    unreached: str = ""
    """Why other machines could not be told or asked; empty where they could, or there are none."""
    partly: tuple[str, ...] = ()
    """Of other machines, that obey what takes service away, and serve the rest once their clerk has
    published; nobody waits for that."""

    def and_those(self, others: "Acknowledgement") -> "Acknowledgement":
        """With the workers of other machines."""
        return Acknowledgement(
            (*self.acknowledged, *others.acknowledged),
            (*self.late, *others.late),
            (*self.silent, *others.silent),
            self.unreached or others.unreached,
            (*self.partly, *others.partly),
        )


class WorkerStatus(msgspec.Struct, frozen=True):
    """The part of a gateway worker's status file that matters here."""

    snapshot_version: int | None
    """None while the worker has not taken any snapshot."""
    state: str = "serving"


def acknowledged(
    status_dir: Path,
    version: int,
    timeout_s: float,
    *,
    clock: Callable[[], Instant] = system_clock,
    sleep: Callable[[float], None] = time.sleep,
    elsewhere: Callable[[int], Acknowledgement] | None = None,
) -> Acknowledgement:
    """Wait until every live worker serves the version, or the time is over.

    Args:
        status_dir: one `<app_id>.json` a worker, replaced every second.
        version: the published version.
        timeout_s: how long to wait for the last worker, in seconds.
        clock: microseconds UTC, compared with the files' times.
        sleep: waits that many seconds.
        elsewhere: who of other machines' workers serves a version; None where there are none.
    """
    until = clock() + int(timeout_s * US_PER_S)
    while True:
        seen = _look(status_dir, version, clock())
        if elsewhere is not None:
            seen = seen.and_those(elsewhere(version))
        if not seen.late or clock() >= until:
            return seen
        sleep(SNAPSHOT_POLL_S)


def _look(status_dir: Path, version: int, now: Instant) -> Acknowledgement:
    done, late, silent = [], [], []
    for path in sorted(status_dir.glob("*.json")):
        try:
            written_at_us = path.stat().st_mtime_ns // 1_000
            status = msgspec.json.decode(path.read_bytes(), type=WorkerStatus)
        except FileNotFoundError:
            # The worker has stopped and taken its status file away.
            continue
        except msgspec.DecodeError as error:
            raise IntegrityError(f"{path} is not a worker status: {error}") from error
        if status.state == "stopped":
            continue
        if status.snapshot_version is not None and status.snapshot_version >= version:
            done.append(path.stem)
        elif now - written_at_us > OUT_OF_CONTACT_S * US_PER_S:
            silent.append(path.stem)
        else:
            late.append(path.stem)
    return Acknowledgement(tuple(done), tuple(late), tuple(silent))


class _Numbered(msgspec.Struct):
    """The one field that a snapshot of any version of the program has."""

    version: int


def published(path: Path) -> Snapshot | None:
    """What was published last; None where there is nothing that can be read."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except IntegrityError:
        # It is made from the book: damaged, or of another version, it is replaced, because a
        # revocation must not wait for somebody to mend a file.
        return None


def _published_version(path: Path) -> int:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Numbered).version
    except (FileNotFoundError, msgspec.DecodeError):
        # Nothing to be above; the book's own count still grows.
        return 0


def _grant(
    view: View, key: Key, now: Instant, before: Mapping[str, tuple[str, ...]]
) -> KeyGrant | None:
    issued = key.issued
    contract = view.contract_at(issued.contract, now)
    customer = view.customers.get(issued.customer)
    if contract is None or customer is None or view.archived(customer.id, issued.project):
        return None
    price_book = view.price_book_at(contract.price_book, now)
    return KeyGrant(
        key_id=issued.key_id,
        key_hash=issued.key_hash,
        customer=issued.customer,
        group=customer.group,
        project=issued.project,
        contract=contract.id,
        contract_version=contract.version,
        price_book=contract.price_book,
        price_book_version=0 if price_book is None else price_book.version,
        cancelled_stream=contract.cancelled_stream,
        models=issued.models,
        expires_at=key.expires_at,
        unpriced_models=unpriced_models(view, contract, now),
        unpriced_batch_models=unpriced_models(view, contract, now, "batch"),
        limits=view.limits.get(("key", issued.key_id)),
        zones=tuple(sorted({contract.data_zone, issued.data_zone} - {""})),
        endpoints=issued.endpoints,
        networks=issued.networks,
        prepaid=contract.payment == "prepaid",
        provisioned=_provisioned(contract, now),
        watched=contract.watch_content,
        budgeted_before=before.get(issued.key_id, ()),
    )


def _provisioned(contract: Contract, now: Instant) -> tuple[Provisioned, ...]:
    """What is deployed now, one entry a model: the units of all its lines add up."""
    found: dict[str, Provisioned] = {}
    for line in contract.ptu_lines:
        if line.active(now):
            known = found.get(line.model)
            carried = line.units * line.input_tokens_per_minute
            carried += 0 if known is None else known.input_tokens_per_minute
            found[line.model] = Provisioned(
                line.model, carried, line.output_weight, line.spillover, line.deployment
            )
    return tuple(found[model] for model in sorted(found))


def _followed(view: View, throttle: Throttle) -> Throttle:
    """A throttle of keys holds for the keys that they are rotated to, or it could be shaken off."""
    later = (one for key_id in throttle.keys for one in view.successors(key_id))
    return msgspec.structs.replace(throttle, keys=(*throttle.keys, *later))


def unpriced_models(
    view: View, contract: Contract, now: Instant, service_class: ServiceClass = "standard"
) -> tuple[str, ...]:
    """Models that may emit a quantity without a price; none where the contract queues it."""
    if contract.serve_unpriced == "queue":
        return ()
    price_book = view.price_book_at(contract.price_book, now)
    unpriced = set()
    for deployed in view.deployments.values():
        axes = tuple(_AXES[axis] for axis in deployed.fact.axes)
        model = deployed.fact.model
        if price_book is None or price_book.unpriced_axes(model, axes, service_class):
            unpriced.add(model)
    return tuple(sorted(unpriced))
