"""Which deployment is asked: priorities, weights, affinities, rests."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.gateway.affinity import NONE, PREFIX_BYTES, Affinity, affinity_of
from quartermaster.gateway.breaker import Circuit
from quartermaster.gateway.choice import LOAD_FACTOR, Candidate, choose


def one(name: str, **fields: object) -> Candidate:
    given = {
        "weight": 1,
        "priority": 0,
        "circuit": Circuit.CLOSED,
        "available": True,
        "rests_s": 0.0,
        "in_flight": 0,
        "tried": False,
        **fields,
    }
    return msgspec.convert({"name": name, **given}, Candidate)


def resting(name: str, rests_s: float, **fields: object) -> Candidate:
    return one(name, circuit=Circuit.OPEN, available=False, rests_s=rests_s, **fields)


def chosen(*candidates: Candidate, turn: int = 0, affinity: Affinity = NONE) -> tuple[str, str]:
    choice = choose(candidates, turn, affinity, last_resort=True)
    assert choice is not None
    return choice.name, choice.why


def token(number: int) -> Affinity:
    return Affinity(number.to_bytes(8, "big"), "user")


def test_a_higher_priority_number_is_asked_only_where_nothing_lower_can_be() -> None:
    first, second = one("first"), one("second", priority=1)
    assert chosen(first, second) == ("first", "only")
    assert chosen(resting("first", 5.0), second) == ("second", "only")
    assert chosen(one("first", tried=True), second) == ("second", "only")


def test_weights_hold_over_any_run_of_turns() -> None:
    candidates = (one("a", weight=70), one("b", weight=25), one("c", weight=5))
    for start in (0, 12_345, 2**31):
        counts = Counter(chosen(*candidates, turn=start + n)[0] for n in range(1_000))
        assert abs(counts["a"] - 700) <= 5
        assert abs(counts["b"] - 250) <= 5
        assert abs(counts["c"] - 50) <= 5


def test_where_all_rest_the_one_that_is_back_first_is_asked_but_not_twice() -> None:
    assert chosen(resting("a", 9.0), resting("b", 2.0)) == ("b", "last_resort")
    both = (resting("a", 9.0, tried=True), resting("b", 2.0, tried=True))
    assert choose(both, 0, NONE, last_resort=True) is None
    # Who has been tried somewhere else gets that answer, and bothers nobody who rests.
    assert choose((resting("a", 9.0),), 0, NONE, last_resort=False) is None


def test_an_affinity_stays_where_it_is_and_moves_only_when_it_must() -> None:
    names = ("a", "b", "c", "d")
    everyone = [one(name) for name in names]
    homes = {n: chosen(*everyone, affinity=token(n))[0] for n in range(2_000)}
    spread = Counter(homes.values())
    assert all(abs(spread[name] - 500) < 100 for name in names)
    without_b = [candidate for candidate in everyone if candidate.name != "b"]
    for n, home in homes.items():
        assert chosen(*everyone, turn=n, affinity=token(n)) == (home, "affinity")
        if home != "b":
            assert chosen(*without_b, affinity=token(n))[0] == home


def test_affinities_follow_weights() -> None:
    heavy, light = one("heavy", weight=9), one("light")
    spread = Counter(chosen(heavy, light, affinity=token(n))[0] for n in range(2_000))
    assert abs(spread["heavy"] - 1_800) < 60


def test_an_affinity_gives_way_where_its_home_carries_more_than_its_share() -> None:
    idle = (one("a"), one("b"))
    home, _ = chosen(*idle, affinity=token(1))
    other = "b" if home == "a" else "a"
    full = tuple(one(name, in_flight=10 if name == home else 0) for name in ("a", "b"))
    assert chosen(*full, affinity=token(1)) == (other, "affinity_overloaded")


@given(
    st.lists(st.integers(1, 20), min_size=2, max_size=6),
    st.integers(1, 300),
    st.integers(0, 2**32),
)
def test_one_affinity_never_overloads_a_deployment(
    weights: list[int], requests: int, number: int
) -> None:
    """However many requests share one beginning, nobody carries more than the stated factor."""
    load = [0] * len(weights)
    for turn in range(requests):
        candidates = [
            one(f"d{i}", weight=weight, in_flight=load[i]) for i, weight in enumerate(weights)
        ]
        name, _ = chosen(*candidates, turn=turn, affinity=token(number))
        load[int(name[1:])] += 1
        for weight, carried in zip(weights, load, strict=True):
            fair = LOAD_FACTOR * sum(load) * weight / sum(weights)
            assert carried <= fair + 1


def fields(**given: object) -> dict[str, msgspec.Raw]:
    encoded = msgspec.json.encode(given)
    return msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])


LONG = "You are a helpful assistant. " * 200


def test_what_the_customer_names_comes_before_what_prompts_share() -> None:
    messages = [{"role": "system", "content": LONG}]
    named = affinity_of("key_1", fields(prompt_cache_key="p", user="u", messages=messages))
    assert named.source == "prompt_cache_key"
    assert affinity_of("key_1", fields(user="u", messages=messages)).source == "user"
    assert affinity_of("key_1", fields(messages=messages)).source == "prefix"
    assert affinity_of("key_1", fields(prompt_cache_key=None, user="", messages=[])) == NONE
    assert named == affinity_of("key_1", fields(prompt_cache_key="p", messages=[]))


def test_a_common_beginning_joins_requests_and_a_short_one_does_not() -> None:
    def asked(question: str, system: str = LONG) -> Affinity:
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
        ]
        return affinity_of("key_1", fields(messages=messages))

    assert len(LONG) > PREFIX_BYTES
    assert asked("one") == asked("two")
    assert asked("one", LONG[::-1]) != asked("one")
    assert asked("one", "Be brief.") == NONE


def test_keys_share_no_affinity() -> None:
    given = fields(prompt_cache_key="p", messages=[])
    assert affinity_of("key_1", given) != affinity_of("key_2", given)


def test_tools_stand_before_the_messages_in_what_a_server_caches() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": LONG}}]
    short = [{"role": "user", "content": "Hello"}]
    assert affinity_of("key_1", fields(messages=short)) == NONE
    assert affinity_of("key_1", fields(messages=short, tools=tools)).source == "prefix"
