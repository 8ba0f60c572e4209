"""The snapshot turned into look-up tables, once a version."""

from collections.abc import Mapping

import msgspec

from quartermaster.gateway.limits import Scoped, scoped
from quartermaster.gateway.route import Target, target
from quartermaster.kernel.errors import ConfigError
from quartermaster.kernel.snapshot import KeyGrant, Snapshot

ALL_MODELS = "*"
BARRED = frozenset(("suspended", "terminated"))

Targets = dict[str, tuple[Target, ...]]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What one key may do, resolved: a hit in `models` means known, allowed and priced."""

    grant: KeyGrant
    barred: str
    """Empty, or the standing that bars the group."""
    models: Targets
    limited: tuple[Scoped, ...] = ()
    """What limits it; most often nothing."""


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


def build(snapshot: Snapshot, secrets: Mapping[str, str]) -> Index:
    """Resolve a snapshot.

    A deployment or a key that cannot be used is left out and named in `problems`: a typing error
    in one of them must not keep a suspension of somebody else from taking effect.

    Args:
        snapshot: as read from its file.
        secrets: bearer tokens by deployment name.
    """
    problems: list[str] = []
    models: Targets = {}
    created: dict[str, int] = {}
    for deployment in snapshot.deployments:
        if deployment.secret_file and deployment.name not in secrets:
            problems.append(f"deployment {deployment.name}: its secret file cannot be read")
            continue
        try:
            one = target(deployment, secrets.get(deployment.name, ""))
        except ConfigError as error:
            problems.append(str(error))
            continue
        models[deployment.model] = (*models.get(deployment.model, ()), one)
        since = created.get(deployment.model, deployment.created_at_s)
        created[deployment.model] = min(since, deployment.created_at_s)
    keys = _keys(snapshot, models, problems)
    by_key_id = {entry.grant.key_id: entry for entry in keys.values()}
    return Index(snapshot.version, keys, models, created, by_key_id, tuple(problems))


def _keys(snapshot: Snapshot, models: Targets, problems: list[str]) -> dict[bytes, Entry]:
    """Entries by key hash; keys with the same rights share one table of models."""
    shared: dict[tuple[tuple[str, ...], tuple[str, ...]], Targets] = {}
    keys: dict[bytes, Entry] = {}
    for grant in snapshot.keys:
        rights = (grant.models, grant.unpriced_models)
        if rights not in shared:
            shared[rights] = _granted(models, grant)
        standing = snapshot.standing.get(grant.group, "active")
        barred = standing if standing in BARRED else ""
        try:
            key_hash = bytes.fromhex(grant.key_hash)
        except ValueError:
            problems.append(f"key {grant.key_id}: its hash is not hexadecimal")
            continue
        limited = scoped(grant, snapshot.group_limits.get(grant.group))
        keys[key_hash] = Entry(grant, barred, shared[rights], limited)
    return keys


def _granted(models: Targets, grant: KeyGrant) -> Targets:
    every = ALL_MODELS in grant.models
    return {
        model: targets
        for model, targets in models.items()
        if (every or model in grant.models) and model not in grant.unpriced_models
    }
