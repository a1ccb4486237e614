"""What a batch's failure leads to: the same again, a division, or the end."""

import pytest

from embedbridge._core.blame import Blame, blame_of
from embedbridge._core.retry import Verdict, as_error, judge
from embedbridge.errors import ConfigurationError, InvalidInputError, ProviderUnavailableError, RequestFailed


@pytest.mark.parametrize("status", [408, 409, 424, 425, 499, 500, 503, 520, 529, 599])
def test_what_may_pass_is_asked_for_again_and_is_the_servers_fault_at_the_end(status):
    """W7: also a model behind the server that failed (424) and a proxy that gave up (499)."""
    failure = RequestFailed("no", status=status)
    assert judge(failure) is Verdict.AGAIN
    assert type(as_error(failure, "w")) is ProviderUnavailableError


@pytest.mark.parametrize("status", [404, 405, 415, 417])
def test_what_no_second_request_changes_ends_the_call(status):
    failure = RequestFailed("no", status=status)
    assert judge(failure) is Verdict.STOP
    assert type(as_error(failure, "w")) is ConfigurationError


def test_what_the_law_forbids_may_be_one_text():
    """So the others are asked for."""
    failure = RequestFailed("no", status=451)
    assert judge(failure) is Verdict.DIVIDE
    assert type(as_error(failure, "w")) is InvalidInputError


@pytest.mark.parametrize(("status", "blame"), [(424, Blame.SERVER), (500, Blame.SERVER), (499, Blame.NOTHING)])
def test_a_fault_that_may_be_a_texts_is_looked_for_in_the_batch(status, blame):
    """W3: TEI answers 424 where its model fails."""
    assert blame_of(RequestFailed("no", status=status), accepted=False) is blame
