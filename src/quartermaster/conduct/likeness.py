"""How alike two accounts are by what they ask: templates, topics, and the form of requests.

Templates weigh as much as they are rare in the population; topics are an angle between the middles
of two accounts, seen from that of the population; form is a distance in units of its spread.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.conduct.coincidence import clock
from quartermaster.conduct.features import FloatArray, once_a_row
from quartermaster.conduct.history import log_form
from quartermaster.conduct.observe import VECTOR_SCALE
from quartermaster.conduct.sketch import Sample, Traces

TEMPLATE_COUNT_MIN = 2
"""A run of words in two of an account's requests may be a template of 26."""
TEMPLATE_SHARE = 0.08
"""Of a larger sample, a run in every twelfth request."""
LIKENESSES = 3
"""Templates, topics and form."""


class Signature(NamedTuple):
    """What an account is compared by; nothing of its text."""

    account: str
    marks: npt.NDArray[np.uint32]
    centre: FloatArray
    form: FloatArray
    requests: int
    traces: Traces | None
    clock: FloatArray | None
    """When it is awake, ready to be correlated; None where too little is known of that."""
    harvest: float
    """Harvest score of the account by itself; the same for all where nobody scored them."""


def signature(
    account: str, sample: Sample, traces: Traces | None = None, harvest: float = 0.0
) -> Signature:
    """What an account is compared by.

    Args:
        account: its name.
        sample: its requests.
        traces: what the meter saw of it.
        harvest: its score by itself.
    """
    values, counts = np.unique(once_a_row(sample.marks), return_counts=True)
    least = max(TEMPLATE_COUNT_MIN, TEMPLATE_SHARE * len(sample))
    return Signature(
        account,
        values[(values > 0) & (counts >= least)],
        np.asarray(sample.vectors.mean(axis=0, dtype=np.float64) / VECTOR_SCALE),
        np.asarray(log_form(sample).mean(axis=0)),
        len(sample),
        traces,
        None if traces is None else clock(traces),
        harvest,
    )


class Likeness:
    """How alike accounts are, in the light of what is usual in a population.

    Args:
        accounts: of the population, one or more.
    """

    def __init__(self, accounts: Sequence[Signature]) -> None:
        seen = Counter(mark for one in accounts for mark in one.marks.tolist())
        self._rarest = float(np.log(len(accounts)))
        self._rarity = {mark: self._rarest - float(np.log(n)) for mark, n in seen.items()}
        self._middle = np.array([one.centre for one in accounts]).mean(axis=0)
        self._spread = np.array([one.form for one in accounts]).std(axis=0) + 0.1

    def rarity(self, mark: int) -> float:
        """Log of how many times rarer than in everybody a template run is."""
        return self._rarity.get(mark, self._rarest)

    def topics(self, one: Signature) -> FloatArray:
        """Where an account's topics lie, seen from the middle of the population."""
        return np.asarray(one.centre - self._middle)

    def of(self, left: Signature, right: Signature) -> tuple[float, float, float]:
        """Templates, topics and form of two accounts."""
        shared = np.intersect1d(left.marks, right.marks, assume_unique=True).tolist()
        least = min(self.weight(left), self.weight(right))
        template = sum(self.rarity(mark) for mark in shared) / (least + 1.0)
        one, other = self.topics(left), self.topics(right)
        lengths = float(np.sqrt((one @ one) * (other @ other))) or 1.0
        form = -float(np.sqrt((((left.form - right.form) / self._spread) ** 2).sum()))
        return template, float(one @ other) / lengths, form

    def weight(self, one: Signature) -> float:
        """Of all of an account's template runs."""
        return sum(self.rarity(mark) for mark in one.marks.tolist())

    def scaled(self, form: FloatArray) -> FloatArray:
        """The form of requests in units of the population's spread."""
        return np.asarray(form / self._spread)


class Beside:
    """Many accounts that others are compared with at once.

    Args:
        accounts: one or more.
        likeness: of the population that they belong to.
    """

    def __init__(self, accounts: Sequence[Signature], likeness: Likeness) -> None:
        self.accounts = list(accounts)
        self._likeness = likeness
        topics = np.array([likeness.topics(one) for one in accounts])
        self._topics = topics / _lengths(topics)
        self._forms = np.array([likeness.scaled(one.form) for one in accounts])
        self._weights = np.array([likeness.weight(one) for one in accounts])
        holders: defaultdict[int, list[int]] = defaultdict(list)
        for at, one in enumerate(accounts):
            for mark in one.marks.tolist():
                holders[mark].append(at)
        self._holders = {mark: np.array(held, dtype=np.intp) for mark, held in holders.items()}

    def likenesses(self, one: Signature) -> FloatArray:
        """As `Likeness.of`, one row for each of the accounts."""
        known = self._likeness
        shared = np.zeros(len(self.accounts))
        for mark in one.marks.tolist():
            held = self._holders.get(mark)
            if held is not None:
                shared[held] += known.rarity(mark)
        topics = known.topics(one)[None, :]
        forms = ((self._forms - known.scaled(one.form)) ** 2).sum(axis=1)
        columns = (
            shared / (np.minimum(self._weights, known.weight(one)) + 1.0),
            self._topics @ (topics / _lengths(topics))[0],
            -np.sqrt(forms),
        )
        return np.stack(columns, axis=1)


def _lengths(rows: FloatArray) -> FloatArray:
    lengths = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.asarray(np.where(lengths > 0, lengths, 1.0))
