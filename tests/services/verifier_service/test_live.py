"""A sidecar takes a changed file while it answers: none fails, and what the file says counts for the next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from http_callers import acall_asgi
from jwks_server import JwksServer
from servers import free_port
from starlette.concurrency import run_in_threadpool

import sealwright as sw
from sealwright.services.verifier_service.live import Live
from sealwright.settings import VerifierSettings

KEY, OTHER = sw.PrivateJWK.generate("ES256", key_id="k1"), sw.PrivateJWK.generate("ES256", key_id="k2")
ISSUER, SECOND = "https://id.example", "https://login.example"


def issuer(name: str = ISSUER, *, audience: str = "orders", more: str = 'keys_file = "keys.json"') -> str:
    return f'[issuers."{name}"]\nprofile = "any"\naudience = "{audience}"\n{more}\n'


def token(key: sw.PrivateJWK = KEY, *, name: str = ISSUER, audience: str = "orders") -> str:
    return sw.sign_claims({"sub": "alice"}, key, issuer=name, audience=audience, lifetime_s=900)


class Sidecar:
    """One worker in this process, asked without a network."""

    def __init__(self, folder: Path) -> None:
        self.file, self.keys = folder / "verifier.toml", folder / "keys.json"
        self.publish(KEY)
        self.write(issuer())

    def publish(self, *keys: sw.PrivateJWK) -> None:
        self.keys.write_text(json.dumps({"keys": [one.public.to_dict() for one in keys]}))

    def write(self, *tables: str) -> None:
        self.file.write_text("\n".join(tables))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Live]:
        live = Live(VerifierSettings.load(config=self.file))
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        life = asyncio.create_task(live({"type": "lifespan"}, said.get, heard.put))  # type: ignore[arg-type]
        said.put_nowait({"type": "lifespan.startup"})
        assert (await heard.get())["type"] == "lifespan.startup.complete"
        try:
            yield live
        finally:
            said.put_nowait({"type": "lifespan.shutdown"})
            await asyncio.wait_for(life, 20)


async def ask(
    live: Live, path: str, client: str | None = "127.0.0.1", **headers: str
) -> tuple[int, dict[str, str], str]:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    peers = {"client": (client, 1)} if client else {"client": None, "server": ("s", None)}
    answered = await acall_asgi(live, "GET", path, lines, **peers)
    return answered.status, dict(answered.lines), answered.body.decode()


async def presented(live: Live, shown: str) -> int:
    headers = {"x_original_method": "GET", "x_original_uri": "/", "authorization": f"Bearer {shown}"}
    return (await ask(live, "/auth-request", **headers))[0]


async def metric(live: Live, sample: str) -> float:
    lines = (await ask(live, "/metrics"))[2].splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), 0.0)


def lines(capsys: pytest.CaptureFixture[str], event: str = "config.reloaded") -> list[dict[str, Any]]:
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in written if line["event"] == event]


@pytest.fixture
def sidecar(tmp_path: Path) -> Sidecar:
    return Sidecar(tmp_path)


Story = Callable[[Live], Coroutine[Any, Any, None]]


def told(sidecar: Sidecar, story: Story) -> None:
    async def run() -> None:
        async with sidecar.running() as live:
            await story(live)

    asyncio.run(run())


def test_a_policy_counts_for_every_request_after_its_reload_for_remembered_tokens_too(sidecar: Sidecar) -> None:
    sidecar.write(issuer(), issuer(SECOND))
    mine, second, other = token(), token(name=SECOND), token(OTHER)

    async def story(live: Live) -> None:
        for shown in (mine, second, mine, second):
            assert await presented(live, shown) == 200
        assert await metric(live, 'decision_cache_lookups_total{outcome="hit"}') == 2
        sidecar.write(issuer())
        await live.reload()
        assert (await presented(live, second), await presented(live, mine)) == (401, 200)
        sidecar.publish(OTHER)
        await live.reload()
        assert (await presented(live, mine), await presented(live, other)) == (401, 200)
        sidecar.write(issuer(audience="bills"))
        await live.reload()
        assert (await presented(live, other), await presented(live, token(OTHER, audience="bills"))) == (401, 200)
        assert await metric(live, 'sealwright_config_reloads_total{outcome="done"}') == 3

    told(sidecar, story)


def test_no_request_fails_while_the_file_is_read_again_and_again(sidecar: Sidecar) -> None:
    shown = [token() for _ in range(20)]

    async def story(live: Live) -> None:
        answers: set[int] = set()
        done = asyncio.Event()

        async def presents() -> None:
            while not done.is_set():
                for one in shown:
                    answers.add(await presented(live, one))
                await asyncio.sleep(0)

        callers = [asyncio.create_task(presents()) for _ in range(4)]
        for number in range(10):
            sidecar.write(f"# {number}", issuer())
            await live.reload()
        done.set()
        await asyncio.gather(*callers)
        assert answers == {200}
        assert await metric(live, 'sealwright_config_reloads_total{outcome="done"}') == 10

    told(sidecar, story)


def test_a_request_under_way_is_answered_by_the_side_that_it_came_to_which_lives_until_then(sidecar: Sidecar) -> None:
    server, arrived = JwksServer(), asyncio.Event()
    server.publish(KEY)
    sidecar.write(issuer(more=f'jwks_url = "{server.url}"'))
    body = json.dumps({"token": token()}).encode()
    sent: list[Any] = []

    async def receive() -> Any:
        await arrived.wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def story(live: Live) -> None:
        scope = {"type": "http", "method": "POST", "path": "/v1/verify", "query_string": b"", "headers": []}
        request = asyncio.create_task(live(scope, receive, send))
        await asyncio.sleep(0.05)
        sidecar.write(issuer(audience="bills"))
        await live.reload()
        await asyncio.sleep(0.3)
        arrived.set()
        await request
        assert json.loads(sent[1]["body"])["outcome"] == "accepted"  # its keys are fetched now

    try:
        told(sidecar, story)
    finally:
        server.stop()


def test_a_wrong_file_changes_nothing_and_every_fault_is_logged_with_its_line(
    sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = token()

    async def story(live: Live) -> None:
        sidecar.write(issuer(audience="*"), issuer(SECOND, more='keys_fil = "keys.json"'))
        await live.reload()
        assert await presented(live, shown) == 200
        assert await metric(live, 'sealwright_config_reloads_total{outcome="refused"}') == 1
        sidecar.file.unlink()
        await live.reload()
        assert await presented(live, shown) == 200

    told(sidecar, story)
    first, second = lines(capsys)
    assert (first["level"], first["outcome"]) == ("error", "refused")
    assert "verifier.toml:3:1" in first["fault"]
    assert "verifier.toml:9:1" in first["fault"]
    assert "did you mean keys_file" in first["fault"]
    assert "cannot read" in second["fault"]


def test_a_file_that_cannot_be_in_force_leaves_no_connection_behind(sidecar: Sidecar) -> None:
    (sidecar.file.parent / "url").write_text(f"sqlite:///{sidecar.file.parent}/presented.db")

    async def story(live: Live) -> None:
        for number in range(3):
            sidecar.write(issuer(more='keys_file = "missing.json"'), f'[replay]\nurl_file = "url" # {number}')
            await live.reload()
        opened = [one.readlink().name for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
        assert "presented.db" not in opened

    told(sidecar, story)


def test_what_cannot_change_while_it_runs_is_said_and_the_rest_is_in_force(
    sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(live: Live) -> None:
        sidecar.write(
            '[service]\nport = 9999\nworkers = 3\nsocket = "s"\nlog_accepted = true\n', issuer(audience="bills")
        )
        await live.reload()
        assert await presented(live, token(audience="bills")) == 200

    told(sidecar, story)
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert written[0]["needs_restart"] == ["service.port", "service.socket", "service.workers"]
    assert [line["outcome"] for line in written[1:]] == ["accepted"]


def test_a_change_is_found_by_itself_once_nobody_writes_any_more(sidecar: Sidecar) -> None:
    shown = token(audience="bills")

    async def story(live: Live) -> None:
        assert await presented(live, shown) == 401
        sidecar.write(issuer(audience="bills"))
        async with asyncio.timeout(20):
            while await presented(live, shown) != 200:
                await asyncio.sleep(0.05)

    told(sidecar, story)


def test_a_right_file_is_in_force_once_what_it_names_is_there(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes mounts secrets and configurations each in its own time."""
    monkeypatch.setattr("sealwright.services.verifier_service.live.TRY_AGAIN_S", 0.1)
    shown, later = token(audience="bills"), sidecar.keys.with_name("later.json")

    async def story(live: Live) -> None:
        sidecar.write(issuer(audience="bills", more='keys_file = "later.json"'))
        await live.reload()
        assert (await presented(live, token()), await presented(live, shown)) == (200, 401)
        later.write_bytes(sidecar.keys.read_bytes())
        async with asyncio.timeout(20):
            while await presented(live, shown) != 200:
                await asyncio.sleep(0.05)
        done = await metric(live, 'sealwright_config_reloads_total{outcome="done"}')
        await asyncio.sleep(1.5)
        assert await metric(live, 'sealwright_config_reloads_total{outcome="done"}') == done

    told(sidecar, story)


