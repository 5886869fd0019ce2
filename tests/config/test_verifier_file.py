"""verifier.toml: every fault at once, each with its place; and nothing in it that would accept too much."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import sealwright as sw
from sealwright.config.verifier_file import check_file, schema
from sealwright.config.verifier_rules import policy_of
from sealwright.config.verifier_tables import VerifierFile
from sealwright.settings import VerifierSettings
from sealwright.trust.dpop_nonces import DpopNonces
from sealwright.wiring.observing import build_observing
from sealwright.wiring.verifying import build_verifying, read_settings

DOCS = Path(__file__).parents[2] / "docs"
HEAD = '[issuers."https://id.example"]\n'
PLAIN = 'profile = "jwt"\naudience = "orders"\n'
FETCHED = 'jwks_url = "https://id.example/jwks.json"\n'
GOOD = HEAD + PLAIN + FETCHED


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "CONFIG",
        "HOST",
        "PORT",
        "SOCKET",
        "WORKERS",
        "ISSUER",
        "AUDIENCE",
        "JWKS_URL",
        "ALGORITHMS",
        "TYP",
        "LEEWAY_S",
    ):
        monkeypatch.delenv(f"SEALWRIGHT_VERIFIER_{name}", raising=False)


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "verifier.toml"
    path.write_text(text)
    read = check_file(path)
    return [read.written(fault).removeprefix(f"{path}:") for fault in read.faults]


def test_the_example_is_valid_and_names_every_table_and_option() -> None:
    path = DOCS / "verifier.example.toml"
    read = check_file(path)
    assert [read.written(fault) for fault in read.faults] == []
    text = path.read_text()
    assert all(f"[{table}" in text for table in VerifierFile.model_fields)
    options = set(schema()["$defs"]["VerifierIssuerTable"]["properties"])
    fetching = {"bundle_file", "bundle_url", "ca_file", "last_good_file", "private_addresses"}
    assert {name for name in options if f"{name} = " not in text and f".{name}]" not in text} <= fetching


def test_what_the_example_leaves_commented_out_is_valid_as_well(tmp_path: Path) -> None:
    lines = (DOCS / "verifier.example.toml").read_text().splitlines()
    options = [
        line[2:] if line.startswith(("# [", "# ")) and (" = " in line or "[" in line[:4]) else line for line in lines
    ]
    assert faults(tmp_path, "\n".join(options)) == []
    assert set(tomllib.loads("\n".join(options))) == set(VerifierFile.model_fields)


def test_the_published_schema_is_that_of_the_models() -> None:
    assert json.loads((DOCS / "verifier.schema.json").read_text()) == schema()


def test_every_fault_is_told_at_once_with_its_place_and_what_would_be_right(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """[service]
hots = "x"

[routes."/a"]
scope = "read"

[issuers."https://id.example"]
profile = "jwt"
audience = ["orders", "*.example"]
jwks_urls = "https://id.example/jwks.json"
leeway = "3m"
  algorithms = ["ES256", "none"]
identity = { name = { claims = "n" } }

