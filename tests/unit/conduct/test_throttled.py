"""What a throttle lets pass of what was sent lately."""

import pytest

from quartermaster.conduct.throttled import Served, passing, shuts
from quartermaster.kernel.limit import Limits, Throttle

LATELY = [
    Served(0, "key_app", "toy", 600, 66_000),
    Served(0, "key_job", "toy", 6_000, 660_000),
    Served(1, "key_job", "large", 3_400, 374_000),
]
"""Ten thousand requests of 100 tokens, answered by 10."""


@pytest.mark.parametrize(
    ("limits", "names", "left"),
    [
        # All of one hour, and an hour's 60 a minute of 6,000.
        ({"requests_per_minute": 60}, {}, 3_600 + 3_400),
        ({"requests_per_minute": 1}, {}, 60 + 60),
        # The application goes on, the job does 6 a minute.
        ({"requests_per_minute": 6}, {"keys": ("key_job",)}, 600 + 360 + 360),
        ({"tokens_per_minute": 1_100}, {"models": ("toy",)}, 600 + 3_400),
        ({"concurrent": 1}, {}, 10_000),
        # Endpoints are not in the counts: taken for everything.
        ({"requests_per_minute": 1}, {"endpoints": ("chat",)}, 120),
        ({}, {"keys": ("key_job",)}, 600),
    ],
)
def test_what_passes(limits: dict[str, int], names: dict[str, tuple[str, ...]], left: int) -> None:
    throttle = Throttle(
        limits=Limits(**limits),
        keys=names.get("keys", ()),
        models=names.get("models", ()),
        endpoints=names.get("endpoints", ()),
    )
    assert passing(throttle, LATELY) == pytest.approx(left / 10_000)


def test_nothing_is_known_of_who_sent_nothing() -> None:
    assert passing(Throttle(keys=("key_app",)), []) is None


def test_what_shuts() -> None:
    limited = Throttle(keys=("key_app",), limits=Limits(requests_per_minute=1))
    assert shuts(Throttle(keys=("key_app",)), None)
    assert shuts(limited, 0.09)
    assert not shuts(limited, 0.1)
    assert not shuts(limited, None)
    assert not shuts(None, 0.0)
