"""Broken bytes and bodies: taken, refused or an upstream error, nothing else.

The default run is short; the long one tries a million cases, `./run bench fuzz` any number.
"""

import random
from itertools import product

import pytest
from tests.property.fuzz_cases import KINDS, BrokeError, run_cases


def tried(cases: int, seed: int) -> None:
    """Both outcomes of every kind must be met, or the corpus tests nothing."""
    tally = run_cases(cases, seed)
    print(f"seed {seed}: {tally.cases} cases, accepted {tally.accepted}, refused {tally.refused}")
    met = {(kind.__name__, outcome) for kind, outcome in product(KINDS, tally._fields)}
    assert met == {(name, field) for field in tally._fields for name in getattr(tally, field)}


def test_nothing_broken_breaks_us() -> None:
    tried(9_000, 20_261_123)


def test_a_case_that_breaks_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(chance: random.Random) -> bool:
        raise KeyError(chance.randrange(9))

    monkeypatch.setattr("tests.property.fuzz_cases.KINDS", (bad,))
    with pytest.raises(BrokeError, match=r"bad\(random.Random\('5:0'\)\) raised KeyError"):
        run_cases(1, 5)


@pytest.mark.long
def test_a_million_broken_cases() -> None:
    tried(1_000_000, random.SystemRandom().randrange(2**32))