[issuers."https://two.example"]
audience = "orders"
[issuers."https://two.example".introspection]
urls = "https://x"
""",
    )
    told = "\n".join(found)
    assert "2:1: error: service.hots: there is no such key; did you mean host?" in told
    assert "5:1: error: routes./a.scope: there is no such key; did you mean scopes?" in told
    assert "9:1: error: issuers.https://id.example.audience: an audience is given in full, without wildcards" in told
    assert "10:1: error: issuers.https://id.example.jwks_urls: there is no such key; did you mean jwks_url?" in told
    assert "11:1: error: issuers.https://id.example.leeway: Input should be less than or equal to 120" in told
    assert "12:3: error: issuers.https://id.example.algorithms: not an algorithm; known: ES256" in told
    assert (
        "13:1: error: issuers.https://id.example.identity.name.claims: there is no such key; did you mean claim?"
        in told
    )
    assert "15:1: error: issuers.https://two.example.profile: is missing" in told
    assert (
        "18:1: error: issuers.https://two.example.introspection.urls: there is no such key; did you mean url?" in told
    )


SPIFFE = '[issuers."spiffe://example.org"]\nprofile = "spiffe"\naudience = "orders"\nkeys_file = "b.json"\n'
GITHUB = HEAD + 'profile = "github-actions"\naudience = "orders"\ndiscovery = true\n'
COMBINATIONS = {
    "workers that would each accept a token once": (
        "[service]\nworkers = 2\n[replay]\n" + GOOD,
        "2:1: service.workers: each of 2 workers",
    ),
    "nowhere to listen": ("[service]\ntcp = false\n" + GOOD, "2:1: service.tcp: then it listens nowhere"),
    "a mode of no socket": ('[service]\nsocket_mode = "0600"\n' + GOOD, "2:1: service.socket_mode: is of a socket"),
    "a mode that is none": (
        '[service]\nsocket = "s"\nsocket_mode = "660"\n' + GOOD,
        "3:1: service.socket_mode: String",
    ),
    "no source": (HEAD + PLAIN, "1:1: ~: name one source of its keys: discovery"),
    "two sources": (GOOD + 'keys_file = "k.json"\n', "5:1: ~.keys_file: a second source"),
    "a secret and a URL": (GOOD + 'secret_file = "s"\n', "5:1: ~.secret_file: a second"),
    "plain http": (HEAD + PLAIN + 'jwks_url = "http://id.example/j"\n', "4:1: ~.jwks_url: the key URL must be https"),
    "metadata address": (
        HEAD + PLAIN + 'jwks_url = "https://169.254.169.254/j"\n',
        "4:1: ~.jwks_url: the key URL leads to",
    ),
    "discovery of what is no URL": (
        "[issuers.acme]\n" + PLAIN + "discovery = true\n",
        "1:1: issuers.acme: the key URL",
    ),
    "wildcard audience": (
        HEAD + 'profile = "jwt"\naudience = "*"\n' + FETCHED,
        "3:1: ~.audience: an audience is given in full",
    ),
    "no audience": (
        HEAD + 'profile = "jwt"\naudience = []\n' + FETCHED,
        "3:1: ~.audience: List should have at least 1",
    ),
    "no issuer": ("[issuers]\n", "1:1: issuers: Dictionary should have at least 1 item"),
    "HMAC with public keys": (GOOD + 'algorithms = "HS256"\n', "5:1: ~.algorithms: not for these keys"),
    "RSA with a secret": (
        HEAD + PLAIN + 'secret_file = "s"\nalgorithms = ["HS256", "RS256"]\n',
        "5:1: ~.algorithms: not for these keys and this profile: RS256; but HS256",
    ),
    "an algorithm that the profile has not": (
        SPIFFE + 'trust_domain = "example.org"\nalgorithms = ["ES256", "EdDSA"]\n',
        "6:1: ~.algorithms: not for these keys and this profile: EdDSA",
    ),
    "a secret for a profile of public keys": (
        HEAD + 'profile = "kubernetes"\naudience = "a"\nsecret_file = "s"\n',
        "1:1: ~: kubernetes tokens are signed with ES256",
    ),
    "no trust domain": (SPIFFE, "1:1: ~.trust_domain: is missing"),
    "a trust domain of another profile": (
        GOOD + 'trust_domain = "example.org"\n',
        "5:1: ~.trust_domain: is of the profile spiffe",
    ),
    "no trust domain at all": (SPIFFE + 'trust_domain = "Example"\n', "5:1: ~.trust_domain: a trust domain has"),
    "a typ that the profile has not": (GOOD + 'typ = "at+jwt"\n', "1:1: ~: jwt tokens have no such typ"),
    "anybody's workflow": (GITHUB, "1:1: ~: anybody can have github-actions tokens"),
    "anybody's main branch": (GITHUB + 'claims = { ref = "refs/heads/main" }\n', "1:1: ~: anybody can have"),
    "a longer life than the profile": (
        GITHUB + 'claims = { repository = "o/a" }\nmaximum_lifetime = "2h"\n',
        "6:1: ~.maximum_lifetime: github-actions tokens live 3600 s at most",
    ),
    "keys for days": (GOOD + 'keys_outage = "2d"\n', "5:1: ~.keys_outage: Input should be less than or equal to 86400"),
    "an outage of a file": (
        SPIFFE + 'trust_domain = "example.org"\nkeys_outage = "1m"\n',
        "6:1: ~.keys_outage: is for keys that are fetched",
    ),
    "replay without a store": (GOOD + 'replay = "on"\n', "5:1: ~.replay: needs a store"),
    "events for ever": (
        HEAD + 'profile = "secevent"\naudience = "a"\n' + FETCHED + 'replay = "on"\n[replay]\n',
        "5:1: ~.replay: its tokens need not end",
    ),
    "proofs without a store": (GOOD + 'binding = ["dpop"]\n', "5:1: ~.binding: needs a store"),
    "a binding that is required and not named": (
        GOOD + "binding_required = true\n",
        "5:1: ~.binding_required: name what",
    ),
    "a bundle that nobody vouches for": (
        HEAD + PLAIN + 'bundle_file = "b"\n',
        "4:1: ~.bundle_file: needs the trust root",
    ),
    "a route of nobody": (
        GOOD + '[routes."/a"]\nissuers = "https://x"\n',
        "6:1: routes./a.issuers: there is no issuer https://x",
    ),
    "roles of no claim": (GOOD + '[routes."/a"]\nroles = "x"\n', "6:1: routes./a.roles: no claim holds roles"),
    "no route": (GOOD + '[routes."a"]\n', "5:1: routes.a: a route is a path"),
    "routes that differ by case": (
        GOOD + '[routes."/a"]\n[routes."/A"]\n',
        "5:1: routes: two routes differ by case alone",
    ),
    "an identity of nothing": (GOOD + '[identity]\nname = "{x"\n', "5:1: identity: a template is text"),
    "an identity of one issuer": (GOOD + 'identity = { Name = "x" }\n', "5:1: ~.identity"),
    "a claim path": (GOOD + 'claims = { "a//b" = "x" }\n', "1:1: ~: a claim is named by its path"),
    "feed policy": (GOOD + 'on_stale_feed = "accepted"\n', "5:1: ~.on_stale_feed: Input should be 'undecided' or"),
    "a feed that nobody vouches for": (GOOD + 'feed_url = "https://x/f"\n', "5:1: ~.feed_url: needs the trust root"),
    "the age of no feed": (GOOD + 'on_stale_feed = "accept"\n', "5:1: ~.on_stale_feed: is of a feed: add feed_url"),
    "a failure of no replay": (GOOD + 'on_replay_failure = "open"\n', "5:1: ~.on_replay_failure: is of tokens that"),
    "a feed that is asked for all the time": (
        GOOD + '[sealwright]\nname = "v"\ntrust_root_file = "r"\nstate_folder = "s"\nrefresh = "0s"\n',
        "9:1: sealwright.refresh: Input should be greater than or equal to 1",
    ),
    "a feed that is asked for too late": (
        GOOD + '[sealwright]\nname = "v"\ntrust_root_file = "r"\nstate_folder = "s"\nrefresh = "5m"\n',
        "9:1: sealwright.refresh: Input should be less than or equal to 120",
    ),
    "a poll without a credential": (
        GOOD + '[sealwright]\nname = "v"\ntrust_root_file = "r"\nstate_folder = "s"\nurl = "https://x"\n',
        "5:1: sealwright.credential_file: is missing: the service to poll",
    ),
}


def _briefly(found: re.Match[str]) -> str:
    return "~" if found[1] else ""


@pytest.mark.parametrize(("text", "expected"), COMBINATIONS.values(), ids=COMBINATIONS)
def test_what_does_not_go_together_is_refused_at_its_place(tmp_path: Path, text: str, expected: str) -> None:
    """``~`` is the issuer."""
    told = [
        re.sub(r"error: (issuers\.(https|spiffe)://[a-z]+\.(example|org))?", _briefly, one)
        for one in faults(tmp_path, text)
    ]
    assert [line[: len(expected)] for line in told] == [expected]


def test_a_good_file_has_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD) == []
    assert faults(tmp_path, GITHUB + 'claims = { repository = "octo/app" }\n') == []
    assert faults(tmp_path, SPIFFE + 'trust_domain = "example.org"\n') == []
    assert faults(tmp_path, "[service]\nworkers = 2\n[replay]\nlocal_though_shared = true\n" + GOOD) == []


def test_each_option_is_fulfilled_by_a_check_of_its_own_and_replay_is_the_last(tmp_path: Path) -> None:
    asked = 'introspection = { url = "https://id.example/i", credential_file = "c" }\n'
    listed = 'status_lists = { prefixes = "https://id.example/" }\nreplay = "on"\n[replay]\n'
    file = VerifierFile.model_validate(tomllib.loads(GOOD + asked + listed))
    with pytest.raises(sw.ConfigurationError, match="cannot read"):
        build_verifying(file, tmp_path, build_observing(()).observer)
    (tmp_path / "c").write_text("credential")
    side = build_verifying(file, tmp_path, build_observing(()).observer)
    (issuer,) = side.issuers.values()
    assert [one.name for one in issuer.trusted.checks] == ["route", "status list", "introspection", "replay"]
    side.close()


def test_the_variables_are_a_file_with_one_issuer() -> None:
    settings = VerifierSettings.load(
        issuer="https://id.example", audience="orders", jwks_url="https://id.example/j", typ="at+jwt", leeway_s=5
    )
    file, folder = read_settings(settings)
    (name, table), *others = file.issuers.items()
    policy = policy_of(name, table)
    assert (others, folder, policy.audience, policy.typ, policy.leeway_s) == ([], Path(), {"orders"}, "at+jwt", 5)
    assert policy.algorithms == sw.VerificationPolicy(issuer="i", audience="a").algorithms
    assert policy.rules.required == frozenset()


def test_variables_say_where_it_listens_whatever_the_file_says_and_are_held_to_the_same_rules(tmp_path: Path) -> None:
    (tmp_path / "verifier.toml").write_text("[service]\nport = 1\n[replay]\n" + GOOD)
    file, folder = read_settings(
        VerifierSettings.load(config=tmp_path / "verifier.toml", port=2, socket="s", workers=4)
    )
    assert (file.service.port, file.service.socket, file.service.host) == (2, Path("s").absolute(), "127.0.0.1")
    with pytest.raises(sw.ConfigurationError, match="each of 4 processes would accept a token once"):
        build_verifying(file, folder, build_observing(()).observer)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "SEALWRIGHT_VERIFIER_JWKS_URL"),
        ({"issuer": "https://id.example"}, "SEALWRIGHT_VERIFIER_AUDIENCE"),
        ({"config": "verifier.toml", "audience": "orders"}, "say it in one of them"),
    ],
    ids=str,
)
def test_half_of_the_variables_or_both_ways_at_once_are_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(sw.ConfigurationError, match=told):
        read_settings(VerifierSettings.load(**given))


def test_a_wildcard_audience_is_refused_in_a_variable_too() -> None:
    settings = VerifierSettings.load(issuer="https://id.example", audience="*", jwks_url="https://id.example/j")
    with pytest.raises(sw.ConfigurationError, match="AUDIENCE: an audience is given in full"):
        read_settings(settings)


def test_dpop_has_nonces_whose_secrets_are_in_a_file(tmp_path: Path) -> None:
    text = 'binding = ["dpop"]\n[replay]\n[dpop]\nnonce_secrets_file = "nonces"\nmaximum_age = "30s"\n'
    file = VerifierFile.model_validate(tomllib.loads(GOOD + text))
    for content, told in ((None, "cannot read"), ("short\n", "32 bytes"), ("", "32 bytes")):
        if content is not None:
            (tmp_path / "nonces").write_text(content)
        with pytest.raises(sw.ConfigurationError, match=told):
            build_verifying(file, tmp_path, build_observing(()).observer)
    (tmp_path / "nonces").write_text("new-" * 10 + "\n\n" + "old-" * 10 + "\n")
    side = build_verifying(file, tmp_path, build_observing(()).observer)
    (issuer,) = side.issuers.values()
    rules = issuer.trusted.binding.dpop  # type: ignore[attr-defined]
    assert rules.maximum_age_s == 30
    older = DpopNonces([b"old-" * 10])
    rules.nonces.check(older.next(1000.0), 1000.0)
    assert rules.nonces.next(1000.0) == DpopNonces([b"new-" * 10]).next(1000.0)
    side.close()


@pytest.mark.parametrize("prefix", ["content-", "www-", "authorization", "X-Id-", "x-id", "x id-", ""])
def test_identity_headers_have_a_prefix_that_is_no_header_of_http(tmp_path: Path, prefix: str) -> None:
    (fault,) = faults(tmp_path, f'[edge]\nheader_prefix = "{prefix}"\n{GOOD}')
    assert "header_prefix" in fault
