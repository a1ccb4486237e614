"""The calls of `embedbridge.batch`."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence

from embedbridge._batch import collecting
from embedbridge._batch.statuses import BatchStatus, status_of
from embedbridge._core.prepare import check_input_type, check_texts
from embedbridge._core.types import InputType
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError

from ._steps import Chosen, Submission, check_queue, collect_all, desk_of, do, names_of, submit_texts


def submit(
    embedder: Embedder,
    texts: Iterable[str],
    *,
    input_type: InputType = "document",
    queue_tokens: int | None = None,
) -> Submission:
    """Hand texts to the provider's batch API: those that neither the cache has nor an earlier batch.

    They are checked, prefixed, cut and made distinct as in an ordinary call. Nothing is ever handed over twice, even
    where this process is killed: the next call finds what was made.

    Args:
        embedder: with a cache on disk or in Redis, where the vectors will be kept.
        texts: read once.
        input_type: their role, as of `Embedder.embed`.
        queue_tokens: tokens that may be on their way together, where the account has such a limit; what goes beyond is
            `left`.

    Returns:
        What was handed over, and what was not.

    Raises:
        ConfigurationError: the provider has no batch API, or the cache is none that another day's process can use.
        InvalidInputError: a text cannot be embedded; nothing was sent.
        BudgetExceededError: the batches could cost more than `max_cost` allows; nothing was sent.
        DeadlineExceededError: the embedder's `deadline` passed; what was handed over by then goes on.
        EmbeddingError: the provider cannot be reached, or refuses; or the cache or the ledger cannot be read, so that
            nothing was sent.
    """
    check_queue(queue_tokens)
    return submit_texts(embedder, texts, input_type, queue_tokens)


def status(embedder: Embedder, batches: Chosen = None) -> builtins.list[BatchStatus]:
    """Ask the vendor how far batches are.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: a name is not one that the ledger has, or the provider has no batch API.
        EmbeddingError: the provider cannot be reached, or refuses.
    """
    return [status_of(each) for each in do(desk_of(embedder), batches, collecting.look)]


def collect(
    embedder: Embedder,
    batches: Chosen = None,
    *,
    wait: bool = False,
    timeout: float | None = None,
    again: Iterable[str] | None = None,
    input_type: InputType = "document",
) -> builtins.list[BatchStatus]:
    """Take what came back into the cache: from any process, any day, and as often as you like.

    Every line passes the checks of an ordinary answer. Texts of a batch that has failed, expired or was cancelled, and
    of lines that are missing or wrong, are asked for by the next call that wants them.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.
        wait: until all of them have ended, and where none are named, those that others hand over meanwhile. One that
            is `lost` is not waited for.
        timeout: seconds for all of it; 0: one look, however long that takes; None: as long as it takes. The embedder's
            `deadline` holds besides.
        again: texts of which those are handed over anew that are not in the cache by then.
        input_type: their role.

    Returns:
        One for each batch, oldest first.

    Raises:
        DeadlineExceededError: some had not ended by then; what came back is in the cache.
        EmbeddingError: the provider cannot be reached, or the cache cannot store; nothing is lost.
    """
    check_input_type(input_type)
    again = None if again is None else check_texts(again)
    found = collect_all(desk_of(embedder), batches, wait=wait, timeout=timeout)
    if again is not None:
        submit(embedder, again, input_type=input_type)
        known = {each.id for each in found}
        found += [each for each in list(embedder) if not each.ended and each.id not in known]
    return found


def cancel(embedder: Embedder, batches: Chosen = None) -> builtins.list[BatchStatus]:
    """Have batches end early. What is worked out by then is billed, and `collect` takes it in.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: a name is not one that the ledger has, or the provider has no batch API.
        EmbeddingError: the provider cannot be reached, or refuses.
    """
    return [status_of(each) for each in do(desk_of(embedder), batches, collecting.cancel)]


def forget(embedder: Embedder, batches: Sequence[str | BatchStatus] | BatchStatus | str) -> builtins.list[BatchStatus]:
    """Wait for batches no more, without asking the vendor, so that their texts are asked for by whoever wants them.

    For those that are `lost`, or whose answers cannot be fetched for another reason. What came of them by now stays
    in the cache; what comes later is not taken in, though it may have been paid for.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: none is named, or a name is not one that the ledger has.
    """
    if names_of(batches) is None:
        raise ConfigurationError("batches: name those that are to be forgotten")
    return [status_of(each) for each in do(desk_of(embedder), batches, collecting.forget)]


def list(embedder: Embedder) -> builtins.list[BatchStatus]:  # noqa: A001 - as the vendors call it
    """All batches of this embedder, those that have ended too, as they were last heard of. Asks nobody.

    Args:
        embedder: of whose model they are.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: the provider has no batch API.
    """
    return [status_of(entry) for entry in desk_of(embedder).entries()]
