"""Secrets encrypted with age in configuration: from git to the database and out again, never in the clear."""

import json
from pathlib import Path

import msgspec
import pyrage
import pytest
import structlog
from litestar.testing import AsyncTestClient
from rich.text import Text

from fc.app import create_app
from fc.base.database import Database
from fc.base.secrets import REDACTED, Secrets, key_file, secrets_of
from fc.base.settings import DatabaseSettings, SecretsSettings, Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config import sources
from fc.config.compile import compile_fragments
from fc.config.diff import diff
from fc.config.encrypted import Decryptor
from fc.config.load import Loader, read_fragment
from fc.config.outside import FORM_ONLY, Surroundings
from fc.config.render import plan_json, plan_text
from fc.config.sealing import seal
from fc.config.sync import Synchronizer
from fc.evaluate.requests import find_hook
from fc.forge.status_answers import Taken
from fc.report.deliver import deliver
from fc.report.post import Poster
from tests.report.test_deliver import task
from tests.support.configuration import shown, write
from tests.support.forge import FaultyForge
from tests.support.repository import Repository

VALUE = "forge-t0ken"
"""As the stand-in forge expects it."""
IDENTITY = pyrage.x25519.Identity.generate()


def encrypted(value: str = VALUE, identity: pyrage.x25519.Identity = IDENTITY) -> str:
    """``!age`` and the armored text, as a block of YAML that is indented by ten."""
    armored = pyrage.encrypt(value.encode(), [identity.to_public()], armored=True).decode()
    return "!age |\n" + "".join(f"          {line}\n" for line in armored.strip().splitlines())


def webhook(value: str) -> str:
    return f"projects:\n  p:\n    repository_url: /p\n    webhooks:\n      github:\n        secret: {value}"


