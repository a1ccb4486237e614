"""What is paid for once is found for years: keys, spaces and stored data do not change unannounced."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from embedbridge import SpaceMismatchError, guard
from embedbridge.cache import DiskCache
from embedbridge.cache._codec import encode_many
from embedbridge.providers import BUILT_IN, canonical_name
from embedbridge.providers.fake import fake_vectors
from support.golden import (
    FIRST,
    GATEWAY,
    ONE_TEXT,
    STAND_INS,
    found_now,
    found_now_of,
    kept,
    made_of,
    name_of,
    surroundings,
    text_of,
)

pytestmark = pytest.mark.one_flow


@pytest.mark.parametrize("case", ONE_TEXT, ids=[name_of(*case) for case in ONE_TEXT])
def test_keys_spaces_and_stored_data_are_what_they_were(case):
    assert found_now(*case) == kept()[name_of(*case)]


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_stand_ins_too(stand_in):
    assert found_now_of(stand_in) == kept()[stand_in]


def test_each_provider_is_there_and_no_two_embedders_whose_requests_differ_share_anything():
    assert set(kept()) == {name_of(*case) for case in ONE_TEXT} | set(STAND_INS)
    there = {canonical_name(model.partition(":")[0]) for model, _, _ in ONE_TEXT}
    lacking = sorted(set(BUILT_IN) - there)
    assert not lacking, f"give {lacking} an embedder in ONE_TEXT of tests/support/golden.py, and write the file anew"
    assert there == set(BUILT_IN)
    values = [kept()[name_of(*case)] for case in ONE_TEXT]
    keys = Counter(tuple(entry["keys"]["query"]) for entry in values)
    assert sorted(keys.values(), reverse=True)[:2] == [2, 1]  # OpenAI itself makes nothing of a user and a project
    assert len({entry["space"] for entry in values}) == len(keys)
    assert len({json.dumps(entry["to_dict"]) for entry in values}) == len(keys)


PAID_AGAIN = {
    "OPENAI_CUSTOM_HEADERS": "the old key did not name them",
    f'"base_url": "{GATEWAY}", "provider_options": {{"user"': "the old key did not say for whom it was asked",
    '"keep_alive": "5m"': "nor how long another server was to keep the model",
    "nvidia": "the request has fields now by which this host is told the role",
    "jina": "likewise",
    "mistral": "the old key named no length, because the model was not in the catalogue",
}
"""Part of an embedder's name → why entries of schema 1 are not read."""


HERE = [case for case in ONE_TEXT if name_of(*case) in FIRST]


def is_read(name):
    return not any(part in name for part in PAID_AGAIN)


@pytest.mark.parametrize("case", HERE, ids=[name_of(*case) for case in HERE])
def test_what_schema_1_has_paid_for_is_read_without_a_request_where_that_is_sound(case, tmp_path, caller):
    """C8. There is no server: a request would be an error."""
    (model, options, variables), name = case, name_of(*case)
    stored = FIRST[name]["keys"]
    with surroundings(variables):
        embedder = made_of(model, options, tmp_path / "cache")
        width = embedder.space.dimensions or embedder.describe().dimensions or 8
        rows = dict(zip(stored, fake_vectors([*stored], 8 if model.startswith("fake") else width), strict=True))
        if len({*stored.values()}) < len(stored):  # roles of equal texts share an entry
            rows = dict.fromkeys(stored, rows["query"])
        for role, key in stored.items():
            DiskCache(tmp_path / "cache").put_many(encode_many([bytes.fromhex(key)], rows[role][None], [3], [0]))
        for role in stored:
            text, input_type = text_of(role), role.split()[-1]
            assert embedder.estimate([text], input_type=input_type).cached == is_read(name)
            if is_read(name):
                found = caller.embed(embedder, [text], input_type=input_type)
                assert (found.report.hits, found.report.requests) == (1, 0)
                kept_row = rows[role][:width]
                assert np.allclose(found.vectors[0], kept_row / np.linalg.norm(kept_row))


@pytest.mark.parametrize("case", HERE, ids=[name_of(*case) for case in HERE])
def test_spaces_that_schema_1_has_saved_are_still_those_of_their_indexes(case, tmp_path):
    """C9. Files name no secret and so not all headers: they are taken for what they may be."""
    (model, options, variables), name = case, name_of(*case)
    file = tmp_path / "embedbridge-space.json"
    file.write_text(json.dumps(FIRST[name]["space"]))
    with surroundings(variables):
        embedder = made_of(model, options, "memory")
        if "nvidia" in name or "jina" in name:  # their servers are told the role by other means now
            with pytest.raises(SpaceMismatchError, match="routes"):
                guard(tmp_path, embedder)
        else:
            embedder.space.check(file)
            assert guard(tmp_path, embedder) is embedder
