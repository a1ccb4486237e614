"""The battery is whole: a case that no test shows, or that is shown in one way of calling only, fails here."""

from support.cases import each

from . import CASES, table


def test_no_case_was_left_out_of_the_list():
    assert list(CASES) == list(range(1, 75))


@each("number", CASES)
def test_every_case_is_shown_by_a_test_in_both_ways_of_calling(number):
    assert [name for name, is_both in table()[number].items() if is_both]
