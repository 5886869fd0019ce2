"""The examples of draft-ietf-oauth-status-list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sealwright as sw
from sealwright.errors import Reason, RejectedError
from sealwright.statements.status_list import TYP, decode, pack, parse_statement

FILE = "token-status-list/tsl_vectors.json"


def test_every_encoding_decodes_to_the_asserted_statuses(vectors: Callable[[str], Any]) -> None:
    examples = vectors(FILE)["encoding_vectors"]
    assert {example["bits"] for example in examples} == {1, 2, 4, 8}
    for example in examples:
        found = decode(example["status_list"])
        changed = {int(index): status for index, status in example["status"].items()}
        assert (len(found), len(found.octets)) == (example["size"], example["raw_len"])
        assert all(found.status(index) == status for index, status in changed.items())
        assert found == pack(changed, size=example["size"], bits=example["bits"])  # and nothing else is set


def test_an_example_that_is_larger_than_allowed_is_refused_before_it_is_inflated(vectors: Callable[[str], Any]) -> None:
    for example in vectors(FILE)["encoding_vectors"]:
        decode(example["status_list"], maximum_bytes=example["raw_len"])
        with pytest.raises(RejectedError) as caught:
            decode(example["status_list"], maximum_bytes=example["raw_len"] - 1)
        assert caught.value.reason == Reason.STATEMENT_MALFORMED


def test_the_example_of_a_signed_list_verifies(vectors: Callable[[str], Any]) -> None:
    example = vectors(FILE)["status_list_token"]
    public = {name: value for name, value in example["key"].items() if name != "d"}
    jws = sw.verify_signature(example["jwt"], sw.PublicJWK.from_dict(public))
    jws.header.check_type(TYP)
    said = parse_statement(jws.json())
    assert (said.uri, said.ttl_s, said.expires_at) == ("https://example.com/statuslists/1", 43200, 2291720170)
    bits = [said.statuses.status(index) for index in range(len(said.statuses))]
    assert bits == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]  # 0xb9 0xa3
