"""Projects: how a customer tells its own uses apart. Keys belong to one, and usage names it."""

from quartermaster.book.views import Project, View
from quartermaster.commands.actor import Actor, require_for
from quartermaster.commands.names import require_id, require_name
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import ProjectAdded, ProjectArchived

DEFAULT = "default"
"""Every customer's first project: there without being added, and never archived."""

PROJECTS_MAX = 1_000
"""Of one customer: more are not told apart by people, and every one stays in the journal."""


def add(
    book: Book, actor: Actor, *, customer: str, project: str, name: str, now: Instant
) -> ProjectAdded:
    """Record a project of a customer; the same project again changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such customer.
        UsageError: the id or the name cannot be used, or there are too many.
        ConflictError: it exists by another name.
    """
    require_for(actor, customer, "admin")
    require_id(project, "project")
    if project == DEFAULT:
        raise UsageError("every customer has the project default already", field="project")
    fact = ProjectAdded(customer=customer, project=project, name=require_name(name, "name"))
    with book.writing() as unit:
        view = unit.view()
        if customer not in view.customers:
            raise NotFoundError(f"there is no customer {customer!r}", field="customer")
        if sum(one == customer for one, _ in view.projects) >= PROJECTS_MAX:
            raise UsageError(f"a customer has at most {PROJECTS_MAX} projects", field="project")
        unit.journal.append(fact, actor=actor, now=now, key=f"project:{customer}:{project}")
    return fact


def archive(
    book: Book, actor: Actor, *, customer: str, project: str, reason: str, now: Instant
) -> None:
    """End a project: its keys stop with the next snapshot, for good; its usage stays.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: the customer has no such project.
        ConflictError: it is archived already.
    """
    require_for(actor, customer, "admin")
    reason = require_name(reason, "reason")
    with book.writing() as unit:
        found = unit.view().projects.get((customer, project))
        if found is None:
            raise _unknown(customer, project)
        if found.archived_at is not None:
            raise ConflictError(f"project {project} is archived already")
        fact = ProjectArchived(customer=customer, project=project, reason=reason)
        unit.journal.append(fact, actor=actor, now=now, key=f"archived:{customer}:{project}")


def require_open(view: View, customer: str, project: str) -> None:
    """Check that keys can be issued for a project.

    Raises:
        NotFoundError: the customer has no such project.
        ConflictError: it is archived.
    """
    if project == DEFAULT:
        return
    if (customer, project) not in view.projects:
        raise _unknown(customer, project)
    if view.archived(customer, project):
        raise ConflictError(f"project {project} is archived", field="project")


def all_of(view: View, customer: str = "") -> list[Project]:
    """Projects that were added, archived ones too, in a fixed order; of one customer, or of all."""
    return [view.projects[who] for who in sorted(view.projects) if customer in ("", who[0])]


def live_keys(view: View, customer: str, project: str, now: Instant) -> int:
    """How many keys of a project work."""
    if view.archived(customer, project):
        return 0
    return sum(
        key.live(now) and (key.issued.customer, key.issued.project) == (customer, project)
        for key in view.keys.values()
    )


def _unknown(customer: str, project: str) -> NotFoundError:
    return NotFoundError(
        f"customer {customer} has no project {project!r}",
        field="project",
        hint=f"quartermaster project add {customer} {project}",
    )
