"""AWS KMS, on a server that really signs: kills, races, throttling, outage, disabled keys, adoption, permissions."""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import ministack
import pytest
from backend_failing import failing
from between import Answer, Between
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from servers import waiting_connections

import sealwright as sw
from sealwright.keys.backend_uri import BackendUri
from sealwright.keys.backends.aws_kms.backend import ALGORITHM_TAG, ALIAS_PREFIX, HANDLE_TAG, AwsKmsBackend
from sealwright.keys.retrying import Retrying
from sealwright.wiring.key_backends import open_backend

DOCUMENT = Path(__file__).parents[2] / "docs" / "backends" / "awskms.md"
QUICK = Retrying(attempts=3, first_wait_s=0.01)
THROTTLED = (400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
NOT_FOUND = (400, b'{"__type": "NotFoundException", "message": "no"}')
DENIED = (400, b'{"__type": "AccessDeniedException", "message": "no"}')


def opened(url: str, retrying: Retrying = QUICK) -> AwsKmsBackend:
    return AwsKmsBackend.open(BackendUri.parse(ministack.backend_uri(url)), retrying)


@pytest.fixture
def between() -> Iterator[Between]:
    with Between(ministack.shared().url) as proxy:
        yield proxy


@pytest.fixture
def backend(between: Between) -> Iterator[AwsKmsBackend]:
    made = opened(between.url)
    yield made
    made.close()


@pytest.fixture
def kms() -> Iterator[Any]:
    client = boto3.client("kms", endpoint_url=ministack.shared().url, region_name=ministack.REGION)
    yield client
    client.close()


def tagged_key(kms: Any, handle: str, algorithm: str = "ES256", spec: str = "ECC_NIST_P256") -> str:
    """What a process leaves that was killed between CreateKey and CreateAlias."""
    tags = [{"TagKey": HANDLE_TAG, "TagValue": handle}, {"TagKey": ALGORITHM_TAG, "TagValue": algorithm}]
    return str(kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY", Tags=tags)["KeyMetadata"]["KeyId"])


def aliased_id(kms: Any, handle: str) -> str:
    return str(kms.describe_key(KeyId=ALIAS_PREFIX + handle)["KeyMetadata"]["KeyId"])


def living_keys(kms: Any, handle: str) -> list[str]:
    found = []
    for key in kms.list_keys(Limit=1000)["Keys"]:
        tags = kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]
        state = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
        if {"TagKey": HANDLE_TAG, "TagValue": handle} in tags and state != "PendingDeletion":
            found.append(key["KeyId"])
    return found


def test_a_key_whose_maker_was_killed_before_its_alias_is_listed_and_used(
    backend: AwsKmsBackend, kms: Any, handle: str
) -> None:
    left = tagged_key(kms, handle)
    assert backend.find(handle) is None
    assert handle in backend.handles()
    backend.generate(handle, "ES256")
    assert [aliased_id(kms, handle)] == [left] == living_keys(kms, handle)


def test_a_key_without_alias_can_be_destroyed(backend: AwsKmsBackend, kms: Any, handle: str) -> None:
    tagged_key(kms, handle)
    backend.destroy(handle)
    assert living_keys(kms, handle) == []
    assert handle not in backend.handles()


def test_a_key_without_alias_that_is_being_deleted_is_not_used(backend: AwsKmsBackend, kms: Any, handle: str) -> None:
    going = tagged_key(kms, handle)
    kms.schedule_key_deletion(KeyId=going, PendingWindowInDays=7)
    assert handle not in backend.handles()
    backend.generate(handle, "ES256")
    assert aliased_id(kms, handle) != going


def test_a_lost_answer_to_create_key_leaves_a_key_that_the_next_try_uses(
    backend: AwsKmsBackend, between: Between, kms: Any, handle: str
) -> None:
    between.lost.add("CreateKey")
    failing("backend.failed", lambda: backend.generate(handle, "ES256"))
    assert between.seen.count("CreateKey") == 1
    (left,) = living_keys(kms, handle)
    backend.generate(handle, "ES256")
    assert [aliased_id(kms, handle)] == [left] == living_keys(kms, handle)


def test_a_lost_answer_to_create_alias_costs_no_key_where_the_alias_cannot_be_seen_yet(
    backend: AwsKmsBackend, between: Between, kms: Any, handle: str
) -> None:
    hidden = [NOT_FOUND]

    def behind(operation: str, _: bytes, answer: Answer) -> Answer:
        seen_late = operation == "DescribeKey" and "CreateAlias" in between.seen and hidden
        return hidden.pop() if seen_late else answer

    between.edit = behind
    between.lost.add("CreateAlias")
    backend.generate(handle, "ES256")
    assert between.seen.count("CreateAlias") == 2
    assert living_keys(kms, handle) == [aliased_id(kms, handle)]


def test_processes_that_make_the_same_key_at_once_agree_on_one(kms: Any, handle: str) -> None:
    barrier, answers = threading.Barrier(6), []

    def work() -> None:
        mine = opened(ministack.shared().url)
        barrier.wait()
        answers.append(mine.generate(handle, "ES256"))
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert living_keys(kms, handle) == [aliased_id(kms, handle)]


def test_a_destruction_that_was_killed_half_way_is_listed_and_can_be_repeated(
    backend: AwsKmsBackend, kms: Any, handle: str
) -> None:
    backend.generate(handle, "ES256")
    kms.schedule_key_deletion(KeyId=aliased_id(kms, handle), PendingWindowInDays=7)
    assert handle in backend.handles()
    backend.destroy(handle)
    assert handle not in backend.handles()
    with pytest.raises(kms.exceptions.NotFoundException):
        aliased_id(kms, handle)


def test_destroying_waits_as_many_days_as_the_uri_says(backend: AwsKmsBackend, kms: Any, handle: str) -> None:
    backend.generate(handle, "ES256")
    key_id = aliased_id(kms, handle)
    backend.destroy(handle)
    metadata = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert metadata["KeyState"] == "PendingDeletion"
    assert 6 <= (metadata["DeletionDate"] - metadata["CreationDate"]).days <= 7


def test_a_signature_is_one_call_and_public_keys_are_read_once(between: Between, handle: str) -> None:
    first = opened(between.url)
    first.generate(handle, "PS256")
    between.seen.clear()
    second = opened(between.url)
    for backend in (first, second):
        for _ in range(5):
            backend.sign(handle, b"data")
    assert between.seen == ["Sign"] * 5 + ["DescribeKey", "ListResourceTags", "GetPublicKey"] + ["Sign"] * 5
    assert second.find(handle) == first.find(handle)
    assert between.seen.count("GetPublicKey") == 1
    first.close()
    second.close()


def test_a_signature_comes_with_the_id_of_its_request(handle: str) -> None:
    backend = opened(ministack.shared().url)
    backend.generate(handle, "ES256")
    first, second = (backend.sign(handle, b"data").request_id for _ in range(2))
    assert first
    assert second
    assert first != second


def test_a_throttled_call_is_repeated(backend: AwsKmsBackend, between: Between, handle: str) -> None:
    public = backend.generate(handle, "ES256")
    between.answers = [THROTTLED, THROTTLED]
    assert public.verify(backend.sign(handle, b"data").value, b"data")


def test_throttling_that_does_not_end_is_said_so(backend: AwsKmsBackend, between: Between, handle: str) -> None:
    backend.generate(handle, "ES256")
    between.seen.clear()
    between.answers = [THROTTLED] * 9
    error = failing("backend.throttled", lambda: backend.sign(handle, b"data"))
    assert between.seen == ["Sign"] * 3  # the SDK adds no retries of its own
    assert error.detail == "ThrottlingException"
    assert error.__cause__ is not None


def test_what_is_refused_for_good_is_asked_once(backend: AwsKmsBackend, between: Between, handle: str) -> None:
    backend.generate(handle, "ES256")
    between.seen.clear()
    between.answers = [DENIED]
    error = failing("backend.failed", lambda: backend.sign(handle, b"data"))
    assert between.seen == ["Sign"]
    assert (error.detail, type(error.__cause__).__name__) == ("AccessDeniedException", "ClientError")


def test_a_fault_inside_of_kms_is_repeated(backend: AwsKmsBackend, between: Between, handle: str) -> None:
    public = backend.generate(handle, "ES256")
    between.answers = [(500, b'{"__type": "KMSInternalException"}'), (503, b"<html>busy</html>")]
    assert public.verify(backend.sign(handle, b"data").value, b"data")


def test_an_outage_is_a_backend_error_and_ends_when_the_server_is_back(handle: str) -> None:
    with Between(ministack.shared().url) as proxy:
        backend = opened(proxy.url)
        public = backend.generate(handle, "ES256")
    for call in (lambda: backend.sign(handle, b"x"), lambda: backend.find(handle), lambda: list(backend.handles())):
        assert failing("backend.failed", call).detail == "EndpointConnectionError"
    with Between(ministack.shared().url, proxy.port):
        assert public.verify(backend.sign(handle, b"data").value, b"data")
    backend.close()


def test_a_server_that_never_answers_is_given_up(handle: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = ministack.backend_uri(f"http://127.0.0.1:{silent.getsockname()[1]}").replace("timeout=5", "timeout=0.2")
        backend = AwsKmsBackend.open(BackendUri.parse(uri), QUICK)
        assert failing("backend.failed", lambda: backend.find(handle)).detail == "ReadTimeoutError"
        assert waiting_connections(silent) == 3
        backend.close()


def test_a_key_disabled_by_somebody_says_so(backend: AwsKmsBackend, kms: Any, handle: str) -> None:
    backend.generate(handle, "ES256")
    kms.disable_key(KeyId=aliased_id(kms, handle))
    failing("backend.key_disabled", lambda: backend.sign(handle, b"data"))


def test_disabling_is_done_at_kms_itself(backend: AwsKmsBackend, kms: Any, handle: str) -> None:
    backend.generate(handle, "ES256")
    states = []
    for switch in (backend.disable, backend.enable):
        switch(handle)
        states.append(kms.describe_key(KeyId=ALIAS_PREFIX + handle)["KeyMetadata"]["KeyState"])
    assert states == ["Disabled", "Enabled"]


def test_a_key_whose_deletion_somebody_scheduled_is_missing(backend: AwsKmsBackend, kms: Any, handle: str) -> None:
    backend.generate(handle, "ES256")
    kms.schedule_key_deletion(KeyId=aliased_id(kms, handle), PendingWindowInDays=7)
    failing("backend.key_missing", lambda: backend.sign(handle, b"data"))
    assert backend.find(handle) is None
    backend.enable(handle)
    assert kms.describe_key(KeyId=ALIAS_PREFIX + handle)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_key_that_has_lost_its_algorithm_tag_signs_nothing(kms: Any, handle: str) -> None:
    opened(ministack.shared().url).generate(handle, "RS256")
    kms.untag_resource(KeyId=aliased_id(kms, handle), TagKeys=[ALGORITHM_TAG])
    error = failing("backend.failed", lambda: opened(ministack.shared().url).sign(handle, b"data"))
    assert ALGORITHM_TAG in error.message


@pytest.mark.parametrize(("alg", "hashed"), [("PS256", hashes.SHA256()), ("PS512", hashes.SHA512())])
def test_the_salt_of_pss_is_as_long_as_its_digest(
    backend: AwsKmsBackend, kms: Any, handle: str, alg: str, hashed: Any
) -> None:
    backend.generate(handle, alg)
    public: Any = load_der_public_key(kms.get_public_key(KeyId=ALIAS_PREFIX + handle)["PublicKey"])
    exact = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
    public.verify(backend.sign(handle, b"data").value, b"data", exact, hashed)


def test_ed25519_signs_4096_bytes_and_no_more(backend: AwsKmsBackend, handle: str) -> None:
    public = backend.generate(handle, "Ed25519")
    assert public.verify(backend.sign(handle, b"x" * 4096).value, b"x" * 4096)
    with pytest.raises(sw.RejectedError) as caught:
        backend.sign(handle, b"x" * 4097)
    assert caught.value.reason == "backend.input_too_large"


def plain_key(kms: Any, spec: str, usage: str = "SIGN_VERIFY") -> dict[str, Any]:
    return dict(kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"])


@pytest.mark.parametrize("named_by", ["KeyId", "Arn", "alias"])
def test_an_existing_key_is_adopted_by_id_arn_or_alias(
    backend: AwsKmsBackend, kms: Any, handle: str, named_by: str
) -> None:
    existing = plain_key(kms, "RSA_3072")
    alias = f"alias/theirs-{handle}"
    kms.create_alias(AliasName=alias, TargetKeyId=existing["KeyId"])
    reference = existing.get(named_by, alias)
    public = backend.adopt(handle, reference, "PS256")
    assert public == backend.adopt(handle, reference, "PS256") == opened(ministack.shared().url).find(handle)
    assert public.verify(opened(ministack.shared().url).sign(handle, b"data").value, b"data")
    assert handle in backend.handles()


@pytest.mark.parametrize(
    ("kind", "alg"),
    [
        (("RSA_2048", "ENCRYPT_DECRYPT"), "RS256"),
        (("RSA_2048", "SIGN_VERIFY"), "ES256"),
        (("ECC_NIST_P256", "SIGN_VERIFY"), "ES256K"),
        (("ECC_NIST_P256", "SIGN_VERIFY"), "ML-DSA-44"),
    ],
)
def test_a_key_for_something_else_is_not_adopted(
    backend: AwsKmsBackend, kms: Any, handle: str, kind: tuple[str, str], alg: str
) -> None:
    existing = plain_key(kms, *kind)["KeyId"]
    failing("backend.unsupported", lambda: backend.adopt(handle, existing, alg))
    assert kms.list_resource_tags(KeyId=existing)["Tags"] == []
    assert handle not in backend.handles()


def test_a_key_belongs_to_one_handle_and_a_handle_to_one_key(backend: AwsKmsBackend, kms: Any, handle: str) -> None:
    theirs, other = (plain_key(kms, "RSA_2048")["KeyId"] for _ in range(2))
    public = backend.adopt(handle, theirs, "RS256")
    failing("backend.unsupported", lambda: backend.adopt(secrets.token_hex(16), theirs, "PS256"))
    failing("backend.unsupported", lambda: backend.adopt(handle, theirs, "PS256"))
    failing("backend.failed", lambda: backend.adopt(handle, other, "RS256"))
    failing("backend.key_missing", lambda: backend.adopt(handle, "alias/nobody", "RS256"))
    assert opened(ministack.shared().url).find(handle) == public
    assert kms.describe_key(KeyId=other)["KeyMetadata"]["KeyState"] == "Enabled"


def test_listings_are_read_page_by_page(backend: AwsKmsBackend, between: Between, kms: Any) -> None:
    made = {secrets.token_hex(16) for _ in range(5)}
    orphan = secrets.token_hex(16)
    tagged_key(kms, orphan)
    for one in made:
        backend.generate(one, "ES256")
    between.edit = in_pages_of_two
    between.seen.clear()
    assert made | {orphan} <= set(backend.handles())
    assert between.seen.count("ListAliases") > 2
    assert between.seen.count("ListKeys") > 2


def in_pages_of_two(operation: str, asked: bytes, answer: Answer) -> Answer:
    """What AWS does with long listings; ministack knows no markers."""
    member = {"ListAliases": "Aliases", "ListKeys": "Keys"}.get(operation)
    if member is None:
        return answer
    everything, start = json.loads(answer[1])[member], int(json.loads(asked).get("Marker", 0))
    page: dict[str, Any] = {member: everything[start : start + 2], "Truncated": start + 2 < len(everything)}
    if page["Truncated"]:
        page["NextMarker"] = str(start + 2)
    return 200, json.dumps(page).encode()


def test_keys_whose_tags_may_not_be_read_are_passed_over(
    backend: AwsKmsBackend, between: Between, kms: Any, handle: str
) -> None:
    plain_key(kms, "RSA_2048")
    refused = []

    def deny(operation: str, _: bytes, answer: Answer) -> Answer:
        if operation != "ListResourceTags" or b"sealwright" in answer[1]:
            return answer
        refused.append(operation)
        return DENIED

    between.edit = deny
    backend.generate(handle, "ES256")
    assert refused
    assert handle in backend.handles()


def test_the_documented_permissions_are_exactly_the_ones_that_are_used(
    backend: AwsKmsBackend, between: Between, kms: Any, handle: str
) -> None:
    backend.generate(handle, "ES256")
    backend.sign(handle, b"data")
    backend.find(handle)
    backend.disable(handle)
    backend.enable(handle)
    list(backend.handles())
    backend.destroy(handle)
    backend.adopt(secrets.token_hex(16), plain_key(kms, "RSA_2048")["KeyId"], "RS256")
    (policy,) = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    actions = {action for statement in json.loads(policy)["Statement"] for action in statement["Action"]}
    assert actions == {f"kms:{operation}" for operation in between.seen}


def test_no_credential_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, between: Between, handle: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hush-token")
    backend = opened(between.url)
    between.answers = [DENIED]
    error = failing("backend.failed", lambda: backend.find(handle))
    shown = "".join(traceback.format_exception(error)) + repr(backend) + repr(error) + str(error.detail)
    assert "hush" not in shown
    backend.close()


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch, handle: str) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    error = failing("backend.failed", lambda: opened(ministack.shared().url).find(handle))
    assert error.detail == "NoCredentialsError"


@pytest.mark.parametrize(
    "uri",
    [
        "awskms:",
        "awskms:?region=",
        "awskms://kms.example?region=eu-central-1",
        "awskms:?region=eu-central-1&endpoint=http://kms.example",
        "awskms:?region=eu-central-1&endpoint=127.0.0.1:4566",
        "awskms:?region=eu-central-1&pending-days=3",
        "awskms:?region=eu-central-1&secret-key=abc",
    ],
)
def test_a_wrong_uri_is_refused_before_anything_is_called(uri: str) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        open_backend("prod", uri)
    assert caught.value.reason == "settings.backend"


def test_nothing_is_called_when_it_is_opened() -> None:
    backend = open_backend("prod", "awskms:?region=eu-central-1&endpoint=http://127.0.0.1:1")
    assert backend.name == "prod"
    backend.close()
