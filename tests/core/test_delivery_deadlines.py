"""What the error of a deadline says, for waits that no server is needed to show."""

import pytest

from embedbridge._core.flow import embed
from embedbridge.errors import DeadlineExceededError, RequestFailed

from .parts import Hand, make_job, make_setting, reply_to


def error_of(setting, texts=("a",), answer=reply_to):
    with pytest.raises(DeadlineExceededError) as caught:
        Hand(setting.clock, answer).run(embed(make_job(setting, list(texts), seconds=2.0)))
    return str(caught.value)


def test_a_pause_before_the_next_attempt_is_named_with_its_cause():
    def busy(_):
        raise RequestFailed("the server is busy", status=503, retry_after=9)

    assert error_of(make_setting(), answer=busy).endswith(
        "the deadline would pass in the next 9 s, while waiting to ask again after a failure (the server is busy)"
    )


@pytest.mark.parametrize("step", ["connecting", "sending the request", "receiving the answer"])
def test_a_request_that_the_deadline_cuts_short_is_named_by_its_step(step):
    setting = make_setting()

    def late(_):
        setting.clock.now += 2.0
        raise RequestFailed("late", kind="timeout", doing=step)

    assert error_of(setting, answer=late).endswith(f"the deadline passed while {step}")
