"""A project's own file: from a push to its default branch to rows, and never from anything else."""

from pathlib import Path

import msgspec
import pytest

from fc.base.database import Database
from fc.base.settings import DatabaseSettings, Settings
from fc.cli.configuration_state_work import run_status
from fc.config.drift import find_drift
from fc.tables.configuration_queries import config_revisions
from migrations import fc_2026_11_24_delegation
from tests.support.configuration import shown
from tests.support.delegating import ADMIN, JOBSETS, Delegating, delegating


@pytest.fixture
def both(settings: Settings, database: Database, tmp_path: Path) -> Delegating:
    return Delegating(settings, database, tmp_path)


async def test_a_push_to_the_default_branch_becomes_rows(both: Delegating) -> None:
    assert (await both.declare()).status == "synced"
    found = await both.push(
        "defaults: {jobsets: {keep_nr: 2}}\njobsets:\n  main:\n    nix_expression: release.nix\n    flake_mode: false\n"
        "    inputs: {nixpkgs: {type: git, value: 'https://git.example.org/nixpkgs.git'}}\n"
        "channels: {stable: {jobset: main}}\n"
    )
    assert (found.status, found.project, found.branch, shown(found.errors)) == ("synced", "hello", "main", [])
    assert found.applied_commit == both.hello.head()
    assert await both.owners() == {
        "channel hello/stable": "project/hello",
        "input hello/main/nixpkgs": "project/hello",
        "jobset hello/main": "project/hello",
    }
    assert await both.database.fetchval("SELECT keep_nr FROM jobsets") == 2
    assert await both.database.fetchval("SELECT count(*) FROM channels WHERE jobset_id IS NOT NULL") == 1
    async with both.database.transaction() as connection:
        assert await find_drift(connection) == []


async def test_a_repository_without_a_file_declares_nothing(both: Delegating) -> None:
    await both.declare()
    assert (await both.look()).status == "synced"
    assert await both.jobsets() == {}


async def test_a_file_that_is_removed_is_held_and_then_archives_what_it_owned(both: Delegating) -> None:
    await both.declare()
    await both.push(JOBSETS)
    found = await both.push(None)
    assert found.status == "held"
    assert found.held is not None
    assert await both.jobsets() == {"hello/main": True}
    both.hello.commit(message=f"Mean it\n\nFC-Confirm: {found.held.digest}")
    assert (await both.look()).status == "synced"
    assert await both.jobsets() == {"hello/main": False}


async def test_a_commit_that_was_applied_is_not_looked_at_again(both: Delegating, database: Database) -> None:
    await both.declare()
    await both.push(JOBSETS)
    await database.execute("UPDATE config_sources SET next_sync_at = now()")
    assert await both.synchronize()
    assert not await both.synchronize()
    assert len(await config_revisions(database)) == 2
    assert (await both.state()).status == "synced"


async def test_only_the_default_branch_counts(both: Delegating) -> None:
    await both.declare()
    await both.push(JOBSETS)
    both.hello.git("checkout", "--quiet", "-b", "proposal")
    both.hello.commit({".fc.yaml": "jobsets: {evil: {nix_expression: x}}\n"})
    both.hello.git("update-ref", "refs/pull/1/head", "HEAD")
    both.hello.git("checkout", "--quiet", "main")
    assert (await both.look()).status == "synced"
    assert await both.jobsets() == {"hello/main": True}


async def test_errors_stay_with_the_project(both: Delegating) -> None:
    await both.declare()
    await both.push(JOBSETS)
    found = await both.push("jobsets:\n  main: {nix_expresion: x}\n")
    assert found.status == "failed"
    assert [(one.file, one.line, one.column) for one in found.errors] == [
        (".fc.yaml", 2, 9),
        (".fc.yaml", 2, 10),
    ]
    assert await both.jobsets() == {"hello/main": True}
    both.central.commit({"more.yaml": "users: {bob: {email: bob@example.org}}\n"})
    await both.synchronizer.register()
    assert await both.synchronizer.synchronize()
    assert (await both.state("default")).status == "synced"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("users: {eve: {email: eve@example.org, role: admin}}\n", "unknown key 'users'"),
        ("projects: {other: {repository_url: /x}}\n", "unknown key 'projects'"),
        ("roles: {r: {description: x}}\n", "unknown key 'roles'"),
        ("members: {eve: admin}\n", "unknown key 'members'"),
        ("webhooks: {github: {secret: !secret x}}\n", "unknown key 'webhooks'"),
        ("defaults: {users: {role: admin}}\n", "unknown key 'users'"),
        ("jobsets: {m: {nix_expression: !secret key}}\n", "uses no secrets"),
        ("jobsets: {m: {nix_expression: !env HOME}}\n", "uses no secrets and no variables"),
        ("jobsets: {m: {nix_expression: !age x}}\n", "uses no secrets"),
        ("jobsets: {m: {nix_expression: !file ../../etc/passwd}}\n", "leads out"),
        ("jobsets: {m: {nix_expression: x}}\nsops: {mac: x}\n", "unknown key 'sops'"),
        ("channels: {c: {jobset: other}}\n", "there is no jobset 'other' in project 'hello'"),
        ("jobsets: {m: {nix_expression: x, restrict_eval: false}}\n", "unrestricted_eval of project 'hello'"),
        ("jobsets: {m: {nix_expression: x, inputs: {i: {type: path, value: /etc}}}}\n", "path_inputs"),
        ("jobsets: {m: {nix_expression: x, renamed_from: m}}\n", "own name"),
    ],
)
async def test_a_file_may_not_declare_more_than_its_project_delegates(
    both: Delegating, text: str, message: str
) -> None:
    await both.declare()
    found = await both.push(text)
    assert found.status == "failed"
    assert any(message in one.message for one in found.errors), shown(found.errors)
    assert all(one.file == ".fc.yaml" for one in found.errors)
    assert await both.owners() == {}


