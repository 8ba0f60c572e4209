"""Projects: how a customer tells its own uses apart. A customer manages its own."""

from datetime import datetime

import msgspec

from quartermaster.api.keys import Reason
from quartermaster.api.operation import ANYBODY, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.book.views import Project, View
from quartermaster.commands import project as projects
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import NotFoundError

TAG = "projects"
_MANAGES = frozenset({"admin", "customer"})


class ProjectShown(msgspec.Struct, frozen=True):
    """A project, and how many keys of it work."""

    customer: str
    project: str
    name: str
    added_at: datetime
    archived_at: datetime | None
    live_keys: int


class NewProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A project; a customer's token adds to its own account."""

    project: str
    name: str
    customer: str = ""


class ProjectEnded(msgspec.Struct, frozen=True):
    """The project is over, and which gateways know that its keys are."""

    project: ProjectShown
    published: Published


class ProjectsAsked(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which projects."""

    customer: str = ""
    """Only this customer's."""


def list_projects(call: Call) -> Page[ProjectShown]:
    """Projects that were added; every customer has `default` besides."""
    asked = call.asked(ProjectsAsked)
    view = call.ports.book.view()
    found = projects.all_of(view, call.bearer.customer or asked.customer)
    shown = [_shown(view, one, call.now) for one in found]
    return page(shown, asked, lambda one: f"{one.customer}:{one.project}")


def post_project(call: Call) -> ProjectShown:
    """Add a project."""
    new, book = call.given(NewProject), call.ports.book
    customer = call.bearer.customer or new.customer
    fact = projects.add(
        book, call.actor, customer=customer, project=new.project, name=new.name, now=call.now
    )
    view = book.view()
    return _shown(view, view.projects[fact.customer, fact.project], call.now)


def post_archive(call: Call) -> ProjectEnded:
    """End a project."""
    customer, name, book = call.path["customer"], call.path["project"], call.ports.book
    if call.bearer.customer not in ("", customer):
        # Another customer's project is as unknown as one that was never added.
        raise NotFoundError(f"there is no project {name!r}", field="project")
    reason = call.given(Reason).reason
    projects.archive(book, call.actor, customer=customer, project=name, reason=reason, now=call.now)
    published = call.ports.gateways.publish(call.now)
    view = book.view()
    return ProjectEnded(_shown(view, view.projects[customer, name], call.now), published)


def _shown(view: View, one: Project, now: Instant) -> ProjectShown:
    added = one.added
    return ProjectShown(
        added.customer,
        added.project,
        added.name,
        as_datetime(Instant(one.added_at)),
        None if one.archived_at is None else as_datetime(Instant(one.archived_at)),
        projects.live_keys(view, added.customer, added.project, now),
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/projects",
        name="listProjects",
        summary="Projects of customers; a customer sees its own.",
        tag=TAG,
        roles=ANYBODY,
        handler=list_projects,
        answer=Page[ProjectShown],
        query=ProjectsAsked,
    ),
    Operation(
        method="POST",
        path="/projects",
        name="addProject",
        summary="Add a project; a customer adds its own.",
        tag=TAG,
        roles=_MANAGES,
        handler=post_project,
        answer=ProjectShown,
        body=Body(kind=NewProject),
        status=201,
        writes=True,
    ),
    Operation(
        method="POST",
        path="/projects/{customer}/{project}/archive",
        name="archiveProject",
        summary="End a project: its keys stop for good, its usage stays.",
        tag=TAG,
        roles=_MANAGES,
        handler=post_archive,
        answer=ProjectEnded,
        body=Body(kind=Reason),
        status=201,
        writes=True,
    ),
)
