"""sealwright.toml: every fault at once, each with its place; and what wins over what."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import sealwright as sw
from sealwright.config.lines import Lines
from sealwright.config.reading import find_file
from sealwright.config.schema import json_schema
from sealwright.settings import ServiceSettings
from sealwright.wiring.config_file import check_file, refuse_faults

DOCS = Path(__file__).parents[2] / "docs"
ISSUER = '[issuers.orders]\nalgorithm = "ES256"\n'
OWNED = ISSUER + 'owner = "Orders team"\n'


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SEALWRIGHT_")]:
        monkeypatch.delenv(name)


def faults(folder: Path, text: str, *, strict: bool = False) -> list[str]:
    """As the command line writes them, without the name of the file."""
    path = folder / "sealwright.toml"
    path.write_text(text)
    read = check_file(path, strict=strict)
    return [read.written(fault).removeprefix(f"{path}:") for fault in read.faults]


def test_the_example_is_valid_and_has_every_table() -> None:
    read = check_file(DOCS / "sealwright.example.toml", strict=True)
    assert [read.written(fault) for fault in read.faults] == []
    text = (DOCS / "sealwright.example.toml").read_text()
    assert all(f"[{table}" in text for table in json_schema()["properties"])


def test_the_published_schema_is_that_of_the_models() -> None:
    assert json.loads((DOCS / "sealwright.schema.json").read_text()) == json_schema()


def test_every_fault_is_told_at_once_with_its_place_and_what_would_be_right(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """[service]
hots = "x"

[issuers.orders]
algorithm = "HS256"
approvals = { force = 1, destory = 2 }
rotation_period = "1 week"
  published_keys = 1
