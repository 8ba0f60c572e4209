"""Any numbers in a case file give a probability inside 0 to 1 or a sentence, never a warning."""

import json
import math
import warnings
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from quartermaster.exposure.departure import Case, opinion, parse_case
from quartermaster.exposure.replay import as_json, replay
from quartermaster.exposure.report import input_file
from quartermaster.kernel.errors import DataError

ODD = (math.nan, math.inf, -math.inf, 1e-300, 5e-324, 1e300, 1e6, 1e9, -1.0, 0.0, 1.0)
NUMBER = st.one_of(st.sampled_from(ODD), st.floats(0, 1), st.floats(0, 1e6))
COUNTS = ("found", "tried", "false_alarms", "series_years", "window_days", "under_way")
RATES = ("true_positives", "positives", "false_positives", "negatives", "relevance")


def fields(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(dict.fromkeys(names, NUMBER))


def with_(fixed: dict[str, Any], drawn: st.SearchStrategy[Any], name: str = "") -> Any:
    return drawn.map(lambda found: {**fixed, **({name: found} if name else found)})


FACT = {"on": "2024-01-01", "fact": "f", "source": "s"}
EVIDENCE = st.one_of(
    with_({**FACT, "kind": "usage_alarm"}, fields(*COUNTS), "alarm"),
    with_({**FACT, "kind": "usage_quiet"}, fields(*COUNTS), "alarm"),
    with_({**FACT, "kind": "conduct_suspicion"}, fields(*RATES), "conduct"),
    with_({**FACT, "kind": "renewed", "why": "w"}, fields("low", "high")),
)
SEGMENT = with_({"name": "a"}, fields("customer_years", "losses"))
PRIOR: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    with_({"by": "expert"}, fields("median", "p90")),
    with_({"by": "losses"}, fields("losses", "customer_years", "correlation")),
    with_({"by": "beta"}, fields("a", "b")),
    with_({"by": "pooled", "segment": "a"}, st.lists(SEGMENT, max_size=2), "segments"),
)
HEAD = {"schema": "quartermaster.departure/1", "id": "x", "subject": "x", "event": "y"}


def as_toml(tree: dict[str, Any]) -> str:
    """The tree in one inline line a key: TOML knows nan and inf as Python writes them."""

    def value(found: Any) -> str:
        if isinstance(found, dict):
            return "{" + ", ".join(f"{k} = {value(v)}" for k, v in found.items()) + "}"
        if isinstance(found, list):
            return "[" + ", ".join(value(one) for one in found) + "]"
        return json.dumps(found) if isinstance(found, str) else repr(found)

    return "".join(f"{name} = {value(found)}\n" for name, found in tree.items())


@settings(max_examples=150, deadline=None)
@given(PRIOR, st.lists(EVIDENCE, max_size=2), st.integers(1, 60))
def test_any_numbers(prior: dict[str, Any], evidence: list[Any], months: int) -> None:
    tree = {**HEAD, "horizon_months": months, "prior": prior, "evidence": evidence}
    data = as_toml(tree).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            case = parse_case(data, "x.toml")
        except DataError:
            return
        found = opinion(case, input_file("x.toml", data), "2024-06-01")
        stated = found.stated
        assert 0 <= stated.low <= stated.probability <= stated.high <= 1
        assert 0 < stated.probability < 1
        json.dumps(as_json(replay([found])), allow_nan=False)


def test_ordinary_numbers_are_not_refused() -> None:
    """The test above would pass if everything were refused."""
    alarm = {**FACT, "kind": "usage_alarm", "alarm": dict.fromkeys(COUNTS, 1.0)}
    case = parse_case(as_toml({**HEAD, "evidence": [alarm]}).encode(), "x.toml")
    assert case == msgspec.convert({**HEAD, "evidence": [alarm]}, Case)
