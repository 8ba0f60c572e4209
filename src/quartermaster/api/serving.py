"""Deployments and the gateways that use them."""

import msgspec

from quartermaster.api.keys import Reason
from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.book.chain import Head
from quartermaster.book.unit import Unit
from quartermaster.book.views import Deployed
from quartermaster.commands.deployment import Drained, set_deployment, set_drained
from quartermaster.gateway.status import WorkerStatus
from quartermaster.kernel.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from quartermaster.kernel.events import DeploymentApi, DeploymentSet
from quartermaster.kernel.price import TEXT_AXES
from quartermaster.kernel.routing import Routing

TAG = "serving"
# 18 digits hold the entries of a million a second for thirty thousand years.
SEQ_DIGITS_MAX = 18


class DeploymentShown(msgspec.Struct, frozen=True):
    """Where a model is served; the secret is named, never held."""

    name: str
    model: str
    url: str
    upstream_model: str
    secret_file: str
    axes: tuple[str, ...]
    api: DeploymentApi
    routing: Routing
    cost_book: str
    drained: bool


class NewDeployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a model is served."""

    model: str
    url: str
    upstream_model: str = ""
    """The server's own name for the model; the same by default."""
    secret_file: str = ""
    axes: tuple[str, ...] = TEXT_AXES
    api: DeploymentApi = "openai"
    """What the server speaks."""
    routing: Routing = Routing()
    """What part of the model's requests it takes, and how patient the gateway is with it."""
    cost_book: str = ""
    """The price book of what its owner charges, by `upstream_model`."""


class DeploymentPut(msgspec.Struct, frozen=True):
    """The deployment as it is set, and which gateways know it."""

    deployment: DeploymentShown
    published: Published


class DrainedPut(msgspec.Struct, frozen=True):
    """Whether the deployment takes new requests, and which gateways know it."""

    drained: Drained
    published: Published


class HeadAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A head noted earlier."""

    expect: str = ""
    """`SEQ:SHA256`, as it was answered then: it must still be there."""


def list_deployments(call: Call) -> Page[DeploymentShown]:
    """Every deployment."""
    found = [_shown(one) for one in call.ports.book.view().deployments.values()]
    return page(found, call.asked(Paged), lambda one: one.name)


def show_deployment(call: Call) -> DeploymentShown:
    """One deployment."""
    return _shown(_found(call))


def _found(call: Call) -> Deployed:
    wanted = call.path["deployment"]
    found = call.ports.book.view().deployments.get(wanted)
    if found is None:
        raise NotFoundError(f"there is no deployment {wanted!r}", field="deployment")
    return found


def put_deployment(call: Call) -> DeploymentPut:
    """Add a deployment, or change where it is."""
    new = call.given(NewDeployment)
    fact = DeploymentSet(
        name=call.path["deployment"],
        model=new.model,
        url=new.url,
        upstream_model=new.upstream_model or new.model,
        secret_file=new.secret_file,
        axes=new.axes,
        api=new.api,
        routing=new.routing,
        cost_book=new.cost_book,
    )
    set_deployment(call.ports.book, call.actor, fact, call.now)
    return DeploymentPut(_shown(_found(call)), call.ports.gateways.publish(call.now))


def post_drain(call: Call) -> DrainedPut:
    """Send a deployment no new requests."""
    return _drain(call, drained=True)


def post_undrain(call: Call) -> DrainedPut:
    """Send a deployment requests again."""
    return _drain(call, drained=False)


def _drain(call: Call, *, drained: bool) -> DrainedPut:
    reason, name = call.given(Reason).reason, call.path["deployment"]
    done = set_drained(call.ports.book, call.actor, name, call.now, drained=drained, reason=reason)
    return DrainedPut(done, call.ports.gateways.publish(call.now))


def list_gateways(call: Call) -> tuple[WorkerStatus, ...]:
    """What each gateway worker last said of itself."""
    return tuple(call.ports.gateways.statuses())


def journal_head(call: Call) -> Head:
    """Check every hash of the journal and every balance of the ledger."""
    text, noted = call.asked(HeadAsked).expect, None
    if text:
        seq, _, sha256 = text.partition(":")
        if not (seq.isascii() and seq.isdecimal() and len(seq) <= SEQ_DIGITS_MAX and sha256):
            raise UsageError(f"{text!r} is not SEQ:SHA256", field="expect")
        noted = Head(int(seq), sha256)
    with call.ports.book.reading() as unit:
        head = unit.verify()
        if noted is not None and not _holds(unit, noted):
            raise ConflictError(
                f"the journal does not hold the head {text}",
                hint="if it was noted from this book, entries were cut off or replaced",
                field="expect",
            )
    return head


def _holds(unit: Unit, noted: Head) -> bool:
    """Whether an entry is there as it was noted; the chain itself is checked already."""
    try:
        unit.journal.verify(expected=noted)
    except IntegrityError:
        return False
    return True


def _shown(deployed: Deployed) -> DeploymentShown:
    fact = deployed.fact
    return DeploymentShown(
        name=fact.name,
        model=fact.model,
        url=fact.url,
        upstream_model=fact.upstream_model,
        secret_file=fact.secret_file,
        axes=fact.axes,
        api=fact.api,
        routing=fact.routing,
        cost_book=fact.cost_book,
        drained=deployed.drained,
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/deployments",
        name="listDeployments",
        summary="Where models are served.",
        tag=TAG,
        roles=STAFF,
        handler=list_deployments,
        answer=Page[DeploymentShown],
        query=Paged,
    ),
    Operation(
        method="GET",
        path="/deployments/{deployment}",
        name="showDeployment",
        summary="One deployment.",
        tag=TAG,
        roles=STAFF,
        handler=show_deployment,
        answer=DeploymentShown,
    ),
    Operation(
        method="PUT",
        path="/deployments/{deployment}",
        name="setDeployment",
        summary="Add a deployment, or change where it is; the same again changes nothing.",
        tag=TAG,
        roles=frozenset({"admin"}),
        handler=put_deployment,
        answer=DeploymentPut,
        body=Body(kind=NewDeployment),
    ),
    *(
        Operation(
            method="POST",
            path=f"/deployments/{{deployment}}/{word}",
            name=f"{word}Deployment",
            summary=f"Send a deployment {said}.",
            tag=TAG,
            roles=frozenset({"admin"}),
            handler=handler,
            answer=DrainedPut,
            body=Body(kind=Reason),
        )
        for word, said, handler in (
            ("drain", "no new requests; running ones end in peace", post_drain),
            ("undrain", "requests again", post_undrain),
        )
    ),
    Operation(
        method="GET",
        path="/gateways",
        name="listGateways",
        summary="What each gateway worker last said of itself.",
        tag=TAG,
        roles=STAFF,
        handler=list_gateways,
        answer=tuple[WorkerStatus, ...],
    ),
    Operation(
        method="GET",
        path="/journal/head",
        name="verifyJournal",
        summary="Check every hash of the journal and every balance of the ledger; its head.",
        tag="journal",
        roles=STAFF,
        handler=journal_head,
        answer=Head,
        query=HeadAsked,
        conflicts=True,
        heavy=True,
    ),
)
