"""Labels of metrics: few, from configuration, and harmless whatever arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sealwright.keys.states import KeyState
from sealwright.telemetry.metrics import KEY_STATES, MAXIMUM_BACKENDS, MAXIMUM_SOURCES, Metrics

SOURCE = "https://id.example/.well-known/jwks.json"
ReadScrape = Callable[[Metrics], Any]


def test_the_states_of_the_labels_are_those_of_a_key() -> None:
    assert {str(state) for state in KeyState} == KEY_STATES


def test_names_that_nobody_configured_are_unknown(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    for text in ("https://evil.example", "none", "ES256K ", "claims.made_up", *map(str, range(200))):
        metrics.observe(happened.decided(issuer=text, algorithm=text, outcome=text, reason=text))
        metrics.observe(happened.signed(issuer=text, algorithm=text, reason=text))
        metrics.observe(happened.moved(issuer=text, algorithm=text, before=text, after=text))
        metrics.observe(happened.called(call=text, reason=text))
        metrics.observe(happened.refreshed(cause=text, outcome=text, reason=text))
    scrape = read_scrape(metrics)
    unknown = {"issuer": "unknown", "alg": "unknown"}
    assert scrape.value("jws_verify_total", **unknown, result="unknown", reason="unknown") == 204
    assert scrape.value("jws_sign_total", **unknown, result="failed", reason="unknown") == 204
    assert scrape.value("key_moves_total", **unknown, before="unknown", after="unknown") == 204
    assert scrape.value("jwks_fetch_total", issuer=SOURCE, outcome="unknown", reason="unknown") == 204
    assert "199" not in scrape.label_values()


def test_an_issuer_that_is_configured_later_gets_its_name(
    metrics: Metrics, issuers: set[str], happened: Any, read_scrape: ReadScrape
) -> None:
    metrics.observe(happened.decided(issuer="new"))
    issuers.add("new")
    metrics.observe(happened.decided(issuer="new"))
    scrape = read_scrape(metrics)
    rest = {"alg": "ES256", "result": "accepted", "reason": "none"}
    assert scrape.value("jws_verify_total", issuer="unknown", **rest) == 1
    assert scrape.value("jws_verify_total", issuer="new", **rest) == 1


def test_sources_and_backends_beyond_a_limit_share_one_label(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape
) -> None:
    for number in range(300):
        metrics.observe(happened.refreshed(source=f"https://id.example/{number}"))
        metrics.observe(happened.called(backend=f"backend-{number}"))
    scrape = read_scrape(metrics)
    rest = {"outcome": "changed", "reason": "none"}
    assert scrape.value("jwks_fetch_total", issuer="unknown", **rest) == 300 - MAXIMUM_SOURCES
    name = "key_backend_call_duration_seconds_count"
    assert scrape.value(name, backend="unknown", call="sign", reason="none") == 300 - MAXIMUM_BACKENDS


def test_a_source_is_shown_without_its_credentials(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    metrics.observe(happened.refreshed(source="https://user:s3cret@id.example:8443/jwks?key=s3cret#s3cret"))
    metrics.observe(happened.refreshed(source="https://id.example:8443/jwks?key=other"))
    scrape = read_scrape(metrics)
    shown = {value for value in scrape.label_values() if value.startswith("https://id.example:8443/jwks?sha256:")}
    assert len(shown) == 2
    assert b"s3cret" not in scrape.body


def test_a_hostile_key_id_makes_no_label(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape, hostile: str
) -> None:
    for key_id in ("k1", hostile):
        metrics.observe(happened.decided(key_id=key_id))
        metrics.observe(happened.signed(key_id=key_id))
        metrics.observe(happened.moved(key_id=key_id, actor=key_id, reason=key_id))
    scrape = read_scrape(metrics)
    assert "k1" not in scrape.label_values()
    assert hostile not in scrape.label_values()
    labels = {"issuer": "default", "alg": "ES256", "result": "accepted", "reason": "none"}
    assert scrape.value("jws_verify_total", **labels) == 2


def test_a_hostile_configured_name_cannot_break_the_exposition(
    happened: Any, read_scrape: ReadScrape, hostile: str
) -> None:
    metrics = Metrics(issuers={hostile})
    metrics.observe(happened.decided(issuer=hostile))
    metrics.observe(happened.refreshed(source=hostile))
    metrics.observe(happened.refreshed(source=f"https://id.example/{hostile}?{hostile}"))
    metrics.observe(happened.called(backend=hostile))
    scrape = read_scrape(metrics)
    counted = [value for (name, _), value in scrape.values.items() if name == "jws_verify_total"]
    assert counted == [1]
    assert "evil_total" not in scrape.typed_names()
    assert len(scrape.body) < 100_000
