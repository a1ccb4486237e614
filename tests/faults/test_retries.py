"""What passes is waited for, what lasts is given up by name, and whatever was paid for is kept."""

import math
import threading

import pytest

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidInputError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
    events,
)
from embedbridge._core.retry import OwnPauses, RetryBudget
from embedbridge.testing import contains
from support.cases import each
from support.waiting import until

from . import case
from .apis import OPENAI, each_client
from .client import about, corpus

openai_only = pytest.mark.parametrize("api", [OPENAI], ids=str)


def always(_):
    return True


# Too many requests.


@case(1)
@each_client
def test_a_pause_that_the_provider_asks_for_is_kept(client, server):
    server.script("429:retry-after=0.2")
    report = client.embed(corpus(3)).report
    first, second = server.requests.to(client.api.dialect)
    assert second.at - first.at >= 0.2
    assert server.stats.billed == client.once(corpus(3))
    assert report.retries == 1
    assert 0.2 <= report.waited < 0.4


@case(1)
@each_client
@each("fault", ["429:retry-after-ms=200", "503:retry-after=0.2"])
def test_the_pause_may_be_in_milliseconds_and_come_with_other_errors(client, server, fault):
    texts = corpus(3, fault)
    server.reset()
    server.script(fault)
    client.embed(texts)
    first, second = server.requests.to(client.api.dialect)
    assert second.at - first.at >= 0.2
    assert server.stats.billed == client.once(texts)


@case(1)
@openai_only
def test_the_pause_may_be_a_date(client, server):
    server.script("429:retry-after=1;date=1")
    client.embed(corpus(3))
    first, second = server.requests.to(client.api.dialect)
    assert second.at - first.at >= 1.0


@case(1)
@each_client
def test_a_pause_holds_for_all_batches(client, server):
    server.on(contains("text 0 of"), "429:retry-after=0.4", times=1)
    server.on(contains("text 1 of"), "stall:s=0.2")  # a busy machine reads the refusal before that answer
    client.embed(corpus(6), batch_size=1, concurrency=2)
    refused = next(request for request in server.requests if request.status == 429)
    end = refused.at + refused.took
    # But for what was on its way when the answer was.
    assert len([request for request in server.requests if end < request.at < end + 0.35]) <= 2
    assert server.stats.billed == client.once(corpus(6))


@case(2)
@each_client
def test_a_senseless_pause_is_replaced_by_our_own(client, server):
    asked = ["abc", "-5", "nan", "inf", "0", "", "Wed, 21 Oct 2015 07:28:00 GMT"]
    for value in asked:  # each to an embedder of its own: of seven refusals and no answer, the pace would be slow
        with about(value):
            server.reset()
            server.script(f"429:retry-after={value}")
            report = client.embed(corpus(1, f"asked for {value}"), cache=False).report
            assert server.stats.calls == 2
            assert server.stats.billed == client.once(corpus(1, f"asked for {value}"))
            assert 0 < report.seconds < 5


@case(3)
@each_client
@each(("deadline", "kind"), [(30, DeadlineExceededError), (None, RateLimitTimeoutError)])
def test_a_pause_that_is_too_long_is_not_waited_for(client, server, deadline, kind):
    texts = corpus(8, f"deadline {deadline}, text")
    server.reset()
    server.on(contains("text 4 of"), "429:retry-after=200")
    error = client.fails(kind, texts, batch_size=1, concurrency=2, deadline=deadline)
    assert server.stats.statuses[429] == 1
    assert not [event for event in client.events if isinstance(event, events.LimitWaited)]
    assert {0, 1, 2} <= {*error.completed}
    client.resume(texts, error)


@case(4)
def test_a_used_up_quota_is_not_waited_for(client, server):
    server.on(contains("text 4 of"), "quota")
    error = client.fails(QuotaExceededError, corpus(8), batch_size=2, concurrency=1)
    assert server.stats.calls == 3
    assert error.completed == (0, 1, 2, 3)
    client.resume(corpus(8), error)


@case(5)
@each_client
def test_a_provider_that_only_says_slow_down_is_asked_six_times(client, server):
    server.on(always, "429")
    error = client.fails(RateLimitTimeoutError, corpus(4))
    assert server.stats.calls == 6
    client.resume(corpus(4), error)


@case(5)
@each_client
def test_a_provider_that_lets_nothing_through_is_not_asked_for_every_batch(client, server):
    server.on(always, "429")
    client.fails(RateLimitTimeoutError, corpus(20), batch_size=1, concurrency=2)
    assert server.stats.calls <= 12


@pytest.fixture
def pauses():
    """Sets the longest pause of our own, until the test ends."""
    with pytest.MonkeyPatch.context() as patch:  # one of its own, which ends before that of shorter pauses
        yield lambda seconds: patch.setattr(OwnPauses, "longest", seconds)


# Server errors.


@case(6)
@each_client
def test_a_passing_server_error_is_healed(client, server):
    passing = ["500", "502", "503", "504", "529", "html", "408", "409", "425"]
    for i, fault in enumerate(passing):
        server.on(contains(f"text {i} of"), fault, times=1)
    report = client.embed(corpus(len(passing)), batch_size=1).report
    assert report.retries == len(passing)
    assert server.stats.billed == client.once(corpus(len(passing)))


