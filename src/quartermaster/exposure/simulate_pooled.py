"""The compiled loop over customers in closed form: their mean given the factors, and its noise."""

import numpy as np

from quartermaster.exposure.simulate_factors import REST, hold_kind
from quartermaster.exposure.simulate_world import LANES
from quartermaster.stats.random_stream import Compiled, compiled, inlined, normal_pair, philox

# Departures that are that rare within the horizon are linear in their hazard.
_RARE = 1e-6


@inlined
def _leave_alike(rest: Compiled, c: Compiled) -> Compiled:
    """Whether a class leaves as the one before it does."""
    return (
        rest.hazard[c] == rest.hazard[c - 1]
        and rest.notice[c] == rest.notice[c - 1]
        and rest.ramp[c] == rest.ramp[c - 1]
    )


@compiled
def add_rest(
    ids: Compiled,
    world: Compiled,
    rest: Compiled,
    kinds: Compiled,
    key: Compiled,
    factors: Compiled,
    total: Compiled,
) -> None:
    """Add the other customers: their mean given the factors, and normal noise of its size."""
    frailty = factors.frailty
    months = rest.usage.shape[1]
    variance = np.zeros(LANES, np.float32)
    value = np.empty(LANES, np.float32)
    unaffected = np.empty(LANES, np.float32)
    lines = np.empty((months, LANES), np.float32)
    top = rest.noise.shape[1] - 2
    for c in range(rest.usage.shape[0]):
        margins = factors.margins[hold_kind(kinds.of_class[c], kinds, factors)]
        leaves = np.float32(1.0) - rest.kept[c]
        if c == 0 or not _leave_alike(rest, c):
            _lost_shares(rest, c, frailty, lines)
        value[:] = 0
        unaffected[:] = 0
        for t in range(months):
            u, r = rest.usage[c, t], leaves * (np.float32(1.0) - world.refill[t])
            for lane in range(LANES):
                whole = u * margins[t, lane]
                unaffected[lane] += whole
                value[lane] += whole * (np.float32(1.0) - r * lines[t, lane])
        for lane in range(LANES):
            total[lane] += np.float64(value[lane] - world.against_path * unaffected[lane])
            place = frailty[lane] / rest.grid_step
            low = min(np.int64(place), np.int64(top))
            part = min(place - np.float32(low), np.float32(1.0))
            spread = rest.noise[c, low] + part * (rest.noise[c, low + 1] - rest.noise[c, low])
            variance[lane] += (spread * unaffected[lane]) ** 2
    for lane in range(LANES):
        a, b, _, _ = philox(ids[lane], np.uint32(0), np.uint32(0), REST, key[0], key[1])
        total[lane] += np.float64(np.sqrt(variance[lane]) * normal_pair(a, b)[0])


@compiled
def _lost_shares(rest: Compiled, c: Compiled, frailty: Compiled, out: Compiled) -> None:
    """Expected share of usage gone in each month given frailty, for departures at random times.

    The chance to have left, averaged over a ramp: (A(t) - A(t - ramp)) / ramp, where A(x) is the
    integral of 1 - exp(-h u) from 0 to x, that is x - (1 - exp(-h x)) / h, and 0 before 0.
    """
    ramp, notice = np.float64(rest.ramp[c]), np.float64(rest.notice[c])
    for lane in range(LANES):
        hazard = np.float64(rest.hazard[c]) * np.float64(frailty[lane])
        if hazard * out.shape[0] < _RARE:
            # Second order: below it the difference loses its digits.
            for t in range(out.shape[0]):
                late = max(t + 0.5 - notice, 0.0)
                later = max(t + 0.5 - notice - ramp, 0.0)
                out[t, lane] = np.float32(0.5 * hazard * (late * late - later * later) / ramp)
            continue
        # exp(-h x) is computed in the first month after 0 and goes on by one factor a month.
        step, scale = np.exp(-hazard), 1.0 / hazard
        stays = later_stays = 1.0
        for t in range(out.shape[0]):
            late, later = t + 0.5 - notice, t + 0.5 - notice - ramp
            line = before = 0.0
            if late > 0:
                stays = np.exp(-hazard * late) if late <= 1 else stays * step
                line = late - (1.0 - stays) * scale
            if later > 0:
                later_stays = np.exp(-hazard * later) if later <= 1 else later_stays * step
                before = later - (1.0 - later_stays) * scale
            out[t, lane] = np.float32((line - before) / ramp)
