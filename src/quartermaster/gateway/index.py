"""The snapshot turned into look-up tables, once a version."""

from collections.abc import Iterator, Mapping, Set

import msgspec

from quartermaster.gateway.budget import Budgeted, budgeted
from quartermaster.gateway.caps import Caps, caps_of
from quartermaster.gateway.guard import Guard, guard
from quartermaster.gateway.limits import Scoped, scoped
from quartermaster.gateway.route import Target, target
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.budget import BudgetGrant
from quartermaster.kernel.errors import ConfigError
from quartermaster.kernel.limit import project_name
from quartermaster.kernel.snapshot import KeyGrant, Provisioned, Snapshot

ALL_MODELS = "*"
_SETTINGS = GatewaySettings()
BARRED = frozenset(("suspended", "terminated"))
OUT_OF_CONTACT = "out_of_contact"
"""Bars a key that `needs_contact`, on a worker that has lost it."""

Targets = dict[str, tuple[Target, ...]]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What one key may do, resolved: a hit in `models` means known, allowed, priced and served."""

    grant: KeyGrant
    barred: str
    """Empty, or the standing that bars the group."""
    models: Targets
    limited: tuple[Scoped, ...] = ()
    """What limits it; most often nothing."""
    guard: Guard | None = None
    """What else it is held to; most often nothing."""
    needs_contact: bool = False
    """Prepaid, or under investigation: what a worker that has lost contact may not serve."""
    budgeted: Budgeted | None = None
    """The budgets that it spends; most often none."""
    held: bool = False
    """Whether any of `limited`, `guard` and `budgeted` is there: one look instead of three."""
    caps: Caps | None = None
    """How large one request may be; most often as large as any."""


class Index(msgspec.Struct, frozen=True):
    """Everything the hot path looks up."""

    version: int
    keys: dict[bytes, Entry]
    models: Targets
    created: dict[str, int]
    """Seconds since 1970 at which a model was first deployed; what `/v1/models` shows."""

    by_key_id: dict[str, Entry]
    problems: tuple[str, ...] = ()
    """Deployments and keys that were left out, and why."""
    budgets: dict[str, BudgetGrant] = {}

    def every_limit(self) -> Iterator[Scoped]:
        """Whatever limits any key, throttled slices too."""
        for entry in self.by_key_id.values():
            yield from entry.limited
            if entry.guard is not None:
                yield from entry.guard.throttled

    def every_deployment(self) -> Iterator[str]:
        """Names of all deployments, drained ones too."""
        for targets in self.models.values():
            yield from (one.deployment.name for one in targets)

    def every_lane(self) -> dict[tuple[str, str], Provisioned]:
        """Provisioned units by contract and model."""
        return {
            (entry.grant.contract, terms.model): terms
            for entry in self.by_key_id.values()
            for terms in entry.grant.provisioned
        }

    def without_contact(self) -> "Index":
        """The same, for a worker that may have missed a suspension or a spent balance."""
        keys = {
            key_hash: msgspec.structs.replace(entry, barred=entry.barred or OUT_OF_CONTACT)
            if entry.needs_contact
            else entry
            for key_hash, entry in self.keys.items()
        }
        by_key_id = {entry.grant.key_id: entry for entry in keys.values()}
        return msgspec.structs.replace(self, keys=keys, by_key_id=by_key_id)


def build(
    snapshot: Snapshot, secrets: Mapping[str, str], settings: GatewaySettings = _SETTINGS
) -> Index:
    """Resolve a snapshot.

    A deployment or a key that cannot be used is left out and named in `problems`: a typing error
    in one of them must not keep a suspension of somebody else from taking effect.

    Args:
        snapshot: as read from its file.
        secrets: bearer tokens by deployment name.
        settings: of the gateway.
    """
    problems: list[str] = []
    models: Targets = {}
    created: dict[str, int] = {}
    for deployment in snapshot.deployments:
        if deployment.secret_file and deployment.name not in secrets:
            problems.append(f"deployment {deployment.name}: its secret file cannot be read")
            continue
        try:
            one = target(deployment, secrets.get(deployment.name, ""), settings)
        except ConfigError as error:
            problems.append(str(error))
            continue
        models[deployment.model] = (*models.get(deployment.model, ()), one)
        since = created.get(deployment.model, deployment.created_at_s)
        created[deployment.model] = min(since, deployment.created_at_s)
    keys = _keys(snapshot, models, problems)
    by_key_id = {entry.grant.key_id: entry for entry in keys.values()}
    return Index(
        snapshot.version, keys, models, created, by_key_id, tuple(problems), snapshot.budgets
    )


def _keys(snapshot: Snapshot, models: Targets, problems: list[str]) -> dict[bytes, Entry]:
    """Entries by key hash; keys with the same rights share one table of models."""
    shared: dict[tuple[tuple[str, ...], ...], Targets] = {}
    keys: dict[bytes, Entry] = {}
    investigated = frozenset(snapshot.investigated)
    dedicated = frozenset(name for grant in snapshot.keys for name in _dedicated(grant))
    for grant in snapshot.keys:
        own = _dedicated(grant)
        rights = (grant.models, grant.unpriced_models, grant.zones, own)
        if rights not in shared:
            shared[rights] = _granted(models, grant, dedicated.difference(own))
        standing = snapshot.standing.get(grant.group, "active")
        barred = standing if standing in BARRED else ""
        try:
            key_hash = bytes.fromhex(grant.key_hash)
        except ValueError:
            problems.append(f"key {grant.key_id}: its hash is not hexadecimal")
            continue
        throttle = snapshot.throttles.get(grant.group) if standing == "throttled" else None
        try:
            guarded = guard(grant, throttle)
        except ValueError as error:
            # Without the network that it is held to, it would be held to none.
            problems.append(f"key {grant.key_id}: {error}")
            continue
        limited = scoped(
            grant,
            snapshot.group_limits.get(grant.group),
            snapshot.project_limits.get(project_name(grant.customer, grant.project)),
        )
        spends = budgeted(grant, snapshot)
        needs_contact = (
            grant.prepaid or grant.group in investigated or (spends is not None and spends.prepaid)
        )
        held = bool(limited) or guarded is not None or spends is not None
        keys[key_hash] = Entry(
            grant,
            barred,
            shared[rights],
            limited,
            guarded,
            needs_contact,
            spends,
            held,
            caps_of(limited),
        )
    return keys


def _dedicated(grant: KeyGrant) -> tuple[str, ...]:
    """Deployments that serve only the provisioned units of the key's contract."""
    return tuple(terms.deployment for terms in grant.provisioned if terms.deployment)


def _granted(models: Targets, grant: KeyGrant, of_others: Set[str]) -> Targets:
    """What the key may use, of deployments that take requests and lie where its data may go.

    Args:
        models: every deployment by model.
        grant: the key.
        of_others: deployments that belong to somebody else's provisioned units.
    """
    every = ALL_MODELS in grant.models
    granted: Targets = {}
    for model, targets in models.items():
        if (every or model in grant.models) and model not in grant.unpriced_models:
            able = tuple(
                one
                for one in targets
                if serves(one, grant) and one.deployment.name not in of_others
            )
            if able:
                granted[model] = able
    return granted


def serves(one: Target, grant: KeyGrant) -> bool:
    """Whether a deployment takes requests, and lies where the key's data may go."""
    return not one.deployment.drained and one.deployment.routing.lies_in(grant.zones)
