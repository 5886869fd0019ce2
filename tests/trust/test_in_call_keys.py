"""Keys without a thread: fetched in the call that needs them, also after a freeze, or taken out of the image."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sealwright.clock import ManualClock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.events import KeyFileFailed
from sealwright.jose.jwk import PrivateJWK
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.sources.discovered import DiscoveredJWKSet
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier

ISSUER, AUDIENCE = "https://id.example", "orders"
FRESH_S, STALE_S, BAKED_S = 300, 3600, 86_400


@pytest.fixture
def in_call(remote):
    return lambda **changes: remote(background=False, **changes)


@pytest.fixture
def image(server, clock, k1, tmp_path):
    """A file that was baked while k1 was published; nothing was asked since."""
    server.publish(k1)
    path = tmp_path / "keys.json"
    RemoteJWKSet(server.url, background=False, clock=clock).bake(path)
    server.requests.clear()
    return path


def frozen(clock: ManualClock, seconds: float, kind: str) -> None:
    """A process stands still; of its two clocks the one on the wall goes on, and perhaps the other."""
    clock.jump(seconds) if kind == "wall only" else clock.advance(seconds)


freezes = pytest.mark.parametrize("kind", ["wall only", "both"])


def test_nothing_is_fetched_before_the_first_call_and_no_thread_is_started(server, in_call, k1) -> None:
    server.publish(k1)
    before = set(threading.enumerate())
    source = in_call()
    assert server.fetches == 0
    assert [source.find("k1").key_id for _ in range(3)] == ["k1"] * 3
    assert server.fetches == 1
    assert not [one for one in set(threading.enumerate()) - before if one.name == "sealwright-jwks"]


def test_fresh_keys_are_not_fetched_again_and_stale_ones_before_they_count(server, in_call, clock, k1, k2) -> None:
    server.publish(k1)
    source = in_call()
    source.find("k1")
    clock.advance(FRESH_S - 1)
    source.find("k1")
    assert server.fetches == 1
    server.publish(k2)
    clock.advance(2)
    with pytest.raises(RejectedError) as caught:  # k1 was removed meanwhile
        source.find("k1")
    assert caught.value.reason is Reason.KEY_NOT_FOUND
    assert source.find("k2").key_id == "k2"


@freezes
def test_after_a_freeze_a_removed_key_is_refused_by_the_first_call(server, in_call, clock, kind, k1, k2):  # noqa: PLR0917
    server.publish(k1)
    source = in_call()
    source.find("k1")
    server.publish(k2)
    frozen(clock, 1800, kind)
    with pytest.raises(RejectedError):
        source.find("k1")


@freezes
def test_after_a_freeze_stale_keys_serve_while_the_source_fails_and_dead_ones_never(
    server, in_call, clock, k1, kind
) -> None:
    server.publish(k1)
    source = in_call()
    source.find("k1")
    server.mode = "error"
    frozen(clock, FRESH_S + STALE_S - 10, kind)
    assert source.find("k1").key_id == "k1"
    assert server.fetches == 2
    assert source.find("k1").key_id == "k1"  # the source is left alone for a moment
    assert server.fetches == 2
    frozen(clock, 11, kind)
    assert not len(source.held())
    with pytest.raises(UnavailableError):
        source.find("k1")
    server.mode = "ok"
    frozen(clock, 60, kind)
    assert source.find("k1").key_id == "k1"


def test_a_clock_that_was_set_back_makes_no_key_live_longer(server, in_call, clock, k1) -> None:
    server.publish(k1)
    source = in_call()
    source.find("k1")
    server.mode = "error"
    clock.jump(-7200)
    clock.advance(FRESH_S + STALE_S + 1)
    with pytest.raises(UnavailableError):
        source.find("k1")


def test_a_new_key_is_found_by_the_call_that_asks_for_it(server, in_call, k1, k2) -> None:
    server.publish(k1)
    source = in_call()
    source.find("k1")
    server.publish(k1, k2)
    assert source.find("k2").key_id == "k2"
    assert server.fetches == 2


def test_unknown_kids_cause_no_more_fetches_than_their_budget(server, in_call, k1) -> None:
    server.publish(k1)
    source = in_call()
    for number in range(50):
        with pytest.raises(RejectedError):
            source.find(f"made-up-{number}")
    assert server.fetches <= 1 + CacheSettings().unknown_kid_burst


def test_callers_in_threads_and_loops_share_one_fetch(server, in_call, k1) -> None:
    server.publish(k1)
    source = in_call()
    server.hold()

    async def many() -> list[str | None]:
        waiting = [asyncio.create_task(source.afind("k1")) for _ in range(10)]
        await asyncio.to_thread(server.wait_for_fetches, 1)
        server.release()
        return [(await one).key_id for one in waiting]

    with ThreadPoolExecutor(8) as pool:
        threads = [pool.submit(source.find, "k1") for _ in range(8)]
        assert set(asyncio.run(many())) == {"k1"}
        assert {one.result().key_id for one in threads} == {"k1"}
    assert server.fetches == 1


def test_stale_keys_are_refreshed_in_a_loop_too(server, in_call, clock, k1, k2) -> None:
    server.publish(k1)
    source = in_call()
    asyncio.run(source.afind("k1"))
    server.publish(k2)
    clock.jump(1800)
    with pytest.raises(RejectedError):
        asyncio.run(source.afind("k1"))
    server.mode = "error"
    clock.jump(1800)
    assert asyncio.run(source.afind("k2")).key_id == "k2"


def test_a_source_that_hangs_holds_a_call_for_its_deadline_and_the_next_not_at_all(server, in_call, clock, k1) -> None:
    server.publish(k1)
    source = in_call(timeout_s=0.3)
    source.find("k1")
    server.hold()
    clock.jump(1800)
    assert [source.find("k1").key_id for _ in range(2)] == ["k1"] * 2
    assert server.fetches == 2


class Deadline(BaseException):
    """What a runtime throws into a handler that takes too long."""


def test_a_call_that_is_broken_off_leaves_the_next_one_free_to_fetch(server, in_call, k1, monkeypatch) -> None:
    server.publish(k1)
    source = in_call()
    fetcher = source._here()[0]._places[0][0]
    fetch = fetcher.fetch

    def broken(timeout_s: float) -> object:
        raise Deadline

    monkeypatch.setattr(fetcher, "fetch", broken)
    with pytest.raises(Deadline):
        source.find("k1")
    monkeypatch.setattr(fetcher, "fetch", fetch)
    assert source.find("k1").key_id == "k1"


def test_a_closed_source_says_so(server, in_call, k1) -> None:
    server.publish(k1)
    source = in_call()
    source.close()
    with pytest.raises(UnavailableError):
        source.find("k1")


def test_a_child_process_inherits_the_keys_and_fetches_by_itself(server, in_call, clock, k1) -> None:
    server.publish(k1)
    source = in_call()
    source.find("k1")
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        kept = source.find("k1").key_id == "k1"
        clock.jump(1800)
        os._exit(0 if kept and source.find("k1").key_id == "k1" and source.status().fresh else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert server.fetches == 2


# Keys out of the image


def test_baked_keys_serve_the_first_calls_without_a_fetch(server, in_call, clock, image) -> None:
    clock.jump(BAKED_S - 3600)
    source = in_call(baked=image)
    assert [source.find("k1").key_id for _ in range(3)] == ["k1"] * 3
    assert asyncio.run(source.afind("k1")).key_id == "k1"
    assert server.fetches == 0
    assert source.status().fetched_unix_s == pytest.approx(clock.now() - BAKED_S + 3600)


def test_a_process_asks_for_itself_once_it_is_older_than_fresh_keys_are(server, in_call, clock, image, k2) -> None:
    clock.jump(3600)
    source = in_call(baked=image)
    source.find("k1")
    server.publish(k2)
    clock.advance(FRESH_S + 1)
    with pytest.raises(RejectedError):
        source.find("k1")
    assert server.fetches == 1


def test_baked_keys_serve_an_outage_until_their_end_and_no_longer(server, in_call, clock, image) -> None:
    server.mode = "error"
    clock.jump(BAKED_S - 600)
    source = in_call(baked=image)
    source.find("k1")
    clock.advance(FRESH_S + 1)
    assert source.find("k1").key_id == "k1"
    clock.jump(FRESH_S)
    with pytest.raises(UnavailableError):
        source.find("k1")


def test_keys_that_were_baked_too_long_ago_are_fetched_and_never_used(  # noqa: PLR0917
    server, in_call, clock, image, events, k2
) -> None:
    server.publish(k2)
    clock.jump(BAKED_S + 1)
    source = in_call(baked=image)
    with pytest.raises(RejectedError):
        source.find("k1")
    assert server.fetches >= 1
    assert KeyFileFailed(server.url, "read", Reason.SOURCE_UNAVAILABLE) in events.seen


def test_a_key_that_is_newer_than_the_image_is_fetched(server, in_call, image, k1, k2) -> None:
    server.publish(k1, k2)
    source = in_call(baked=image)
    assert source.find("k2").key_id == "k2"
    assert server.fetches == 1


def test_an_image_alone_cannot_say_that_a_key_is_unknown(server, in_call, clock, image) -> None:
    server.mode = "error"
    source = in_call(baked=image, settings=CacheSettings(unknown_kid_burst=1, unknown_kid_interval_s=1000))
    for _ in range(2):  # the second may not be asked for any more
        with pytest.raises(UnavailableError):
            source.find("k2")
        clock.advance(5)
    assert source.find("k1").key_id == "k1"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda _: "", Reason.SOURCE_MALFORMED),
        (lambda text: text[:-1], Reason.SOURCE_MALFORMED),
        (lambda _: "[]", Reason.SOURCE_MALFORMED),
        (lambda text: json.dumps({"keys": json.loads(text)["keys"]}), Reason.SOURCE_MALFORMED),
        (lambda text: json.dumps({**json.loads(text), "source": "https://other.example"}), Reason.SOURCE_MALFORMED),
        (lambda text: json.dumps({**json.loads(text), "fetched": "now"}), Reason.SOURCE_MALFORMED),
        (lambda text: json.dumps({**json.loads(text), "fetched": 9e15}), Reason.SOURCE_MALFORMED),
        (lambda text: json.dumps({**json.loads(text), "keys": []}), Reason.SOURCE_UNAVAILABLE),
        (lambda text: text + " " * (3 << 20), Reason.SOURCE_MALFORMED),
    ],
)
def test_a_file_that_is_broken_is_told_and_the_keys_are_fetched(server, in_call, image, events, broken, reason):  # noqa: PLR0917
    image.write_text(broken(image.read_text("utf-8")), "utf-8")
    source = in_call(baked=image)
    assert source.find("k1").key_id == "k1"
    assert server.fetches == 1
    assert KeyFileFailed(server.url, "read", reason) in events.seen


def test_a_file_that_is_not_there_is_told(server, in_call, events, k1, tmp_path) -> None:
    server.publish(k1)
    source = in_call(baked=tmp_path / "absent.json")
    assert source.find("k1").key_id == "k1"
    assert KeyFileFailed(server.url, "read", Reason.SOURCE_UNAVAILABLE) in events.seen


def test_a_baked_file_can_be_read_by_whoever_runs_the_function_and_has_only_public_keys(image) -> None:
    assert image.stat().st_mode & 0o777 == 0o644
    assert '"d"' not in image.read_text("utf-8")


def test_baking_fails_loudly_while_the_source_is_down(server, in_call, tmp_path) -> None:
    server.mode = "error"
    with pytest.raises(UnavailableError):
        in_call().bake(tmp_path / "keys.json")
    assert not list(tmp_path.iterdir())


def test_keys_behind_metadata_are_baked_and_served_the_same_way(server, clock, k1, tmp_path) -> None:
    server.publish(k1)
    issuer = server.origin
    server.pages["/.well-known/openid-configuration"] = {"issuer": issuer, "jwks_uri": server.url}
    path = tmp_path / "keys.json"
    DiscoveredJWKSet(issuer, background=False, clock=clock).bake(path)
    asked = len(server.paths)
    source = DiscoveredJWKSet(issuer, background=False, baked=path, clock=clock)
    assert source.find("k1").key_id == "k1"
    assert len(server.paths) == asked


def test_baked_keys_serve_a_process_with_a_thread_too(server, remote, image) -> None:
    source = remote(baked=image)
    assert source.find("k1").key_id == "k1"
    assert server.fetches == 0


def test_what_does_not_go_together_is_refused(tmp_path) -> None:
    url = "https://id.example/jwks.json"
    for options in ({"background": False}, {"baked": tmp_path / "a"}):
        with pytest.raises(ConfigurationError):
            RemoteJWKSet(url, last_good=tmp_path / "b", **options)


def test_a_key_without_private_parts_is_baked_for_every_algorithm(server, clock, tmp_path) -> None:
    keys = [PrivateJWK.generate(alg) for alg in ("ES256", "Ed25519", "PS256")]
    server.publish(*keys)
    path = tmp_path / "keys.json"
    RemoteJWKSet(server.url, background=False, clock=clock).bake(path)
    source = RemoteJWKSet(server.url, background=False, baked=path, clock=clock)
    assert [source.find(key.key_id).thumbprint() for key in keys] == [key.public.thumbprint() for key in keys]


def test_a_remembered_decision_does_not_outlive_the_key_over_a_freeze(server, in_call, clock, token_of, k1, k2):  # noqa: PLR0917
    server.publish(k1)
    verifier = Verifier(issuer=ISSUER, audience=AUDIENCE, keys=in_call(), clock=clock, cache_bytes=1 << 20)
    token = token_of(k1, exp=clock.now() + 86_400)
    assert [verifier.decide(token).accepted for _ in range(3)] == [True] * 3
    server.publish(k2)
    clock.jump(FRESH_S + 1)
    assert verifier.decide(token).reason is Reason.KEY_NOT_FOUND