async def test_a_limit_is_named_with_the_place_where_it_is_set(both: Delegating) -> None:
    await both.declare(delegating(both.hello.url, delegate="{jobsets: true, limits: {max_keep_nr: 1}}"))
    found = await both.push(JOBSETS)
    assert shown(found.errors) == [
        ".fc.yaml:2:3: jobset 'main': keep_nr is 3, the most is 1 (max_keep_nr of project 'hello', default: fc.yaml:3)"
    ]
    await both.declare(delegating(both.hello.url, delegate="{jobsets: true, limits: {max_keep_nr: 5}}"))
    assert await both.synchronize()
    assert (await both.state()).status == "synced"


async def test_a_symbolic_link_is_not_followed(both: Delegating) -> None:
    await both.declare()
    (both.hello.path / ".fc.yaml").symlink_to("/etc/passwd")
    both.hello.commit()
    found = await both.look()
    assert shown(found.errors) == [".fc.yaml:1:1: .fc.yaml is a symbolic link; it must be a file of its own"]


async def test_ten_thousand_jobsets_are_one_problem(both: Delegating) -> None:
    await both.declare()
    found = await both.push("jobsets:\n" + "".join(f"  j{n}: {{nix_expression: x}}\n" for n in range(10_000)))
    assert [one.line for one in found.errors] == [12]
    assert "there are 10000 jobsets, the most is 10" in found.errors[0].message


async def test_what_explodes_is_refused(both: Delegating) -> None:
    await both.declare()
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    found = await both.push("\n".join(lines) + "\n")
    assert any("aliases add more than" in one.message for one in found.errors)
    found = await both.push("# " + "x" * (1024 * 1024))
    assert "more than 1048576 bytes" in found.errors[0].message


async def test_a_repository_that_cannot_be_read_is_an_error_of_its_project_alone(both: Delegating) -> None:
    await both.declare(delegating(f"file://{both.hello.path}-nowhere"))
    assert await both.synchronize()
    found = await both.state()
    assert (found.status, found.failures) == ("failed", 1)
    assert (await both.state("default")).status == "synced"


async def test_what_is_not_delegated_has_no_source(both: Delegating) -> None:
    for said in ("", "{}", "{jobsets: false}"):
        await both.declare(delegating(both.hello.url, delegate=said))
        assert await both.names() == ["default"]
    assert ADMIN in (both.central.path / "fc.yaml").read_text(encoding="utf-8")


async def test_the_status_tells_of_files_that_are_not_in_force_and_ends_well(
    both: Delegating, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await both.declare()
    await both.push("jobsets: {m: {}}\n")
    settings = msgspec.structs.replace(both.settings, database=DatabaseSettings(url=database_url))
    assert await run_status(settings, None, as_json=False) == 0
    shown_lines = capsys.readouterr().out.splitlines()
    assert shown_lines[-3:-1] == [
        "projects' own files: 0 of 1 in force",
        "  project/hello: failed  .fc.yaml:1:14: jobset: missing 'nix_expression'",
    ]
    await both.push("{}\n")
    await run_status(settings, None, as_json=False)
    assert "projects' own files: 1 of 1 in force" in capsys.readouterr().out


async def test_what_a_project_delegates_survives_going_back_a_version(both: Delegating) -> None:
    await both.declare()
    async with both.database.transaction() as connection:
        await connection.execute(fc_2026_11_24_delegation.BACKWARDS)
        await connection.execute(fc_2026_11_24_delegation.FORWARDS)
    assert await both.database.fetchval("SELECT delegate -> 'jobsets' FROM projects") is True
