"""Settings of metering that cannot work are refused by name."""

import msgspec
import pytest

from quartermaster.kernel.errors import ConfigError
from quartermaster.usage.settings import SECONDS_MAX, UsageSettings


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("seal_seconds", -1),
        ("seal_seconds", "nan"),
        ("seal_seconds", SECONDS_MAX + 1),
        ("drain_seconds", "inf"),
        ("seal_bytes", 0),
    ],
)
def test_a_setting_that_cannot_work_is_named(setting: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        msgspec.convert({setting: value}, UsageSettings, strict=False)
    assert caught.value.field == f"usage.{setting}"


def test_the_edges_can_be_used() -> None:
    UsageSettings(seal_seconds=0, seal_bytes=1, drain_seconds=SECONDS_MAX)