def test_a_token_that_counts_once_does_not_count_again_after_a_reload(sidecar: Sidecar) -> None:
    once = issuer(more='keys_file = "keys.json"\nreplay = "on"')
    sidecar.write(once, "[replay]")
    first, second = token(), token()

    async def story(live: Live) -> None:
        assert [await presented(live, first), await presented(live, first)] == [200, 401]
        sidecar.write(once, "[replay]\ncapacity = 50")
        await live.reload()
        assert [await presented(live, first), await presented(live, second)] == [401, 200]

    told(sidecar, story)


def test_keys_that_were_fetched_outlive_a_reload_while_their_source_is_down(sidecar: Sidecar) -> None:
    server = JwksServer()
    server.publish(KEY)
    fetched = f'jwks_url = "{server.url}"'
    sidecar.write(issuer(more=fetched))
    shown = token()

    async def story(live: Live) -> None:
        assert (await ask(live, "/readyz"))[0] == 200
        server.mode = "error"
        asked = server.fetches
        sidecar.write(issuer(more=f'{fetched}\nleeway = "5s"'))
        await live.reload()
        assert await presented(live, shown) == 200
        assert server.fetches == asked
        await asyncio.sleep(0.3)  # the side before is closed, and its source, which is ours now, is not
        server.mode = "ok"
        server.publish(KEY, OTHER)
        assert await presented(live, token(OTHER)) == 200

    try:
        told(sidecar, story)
    finally:
        server.stop()


