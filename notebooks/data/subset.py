"""Makes the three files beside it from the whole of SciFact, whose folder EMBEDBRIDGE_SCIFACT names.

60 claims drawn by chance (seed 0), the abstracts that bear on them, and, up to 150 abstracts in all, those that look
most like the claims in their words, taken in turn for each claim. Words are weighed by TF-IDF, which favours no model.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Container
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer

from embedbridge.collection import Collection

HERE = Path(__file__).parent
WHOLE = Path(os.environ["EMBEDBRIDGE_SCIFACT"])
CLAIMS, DOCUMENTS, SEED = 60, 150, 0


def main() -> None:
    """Write the files."""
    whole = Collection.load(WHOLE)
    claims = sorted(random.Random(SEED).sample(sorted(whole.queries, key=int), CLAIMS), key=int)  # noqa: S311 - no secret
    kept = dict.fromkeys(document for claim in claims for document in whole.grades[claim])
    for document in look_alikes(whole, claims):
        if len(kept) < DOCUMENTS:
            kept[document] = None
    copy("docs.jsonl", kept)
    copy("queries.jsonl", claims)
    lines = [f"{claim}\t{document}\t{grade:g}" for claim in claims for document, grade in whole.grades[claim].items()]
    (HERE / "qrels.tsv").write_text("\n".join(["query_id\tdoc_id\tscore", *lines]) + "\n")


def look_alikes(whole: Collection, claims: list[str]) -> list[str]:
    """The nearest document of each claim, then the second of each, and so on."""
    words, names = TfidfVectorizer(stop_words="english", sublinear_tf=True), list(whole.documents)
    documents = words.fit_transform(whole.documents.values())
    nearness = (words.transform(whole.queries[claim] for claim in claims) @ documents.T).toarray()
    best = (-nearness).argsort(axis=1, kind="stable")[:, :20]
    return [names[row] for row in best.T.ravel()]


def copy(name: str, kept: Container[str]) -> None:
    """Those lines of a file that are kept, as they stand and in their order."""
    lines = (WHOLE / name).read_text(encoding="utf-8").splitlines(keepends=True)
    (HERE / name).write_text("".join(line for line in lines if json.loads(line)["id"] in kept), encoding="utf-8")


if __name__ == "__main__":
    main()