@case(7)
@each_client
def test_of_ten_batches_only_the_text_at_which_the_server_fails_is_lost(client, server):
    server.on(contains("text 12 of"), "500")
    error = client.fails(ProviderUnavailableError, corpus(20), batch_size=2)
    assert error.failed_indices == (12,)
    assert server.stats.calls == 9 + 6 + 1 + 2  # text 13 by itself, then text 12, which fails twice
    assert not server.stats.again()
    client.resume(corpus(20), error)


@pytest.fixture
def _ten_retries(monkeypatch):
    """All batches of an embedder have ten retries together, in place of a hundred."""
    monkeypatch.setattr(RetryBudget, "FULL", 10 * RetryBudget.RETRY)


@case(7)
@each_client
@pytest.mark.usefixtures("_ten_retries")
def test_a_provider_that_is_down_is_given_up_for_all_batches(client, server):
    server.on(always, "500")
    error = client.fails(ProviderUnavailableError, corpus(40), batch_size=1, concurrency=8)
    assert server.stats.calls < 40
    client.resume(corpus(40), error)


@case(8)
@each_client
def test_a_connection_that_breaks_before_any_work_costs_nothing(client, server):
    breaks = ["reset", "close", "stale", "closeafter"]
    for i, fault in enumerate(breaks):
        server.on(contains(f"text {i} of"), fault, times=1)
    client.embed(corpus(8), batch_size=1, concurrency=1)
    assert server.stats.billed == client.once(corpus(8))


@case(9)
@each_client
def test_a_lost_answer_is_paid_twice_and_says_so(client, server):
    for i, fault in enumerate(["reset:at=headers", "close:at=headers", "reset:at=mid", "close:at=mid"]):
        server.on(contains(f"text {2 * i} of"), fault, times=1)
    report = client.embed(corpus(12), batch_size=2).report
    assert server.stats.again() == client.twice(corpus(8))
    assert report.paid_again == 8


@case(22)
@each_client
def test_a_server_that_restarts_is_waited_for(client, server, pauses):
    pauses(0.4)
    client.embed(corpus(4), embedder=(embedder := client.open(batch_size=1, concurrency=1)))
    server.stop()
    back = threading.Timer(0.2, server.start)
    back.start()
    client.embed(corpus(8), embedder=embedder)
    back.join()
    assert server.stats.billed == client.once(corpus(8))


@case(22)
@pytest.mark.slow
@openai_only
def test_three_seconds_of_absence_in_the_middle_of_a_job_are_bridged(client, server, pauses):
    pauses(math.inf)
    server.latency = type(server.latency)(base=0.05)

    def restart():
        until(lambda: server.stats.served >= 5)
        server.stop()
        threading.Event().wait(3)
        server.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    client.embed(corpus(40), batch_size=2, concurrency=2)
    restarting.join()
    assert len(server.stats.again()) <= 4  # what was under way


# Refusals.


@case(19)
@each_client
def test_a_key_that_is_revoked_ends_the_job_and_what_was_under_way_is_kept(client, server):
    server.latency = type(server.latency)(base=0.1)
    server.on(contains("text 8 of"), "401")
    error = client.fails(AuthenticationError, corpus(40), batch_size=2, concurrency=3)
    assert server.stats.statuses[401] == 2  # a gateway may be renewing its own token
    assert server.stats.calls <= 4 + 3 + 4
    assert [client.api.sent(corpus(40)[index]) in server.stats.billed for index in range(40)] == [
        index in error.completed for index in range(40)
    ]
    client.resume(corpus(40), error)


@case(20)
def test_a_missing_model_is_named_with_the_server_that_lacks_it(client, server):
    server.on(always, f"404:message=model '{client.api.model}' not found;code=model_not_found")
    error = client.fails(ConfigurationError, corpus(300), batch_size=100, concurrency=1)
    assert server.stats.calls == 1
    assert client.api.model in str(error)
    assert f"127.0.0.1:{server.port}" in str(error)
    assert client.api.name != "ollama" or "ollama pull" in str(error)


@case(21)
@each_client
def test_one_poisonous_text_is_found_and_the_others_are_kept(client, server):
    embedder = client.open()
    for fault, count, guilty in (("400", 100, 57), ("413", 4, 2), ("422", 4, 2)):
        with about(fault):
            texts = corpus(count, fault)
            server.reset()
            server.on(contains(f"{guilty} of"), fault)
            error = client.fails(InvalidInputError, texts, embedder=embedder)
            assert (error.index, error.failed_indices) == (guilty, (guilty,))
            assert f"text {guilty}" in str(error)
            assert server.stats.billed == client.once(text for text in texts if text is not texts[guilty])
            assert server.stats.calls <= 1 + 15
            client.resume(texts, error, embedder=embedder)


@case(21)
@each_client
def test_two_poisonous_texts_are_found(client, server):
    for i in (3, 30):
        server.on(contains(f"text {i} of"), "400")
    error = client.fails(InvalidInputError, corpus(40))
    assert error.failed_indices == (3, 30)
    client.resume(corpus(40), error)