[issuers."Not a name"]
algorithm = "ES256"
[issuers.bills]
""",
    )
    assert [line.split(": ")[0] for line in found] == ["2:1", "5:1", "6:26", "7:1", "8:3", "9:1", "11:1"]
    told = "\n".join(found)
    assert "service.hots: there is no such key; did you mean host?" in told
    assert "issuers.orders.algorithm: not a signing algorithm; known: ES256" in told
    assert "issuers.orders.approvals.destory: Input should be 'force', 'destroy'" in told
    assert 'issuers.orders.rotation_period: a duration is a number of seconds, or text like "90s"' in told
    assert "issuers.bills.algorithm: is missing" in told


def test_a_file_that_is_no_toml_is_told_by_line_and_column(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "[service]\nport = = 1\n")
    assert found.startswith("2:8: error: not TOML: ")


COMBINATIONS = {
    "a token outlives the window": (
        OWNED + 'longest_token = "2h"\nverify_window = "1h"\n',
        "5:1: error: issuers.orders.verify_window: a token with leeway and caches is in use for 8520 s",
    ),
    "a token outlives the window of all": (
        '[timings]\nverify_window = "1h"\n' + OWNED + 'longest_token = "2h"\n',
        "6:1: error: issuers.orders.longest_token: a token with leeway and caches is in use for 8520 s",
    ),
    "too many keys at once": (
        OWNED + 'rotation_period = "1h"\n',
        "4:1: error: issuers.orders.rotation_period: rotating every 3600 s with 86400 s in verify_only publishes 26",
    ),
    "the dwell is longer than the period": (
        OWNED + 'rotation_period = "1d"\nworst_consumer_cache = "2d"\n',
        "4:1: error: issuers.orders.rotation_period: a standby dwells 172860 s before it may sign",
    ),
    "a token lives too long": (
        OWNED + 'longest_token = "2d"\n',
        "4:1: error: issuers.orders.longest_token: Input should be less than or equal to 86400",
    ),
    "the leeway is too large": (
        OWNED + "leeway = 121\n",
        "4:1: error: issuers.orders.leeway: Input should be less than or equal to 120",
    ),
    "an unknown backend": (
        OWNED + 'backend = "hsm"\n',
        "4:1: error: issuers.orders.backend: there is no such backend: local, or add [backends.hsm]",
    ),
    "a backend of an unknown kind": (
        '[backends.hsm]\nuri = "floppy:a"\n' + OWNED,
        "2:1: error: backends.hsm.uri: unknown scheme; known: ",
    ),
    "a password in the URI": (
        '[backends.hsm]\nuri = "memory://me:secret@here"\n' + OWNED,
        "2:1: error: backends.hsm.uri: backend: a backend URI has a scheme, no fragment, and neither user nor password",
    ),
    "the name local is taken": (
        '[backends.local]\nuri = "memory:"\n' + OWNED,
        "1:1: error: backends.local: local is there already",
    ),
    "the internal issuer is not in the file": (
        '[issuers.internal]\nalgorithm = "ES256"\nowner = "x"\n',
        "1:1: error: issuers.internal: this issuer is the service's own",
    ),
    "nobody owns an issuer": (ISSUER, "1:1: warning: issuers.orders: nobody answers for this issuer"),
    "others reach the host": (
        '[service]\nhost = "0.0.0.0"\n',
        "2:1: error: service.host: others can reach this address: set public_url",
    ),
    "a wildcard as the public URL": (
        '[service]\npublic_url = "http://0.0.0.0:8700"\n',
        "2:1: error: service.public_url: a wildcard address is nowhere",
    ),
    "a loopback public URL for others": (
        '[service]\nhost = "0.0.0.0"\npublic_url = "http://localhost:8700"\n',
        "3:1: warning: service.public_url: only this machine reaches a loopback address",
    ),
    "a public URL without TLS": (
        '[service]\npublic_url = "http://keys.example.com"\n',
        "2:1: warning: service.public_url: verifiers fetch keys from here: use https",
    ),
    "an iss that changes": ("[service]\nport = 0\n", "2:1: warning: service.port: a free port makes another iss"),
}


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_an_unsafe_combination_is_told(combination: str, tmp_path: Path) -> None:
    text, expected = COMBINATIONS[combination]
    (found,) = faults(tmp_path, text)
    assert found.startswith(expected)


def test_an_algorithm_that_the_backend_does_not_make_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealwright.keys.backends.memory.MemoryBackend.algorithms", frozenset({"PS256"}))
    (found,) = faults(tmp_path, '[backends.hsm]\nuri = "memory:"\n' + OWNED + 'backend = "hsm"\n')
    assert found == "4:1: error: issuers.orders.algorithm: the backend hsm makes no such keys, but PS256"


def test_local_keys_with_a_database_for_several_replicas_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://db/sealwright\n")
    (found,) = faults(tmp_path, '[service]\ndatabase_url_file = "url"\n' + OWNED)
    assert found.startswith("3:1: warning: issuers.orders: several replicas can share this database")


def test_a_window_of_zero_is_as_long_as_tokens_need(tmp_path: Path) -> None:
    assert faults(tmp_path, OWNED + 'verify_window = 0\nrotation_period = "1h"\n') == []


@pytest.mark.parametrize("by", ["option", "file"])
def test_strict_makes_errors_of_warnings(by: str, tmp_path: Path) -> None:
    text = ISSUER + ("[service]\nstrict = true\n" if by == "file" else "")
    (found,) = faults(tmp_path, text, strict=by == "option")
    assert "error: issuers.orders: nobody answers" in found


def test_a_start_refuses_errors_and_not_warnings(tmp_path: Path) -> None:
    path = tmp_path / "sealwright.toml"
    path.write_text(ISSUER)
    refuse_faults(path)
    path.write_text(ISSUER + 'backend = "hsm"\n')
    with pytest.raises(sw.ConfigurationError, match=r"sealwright.toml:3:1: error: issuers.orders.backend"):
        refuse_faults(path)


def test_a_secret_has_no_place_in_the_file(tmp_path: Path) -> None:
    for line in ('kek = "c2VjcmV0"', 'database_url = "postgresql://me:secret@db/x"'):
        (found,) = faults(tmp_path, f"[service]\n{line}\n")
        assert "there is no such key" in found
        assert "_file?" in found
        assert "secret@" not in found


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sealwright.toml").write_text(
        '[service]\nhost = "127.0.0.2"\nport = 1001\npublic_url = "https://a.example/"\nkek_file = "kek"\n'
        'operator_lifetime = "5m"\n[timings]\nleeway = "30s"\nreplication = 5\n' + OWNED
    )
    monkeypatch.setenv("SEALWRIGHT_PORT", "1002")
    monkeypatch.setenv("SEALWRIGHT_HOST", "127.0.0.3")
    monkeypatch.setenv("SEALWRIGHT_TIMINGS__LEEWAY_S", "20")
    settings = ServiceSettings.load(home=tmp_path / "data", host="127.0.0.4")
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.4", 1002, "https://a.example")
    assert (settings.timings.leeway_s, settings.timings.replication_s) == (20, 5)
    assert (settings.kek_file, settings.operator_lifetime_s) == (tmp_path / "kek", 300)
    assert {name: table.owner for name, table in settings.issuers.items()} == {"orders": "Orders team"}


def test_the_environment_alone_means_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALWRIGHT_ISSUERS", '{"a": "ES256", "b": {"algorithm": "Ed25519", "owner": "B"}}')
    monkeypatch.setenv("SEALWRIGHT_BACKENDS", '{"m": "memory:", "n": {"uri": "memory:", "concurrency": 2}}')
    settings = ServiceSettings.load(home=tmp_path / "data")
    assert [(table.algorithm, table.owner) for table in settings.issuers.values()] == [("ES256", ""), ("Ed25519", "B")]
    assert [backend.concurrency for backend in settings.backends.values()] == [None, 2]
    assert settings.config is None


def test_the_url_of_the_database_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("sqlite:///x.db\n")
    (tmp_path / "sealwright.toml").write_text('[service]\ndatabase_url_file = "url"\n')

    def url() -> str:
        settings = ServiceSettings.load(home=tmp_path / "data")
        return settings.database_url.get_secret_value() if settings.database_url else ""

    assert url() == "sqlite:///x.db"
    monkeypatch.setenv("SEALWRIGHT_DATABASE_URL", "sqlite:///y.db")
    assert url() == "sqlite:///y.db"


def test_a_named_file_goes_before_the_one_beside_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, named = tmp_path / "sealwright.toml", tmp_path / "other.toml"
    beside.write_text("[service]\nport = 1\n")
    named.write_text("[service]\nport = 2\n")
    assert ServiceSettings.load(home=tmp_path / "data").port == 1
    monkeypatch.setenv("SEALWRIGHT_CONFIG", str(named))
    assert ServiceSettings.load(home=tmp_path / "data").port == 2
    assert ServiceSettings.load(home=tmp_path / "data", config=beside).port == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_beside_that_a_stranger_owns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sealwright.toml").write_text("")
    os.chown(tmp_path / "sealwright.toml", 12345, 12345)
    with pytest.raises(sw.ConfigurationError, match="is not yours"):
        find_file(None, tmp_path / "data")


def test_a_file_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path) -> None:
    for content in (None, b"\xff", b"#" * (1024 * 1024 + 1)):
        path = tmp_path / "named.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(sw.ConfigurationError) as caught:
            check_file(path)
        assert caught.value.reason == "settings.invalid"


def test_places_are_found_in_every_form_that_toml_has() -> None:
    lines = Lines('''a.b = 1
text = """
[not.a.table]
x = 1
"""
[t."quoted name"]
  list = [
    1, # c = 2
  ]
in = { "x" = 1, y = { z = 2 } }
[[many]]
name = "m"
''')
    expected = {
        ("a", "b"): (1, 1),
        ("text",): (2, 1),
        ("t", "quoted name"): (6, 1),
        ("t", "quoted name", "list"): (7, 3),
        ("t", "quoted name", "in", "x"): (10, 8),
        ("t", "quoted name", "in", "y", "z"): (10, 17),
        ("many", "name"): (12, 1),
        ("many", "nowhere"): (11, 1),
        ("nowhere",): (1, 1),
    }
    assert {key: tuple(lines.place(key)) for key in expected} == expected
