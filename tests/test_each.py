"""The loop that stands for a parametrised test fails as that would, and names every case that is wrong."""

import pytest

from support.cases import each


def test_every_case_that_is_wrong_is_named_and_those_after_it_are_tried():
    tried = []

    @each(("number", "limit"), [(1, 5), (7, 5), (2, 5), (9, 5)])
    @each("step", (0, 1))
    def check(number, limit, step, place):
        tried.append((number, step, place))
        with pytest.raises(ValueError, match="large") if number == 9 else pytest.MonkeyPatch.context():
            assert number < limit or number == 9

    with pytest.raises(AssertionError, match=r"2 of 4 cases are wrong(?s:.*)'number': 7(?s:.*)'number': 9"):
        check(place="here")
    assert tried == [(number, step, "here") for number in (1, 7, 2, 9) for step in (0, 1)]


def test_no_case_is_no_test():
    with pytest.raises(AssertionError, match="no case"):
        each("path", [])
