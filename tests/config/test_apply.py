"""Applying on a real database: rows, inventory, history, and what is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fc.base.database import Database
from fc.base.git import CommitInfo
from fc.config.apply import Applied, apply, jobsets_to_check, make_plan
from fc.config.diff import diff
from fc.config.errors import ConfigurationError, PlanChangedError, PlanHeldError
from fc.config.inventory import Origin
from fc.config.sources import SOURCE
from tests.support.configuration import WHOLE, project, sealed, shown, value_of

COMMIT = CommitInfo("c" * 40, "Ada", "Say hello", datetime(2026, 1, 2, tzinfo=UTC))


async def put(database: Database, text: str, **options: Any) -> Applied:
    """Apply a text."""
    return await apply(database, Origin(SOURCE, COMMIT), sealed(text).resources, **options)


async def confirm_and_put(database: Database, text: str) -> Applied:
    """Apply a text whatever it removes."""
    plan = await make_plan(database, SOURCE, sealed(text).resources)
    return await put(database, text, confirmed=[plan.digest])


async def state(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that configuration writes, without times, ids and history."""
    queries = {
        "users": "SELECT username, email, full_name, role, enabled, public_dashboard FROM users",
        "roles": "SELECT role_id, description, scopes FROM roles",
        "remote_builders": "SELECT name, ssh_uri, systems, max_jobs, speed_factor, supported_features, mandatory_features, enabled, public_host_key, ssh_key_file FROM remote_builders",
        "worker_pools": "SELECT worker_pool_id, provider_id, owner, description, email_on_error, config, provider_data, previous_provider_ids FROM worker_pools",
        "api_keys": "SELECT k.name, k.key_hash, k.role, u.username FROM api_keys k LEFT JOIN users u ON u.id = k.user_id",
        "projects": "SELECT name, description, repository_url, enabled FROM projects",
        "jobsets": "SELECT p.name, j.name, nix_expression, j.enabled, flake_mode, check_interval, branch, scheduling_shares, state, keep_nr, restrict_eval, allow_import_from_derivation, evaluation_timeout FROM jobsets j JOIN projects p ON p.id = j.project_id",
        "jobset_inputs": "SELECT j.name, i.name, input_type, value, revision FROM jobset_inputs i JOIN jobsets j ON j.id = i.jobset_id",
        "channels": "SELECT p.name, c.name, j.name FROM channels c JOIN projects p ON p.id = c.project_id JOIN jobsets j ON j.id = c.jobset_id",
        "webhook_configs": "SELECT p.name, forge_type, secret, secret_hash, w.enabled FROM webhook_configs w JOIN projects p ON p.id = w.project_id",
        "notification_configs": "SELECT p.name, n.name, notification_type, config, n.enabled FROM notification_configs n JOIN projects p ON p.id = n.project_id",
        "project_members": "SELECT p.name, u.username, m.role FROM project_members m JOIN projects p ON p.id = m.project_id JOIN users u ON u.id = m.user_id",
        "config_resources": "SELECT source, kind, key, content, content_hash, file, line FROM config_resources",
    }
    return {
        name: sorted((tuple(row) for row in await database.fetch(sql)), key=repr)
        for name, sql in queries.items()
    }


async def test_every_kind_becomes_its_rows(database: Database) -> None:
    applied = await put(database, WHOLE)
    assert applied.plan.summary == {"create": 13, "update": 0, "delete": 0}
    rows = await state(database)
    seals = {one.key: one.seal for one in sealed(WHOLE).resources.values()}
    assert rows["users"] == [("alice", "alice@example.org", None, "read-only", True, False)]
    assert rows["roles"] == [("project-admin:*", "Administers one project", ["fc:*:<..>/*"])]
    assert rows["remote_builders"] == [
        ("big-1", "ssh://builder@big-1.example.org", ["x86_64-linux"], 8, 1, ["kvm"], [], True, None, None)
    ]
    assert rows["worker_pools"] == [
        ("nix/linux", "ssh", "ops@example.org", "Linux builders", False, {"builders": ["big-1"]}, {}, [])
    ]
    assert rows["api_keys"] == [("deploy-bot", seals["deploy-bot"], "restart-jobs", "alice")]
    assert rows["projects"] == [
        ("hello", "A friendly greeting", "https://git.example.org/tools/hello.git", True)
    ]
    assert rows["jobsets"] == [
        ("hello", "main", "release.nix", True, False, 300, "main", 100, "enabled", 3, True, False, 600)
    ]
    assert rows["jobset_inputs"] == [
        ("main", "nixpkgs", "git", "https://git.example.org/nixpkgs.git", None),
        ("main", "release", "boolean", "true", None),
    ]
    assert rows["channels"] == [("hello", "stable", "main")]
    assert rows["webhook_configs"] == [
        ("hello", "github", {"secret": "hello-webhook"}, seals["hello/github"], True)
    ]
    assert rows["notification_configs"] == [
        (
            "hello",
            "github_status",
            "github_status",
            {"repository": "tools/hello", "token": {"secret": "github-token"}},
            True,
        )
    ]
    assert rows["project_members"] == [("hello", "alice", "maintainer")]
    assert len(rows["config_resources"]) == 13


