"""Counter-based random numbers: each is a pure function of seed and position, in any order.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
a counter of four 32-bit words and a key of two give four random words. There is no state to
advance, so threads, batches and a later look at single scenarios all see the same numbers, and
two worlds that differ in one contract can be compared draw by draw.

Normals are made by Box and Muller (1958) from 32 bits of radius and 32 of angle, in float32:
|z| is at most 6.8. Words and normals are made in two short loops rather than one long one: a loop
that fits the processor's window overlaps its passes, which is worth a tenth. Every function here
compiles into its caller (numba, inlined), where the loop over scenarios becomes vector
instructions. The file and its callers share a compiled cache; after editing this file, delete the
caches of the callers (`__pycache__/*.nb?`).
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from quartermaster.kernel.errors import UsageError

FLAGS = {"contract", "nnan", "ninf", "nsz", "arcp"}
"""What the compiler may assume: fused multiply-add and no NaN. Not `reassoc`, which would let the
order of a sum depend on the vector width."""

SEED_MAX = 2**64 - 1
"""The key of Philox4x32 has two words of 32 bits."""

Compiled: TypeAlias = Any
"""What numba types by itself: scalars of 32 bits and slices of arrays."""

F = TypeVar("F", bound=Callable[..., Any])
Words = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]

# Multipliers and Weyl increments of Philox4x32 as published.
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_WORD = np.uint64(32)
_UNIT = np.float32(2.0**-32)
_HALF_UNIT = np.float32(2.0**-33)
_BELOW_ONE = np.float32(1.0 - 2.0**-24)
_QUARTER_UNIT = np.float32(2.0**-30)
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_MANTISSA = np.int32(0x007FFFFF)
_EXPONENT = np.int32(23)
_ROUNDER = np.float32(12_582_912.0)


def key_of(seed: int) -> tuple[np.uint32, np.uint32]:
    """The two words of the key.

    Raises:
        UsageError: negative, or above `SEED_MAX`.
    """
    if not 0 <= seed <= SEED_MAX:
        raise UsageError(
            f"seed {seed} is not between 0 and {SEED_MAX}",
            hint="any smaller number does",
            field="seed",
        )
    return np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)


def inlined(function: F) -> F:
    """Compile into every caller, so that a loop there becomes vector instructions."""
    found: F = njit(forceinline=True, fastmath=FLAGS)(function)
    return found


def compiled(function: F) -> F:
    """Compile as a function of its own, for compiled callers."""
    found: F = njit(nogil=True, fastmath=FLAGS)(function)
    return found


def cached(function: F) -> F:
    """Compile as an entry from Python, kept on disk; lets other threads run meanwhile."""
    found: F = njit(nogil=True, cache=True, fastmath=FLAGS)(function)
    return found


@inlined
def _round(
    c0: Compiled, c1: Compiled, c2: Compiled, c3: Compiled, k0: Compiled, k1: Compiled
) -> Compiled:
    p0 = _M0 * np.uint64(c0)
    p1 = _M1 * np.uint64(c2)
    return (
        np.uint32(np.uint32(p1 >> _WORD) ^ c1 ^ k0),
        np.uint32(p1),
        np.uint32(np.uint32(p0 >> _WORD) ^ c3 ^ k1),
        np.uint32(p0),
    )


@inlined
def philox(
    c0: Compiled, c1: Compiled, c2: Compiled, c3: Compiled, k0: Compiled, k1: Compiled
) -> Compiled:
    """Four random words of one counter; ten rounds written out, so that loops over it vectorise."""
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    return _round(c0, c1, c2, c3, k0, k1)


@inlined
def uniform(word: Compiled) -> Compiled:
    """A float32 in (0, 1), both ends excluded: its logarithm exists and is below zero."""
    return min(np.float32(word) * _UNIT + _HALF_UNIT, _BELOW_ONE)


@inlined
def log_fast(x: Compiled) -> Compiled:
    """Natural logarithm of a positive float32, relative error below 2e-7 (Cephes `logf`)."""
    bits = np.int32(np.float32(x).view(np.int32) - _SQRT_HALF_BITS)
    power = np.float32(np.int32(bits >> _EXPONENT))
    m = np.int32((bits & _MANTISSA) + _SQRT_HALF_BITS).view(np.float32) - np.float32(1.0)
    p = np.float32(7.0376836292e-2)
    p = p * m - np.float32(1.1514610310e-1)
    p = p * m + np.float32(1.1676998740e-1)
    p = p * m - np.float32(1.2420140846e-1)
    p = p * m + np.float32(1.4249322787e-1)
    p = p * m - np.float32(1.6668057665e-1)
    p = p * m + np.float32(2.0000714765e-1)
    p = p * m - np.float32(2.4999993993e-1)
    p = p * m + np.float32(3.3333331174e-1)
    return m - np.float32(0.5) * m * m + p * m * m * m + power * np.float32(0.69314718056)


@inlined
def exp2_fast(x: Compiled) -> Compiled:
    """2**x of a float32 between -126 and 127, relative error below 5e-6.

    The sum with 1.5 * 2**23 leaves the nearest whole number in the low bits of its own pattern;
    the rest goes through a polynomial, and the whole number into the exponent.
    """
    shifted = np.float32(x + _ROUNDER)
    f = x - (shifted - _ROUNDER)
    # 2**f on [-0.5, 0.5] through five Chebyshev nodes: relative error 3.5e-6.
    p = np.float32(9.66636997e-3)
    p = p * f + np.float32(5.592198e-2)
    p = p * f + np.float32(2.4022349e-1)
    p = p * f + np.float32(6.9312105e-1)
    p = np.float32(p * f + np.float32(1.0))
    power = np.int32(shifted.view(np.int32) << _EXPONENT)
    return np.int32(p.view(np.int32) + power).view(np.float32)


@inlined
def normal_pair(word: Compiled, other: Compiled) -> Compiled:
    """Two independent standard normals from two words, by Box and Muller."""
    radius = np.sqrt(np.float32(-2.0) * log_fast(uniform(word)))
    # Two bits choose the quadrant, thirty the angle from -pi/4 to pi/4 within it.
    angle = (
        np.float32(np.int32(other & np.uint32(0x3FFFFFFF))) * _QUARTER_UNIT - np.float32(0.5)
    ) * np.float32(1.57079632679)
    square = angle * angle
    sine = angle * (
        np.float32(1.0)
        + square
        * (
            np.float32(-1.6666654611e-1)
            + square * (np.float32(8.3321608736e-3) - square * np.float32(1.9515295891e-4))
        )
    )
    cosine = (
        np.float32(1.0)
        - np.float32(0.5) * square
        + square
        * square
        * (
            np.float32(4.166664568298827e-2)
            + square * (np.float32(-1.388731625493765e-3) + square * np.float32(2.443315711809e-5))
        )
    )
    turned = (other & np.uint32(0x40000000)) != 0
    first = sine if turned else cosine
    second = cosine if turned else sine
    negative = (other & np.uint32(0x80000000)) != 0
    radius = -radius if negative else radius
    return radius * first, radius * second


@inlined
def draw_words(
    positions: Compiled,
    which: Compiled,
    part: Compiled,
    purpose: Compiled,
    key: Compiled,
    words: Compiled,
) -> None:
    """Four words for each position, into (4, n): a counter is (position, which, part, purpose)."""
    c1, c2, c3 = np.uint32(which), np.uint32(part), np.uint32(purpose)
    first, second, third, fourth = words[0], words[1], words[2], words[3]
    for at in range(positions.size):
        a, b, c, d = philox(positions[at], c1, c2, c3, key[0], key[1])
        first[at] = a
        second[at] = b
        third[at] = c
        fourth[at] = d


@inlined
def draw_normals(words: Compiled, normals: Compiled) -> None:
    """Four normals from each four words, into (4, n)."""
    a, b, c, d = words[0], words[1], words[2], words[3]
    first, second, third, fourth = normals[0], normals[1], normals[2], normals[3]
    for at in range(a.size):
        first[at], second[at] = normal_pair(a[at], b[at])
        third[at], fourth[at] = normal_pair(c[at], d[at])


@inlined
def draw_exponentials(words: Compiled, exponentials: Compiled) -> None:
    """Four standard exponentials from each four words, into (4, n)."""
    for row in range(words.shape[0]):
        for at in range(words.shape[1]):
            exponentials[row, at] = -log_fast(uniform(words[row, at]))


@cached
def fill_words(counters: Words, key0: Compiled, key1: Compiled, out: Words) -> None:
    """Philox over rows of counters (n, 4) into (n, 4): for tests against published vectors."""
    for row in range(counters.shape[0]):
        a, b, c, d = philox(
            counters[row, 0], counters[row, 1], counters[row, 2], counters[row, 3], key0, key1
        )
        out[row, 0], out[row, 1], out[row, 2], out[row, 3] = a, b, c, d


@cached
def fill_normals(
    positions: Words, stream: Compiled, key0: Compiled, key1: Compiled, out: Floats
) -> None:
    """Four normals for each position of one stream, into (4, n)."""
    words = np.empty(out.shape, np.uint32)
    draw_words(positions, stream, 0, 0, (key0, key1), words)
    draw_normals(words, out)
