"""Counts add up axis by axis."""

from quartermaster.kernel.units import AXES, Counts


def test_counts_add_axis_by_axis() -> None:
    one = Counts(*range(1, len(AXES) + 1))
    assert one + one == Counts(*(2 * n for n in range(1, len(AXES) + 1)))
    assert one + Counts() == one


def test_only_axes_with_a_quantity_are_listed() -> None:
    assert Counts(input=3, reasoning=2).items() == [("input", 3), ("reasoning", 2)]
    assert Counts().items() == []


def test_images_are_not_tokens() -> None:
    assert Counts(input=1, output=2, cached_read=3, image=100).tokens == 6
