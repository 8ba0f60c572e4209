"""How often an 80 % interval of a share holds the share behind it, and where its curve comes from.

    python bench/share_interval.py [--windows 20000] [--fit] [--json]

Windows are pieces of AR(1) sequences. Printed is the coverage by length and correlation; `--fit`
finds again, for each length, the a, b, c of `stats.ratio_interval`: the curve of critical values
exp(a + b r + c r**2) over the measured correlation r at which the interval covers 80 % whatever
the true correlation, and the coverage of the curve that it finds.
"""

import argparse
import json

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from quartermaster.stats.ratio_interval import LEVEL, critical_value

MONTHS = (12, 14, 18, 24, 36, 60, 120)
CORRELATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
SEED = 20240801
BAR = (0.77, 0.83)
SMOOTH = 0.03
"""Of the step from outside to inside, in logarithms, while the curve is fitted."""

Doubles = npt.NDArray[np.float64]


def windows(
    draw: np.random.Generator, months: int, correlation: float, count: int
) -> tuple[Doubles, Doubles]:
    """Logarithm of the studentised error of the mean, and the measured correlation, of each."""
    x = np.empty((count, months))
    x[:, 0] = draw.standard_normal(count)
    for at in range(1, months):
        shock = np.sqrt(1 - correlation**2) * draw.standard_normal(count)
        x[:, at] = correlation * x[:, at - 1] + shock
    errors = x - x.mean(axis=1, keepdims=True)
    squares = (errors**2).sum(axis=1)
    standard = np.sqrt(squares / (months - 1) / months)
    near = (errors[:, 1:] * errors[:, :-1]).sum(axis=1) / squares
    return np.log(np.abs(x.mean(axis=1)) / standard), near


def fitted(samples: list[tuple[Doubles, Doubles]]) -> Doubles:
    """c, b, a of the curve that covers most alike."""

    def miss(curve: Doubles) -> float:
        inside = [1 / (1 + np.exp((t - np.polyval(curve, r)) / SMOOTH)) for t, r in samples]
        return 1e4 * sum(float(one.mean() - LEVEL) ** 2 for one in inside)

    options = {"maxiter": 400, "fatol": 1e-4, "xatol": 1e-4}
    found: Doubles = minimize(miss, [0.8, 1.2, 0.3], method="Nelder-Mead", options=options).x
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=20_000)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    draw, rows = np.random.default_rng(SEED), []
    for months in MONTHS:
        samples = [windows(draw, months, r, given.windows) for r in CORRELATIONS]
        values = [np.log([critical_value(months, one) for one in near]) for _, near in samples]
        covers = [float((t <= v).mean()) for (t, _), v in zip(samples, values, strict=True)]
        row: dict[str, object] = {"months": months, "covers": covers}
        if given.fit:
            curve = fitted(samples)
            row["curve"] = [round(float(x), 3) for x in curve[::-1]]
            row["curve_covers"] = [float((t <= np.polyval(curve, r)).mean()) for t, r in samples]
        rows.append(row)
        if not given.json:
            print(months, " ".join(f"{one:.3f}" for one in covers), row.get("curve", ""))
    met = all(BAR[0] <= one <= BAR[1] for row in rows for one in row["covers"])  # type: ignore[attr-defined]
    if given.json:
        print(json.dumps({"correlations": CORRELATIONS, "rows": rows, "met": met}, indent=2))
    else:
        print(f"{'met   ' if met else 'MISSED'}  every coverage between 77 and 83 %")


if __name__ == "__main__":
    main()
