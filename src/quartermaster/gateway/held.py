"""What is left to a key that is held to something: deployments, limits, and provisioned units."""

import msgspec

from quartermaster.gateway.addresses import Networks, client_address
from quartermaster.gateway.admit import account_barred
from quartermaster.gateway.budget import Hold, Purses
from quartermaster.gateway.budget_bound import bound
from quartermaster.gateway.caps import WRITING, hold_to
from quartermaster.gateway.guard import Guard
from quartermaster.gateway.index import Entry, Index
from quartermaster.gateway.limits import Limiter, Permit, Scoped
from quartermaster.gateway.ports import ClientPort
from quartermaster.gateway.ptu import Lane, Lanes, Ride, deployed, enter
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.requests import Request
from quartermaster.gateway.route import Target
from quartermaster.gateway.token_estimate import estimate
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.limit import LIMIT_MAX


class Allowed(msgspec.Struct, frozen=True):
    """What one request may use."""

    targets: tuple[Target, ...]
    limited: tuple[Scoped, ...]
    """What limits it."""
    lane: Lane | None = None
    """The provisioned units of its contract and model, where it has any."""
    runs: bool = False
    """Whether it runs on them; otherwise it spilled over."""
    spare: tuple[Target, ...] = ()
    """Standard deployments for which it leaves its units when their own deployment fails."""

    def grant(self, permit: Permit, call: ChatCall, body: bytes, *, answers: bool) -> None:
        """Let the permit take what it takes of the units, or say that it spilled over.

        Args:
            permit: of the request.
            call: the request.
            body: its bytes, as they came.
            answers: whether tokens come back.
        """
        lane = self.lane
        if lane is None:
            return
        if not self.runs:
            lane.spilled += 1
            permit.spilled_from = call.model
            return
        weight = lane.terms.output_weight
        permit.ride = Ride(lane, estimate(call, body, answers=answers, output_weight=weight))


def allowed(
    guard: Guard,
    limited: tuple[Scoped, ...],
    call: ChatCall,
    targets: tuple[Target, ...],
    operation: Endpoint,
    lanes: Lanes,
    contract: str,
    now: int,
) -> Allowed:
    """What a request may use, its place and its endpoint being checked already.

    A batch's line runs on no units: it has a price and a time of its own.

    Args:
        guard: of the key.
        limited: what limits every request of the key.
        call: the request; what runs on units is marked in it.
        targets: deployments that may serve it.
        operation: what is asked for.
        lanes: of this worker.
        contract: of the key.
        now: microseconds UTC.

    Raises:
        RefusedError: 403 for a closed slice, 429 where the units are fully used, 503 where they
            take no requests and nothing spills over, 400 for a batch where there is nothing else.
    """
    limited = guard.limiting(limited, operation, call.model)
    terms = guard.lanes.get(call.model)
    if terms is None:
        return Allowed(targets, limited)
    own, rest = deployed(targets, terms)
    if call.service_class == "batch":
        if not rest:
            raise refused(
                "unsupported_value",
                f"The model '{call.model}' runs on provisioned units only, which take no batches.",
                param="model",
            )
        return Allowed(rest, limited)
    if not own and not terms.spillover:
        # Nobody agreed to pay standard prices because the units are away for a moment.
        raise refused(
            "model_drained",
            f"The provisioned units of the model '{call.model}' take no requests for a moment.",
            param="model",
            hint="Please try again.",
        )
    lane = lanes.lane(contract, terms, now)
    if own and enter(lane, can_spill=bool(rest)):
        call.service_class = "provisioned"
        spare = rest if terms.spillover and terms.deployment else ()
        return Allowed(own, limited, lane, True, spare)
    return Allowed(rest or targets, limited, lane)


def set_aside(
    purses: Purses,
    entry: Entry,
    call: ChatCall,
    body: bytes,
    operation: Endpoint,
    now: int,
    target: Target,
) -> Hold | None:
    """What a request can cost at most, from every budget of its key; None where it spends none.

    Args:
        purses: of this worker.
        entry: whose budgets.
        call: the request; a missing output cap is put into it.
        body: its bytes, as they came.
        operation: what is asked for.
        now: microseconds UTC.
        target: where it is likely to go.

    Raises:
        RefusedError: 429, and what else a budget cannot take.
    """
    if entry.budgeted is None or call.service_class == "provisioned":
        return None
    most = bound(call, body, operation, target.deployment.api, entry.budgeted.output_tokens)
    policy = entry.grant.cancelled_stream
    return purses.hold(entry.budgeted, call.model, most, policy, now, call.service_class)


def capped(
    entry: Entry, call: ChatCall, body: bytes, operation: Endpoint, target: Target
) -> int | None:
    """Hold a request to the caps of its key; the most output tokens of all its answers, if any.

    Args:
        entry: whose caps, and perhaps whose budget, which knows a smaller output for who states
            none.
        call: the request; a missing output cap is put into it.
        body: its bytes, as they came.
        operation: what is asked for.
        target: where it is likely to go.

    Raises:
        RefusedError: 413 or 400.
    """
    caps, spends = entry.caps, entry.budgeted
    if caps is None:
        return None
    default = LIMIT_MAX if spends is None else spends.output_tokens
    return hold_to(caps, call, body, operation, target.deployment.api, default)


def let_pass(
    purses: Purses,
    limiter: Limiter,
    limited: tuple[Scoped, ...],
    entry: Entry,
    call: ChatCall,
    body: bytes,
    now: int,
    operation: Endpoint,
    target: Target,
) -> Permit:
    """Let a request of a limited customer pass; a budget puts a missing output cap into it.

    Args:
        purses: of this worker.
        limiter: of this worker.
        limited: what limits this request.
        entry: whose budgets.
        call: the request.
        body: its bytes, as they came.
        now: microseconds UTC.
        operation: what is asked for.
        target: where it is likely to go.

    Raises:
        RefusedError: 429, and what else a budget cannot take.
    """
    hold = set_aside(purses, entry, call, body, operation, now, target)
    by_tokens = any(one.limits.tokens_per_minute is not None for one in limited)
    tokens = estimate(call, body, answers=operation in WRITING) if by_tokens else 0
    try:
        permit = limiter.admit(limited, tokens, now)
    except RefusedError:
        if hold is not None:
            hold.release()
        raise
    permit.hold = hold
    return permit


def spilling(index: Index, key_id: str, model: str) -> Entry:
    """The entry by which a request leaves its failed units: as it is now, not as it was.

    Args:
        index: of the newest snapshot.
        key_id: of the request.
        model: which it asks.

    Raises:
        RefusedError: the key was revoked or barred, or spillover is not agreed any more.
    """
    entry = index.by_key_id.get(key_id)
    if entry is None:
        raise refused("invalid_api_key", "This API key was revoked.")
    if entry.barred:
        raise account_barred(entry.barred)
    terms = None if entry.guard is None else entry.guard.lanes.get(model)
    if terms is None or not terms.spillover:
        raise refused("model_drained", f"The model '{model}' does not spill over any more.")
    return entry


def check_place(guard: Guard, request: Request, client: ClientPort, trusted: Networks) -> None:
    """Whether the key may be used from where the request comes.

    Args:
        guard: of the key.
        request: with what proxies said of its way.
        client: its connection.
        trusted: proxies whose word counts.

    Raises:
        RefusedError: 403.
    """
    if guard.networks:
        head = request.head
        forwarded = request.forwarded if head is None else head.forwarded
        guard.check_address(client_address(client.peer, forwarded, trusted))