async def test_the_same_again_changes_nothing_and_leaves_no_revision(database: Database) -> None:
    await put(database, WHOLE)
    before = await state(database)
    again = await put(database, WHOLE)
    assert (again.plan.changes, again.revision) == ((), None)
    assert await state(database) == before
    assert await database.fetchval("SELECT count(*) FROM config_revisions") == 1


async def test_a_revision_keeps_its_commit_and_every_change(database: Database) -> None:
    applied = await put(database, WHOLE)
    row = await database.fetchrow("SELECT * FROM config_revisions")
    assert row is not None
    assert (row["id"], row["source"], row["status"]) == (applied.revision, SOURCE, "applied")
    assert (row["commit_hash"], row["author"], row["subject"], row["committed_at"]) == (
        COMMIT.hash, COMMIT.author, COMMIT.subject, COMMIT.committed_at,
    )  # fmt: skip
    assert row["plan"] == {
        "digest": applied.plan.digest,
        "summary": {"create": 13, "update": 0, "delete": 0},
        "reasons": [],
    }
    changes = await database.fetch("SELECT * FROM config_changes WHERE key = 'deploy-bot'")
    assert [(one["action"], one["before"], one["after"], one["line"]) for one in changes] == [
        ("create", None, {"key": "«secret» deploy-key", "role": "restart-jobs", "user": "alice"}, 22)
    ]


async def test_no_secret_is_stored_but_as_the_hash_of_its_row(database: Database) -> None:
    await put(database, WHOLE)
    everything = [
        await database.fetch(f"SELECT * FROM {table}")
        for table in ("config_changes", "config_revisions", "config_resources")
    ]
    stored = json.dumps([[dict(row) for row in rows] for rows in everything], default=str)
    assert "value-of" not in stored
    assert not any(one.seal in stored for one in sealed(WHOLE).resources.values() if one.seal)


async def test_what_is_taken_out_of_git_goes_and_what_has_a_history_is_kept_disabled(
    database: Database,
) -> None:
    await put(database, WHOLE)
    identities = await database.fetch(
        "SELECT id FROM projects UNION ALL SELECT id FROM jobsets UNION ALL SELECT id FROM users"
    )
    await confirm_and_put(database, "{}")
    rows = await state(database)
    assert {name: len(found) for name, found in rows.items()} == {
        "users": 1, "roles": 0, "remote_builders": 1, "worker_pools": 0, "api_keys": 0, "projects": 1, "jobsets": 1,
        "jobset_inputs": 0, "channels": 0, "webhook_configs": 0, "notification_configs": 0, "project_members": 0,
        "config_resources": 0,
    }  # fmt: skip
    assert await database.fetch("SELECT name FROM projects WHERE enabled") == []
    assert await database.fetch("SELECT name FROM jobsets WHERE enabled OR state <> 'disabled'") == []
    assert await database.fetch("SELECT name FROM remote_builders WHERE enabled") == []
    assert await database.fetch("SELECT username FROM users WHERE enabled") == []
    assert await database.fetch("SELECT * FROM active_jobsets") == []

    await put(database, WHOLE)
    assert identities == await database.fetch(
        "SELECT id FROM projects UNION ALL SELECT id FROM jobsets UNION ALL SELECT id FROM users"
    )
    assert len(await database.fetch("SELECT * FROM active_jobsets")) == 1


async def test_the_last_item_of_a_list_can_be_removed(database: Database) -> None:
    await put(database, WHOLE)
    line = "      - {type: github_status, repository: tools/hello, token: !secret github-token}\n"
    await put(database, WHOLE.replace(line, ""))
    assert await database.fetch("SELECT * FROM notification_configs") == []


