import pytest

from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.backoff import Backoff
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.jwks_cache import JwksCache
from sealwright.trust.key_snapshot import FetchedKeys, KeySnapshot
from sealwright.trust.refetch_budget import RefetchBudget
from sealwright.trust.unknown_keys import UnknownKeys


def test_a_budget_gives_its_burst_then_one_in_every_interval():
    budget = RefetchBudget(5, 10.0)
    assert [budget.reserve(100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not budget.reserve(109.9)
    assert budget.reserve(110.1)
    assert not budget.reserve(110.2)


def test_a_budget_never_saves_up_more_than_its_burst():
    budget = RefetchBudget(2, 10.0)
    assert [budget.reserve(1e9) for _ in range(3)] == [True, True, False]
    assert [budget.reserve(2e9) for _ in range(3)] == [True, True, False]


def test_a_budget_survives_a_clock_that_steps_back():
    budget = RefetchBudget(1, 10.0)
    assert budget.reserve(100.0)
    assert not budget.reserve(50.0)
    assert budget.reserve(61.0)


def test_unknown_kids_are_remembered_for_their_time_and_not_longer():
    unknown = UnknownKeys(10, 300.0)
    unknown.remember("a", 0.0)
    assert unknown.remembers("a", 299.9)
    assert not unknown.remembers("a", 300.0)
    assert not unknown.remembers("b", 0.0)


def test_the_oldest_unknown_kid_makes_room():
    unknown = UnknownKeys(2, 300.0)
    for key_id in ("a", "b", "a", "c"):
        unknown.remember(key_id, 0.0)
    assert [unknown.remembers(key_id, 1.0) for key_id in ("a", "b", "c")] == [True, False, True]
    assert len(unknown) == 2
    unknown.forget_all()
    assert len(unknown) == 0


def test_backoff_doubles_from_first_to_maximum():
    backoff, pauses = Backoff(1.0, 60.0, 0.0), []
    for _ in range(9):
        backoff.failed(100.0)
        pauses.append(backoff.until - 100.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.succeeded()
    assert backoff.until < 0
    backoff.failed(0.0)
    assert backoff.until == 1.0


def test_backoff_jitter_lengthens_and_never_shortens():
    pauses = set()
    for _ in range(50):
        backoff = Backoff(1.0, 60.0, 0.25)
        backoff.failed(0.0)
        pauses.add(backoff.until)
    assert len(pauses) > 10
    assert all(1.0 <= pause_s <= 1.25 for pause_s in pauses)


@pytest.mark.parametrize(
    "wrong",
    [
        {"freshness_s": 0.0},
        {"minimum_freshness_s": 0.0},
        {"minimum_freshness_s": 301.0},
        {"refresh_ahead_ratio": 0.95},
        {"refresh_ahead_ratio": 0.05},
        {"refresh_jitter_ratio": -0.1},
        {"backoff_first_s": 0.0},
        {"backoff_maximum_s": 0.5},
        {"unknown_kid_burst": 0},
        {"unknown_kid_interval_s": 0.0},
        {"unknown_kids_remembered": 0},
        {"stale_s": -1.0},
        {"unknown_kid_wait_s": -1.0},
    ],
)
def test_numbers_that_contradict_each_other_are_a_configuration_error(wrong):
    with pytest.raises(ConfigurationError):
        CacheSettings(**wrong)


def test_a_fetch_that_outlasts_the_freshness_is_not_followed_by_the_next_at_once(k1):
    settings = CacheSettings(minimum_freshness_s=1.0, refresh_jitter_ratio=0.0)
    fetched = FetchedKeys(JWKSet([k1.public]), max_age_s=1.0)
    slow = KeySnapshot.after(None, fetched, flight=1, began=100.0, landed=104.0, settings=settings)
    assert not slow.is_fresh(104.0)
    assert slow.refresh_at == 104.5
    quick = KeySnapshot.after(None, fetched, flight=1, began=100.0, landed=100.1, settings=settings)
    assert quick.refresh_at == 100.8


def test_a_stale_set_and_an_exhausted_budget_leave_an_unknown_kid_undecided(clock, k1):
    def fetch(held):
        clock.advance(4.0)
        return FetchedKeys(JWKSet([k1.public]), max_age_s=1.0)

    settings = CacheSettings(unknown_kid_burst=1, refresh_jitter_ratio=0.0)
    cache = JwksCache("slow", fetch, timeout_s=10.0, settings=settings, clock=clock)
    reasons = []
    for key_id in ("u1", "u2", "u3"):
        with pytest.raises((RejectedError, UnavailableError)) as caught:
            cache.find(key_id)
        reasons.append(caught.value.reason)
    cache.close()
    assert reasons == [Reason.KEY_NOT_FOUND, Reason.KEY_NOT_FOUND, Reason.SOURCE_UNAVAILABLE]
