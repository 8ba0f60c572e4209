"""Deployments: where a model is served, what part of its requests each takes, who takes none."""

from pathlib import PurePosixPath
from urllib.parse import SplitResult, urlsplit

import msgspec

from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id, require_name
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.kernel.events import DeploymentDrained, DeploymentSet
from quartermaster.kernel.units import AXES


def set_deployment(
    book: Book, actor: Actor, deployment: DeploymentSet, now: Instant
) -> DeploymentSet:
    """Record where a model is served; setting what is set already changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        UsageError: the URL or an axis cannot be used.
        NotFoundError: there is no price book of the name of its costs.
    """
    require(actor, "admin")
    require_id(deployment.name, "name")
    for field in ("model", "upstream_model"):
        if not getattr(deployment, field):
            raise UsageError(f"a deployment needs a {field}", field=field)
    address = _address(deployment.url)
    if address.username or address.password:
        raise UsageError(
            "a deployment's URL must not hold a password",
            field="url",
            hint="put the secret into a file and name it in secret_file",
        )
    secret = PurePosixPath(deployment.secret_file)
    if secret.is_absolute() or ".." in secret.parts:
        raise UsageError(
            f"{deployment.secret_file!r} is not below the data folder",
            field="secret_file",
            hint="put the file there and name it relative to it, such as secrets/vllm",
        )
    unknown = sorted(set(deployment.axes) - set(AXES))
    if unknown or not deployment.axes:
        raise UsageError(
            f"unknown axis {unknown[0]!r}" if unknown else "a deployment needs its axes",
            field="axes",
            hint=f"known are {', '.join(AXES)}",
        )
    with book.writing() as unit:
        if deployment.cost_book and deployment.cost_book not in unit.view().price_books:
            raise NotFoundError(
                f"there is no price book {deployment.cost_book!r}",
                field="cost_book",
                hint="publish what its owner charges as a price book, by its own model names",
            )
        known = unit.view().deployments.get(deployment.name)
        if known is None or known.fact != deployment:
            unit.journal.append(deployment, actor=actor, now=now)
    return deployment


class Drained(msgspec.Struct, frozen=True):
    """A deployment that takes no new requests, or takes them again."""

    name: str
    drained: bool
    model: str
    others: int
    """How many other deployments take requests for its model."""


def set_drained(
    book: Book, actor: Actor, name: str, now: Instant, *, drained: bool, reason: str
) -> Drained:
    """Send a deployment no new requests, or send it requests again; running ones end in peace.

    Saying what is so already changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such deployment.
        UsageError: the reason cannot be used.
    """
    require(actor, "admin")
    reason = require_name(reason, "reason")
    with book.writing() as unit:
        deployments = unit.view().deployments
        known = deployments.get(name)
        if known is None:
            raise NotFoundError(f"there is no deployment {name!r}", field="deployment")
        if known.drained != drained:
            fact = DeploymentDrained(name=name, drained=drained, reason=reason)
            unit.journal.append(fact, actor=actor, now=now)
    model = known.fact.model
    others = sum(
        one.fact.model == model and not one.drained
        for one in deployments.values()
        if one.fact.name != name
    )
    return Drained(name, drained, model, others)


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        # Reading the port is what checks it.
        usable = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        usable = None
    if not usable:
        raise UsageError(
            f"{url!r} is not an HTTP address",
            field="url",
            hint="give the OpenAI-compatible base, such as http://127.0.0.1:8472/v1",
        )
    return address
