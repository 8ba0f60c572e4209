"""Make forecasts of parts and of their sum agree.

Parts forecast one by one rarely add up to the forecast of their sum. The difference is given to
the parts, each in proportion to the variance of its forecast error, and the sum is then whatever
the parts sum to. This is minimum-trace reconciliation (Wickramasuriya, Athanasopoulos and
Hyndman, 2019) of a two-level hierarchy with a diagonal covariance, in closed form.

Assumes: unbiased base forecasts; error variances as given; errors uncorrelated.
Guarantee: the parts add up; with the right variances no other unbiased linear adjustment has a
smaller total error variance. Without variances it is bottom-up: the parts stay as they are.
"""

from collections.abc import Sequence

from quartermaster.kernel.errors import UsageError


def reconciled(
    total: float, parts: Sequence[float], total_variance: float, variances: Sequence[float]
) -> list[float]:
    """The parts, moved so that their sum uses the forecast of the total as far as it is worth.

    Args:
        total: base forecast of the sum.
        parts: base forecasts of the parts.
        total_variance: error variance of `total`.
        variances: error variances of `parts`.

    Raises:
        UsageError: another number of variances than parts, or a negative variance.
    """
    if len(parts) != len(variances) or min([total_variance, *variances]) < 0:
        raise UsageError("every part needs an error variance of zero or more")
    whole = total_variance + sum(variances)
    if whole <= 0:
        return list(parts)
    gap = total - sum(parts)
    return [part + gap * variance / whole for part, variance in zip(parts, variances, strict=True)]
