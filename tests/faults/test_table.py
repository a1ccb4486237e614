"""The battery is whole."""

from . import table


def test_every_case_is_shown_by_a_test():
    assert [number for number, tests in table().items() if not tests] == []
