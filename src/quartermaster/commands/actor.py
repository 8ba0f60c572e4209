"""Who acts, and what their roles let them do."""

from typing import Literal, get_args

import msgspec

from quartermaster.kernel.errors import NotAllowedError, UsageError

Role = Literal["viewer", "finance", "trust", "admin", "customer"]
ROLES: tuple[Role, ...] = get_args(Role)
"""`viewer` reads; `finance` handles money; `trust` handles conduct and standing; `admin` handles
users, keys and deployments; `customer` sees its own account only."""


class Actor(msgspec.Struct, frozen=True):
    """A signed-in user or a process of ours; faces never take it from their input."""

    id: str
    roles: tuple[str, ...]
    customer: str = ""
    """Of the role `customer`: whose account it is, and no other's."""
    lent_by: str = ""
    """Who made the token that it came with, where that was not its user: whoever made a token may
    hold it, so it says nothing about where its user is."""

    @property
    def person(self) -> str:
        """Who may be acting: of a token that somebody else made, that somebody."""
        return self.lent_by or self.id


AT_THE_MACHINE = "os:"
"""Before the account of whoever used the command line, in the id of an actor."""

OPERATOR = Actor("operator", ("admin",))
"""Whoever starts the program: access to its data folder is the right to administer it."""

CLERK = Actor("clerk", ("finance",))
"""The background process that ships, rates and drafts."""


def require(actor: Actor, *roles: Role) -> None:
    """Let the actor pass when it has one of the roles. No role includes another.

    Raises:
        NotAllowedError: it has none of them.
    """
    if not set(roles) & set(actor.roles):
        raise NotAllowedError(
            f"this needs the role {' or '.join(roles)}",
            hint="ask an admin to give you the role, or somebody who has it to do this",
        )


def require_for(actor: Actor, customer: str, *roles: Role) -> None:
    """Let the actor pass when it has one of the roles, or when the account is its own.

    Raises:
        NotAllowedError: neither.
    """
    own = "customer" in actor.roles and actor.customer == customer != ""
    if not own:
        require(actor, *roles)


def require_known(roles: tuple[str, ...]) -> None:
    """Check that these are roles.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    if not roles:
        raise UsageError("no role given", field="roles", hint=f"one of {', '.join(ROLES)}")
    for role in roles:
        if role not in ROLES:
            raise UsageError(
                f"unknown role {role!r}", field="roles", hint=f"one of {', '.join(ROLES)}"
            )
