"""Resources made by hand from the command line, and refused where git owns them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from fc.base.database import Database
from fc.cli.main import cli
from tests.config.test_apply import confirm_and_put, put, state
from tests.support.configuration import WHOLE, project, value_of

Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    environment = {
        "FC_DATABASE__URL": database_url,
        "FC_DATA_DIR": str(tmp_path),
        "FC_SECRET_DEPLOY_KEY": value_of("deploy-key"),
    }

    async def run_command(*arguments: str, given: str | None = None) -> tuple[int, str]:
        # Commands have an event loop of their own.
        result = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=environment, input=given)
        return result.exit_code, result.output

    return run_command


async def test_a_row_is_set_shown_and_removed(database: Database, run: Run) -> None:
    assert await run("set", "user", "ada", "email=ada@example.org", "public_dashboard=true") == (
        0,
        "made user ada\n",
    )
    assert await run(
        "set", "remote-builder", "big", "ssh_uri=ssh://b@h", "systems=[x86_64-linux, i686-linux]"
    ) == (
        0,
        "made remote builder big\n",
    )
    assert await database.fetchval("SELECT systems FROM remote_builders") == ["x86_64-linux", "i686-linux"]
    assert await run("set", "api-key", "bot", "key=!secret deploy-key", "user=ada") == (
        0,
        "made api key bot\n",
    )
    assert (await run("set", "user", "ada", "email=ada@example.org"))[1] == (
        "changed user ada\n    public_dashboard: true → false\n"
    )
    assert (await run("set", "user", "ada", "email=ada@example.org"))[1] == "unchanged: user ada\n"
    assert (await run("set", "api-key", "bot", "key=!secret deploy-key", "role=admin"))[1] == (
        'changed api key bot\n    key: given anew\n    role: "read-only" → "admin"\n    user: "ada" → null\n'
    )
    code, text = await run("show", "user", "ada")
    assert (code, text.splitlines()[:2]) == (0, ["user ada  (made by hand)", '    role: "read-only"'])
    assert json.loads((await run("show", "user", "ada", "--json"))[1])["fields"]["public_dashboard"] is False
    assert (await run("remove", "api-key", "bot", given="n\n"))[0] == 1
    assert await run("remove", "api-key", "bot", "--yes") == (0, "deleted api key bot\n")
    assert await run("remove", "user", "ada", "--yes") == (0, "disabled user ada\n")
    assert (await run("remove", "role", "r", "--yes")) == (1, "fcctl: there is no role 'r'\n")
    actors = await database.fetch("SELECT DISTINCT actor, action FROM audit_events")
    assert [(row["actor"][:4], row["action"]) for row in actors] == [("cli:", "configure")]


async def test_fields_may_come_from_a_file(database: Database, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text("provider_id: ssh\nowner: ops@example.org\ndescription: from a file\n", encoding="utf-8")
    name = ("worker-pool", "nix/linux")
    assert await run("set", *name, "--file", str(file)) == (0, "made worker pool nix/linux\n")
    assert (await run("set", *name, "--file", "-", "description=mine", given=file.read_text()))[0] == 0
    assert await database.fetchval("SELECT description FROM worker_pools") == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user", "u", "emial=x"), "unknown key 'emial'; did you mean 'email'?"),
        (("user", "u", "email"), "'email': write FIELD=VALUE"),
        (("usr", "u", "email=x"), "did you mean 'user'?"),
        (("user", "u", "email=[a"), "not valid YAML"),
        (("user", "u", "email=!env HOME"), "!env, !file and !age stand in git alone"),
        (("api-key", "k", "key=s3cret-in-plain-text"), "a secret is never written here"),
        (("api-key", "k", "key=!secret nowhere"), "secret 'nowhere' is not known"),
    ],
)
async def test_what_is_wrong_is_refused(
    database: Database, run: Run, arguments: tuple[str, ...], said: str
) -> None:
    code, text = await run("set", *arguments)
    assert code == 1
    assert said in text
    assert "s3cret-in" not in text
    assert await database.fetchval("SELECT count(*) FROM audit_events") == 0


async def test_what_git_owns_is_refused_with_file_and_line(database: Database, run: Run) -> None:
    await put(database, WHOLE)
    before = await state(database)
    refused = (1, "fcctl: git owns it: default fc.yaml:7; change it there\n")
    assert await run("set", "jobset", "hello/main", "nix_expression=x") == refused
    assert await run("set", "jobset", "hello/main", "keep_nr=9") == refused
    assert await run("remove", "jobset", "hello/main", "--yes") == refused
    assert await run("remove", "jobset", "hello/main", given="y\n") == refused
    assert await state(database) == before
    text = (await run("show", "jobset", "hello/main"))[1]
    assert text.startswith("jobset hello/main  (git: default fc.yaml:7)\n")
    assert "last changed by git in revision " in text
    await confirm_and_put(database, project("other", main="x"))
    assert (await run("show", "jobset", "hello/main"))[1].startswith(
        "jobset hello/main  (git has let go of it)\n"
    )


async def test_a_row_that_is_gone_is_shown_as_gone(database: Database, run: Run) -> None:
    await put(database, project("p", main="x"))
    await database.execute("DELETE FROM jobsets")
    assert "the row is gone; fcctl heal makes it again" in (await run("show", "jobset", "p/main"))[1]
