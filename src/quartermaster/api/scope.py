"""Whose limits or budget a path names: a key's, a project's or a customer group's."""

from collections.abc import Callable
from typing import Final

import msgspec

from quartermaster.api.keys import key_asked
from quartermaster.api.operation import ANYBODY, STAFF, Call
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.limit import LimitScope, project_name


class Scoped(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of owner, with what its operations are called by."""

    scope: LimitScope
    path: str
    word: str
    """In names of operations: `showKeyLimits`."""
    said: str
    """In summaries."""
    readers: frozenset[str]

    def name(self, call: Call) -> str:
        """The one in the path, where the bearer may know of it.

        Raises:
            NotFoundError: there is no such key, or it is another customer's.
        """
        if self.scope == "key":
            return key_asked(call).issued.key_id
        if self.scope == "group":
            return call.path["group"]
        customer, project = call.path["customer"], call.path["project"]
        if call.bearer.customer not in ("", customer):
            # Another customer's project is as unknown as one that was never added.
            raise NotFoundError(f"there is no project {project!r}", field="project")
        return project_name(customer, project)

    def bound(self, handler: "Callable[[Call, Scoped], object]") -> Callable[[Call], object]:
        """A handler of this kind of owner."""
        return lambda call: handler(call, self)


SCOPES: Final = (
    Scoped(scope="key", path="/keys/{key}", word="Key", said="a key", readers=ANYBODY),
    Scoped(
        scope="project",
        path="/projects/{customer}/{project}",
        word="Project",
        said="a project",
        readers=ANYBODY,
    ),
    Scoped(
        scope="group", path="/groups/{group}", word="Group", said="a customer group", readers=STAFF
    ),
)
"""Everybody who can have limits and a budget; customers see their own keys' and projects'."""