@pytest.mark.parametrize(
    ("table", "insert", "called"),
    [
        ("projects", "INSERT INTO projects (name, repository_url) VALUES ('hello', '/by/hand')", "project 'hello'"),
        ("users", "INSERT INTO users (username, email) VALUES ('alice', 'by@hand')", "user 'alice'"),
        ("api_keys", "INSERT INTO api_keys (name, key_hash) VALUES ('deploy-bot', 'by hand')", "api key 'deploy-bot'"),
        ("remote_builders", "INSERT INTO remote_builders (name, ssh_uri, enabled) VALUES ('big-1', 'by hand', false)", "remote builder 'big-1'"),
        ("roles", "INSERT INTO roles (role_id, scopes, created, description, last_modified, etag) VALUES ('project-admin:*', '[]', now(), '', now(), gen_random_uuid())", "role 'project-admin:*'"),
    ],
)  # fmt: skip
async def test_a_row_made_by_hand_is_never_taken_over(
    database: Database, table: str, insert: str, called: str
) -> None:
    await database.execute(insert)
    before = await database.fetch(f"SELECT * FROM {table}")
    with pytest.raises(ConfigurationError) as caught:
        await put(database, WHOLE)
    (problem,) = shown(caught.value.problems)
    assert f"{called} is there already and was not made from git; remove it or choose another name" in problem
    assert problem.startswith("fc.yaml:")
    assert await database.fetch(f"SELECT * FROM {table}") == before
    assert await database.fetchval("SELECT count(*) FROM config_resources") == 0
    with pytest.raises(ConfigurationError):
        await make_plan(database, SOURCE, sealed(WHOLE).resources)


async def test_what_somebody_brought_back_by_hand_is_theirs(database: Database) -> None:
    await put(database, project("p", main="x"))
    await confirm_and_put(database, "{}")
    await database.execute("UPDATE projects SET enabled = true")
    with pytest.raises(ConfigurationError, match="project 'p' is there already"):
        await put(database, project("p", main="x"))


async def test_another_source_keeps_what_it_owns(database: Database) -> None:
    await apply(
        database, Origin("platform"), sealed({"infra.yaml": "roles: {r: {description: x}}"}).resources
    )
    with pytest.raises(
        ConfigurationError,
        match=r"role 'r' belongs to another configuration source \(platform: infra.yaml:1\)",
    ):
        await put(database, "roles: {r: {description: y}}")
    assert (await put(database, "{}")).plan.changes == ()
    assert await database.fetchval("SELECT description FROM roles") == "x"


async def test_an_empty_repository_removes_nothing_unless_that_is_meant(database: Database) -> None:
    await put(database, WHOLE)
    before = await state(database)
    with pytest.raises(PlanHeldError, match=r"everything that git owns here \(13 resources\)"):
        await put(database, "{}")
    assert await state(database) == before
    assert (await confirm_and_put(database, "{}")).plan.summary["delete"] == 13


async def test_the_plan_that_was_shown_is_the_plan_that_is_applied(database: Database) -> None:
    plan = await make_plan(database, SOURCE, sealed(WHOLE).resources)
    assert await database.fetchval("SELECT count(*) FROM projects") == 0
    applied = await put(database, WHOLE, expected_digest=plan.digest)
    assert applied.plan == plan


async def test_a_plan_is_refused_when_the_world_has_moved_since(database: Database) -> None:
    await put(database, project("p", main="x"))
    plan = await make_plan(database, SOURCE, sealed(project("p", main="y")).resources)
    await put(database, project("p", main="z"))
    with pytest.raises(PlanChangedError, match="plan again and look"):
        await put(database, project("p", main="y"), expected_digest=plan.digest)
    assert await database.fetchval("SELECT branch FROM jobsets") == "z"


async def test_unique_values_can_be_exchanged_in_one_change(database: Database) -> None:
    await put(
        database,
        "users: {a: {email: a@x}, b: {email: b@x}}\napi_keys: {k: {key: !secret s}, l: {key: !secret t}}",
    )
    await put(
        database,
        "users: {a: {email: b@x}, b: {email: a@x}}\napi_keys: {k: {key: !secret t}, l: {key: !secret s}}",
    )
    rows = await state(database)
    assert [row[:2] for row in rows["users"]] == [("a", "b@x"), ("b", "a@x")]
    await put(database, "users: {a: {email: b@x}, b: {email: a@x}}\napi_keys: {m: {key: !secret t}}")
    assert [row[0] for row in (await state(database))["api_keys"]] == ["m"]


async def test_an_address_that_an_unowned_row_has_is_named_at_its_place(database: Database) -> None:
    await database.execute("INSERT INTO users (username, email) VALUES ('hand', 'a@x')")
    with pytest.raises(ConfigurationError) as caught:
        await put(database, "users:\n  z: {email: z@x}\n  a: {email: a@x}\n")
    assert shown(caught.value.problems) == [
        "fc.yaml:3:3: user 'a' has the email of a row that git does not own; a removed user keeps its address"
    ]


async def test_a_key_that_an_unowned_row_has_is_not_shown(database: Database) -> None:
    resource = sealed("api_keys: {k: {key: !secret s}}").resources["api_key", "k"]
    await database.execute("INSERT INTO api_keys (name, key_hash) VALUES ('hand', $1)", resource.seal)
    with pytest.raises(ConfigurationError) as caught:
        await put(database, "api_keys: {k: {key: !secret s}}")
    assert "has the key_hash of a row that git does not own" in str(caught.value)
    assert str(resource.seal) not in str(caught.value)


