"""What results say of themselves to a person: counts with their nouns, money, and values that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .types import EndpointUse, Estimate, Report


SHORT = {"sentence-transformers": "local"}
"""A provider's own name, which is part of keys and spaces → what people are shown of it, where that is another."""


class Shown:
    """A value whose `str()` is meant to be read; a notebook shows the same."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(str(self))}</pre>"


def short_name(provider: str) -> str:
    """A provider as every message and table names it, whichever of its names was typed.

    Args:
        provider: its own name.

    Returns:
        The name.
    """
    return SHORT.get(provider, provider)


def full_name(provider: str, model: str) -> str:
    """A model as every message and table names it: `local:all-MiniLM-L6-v2`.

    Args:
        provider: its own name.
        model: its name there; the owner is left out where it is called as the provider is.

    Returns:
        `provider:model`, which may be typed as it stands.
    """
    return f"{short_name(provider)}:{model.removeprefix(f'{provider}/') if provider in SHORT else model}"


def counted(count: int, one: str, more: str = "") -> str:
    """A number with its noun: `1 text`, `2,000 texts`, `2 retries`.

    Args:
        count: how many.
        one: the noun of one.
        more: the noun of many; "": with an s.

    Returns:
        The words.
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def dollars(amount: float | None) -> str:
    """An amount of money with as many digits as matter.

    Args:
        amount: in dollars; None: the price is not known.

    Returns:
        `$0.0123`, or `no price`.
    """
    if amount is None:
        return "no price"
    if 0 < amount < 1e-6:
        return "<$0.000001"
    return f"${amount:,.2f}" if amount == 0 or amount >= 1 else f"${amount:.3g}" if amount >= 1e-4 else f"${amount:.6f}"


def told_report(report: Report) -> str:
    """A report in one line; others for what a person should look at, and for the endpoints of a pool."""
    came = [
        f"{report.hits:,} from the cache" if report.hits else "",
        f"{report.shared:,} from other calls" if report.shared else "",
        f"{report.misses:,} new" if report.misses else "",  # asked for, and perhaps not got
        f"{len(report.empty):,} empty" if report.empty else "",
    ]
    texts = counted(report.texts, "text")
    if report.unique + len(report.empty) < report.texts:
        texts += f" ({report.unique:,} distinct)"
    about = "about " if report.tokens_from == "estimate" and report.tokens else ""
    cost = dollars(report.cost) + ("" if report.cost is None else f" spent, {dollars(report.saved or 0.0)} saved")
    told = [f"{texts}: {', '.join(filter(None, came))}" if any(came) else texts]
    asked = f"{counted(report.requests, 'request')}, " if report.requests else ""
    told.append(f"{asked}{about}{counted(report.tokens, 'token')}, {cost}, {report.seconds:.1f} s")
    look_at = [
        f"{counted(report.retries, 'retry', 'retries')}, {report.waited:.1f} s of waiting" if report.retries else "",
        f"{counted(report.paid_again, 'text')} perhaps paid for twice" if report.paid_again else "",
        f"{counted(report.cut_texts or len(report.cut), 'text')} longer than the model reads" if report.cut else "",
    ]
    served = told_uses(report.endpoints) if report.endpoints else ""
    return "\n".join(filter(None, ("; ".join(told), "; ".join(filter(None, look_at)), served)))


def told_uses(uses: Iterable[EndpointUse]) -> str:
    """What the endpoints of a pool did, in one line."""
    told = []
    for use in uses:
        failed = f"{use.failed:,} failed" if use.failed else ""
        parts = [counted(use.requests, "request"), counted(use.tokens, "token"), failed, use.state]
        told.append(f"{use.name} {', '.join(filter(None, parts))}")
    return f"endpoints: {'; '.join(told)}"


def told_estimate(estimate: Estimate) -> str:
    """An estimate in one line."""
    asked = f"{counted(estimate.requests, 'request')} with about {counted(estimate.tokens, 'token')}"
    most = estimate.cost_at_most
    bound = f" ({dollars(most)} at most)" if most is not None and most != estimate.cost else ""
    cost = dollars(estimate.cost) + bound
    pending = f", {estimate.pending:,} on their way by batch" if estimate.pending else ""
    return f"{counted(estimate.texts, 'text')}: {estimate.cached:,} in the cache{pending}; {asked}, {cost}"
