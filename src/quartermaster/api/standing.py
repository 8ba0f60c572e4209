"""Standing: whether a customer group is served; decided with a reason and, if need be, by two."""

import msgspec

from quartermaster.api.keys import Reason
from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.commands import standing as standings
from quartermaster.commands.standing import Changed, Held
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.limit import Throttle

TAG = "standing"
_DECIDES = frozenset({"admin", "trust"})
_SIGNS = frozenset({"admin", "trust", "finance"})


class NewStanding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a group's standing is to be."""

    standing: Standing
    reason: str
    throttle: Throttle | None = None
    """Of `throttled`, and of nothing else: limits, or a slice that is closed."""
    case: str = ""
    """The conduct case that it follows from."""


class StandingPut(msgspec.Struct, frozen=True):
    """What became of it, and which gateways know it; nothing is published while it waits."""

    changed: Changed
    published: Published | None


class Investigation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether a group is under investigation."""

    under: bool
    reason: str
    case: str = ""


class StandingShown(msgspec.Struct, frozen=True):
    """A group's standing, and which gateways know it."""

    held: Held
    published: Published


def list_standings(call: Call) -> Page[Held]:
    """Groups that are not simply active."""
    found = standings.all_held(call.ports.book.view())
    return page(found, call.asked(Paged), lambda one: one.group)


def show_standing(call: Call) -> Held:
    """One group's standing."""
    return standings.held(call.ports.book.view(), call.path["group"])


def put_standing(call: Call) -> StandingPut:
    """Change a standing, or propose it."""
    new, group = call.given(NewStanding), call.path["group"]
    changed = standings.change(
        call.ports.book,
        call.actor,
        group,
        new.standing,
        new.reason,
        call.now,
        weight=call.ports.weights.share(group),
        sign_off_share=call.ports.weights.sign_off_share,
        throttle=new.throttle,
        case=new.case,
    )
    return _put(call, changed)


def post_sign_off(call: Call) -> StandingPut:
    """Sign a proposal off."""
    changed = standings.sign_off(call.ports.book, call.actor, call.path["proposal"], call.now)
    return _put(call, changed)


def post_decline(call: Call) -> Held:
    """Decline a proposal."""
    reason = call.given(Reason).reason
    book = call.ports.book
    group = standings.decline(book, call.actor, call.path["proposal"], reason, call.now)
    return standings.held(book.view(), group)


def put_investigation(call: Call) -> StandingShown:
    """Open or end an investigation."""
    new, group, book = call.given(Investigation), call.path["group"], call.ports.book
    standings.investigate(
        book, call.actor, group, new.reason, call.now, under=new.under, case=new.case
    )
    published = call.ports.gateways.publish(call.now)
    return StandingShown(standings.held(book.view(), group), published)


def _put(call: Call, changed: Changed) -> StandingPut:
    published = call.ports.gateways.publish(call.now) if changed.done else None
    return StandingPut(changed, published)


OPERATIONS = (
    Operation(
        method="GET",
        path="/standings",
        name="listStandings",
        summary="Customer groups that are not simply active, and what waits for a second person.",
        tag=TAG,
        roles=STAFF,
        handler=list_standings,
        answer=Page[Held],
        query=Paged,
    ),
    Operation(
        method="GET",
        path="/groups/{group}/standing",
        name="showStanding",
        summary="The standing of one customer group.",
        tag=TAG,
        roles=STAFF,
        handler=show_standing,
        answer=Held,
    ),
    Operation(
        method="PUT",
        path="/groups/{group}/standing",
        name="setStanding",
        summary="Change a group's standing; the answer says which gateways obey it, or who is "
        "waited for.",
        tag=TAG,
        roles=_DECIDES,
        handler=put_standing,
        answer=StandingPut,
        body=Body(kind=NewStanding),
        conflicts=True,
    ),
    Operation(
        method="POST",
        path="/standing-proposals/{proposal}/sign-off",
        name="signStandingOff",
        summary="Put a proposed standing in force, as a second person.",
        tag=TAG,
        roles=_SIGNS,
        handler=post_sign_off,
        answer=StandingPut,
        status=201,
        writes=True,
    ),
    Operation(
        method="POST",
        path="/standing-proposals/{proposal}/refusal",
        name="declineStanding",
        summary="Drop a proposed standing.",
        tag=TAG,
        roles=_SIGNS,
        handler=post_decline,
        answer=Held,
        body=Body(kind=Reason),
        status=201,
        writes=True,
    ),
    Operation(
        method="PUT",
        path="/groups/{group}/investigation",
        name="setInvestigation",
        summary="Say whether a customer group is under investigation; its standing stays.",
        tag=TAG,
        roles=_DECIDES,
        handler=put_investigation,
        answer=StandingShown,
        body=Body(kind=Investigation),
    ),
)
