"""The application as a whole: what every answer has, what goes wrong, what is described."""

import gzip
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from litestar import Litestar, get
from litestar.testing import AsyncTestClient

from fc import __version__, app
from fc.base.database import Database
from fc.base.errors import DatabaseUnavailableError, SettingsError
from fc.base.settings import DatabaseSettings, NixSettings, Settings

Client = AsyncTestClient[Litestar]
HTML = {"accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def served(settings: Settings, database_url: str) -> Settings:
    return msgspec.structs.replace(settings, database=DatabaseSettings(url=database_url, pool_size=3))


@pytest.fixture
async def client(served: Settings) -> AsyncIterator[Client]:
    async with AsyncTestClient(app.create_app(served), raise_server_exceptions=False) as opened:
        yield opened


@pytest.mark.parametrize(
    "path", ["/", "/health", "/api/v1/projects", "/nothing", "/api/v1/nothing", "/static/x.css"]
)
async def test_every_answer_has_headers_that_keep_browsers_in_check(client: Client, path: str) -> None:
    headers = (await client.get(path, headers=HTML)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


async def test_a_browser_gets_a_page_where_nothing_is(client: Client) -> None:
    answer = await client.get("/projects/<script>", headers=HTML)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "&#39;&lt;script&gt;&#39;" in answer.text
    assert "<h1>Not found</h1>" in answer.text


@pytest.mark.parametrize(
    "path", ["/nothing", "/builds/not-an-id", "/builds/00000000-0000-0000-0000-000000000000"]
)
async def test_a_program_gets_a_code_and_a_message(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json().keys() == {"code", "message"}
    assert answer.json()["code"] == "not_found"


async def test_the_api_answers_in_json_even_to_browsers(client: Client) -> None:
    answer = await client.get("/api/v1/projects/nope", headers=HTML)
    assert answer.status_code == 404
    assert answer.json() == {"code": "not_found", "message": "there is no project 'nope'"}


async def test_a_wrong_parameter_is_named(client: Client) -> None:
    answer = await client.get("/api/v1/builds", params={"limit": "many"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_input"
    assert "limit" in answer.json()["message"]


async def test_a_wrong_method_is_refused(client: Client) -> None:
    answer = await client.post("/api/v1/projects")
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"


async def test_characters_that_no_name_has_are_bad_input(client: Client) -> None:
    answer = await client.get("/projects/%00")
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_input"


async def test_an_error_nobody_expected_tells_nothing_but_an_id(
    served: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    @get("/broken")
    async def broken() -> None:
        secret = "hunter2"
        raise RuntimeError(secret)

    application = app.create_app(served)
    application.register(broken)
    async with AsyncTestClient(application, raise_server_exceptions=False) as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "hunter2" not in answer.text
    identifier = answer.json()["message"].rpartition(" ")[2]
    output = capsys.readouterr()
    assert identifier in output.out + output.err


async def test_a_database_that_is_away_is_said_so(
    client: Client, postgres_url: str, database_url: str
) -> None:
    assert (await client.get("/health")).json() == {"status": "ok"}
    name = database_url.partition("@/")[2].partition("?")[0]
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await server.close()
    health = await client.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "unavailable"
    assert "database" in health.json()["reason"]
    page = await client.get("/", headers=HTML)
    assert page.status_code == 503
    assert "The database does not answer" in page.text
    assert (await client.get("/api/v1/projects")).json()["code"] == "database_unavailable"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("INSERT INTO migration (name, app_name) VALUES ('2999-01-01T00:00:00', 'fc')", "does not know"),
        ("DELETE FROM migration", "lacks"),
    ],
)
async def test_another_schema_is_not_healthy(
    client: Client, database: Database, change: str, reason: str
) -> None:
    await database.execute(change)
    answer = await client.get("/health")
    assert answer.status_code == 503
    assert reason in answer.json()["reason"]


async def test_pages_work_where_nix_is_missing(served: Settings) -> None:
    settings = msgspec.structs.replace(served, nix=NixSettings(bin_dir=served.data_dir / "nowhere"))
    async with AsyncTestClient(app.create_app(settings)) as client:
        assert (await client.get("/", headers=HTML)).status_code == 200
        assert (await client.get("/builders", headers=HTML)).status_code == 200
        missing = await client.get("/0c3q8z9l0a1b2c3d4f5g6h7i8j9k0l1m.narinfo")
    assert missing.status_code in {404, 503}


async def test_the_api_is_described(client: Client) -> None:
    answer = await client.get("/api/v1/openapi.json")
    description = answer.json()
    assert description["info"]["version"] == __version__
    assert "/api/v1/builds/{build_id}" in description["paths"]
    assert "/builds/{build_id}" not in description["paths"]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (path, method)


async def test_large_texts_are_compressed_for_those_who_take_it(client: Client) -> None:
    small = await client.get("/health", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in small.headers
    async with client.stream("GET", "/api/v1/openapi.json", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert int(answer.headers["content-length"]) == len(raw)
    assert gzip.decompress(raw).startswith(b"{")
    plain = await client.get("/api/v1/openapi.json", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_a_request_too_large_is_refused(client: Client) -> None:
    answer = await client.post("/hooks/configuration/github", content=b"x" * (26 << 20))
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/", "/builders", "/projects/nope"])
async def test_the_head_of_a_page_can_be_asked_for(client: Client, path: str) -> None:
    head, whole = await client.head(path, headers=HTML), await client.get(path, headers=HTML)
    assert (head.status_code, head.text) == (whole.status_code, "")


async def test_a_worker_reads_its_settings_from_the_environment(
    served: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = served.data_dir / "fc.yaml"
    file.write_text(f"data_dir: {served.data_dir}\nweb: {{public_url: 'https://ci.example.org'}}\n")
    monkeypatch.setenv("FC_SETTINGS_FILE", str(file))
    monkeypatch.setenv("FC_DATABASE__URL", str(served.database.url))
    async with AsyncTestClient(app.app_from_environment()) as client:
        assert (await client.get("/health")).status_code == 200
        assert client.app.state["settings"].public_url == "https://ci.example.org"


def test_a_worker_without_its_settings_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_SETTINGS_FILE", "/nowhere/fc.yaml")
    with pytest.raises(SettingsError, match="there is no such file"):
        app.app_from_environment()


async def test_an_application_without_a_database_does_not_start(settings: Settings) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"database\.url is not set"):
        await app._connect(settings)
