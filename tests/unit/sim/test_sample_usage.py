"""The sample's usage: reproducible, of the sample book's customers, and with its parts played."""

import numpy as np

from quartermaster.exposure.access_signals import Access, access_signals
from quartermaster.exposure.contract_signals import contract_signals
from quartermaster.sim.book import sample_book
from quartermaster.sim.usage import DAYS, MODELS, WORKLOADS, sample_usage


def test_the_same_seed_gives_the_same_days() -> None:
    assert sample_usage() == sample_usage()
    assert sample_usage(1) != sample_usage()


def test_it_has_the_customers_of_the_sample_book_and_every_day() -> None:
    usage = sample_usage()
    assert set(usage.by_model) == {row.group for row in sample_book()} == set(usage.contracts)
    assert f"{usage.last_day:%Y-%m}" == max(row.month for row in sample_book())
    for customer, models in usage.by_model.items():
        total = np.sum(list(models.values()), axis=0)
        assert len(total) == DAYS
        loads = usage.by_workload[customer]
        assert set(models) == set(MODELS)
        assert set(loads) == set(WORKLOADS)
        assert np.allclose(total, np.sum(list(loads.values()), axis=0))
    assert all(one.sample for versions in usage.contracts.values() for one in versions)


def test_each_part_is_played_by_one_customer() -> None:
    usage, found = sample_usage(), list[str]()
    for customer in usage.by_model:
        access = Access(
            usage.last_day,
            {name: np.array(days) for name, days in usage.by_model[customer].items()},
            {name: np.array(days) for name, days in usage.by_workload[customer].items()},
            MODELS,
        )
        found += [signal.kind for signal in access_signals(access, "")]
        found += [s.kind for s in contract_signals(usage.contracts[customer], {}, usage.last_day)]
    assert sorted(found) == [
        "cheapest_model",
        "evaluation_then_decline",
        "notice_window",
        "workload_emptied",
    ]
