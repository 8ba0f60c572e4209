"""Random numbers: published vectors, the shape of the normals, accuracy of the fast functions."""

import numpy as np
import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.random_stream import (
    Floats,
    compiled,
    exp2_fast,
    fill_normals,
    fill_words,
    key_of,
    log_fast,
    uniform,
)

ONES = 0xFFFFFFFF
# Random123's known-answer file: philox4x32-10, counter, key, result.
VECTORS = [
    ([0, 0, 0, 0], 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([ONES] * 4, 2**64 - 1, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        0x299F31D0_A4093822,
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_philox_gives_the_published_words(
    counter: list[int], key: int, expected: list[int]
) -> None:
    out = np.empty((1, 4), np.uint32)
    fill_words(np.array([counter], np.uint32), *key_of(key), out)
    assert out[0].tolist() == expected


def test_a_seed_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="seed"):
        key_of(2**64)
    with pytest.raises(UsageError, match="seed"):
        key_of(-1)


def normals(seed: int, count: int) -> Floats:
    out = np.empty((4, count), np.float32)
    fill_normals(np.arange(count, dtype=np.uint32), np.uint32(3), *key_of(seed), out)
    return out


def test_normals_are_normal_and_uncorrelated() -> None:
    """Moments, pair correlations and tails, each within four and a half standard errors."""
    seed, count = 20240801, 1_000_000
    print(f"seed {seed}")
    found = normals(seed, count)
    every = found.ravel().astype(np.float64)
    total = every.size
    assert abs(every.mean()) < 4.5 / np.sqrt(total)
    assert abs((every**2).mean() - 1) < 4.5 * np.sqrt(2 / total)
    assert abs((every**3).mean()) < 4.5 * np.sqrt(15 / total)
    assert abs((every**4).mean() - 3) < 4.5 * np.sqrt(96 / total)
    correlations = np.asarray(np.corrcoef(found))[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(count)
    squares = np.asarray(np.corrcoef(found**2))[np.triu_indices(4, 1)]
    assert np.abs(squares).max() < 4.5 / np.sqrt(count)
    for bound, chance in ((1.0, 0.3173105), (2.0, 0.0455003), (3.0, 0.0026998), (4.0, 6.3342e-5)):
        share = (np.abs(every) > bound).mean()
        assert abs(share - chance) < 4.5 * np.sqrt(chance / total)


def test_a_position_gives_its_number_whatever_is_beside_it() -> None:
    whole = normals(7, 1_000)
    out = np.empty((4, 3), np.float32)
    fill_normals(np.array([999, 5, 17], np.uint32), np.uint32(3), *key_of(7), out)
    assert np.array_equal(out, whole[:, [999, 5, 17]])
    assert not np.array_equal(whole, normals(8, 1_000))


@compiled
def _each(x: Floats, powers: Floats, logs: Floats) -> None:
    for at in range(x.size):
        powers[at] = exp2_fast(x[at])
        logs[at] = log_fast(uniform(np.uint32(at * 4_294)))


def test_fast_functions_are_as_accurate_as_they_say() -> None:
    x = np.linspace(-60, 60, 1_000_000).astype(np.float32)
    powers, logs = np.empty_like(x), np.empty_like(x)
    _each(x, powers, logs)
    assert np.abs(powers / np.exp2(x.astype(np.float64)) - 1).max() < 5e-6
    words = (np.arange(x.size, dtype=np.uint64) * 4_294).astype(np.uint32).astype(np.float32)
    inside = np.minimum(words * np.float32(2**-32) + np.float32(2**-33), np.float32(1 - 2**-24))
    exact = np.log(inside.astype(np.float64))
    assert np.abs(logs / exact - 1).max() < 3e-7


@compiled
def _ends(out: Floats) -> None:
    out[0] = uniform(np.uint32(0))
    out[1] = uniform(np.uint32(4_294_967_295))


def test_uniforms_exclude_both_ends() -> None:
    out = np.empty(2, np.float32)
    _ends(out)
    assert 0 < out[0] < 1e-9
    assert 1 - 1e-6 < out[1] < 1
