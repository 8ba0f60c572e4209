"""Made-up account-days: a campaign that makes tasks, and a support bot."""

from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import AccountDay, Request
from quartermaster.conduct.sketch import Sample, stacked

KEY = bytes(range(32))
THINGS = [
    f"{a} {b}"
    for a in ["red", "old", "kind", "loud", "tall"]
    for b in ["cat", "bus", "map", "oak", "pen"]
]


def campaign(count: int = 25) -> tuple[Request, ...]:
    """Prompts that ask for varied tasks."""
    return tuple(
        Request((f"Come up with 20 diverse and creative task instructions about a {thing}.",))
        for thing in THINGS[:count]
    )


def support(count: int = 25) -> tuple[Request, ...]:
    """A product's assistant."""
    return tuple(
        Request(
            (f"Where is my order of the {thing}?",),
            "You are the support assistant of Kestrel Shop. Answer our customers in one sentence.",
        )
        for thing in THINGS[:count]
    )


def prints(requests: tuple[Request, ...], key: bytes = KEY) -> Sample:
    """Their fingerprints."""
    observer = Observer(key)
    return stacked(observer.observe(request) for request in requests)


def day(*requests: Request, account: str = "a") -> AccountDay:
    """One account-day."""
    return AccountDay(account, requests)