def test_a_new_issuer_is_not_in_force_before_its_keys_are_there(sidecar: Sidecar) -> None:
    server = JwksServer()
    server.publish(OTHER)
    server.hold()
    mine, others = token(), token(OTHER, name=SECOND)

    async def story(live: Live) -> None:
        sidecar.write(issuer(audience="bills"), issuer(SECOND, more=f'jwks_url = "{server.url}"'))
        reload = asyncio.create_task(live.reload())
        await run_in_threadpool(server.wait_for_fetches, 1)
        assert (await presented(live, mine), await presented(live, others)) == (200, 401)
        server.release()
        await reload
        assert (await presented(live, mine), await presented(live, others)) == (401, 200)
        series = f'jws_verify_total{{alg="ES256",issuer="{SECOND}",reason="none",result="accepted"}}'
        assert await metric(live, series) == 1

    try:
        told(sidecar, story)
    finally:
        server.stop()


def test_while_it_drains_it_is_alive_and_not_ready_and_sends_proxies_elsewhere(sidecar: Sidecar) -> None:
    async def story(live: Live) -> None:
        status, headers, _ = await ask(live, "/readyz")
        assert (status, "connection" in headers) == (200, False)
        live.is_draining = True
        status, headers, body = await ask(live, "/readyz")
        assert (status, headers["connection"], json.loads(body)["ready"]) == (503, "close", False)
        assert ((await ask(live, "/healthz"))[0], await presented(live, token())) == (200, 200)

    told(sidecar, story)


def test_while_it_drains_it_is_not_ready_for_issuers_that_nobody_requires_either(sidecar: Sidecar) -> None:
    sidecar.write(issuer(more='keys_file = "keys.json"\nrequired = false'))

    async def story(live: Live) -> None:
        assert (await ask(live, "/readyz"))[0] == 200
        live.is_draining = True
        assert (await ask(live, "/readyz"))[0] == 503

    told(sidecar, story)


def test_ready_means_that_each_required_issuer_can_be_decided_over(sidecar: Sidecar) -> None:
    nobody = f'jwks_url = "http://127.0.0.1:{free_port()}/keys"'
    sidecar.write(issuer(), issuer(SECOND, more=f"{nobody}\nrequired = false"))

    async def story(live: Live) -> None:
        status, _, body = await ask(live, "/readyz")
        assert (status, json.loads(body)["issuers"]) == (200, {ISSUER: True, SECOND: False})

    told(sidecar, story)


def test_an_issuer_that_hangs_and_that_nobody_requires_does_not_hold_up_the_answer(sidecar: Sidecar) -> None:
    server = JwksServer()
    server.hold()
    sidecar.write(issuer(), issuer(SECOND, more=f'jwks_url = "{server.url}"\nrequired = false'))

    async def story(live: Live) -> None:
        async with asyncio.timeout(3):  # a fetch has five seconds
            status, _, body = await ask(live, "/readyz")
        assert (status, json.loads(body)["issuers"]) == (200, {ISSUER: True, SECOND: False})
        server.publish(OTHER)
        server.release()
        async with asyncio.timeout(20):
            while not json.loads((await ask(live, "/readyz"))[2])["issuers"][SECOND]:
                await asyncio.sleep(0.05)

    try:
        told(sidecar, story)
    finally:
        server.release()
        server.stop()


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 200), ("::1", 200), (None, 200), ("192.0.2.1", 404)])
def test_figures_and_status_are_for_this_machine_over_the_unix_socket_too(
    sidecar: Sidecar, client: str | None, status: int
) -> None:
    async def story(live: Live) -> None:
        assert [(await ask(live, path, client))[0] for path in ("/metrics", "/v1/status")] == [status, status]

    told(sidecar, story)


def test_half_of_a_file_that_somebody_writes_is_never_in_force(sidecar: Sidecar) -> None:
    """Told by a signal in the middle: without its last table every route would be open."""
    closed = '[routes."/"]\nscopes = ["admin"]\n'
    sidecar.write(issuer(), closed)

    async def story(live: Live) -> None:
        sidecar.write(issuer())
        reloading = asyncio.create_task(live.reload())
        await asyncio.sleep(0.05)
        sidecar.write(issuer(), closed)
        while not reloading.done():
            assert await presented(live, token()) == 403
            await asyncio.sleep(0.01)
        assert await presented(live, token()) == 403

    told(sidecar, story)
