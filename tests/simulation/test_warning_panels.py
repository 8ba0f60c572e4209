"""The committed configuration on real panels holds what the documents say of it."""

import pytest
from tests.public_data import public_file

from bench.warning import cdnow
from bench.warning_trees import boosted_trees
from quartermaster.exposure.backtest import backtest
from quartermaster.exposure.panel_file import read_panel


@pytest.mark.parametrize(
    ("name", "brier_max"),
    [
        ("CTC-SP2-1996-3.1-cln.swf.gz", 0.220),
        pytest.param("HPC2N-2002-2.2-cln.swf.gz", 0.200, marks=pytest.mark.long),
    ],
)
def test_calibrated_and_better_than_the_baselines(name: str, brier_max: float) -> None:
    result = backtest(read_panel(public_file(f"panels/{name}")))
    model, baselines = result.scores[0], result.scores[1:]
    assert model.brier <= brier_max
    assert model.ece < result.ece_calibrated_p95
    assert model.log_loss <= min(score.log_loss for score in baselines)
    assert (model.revenue_auc or 0) >= max(score.revenue_auc or 0 for score in baselines)


@pytest.mark.long
def test_revenue_is_ranked_no_worse_than_by_boosted_trees() -> None:
    panel = cdnow(public_file("panels/CDNOW_master.txt.gz"))
    result = backtest(panel, extra={"boosted trees": boosted_trees})
    model, baselines = result.scores[0], result.scores[1:]
    assert model.ece < result.ece_calibrated_p95
    assert model.log_loss <= min(score.log_loss for score in baselines)
    assert (model.revenue_auc or 0) >= max(score.revenue_auc or 0 for score in baselines)
