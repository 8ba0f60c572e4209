"""Hashes of consecutive words, from the keyed hashes of the words."""

import numpy as np
import numpy.typing as npt

HashArray = npt.NDArray[np.uint64]

MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio: spreads every bit."""
_SHIFT = np.uint64(29)


def shingled(hashes: HashArray, size: int) -> HashArray:
    """One hash for each run of `size` consecutive words; order counts."""
    count = len(hashes) - size + 1
    if count < 1:
        return np.empty(0, dtype=np.uint64)
    mixed = hashes[:count] * MIX
    for place in range(1, size):
        mixed ^= mixed >> _SHIFT
        mixed += hashes[place : place + count]
        mixed *= MIX
    mixed ^= mixed >> _SHIFT
    return mixed