@pytest.fixture
def known(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with an identity."""
    file = tmp_path / "identities.txt"
    file.write_text(f"# made by age-keygen\n{IDENTITY}\n", encoding="ascii")
    return msgspec.structs.replace(settings, secrets=SecretsSettings(age_identities=file))


def problems(text: str, surroundings: Surroundings | None) -> list[str]:
    return shown(read_fragment("f.yaml", "", text.encode(), surroundings).problems)


def test_the_same_secret_encrypted_anew_is_no_change_and_another_is(known: Settings) -> None:
    hashes = []
    for value in (VALUE, VALUE + "\n", "another"):
        fragment = read_fragment("f.yaml", "", webhook(encrypted(value)).encode(), Surroundings.of(known))
        made = seal(compile_fragments([fragment]), secrets_of(known).reveal)
        assert made.problems == ()
        hashes.append(made.resources["webhook", "p/github"].content_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_value_that_no_identity_opens_is_a_problem_at_its_place_without_the_value(known: Settings) -> None:
    stranger = pyrage.x25519.Identity.generate()
    (found,) = problems(webhook(encrypted(identity=stranger)), Surroundings.of(known))
    assert found.startswith("f.yaml:6:17: !age: no identity in ")
    (found,) = problems(webhook(encrypted()), Surroundings.of(Settings()))
    assert "name their file in secrets.age_identities" in found
    assert len(problems(webhook(encrypted()), None)) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (webhook("!age hunter2"), "!age is followed by an armored age file"),
        (webhook("!age [a]"), "!age is followed by an armored age file"),
        (webhook(encrypted("")), "what is encrypted is empty or no UTF-8 text"),
        (webhook(encrypted().replace("BEGIN", "BEGUN")), "!age is followed by an armored age file"),
        (webhook(encrypted("x" * 100_000)), "has more than 65536 characters"),
        (f"projects:\n  p:\n    repository_url: {encrypted()}", "repository_url: expected text, found a secret; only"),
    ],
    ids=range(6),
)  # fmt: skip
def test_what_is_malformed_or_no_secret_is_refused(known: Settings, text: str, problem: str) -> None:
    (found, *_) = problems(text, Surroundings.of(known))
    assert problem in found
    assert VALUE not in found


def test_the_form_can_be_checked_without_identities() -> None:
    assert problems(webhook(encrypted()), FORM_ONLY) == []
    assert len(problems(webhook("!age x"), FORM_ONLY)) == 1


def test_unusable_identities_are_named_by_their_file_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "identities"
    for content in ("AGE-SECRET-KEY-1NONSENSE", "é"):
        file.write_text(content, encoding="utf-8")
        (found,) = problems(webhook(encrypted()), Surroundings(decryptor=Decryptor(file, tmp_path / "key")))
        assert str(file) in found
        assert "NONSENSE" not in found


def test_what_failed_is_tried_again_when_the_identity_is_there(tmp_path: Path) -> None:
    write(tmp_path / "tree", {"a.yaml": webhook(encrypted())})
    file = tmp_path / "identities"
    loader = Loader(Surroundings(decryptor=Decryptor(file, tmp_path / "keys" / "key")))
    assert not loader.load_directory(tmp_path / "tree").settled
    file.write_text(str(IDENTITY), encoding="ascii")
    loaded = loader.load_directory(tmp_path / "tree")
    assert loaded.settled
    assert loaded.fragments[0].problems == ()


async def test_an_encrypted_secret_goes_from_git_to_its_users_and_nowhere_else(
    database: Database, known: Settings, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "configuration")
    text = (
        webhook(encrypted())
        + f"    notifications:\n      - type: gitea_status\n        repository: a/b\n        token: {encrypted()}"
    )
    repository.commit({"fc.yaml": text + f"api_keys:\n  k:\n    key: {encrypted(VALUE + '-key')}"})
    followed = msgspec.structs.replace(known, configuration=ConfigurationSettings(url=repository.url))
    synchronizer = Synchronizer(followed, database, secrets_of(followed))
    with structlog.testing.capture_logs() as logs:
        await synchronizer.register()
        await synchronizer.synchronize()
    (status,) = await database.fetch("SELECT status, error_message FROM config_sources")
    assert (status["status"], status["error_message"]) == ("synced", None)

    hook = await find_hook(database, "p", "github")
    assert secrets_of(followed).reveal(hook.secret) == VALUE
    config = await database.fetchval("SELECT config FROM notification_configs")
    async with FaultyForge() as forge, Poster() as poster:
        answer = await deliver(
            task("gitea_status", {**config, "url": forge.url}), secrets_of(followed), poster
        )
        assert answer == Taken()

    tables = [
        row[0] for row in await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    written = [
        json.dumps([dict(row) for row in await database.fetch(f"SELECT * FROM {one}")], default=str)
        for one in tables
    ]
    loaded = synchronizer.loader.load_directory(repository.path)
    plan = diff([], compile_fragments(loaded.fragments).resources)
    token = hook.secret["encrypted"] if hook.secret else ""
    outputs = [json.dumps(plan_json(plan)), shown_text(plan_text(plan)), json.dumps(logs, default=str)]
    assert not any(VALUE in one for one in [*written, *outputs, repr(loaded), repr(plan)])
    assert token
    assert not any(token in one for one in outputs)
    for file in followed.data_dir.rglob("*"):
        if file.is_file() and "pg" not in file.parts:
            assert VALUE.encode() not in file.read_bytes(), file


def shown_text(text: Text) -> str:
    return text.plain


async def test_a_rotated_encrypted_secret_is_a_change(
    database: Database, known: Settings, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "configuration")
    followed = msgspec.structs.replace(known, configuration=ConfigurationSettings(url=repository.url))
    synchronizer = Synchronizer(followed, database, secrets_of(followed))
    for value in ("one", "two"):
        repository.commit({"fc.yaml": webhook(encrypted(value))})
        await synchronizer.register()
        await sources.request_sync(database)
        await synchronizer.synchronize()
        reference = await database.fetchval("SELECT secret FROM webhook_configs")
        assert Secrets(None, key_file(followed)).reveal(reference) == value
    assert await database.fetchval("SELECT count(*) FROM config_revisions WHERE status = 'applied'") == 2


async def test_pages_and_the_api_show_that_there_is_a_secret_and_nothing_of_it(
    database: Database, database_url: str, known: Settings, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "configuration")
    repository.commit({"fc.yaml": webhook(encrypted())})
    followed = msgspec.structs.replace(
        known,
        configuration=ConfigurationSettings(url=repository.url),
        database=DatabaseSettings(url=database_url, pool_size=2),
    )
    synchronizer = Synchronizer(followed, database, secrets_of(followed))
    await synchronizer.register()
    await synchronizer.synchronize()
    token = (await database.fetchval("SELECT secret FROM webhook_configs"))["encrypted"]
    revision = await database.fetchval("SELECT id FROM config_revisions")
    paths = [
        "/",
        "/configuration",
        f"/configuration/revisions/{revision}",
        "/projects/p",
        "/api/v1/configuration",
        "/api/v1/configuration/revisions",
        f"/api/v1/configuration/revisions/{revision}",
    ]
    async with AsyncTestClient(create_app(followed)) as client:
        answers = {path: await client.get(path) for path in paths}
    assert {path: one.status_code for path, one in answers.items()} == dict.fromkeys(paths, 200)
    assert REDACTED in answers[f"/configuration/revisions/{revision}"].text
    for path, one in answers.items():
        assert VALUE not in one.text, path
        assert token not in one.text, path
