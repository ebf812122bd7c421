"""What only the service knows stays out of previews, and of what can be told from them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest

from fc.base.database import Database
from fc.base.secrets import Secrets
from fc.base.settings import SecretsSettings, Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config import sources
from fc.config.compile import compile_fragments
from fc.config.hidden import hidden_variable, is_hidden, known_part, settle, shown, without_seals
from fc.config.load import read_fragment
from fc.config.outside import Surroundings
from fc.config.preview_loop import PreviewLoop
from fc.config.sync import Synchronizer
from fc.tables.preview_queries import PreviewDetail
from tests.support.pull_requests import heard, offer, previewing, seen
from tests.support.repository import Repository

KEYS = "api_keys: {{a: {{key: !secret {0}, role: read-only}}, b: {{key: !secret {1}, role: read-only}}}}\n"
PROJECT = "projects: {{p: {{repository_url: /srv/p, description: {0}}}}}\n"
BUILDER = "remote_builders: {{b: {{ssh_uri: ssh://b, systems: [x86_64-linux], max_jobs: {0}}}}}\n"
VALUES = {"FC_SECRET_ONE": "first", "FC_SECRET_TWO": "second", "FC_SECRET_SAME": "first"}


class Service:
    """A service that follows a repository and previews its pull requests."""

    def __init__(self, settings: Settings, database: Database, repository: Repository) -> None:
        self.settings = settings
        self.database = database
        self.repository = repository
        self.number = 0

    async def applied(self, files: Mapping[str, str]) -> None:
        """Have ``files`` in force."""
        self.repository.commit(files)
        followed = Synchronizer(self.settings, self.database, Secrets(None, Path("/nonexistent/key")))
        await followed.register()
        await sources.request_sync(self.database)
        assert await followed.synchronize()
        assert await self.database.fetchval("SELECT status FROM config_sources") == "synced"

    async def preview(self, files: Mapping[str, str]) -> PreviewDetail:
        """What a pull request with ``files`` would change."""
        self.number += 1
        await heard(self.database, offer(self.repository, files, self.number), self.number)
        assert await PreviewLoop(self.settings, self.database).turn()
        found = await seen(self.database, self.number)
        text = msgspec.json.encode(found).decode()
        assert not any(value in text for value in (*VALUES.values(), "the-value"))
        return found


@pytest.fixture
def service(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Service:
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SHOWN", "the-value")
    monkeypatch.setenv("JOBS", "7")
    repository = Repository(tmp_path / "configuration")
    followed = previewing(settings, repository, environment=("SHOWN", "JOBS"))
    return Service(followed, database, repository)


def told(found: PreviewDetail) -> Any:
    """What a preview says, without what names the pull request."""
    assert found.preview.status == "planned", (found.preview.message, found.errors)
    return (found.preview.message, found.preview.digest, found.changes, found.errors)


async def test_a_preview_does_not_tell_whether_secrets_are_equal_or_there(service: Service) -> None:
    await service.applied({"fc.yaml": KEYS.format("one", "two")})
    for other in ("same", "two", "missing"):
        found = await service.preview({"fc.yaml": KEYS.format(other, "two").replace("a:", "c:", 1)})
        if other == "two":
            # The same name twice is refused, whatever is behind it.
            assert found.preview.status == "failed"
            continue
        assert found.preview.status == "planned"
        assert [(one.action, one.key) for one in found.changes] == [("delete", "a"), ("create", "c")]
        created = found.changes[1]
        assert created.after is not None
        assert created.after["key"] == f"«secret» {other}"


async def test_another_name_of_a_secret_is_a_change_whatever_is_behind_it(service: Service) -> None:
    await service.applied({"fc.yaml": KEYS.format("one", "two")})
    for other in ("same", "missing"):
        (change,) = (await service.preview({"fc.yaml": KEYS.format(other, "two")})).changes
        assert change.before is not None
        assert change.after is not None
        assert (change.before["key"], change.after["key"]) == ("«secret» one", f"«secret» {other}")


async def test_a_secret_that_is_not_touched_is_no_change_even_if_it_was_rotated(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.applied({"fc.yaml": KEYS.format("one", "two")})
    untouched = told(await service.preview({"note.yaml": "# nothing\n"}))
    assert untouched[0] == "nothing would change"
    monkeypatch.setenv("FC_SECRET_ONE", "another")
    assert told(await service.preview({"note.yaml": "# nothing\n"})) == untouched


async def test_a_variable_is_never_shown_and_never_compared(service: Service) -> None:
    await service.applied({"fc.yaml": PROJECT.format("old")})
    (change,) = (await service.preview({"fc.yaml": PROJECT.format("!env SHOWN")})).changes
    assert change.after is not None
    assert change.after["description"] == "«!env SHOWN»"
    failed = await service.preview({"fc.yaml": PROJECT.format("!env HOME")})
    assert failed.preview.status == "failed"
    assert "not among those" in failed.errors[0].message


async def test_a_variable_that_is_not_touched_is_no_change(service: Service) -> None:
    texts = {"fc.yaml": PROJECT.format("!env SHOWN"), "b.yaml": BUILDER.format("!env JOBS")}
    await service.applied(texts)
    found = await service.database.fetchval("SELECT max_jobs FROM remote_builders")
    assert found == 7
    repository = service.repository
    service.number += 1
    await heard(service.database, offer(repository, {"new.yaml": "# x\n"}, service.number), service.number)
    assert await PreviewLoop(service.settings, service.database).turn()
    assert told(await seen(service.database, service.number))[0] == "nothing would change"
    (change,) = (await service.preview({"b.yaml": BUILDER.format("!env SHOWN")})).changes
    assert change.before is not None
    assert change.after is not None
    assert (change.before["max_jobs"], change.after["max_jobs"]) == (7, "«!env SHOWN»")


async def test_a_new_resource_may_have_a_variable_where_a_number_is_expected(service: Service) -> None:
    await service.applied({"fc.yaml": PROJECT.format("old")})
    found = await service.preview({"b.yaml": BUILDER.format("!env JOBS")})
    (change,) = found.changes
    assert change.after is not None
    assert change.after["max_jobs"] == "«!env JOBS»"


async def test_an_encrypted_guess_is_not_compared_with_the_secret(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identities").write_text(str(identity), encoding="ascii")

    def text(value: str) -> str:
        made = pyrage.encrypt(value.encode(), [identity.to_public()], armored=True).decode()
        lines = "".join(f"        {line}\n" for line in made.strip().splitlines())
        return f"api_keys:\n  a:\n    role: read-only\n    key: !age |\n{lines}"

    service.settings = msgspec.structs.replace(
        service.settings, secrets=SecretsSettings(age_identities=tmp_path / "identities")
    )
    first = text("the-value")
    service.repository.commit({"fc.yaml": first})
    key = settings.data_dir / "keys" / "secrets-key"
    followed = Synchronizer(service.settings, service.database, Secrets(None, key))
    await followed.register()
    assert await followed.synchronize()
    assert await service.database.fetchval("SELECT count(*) FROM api_keys") == 1
    assert told(await service.preview({"note.yaml": "# x\n"}))[0] == "nothing would change"
    for guess in ("the-value", "something else"):
        (change,) = (await service.preview({"fc.yaml": text(guess)})).changes
        assert change.before is not None
        assert change.after is not None
        assert (change.before["key"], change.after["key"]) == ("«secret»", "«secret» (another one)")


def test_what_stands_for_a_variable_is_no_text_of_the_same_letters() -> None:
    assert is_hidden(hidden_variable("A"))
    assert is_hidden(["x", hidden_variable("A")])
    assert is_hidden({"a": {"b": [hidden_variable("A")]}})
    assert is_hidden({"encrypted": "x"})
    assert not is_hidden({"secret": "x"})
    assert not is_hidden("!env A")
    assert not is_hidden(7)


def test_people_see_names_only() -> None:
    assert shown(hidden_variable("A")) == "«!env A»"
    assert shown([hidden_variable("A"), 1]) == ["«!env A»", 1]
    assert shown({"encrypted": "x"}) == "«secret»"
    assert shown({"secret": "x"}) == "«secret» x"
    assert shown({"a": {"b": hidden_variable("A")}}) == {"a": {"b": "«!env A»"}}


def test_nothing_hidden_is_left_as_it_is(settings: Settings) -> None:
    allowed = msgspec.structs.replace(settings, configuration=ConfigurationSettings(environment=("A",)))
    text = PROJECT.format("!env A")
    made = compile_fragments(
        [read_fragment("f.yaml", "", text.encode(), Surroundings.hidden(allowed))]
    ).resources
    (one,) = made.values()
    assert "description" not in known_part(one).fields
    assert settle(made, made, []) == made
    assert without_seals([]) == []