async def test_a_rotated_secret_is_written(database: Database) -> None:
    await put(database, WHOLE)
    rotated = sealed(WHOLE, lambda name: f"new-{value_of(name)}").resources
    applied = await apply(database, Origin(SOURCE), rotated)
    assert applied.plan.summary == {"create": 0, "update": 2, "delete": 0}
    assert await database.fetchval("SELECT key_hash FROM api_keys") == rotated["api_key", "deploy-bot"].seal
    assert (
        await database.fetchval("SELECT secret_hash FROM webhook_configs")
        == rotated["webhook", "hello/github"].seal
    )


async def test_a_row_that_somebody_deleted_comes_back_with_its_next_change(database: Database) -> None:
    await put(database, "roles: {r: {description: x}}")
    await database.execute("DELETE FROM roles")
    await put(database, "roles: {r: {description: y}}")
    assert await database.fetchval("SELECT description FROM roles") == "y"


async def test_a_row_that_others_need_is_missed_not_silently_skipped(database: Database) -> None:
    await put(database, project("p", main="x"))
    await database.execute("DELETE FROM projects")
    with pytest.raises(
        ConfigurationError, match=r"fc\.yaml:6:7: jobset 'p/next' or another one of its kind refers to a row"
    ):
        await put(database, project("p", main="x", next="y"))


async def test_a_declaration_that_only_moved_is_found_at_its_new_place(database: Database) -> None:
    await put(database, "roles: {r: {description: x}, s: {description: y}}")
    moved = sealed({"roles.yaml": "\n\nroles: {r: {description: x}, s: {description: y}}"}).resources
    applied = await apply(database, Origin(SOURCE), moved)
    assert applied.revision is None
    assert {tuple(row) for row in await database.fetch("SELECT file, line FROM config_resources")} == {
        ("roles.yaml", 3)
    }


async def checks_requested(database: Database, text: str) -> list[str]:
    """Which jobsets are to be checked at once when ``text`` is applied."""
    await database.execute(
        "UPDATE jobsets SET check_requested_at = NULL, next_check_at = now() + interval '1 day'"
    )
    await put(database, text)
    rows = await database.fetch(
        "SELECT name FROM jobsets WHERE check_requested_at IS NOT NULL AND next_check_at <= now() ORDER BY name"
    )
    return [row["name"] for row in rows]


async def test_a_change_that_matters_to_evaluation_has_it_start_at_once(database: Database) -> None:
    text = project("p", a="x", b="x")
    assert await checks_requested(database, text) == ["a", "b"]
    assert await checks_requested(database, text) == []
    assert await checks_requested(database, project("p", a="y", b="x")) == ["a"]
    text = project("p", a="y", b="x").replace("b: {", "b: {scheduling_shares: 7, ")
    assert await checks_requested(database, text) == []
    text = text.replace("b: {", "b: {inputs: {x: {type: string, value: a}}, ")
    assert await checks_requested(database, text) == ["b"]
    assert await checks_requested(database, text.replace("value: a", "value: b")) == ["b"]
    assert await checks_requested(database, project("p", a="y", b="x")) == ["b"]
    assert await checks_requested(database, project("p", a="y", b="x").replace("/p.git", "/q.git")) == [
        "a",
        "b",
    ]
    assert await checks_requested(database, project("p", b="x")) == ["b"]
    assert await checks_requested(database, project("p", a="y", b="x")) == ["a"]


def test_only_jobsets_that_are_there_are_to_be_checked() -> None:
    before = sealed(
        project("p", a="x").replace("a: {", "a: {inputs: {x: {type: string, value: a}}, ")
    ).resources
    gone = diff([], before)
    assert jobsets_to_check(gone, before) == ["p/a"]
    assert jobsets_to_check(gone, {}) == []


async def test_a_finished_one_shot_stays_finished_until_it_is_asked_for_again(database: Database) -> None:
    text = project("p", main="x").replace("branch", "state: one_shot, branch")
    await put(database, text)
    await database.execute("UPDATE jobsets SET state = 'disabled'")
    await put(database, text.replace("state:", "keep_nr: 9, state:"))
    assert await database.fetchval("SELECT state FROM jobsets") == "disabled"
    await put(database, text.replace("branch: x", "branch: y"))
    assert await database.fetchval("SELECT state FROM jobsets") == "one_shot"


async def test_names_are_data_never_sql(database: Database) -> None:
    text = 'roles: {"x\'); DROP TABLE roles; --": {description: "$1 %s {} \' \\\\"}}'.replace(
        " DROP TABLE ", "DROP/**/TABLE/**/"
    ).replace("; --", ";--")
    await put(database, text)
    row = await database.fetchrow("SELECT role_id, description FROM roles")
    assert row is not None
    assert tuple(row) == ("x');DROP/**/TABLE/**/roles;--", "$1 %s {} ' \\")
