"""The road from a pushed commit to recorded builds, by the loops as the service runs them."""

import asyncio
import uuid
from typing import Any

from fc.base.looping import Services
from fc.evaluate.check import claim_due
from fc.evaluate.claim import MOST_ATTEMPTS, claim_evaluation, renew
from tests.support.evaluating import Jobsets, evaluating, release
from tests.support.waiting import eventually

JOBS = """rec {
  lib = make "lib-1" { };
  app = make "app-1" { inherit lib; } // { meta = { schedulingPriority = 5; timeout = 90; }; };
  bad = throw "broken on purpose";
  all = make "all" { inherit app; _hydraAggregate = true; constituents = [ app "lib" ]; };
}"""


async def test_a_commit_becomes_builds_a_graph_and_errors(services: Services, jobsets: Jobsets) -> None:
    repository, jobset = await jobsets.add({"release.nix": release(JOBS)})
    async with evaluating(services):
        (evaluation,) = await jobsets.settled(jobset)
    assert evaluation["status"] == "completed"
    assert evaluation["cause"] == "configuration"
    assert (evaluation["commit_hash"], evaluation["commit_author"]) == (repository.head(), "Ada Lovelace")
    assert evaluation["commit_subject"] == "Begin hello"
    assert evaluation["started_at"] <= evaluation["completed_at"]
    assert evaluation["claim_token"] is None
    builds = await jobsets.builds(evaluation["id"])
    assert set(builds) == {"lib", "app", "all"}
    assert {build["status"] for build in builds.values()} == {"pending"}
    assert all(build["notification_pending_since"] is not None for build in builds.values())
    assert (builds["lib"]["priority"], builds["app"]["priority"]) == (100, 5)
    assert builds["app"]["meta"] == {"schedulingPriority": 5, "timeout": 90}
    assert builds["all"]["is_aggregate"]
    assert builds["all"]["constituents"] == ["app", "lib"]
    assert builds["lib"]["constituents"] is None
    assert await jobsets.errors(evaluation["id"]) == {"bad": "error: broken on purpose"}
    await _the_graph_is_right(jobsets, builds)
    row = await jobsets.row(jobset)
    assert (row["last_commit"], row["last_error"], row["check_failures"]) == (repository.head(), None, 0)
    assert row["next_check_at"] > row["last_checked_at"]
    roots = list(services.nix.physical("/nix/var/nix/gcroots").glob(f"fc/{evaluation['id']}/*.drv"))
    assert len(roots) == 3


async def _the_graph_is_right(jobsets: Jobsets, builds: dict[str, Any]) -> None:
    rows = await jobsets.database.fetch("SELECT * FROM derivations")
    by_name = {row["name"]: row for row in rows}
    assert {name: (row["status"], row["missing_inputs"]) for name, row in by_name.items()} == {
        "lib-1": ("ready", 0),
        "app-1": ("pending", 1),
        "all": ("pending", 1),
    }
    assert (
        by_name["lib-1"]["path_length"] > by_name["app-1"]["path_length"] > by_name["all"]["path_length"] > 0
    )
    assert by_name["app-1"]["timeout"] == 90
    assert builds["app"]["derivation_id"] == by_name["app-1"]["id"]
    waits = await jobsets.database.fetch("SELECT build_id, dependency_build_id FROM build_dependencies")
    names = {build["id"]: job for job, build in builds.items()}
    assert {(names[row["build_id"]], names[row["dependency_build_id"]]) for row in waits} == {
        ("app", "lib"),
        ("all", "app"),
        ("all", "lib"),
    }
    outputs = await jobsets.database.fetch("SELECT name, path FROM derivation_outputs")
    assert len(outputs) == 3
    assert all(row["name"] == "out" and row["path"].startswith("/nix/store/") for row in outputs)


async def test_a_second_evaluation_shares_the_derivations_of_the_first(
    services: Services, jobsets: Jobsets
) -> None:
    repository, jobset = await jobsets.add({"release.nix": release(JOBS)})
    async with evaluating(services):
        await jobsets.settled(jobset)
        repository.commit(
            {"release.nix": release('rec { lib = make "lib-1" { }; new = make "new" { inherit lib; }; }')}
        )
        await jobsets.request(jobset)
        _, second = await jobsets.settled(jobset, 2)
    assert second["cause"] == "configuration"  # nothing else says who asked
    assert set(await jobsets.builds(second["id"])) == {"lib", "new"}
    assert await jobsets.database.fetchval("SELECT count(*) FROM derivations") == 4


async def test_nothing_new_is_not_evaluated_again(services: Services, jobsets: Jobsets) -> None:
    _, jobset = await jobsets.add({"release.nix": release('throw "closed"')})
    async with evaluating(services):
        (evaluation,) = await jobsets.settled(jobset)
        assert evaluation["status"] == "failed"
        assert "closed" in evaluation["error_message"]
        for _ in range(3):
            await jobsets.request(jobset)
            await jobsets.checked(jobset)
    assert len(await jobsets.evaluations(jobset)) == 1


async def test_a_changed_expression_is_evaluated_at_the_same_commit(
    services: Services, jobsets: Jobsets
) -> None:
    _, jobset = await jobsets.add(
        {"release.nix": release("{ }"), "other.nix": release('{ o = make "o" { }; }')}
    )
    async with evaluating(services):
        await jobsets.settled(jobset)
        await jobsets.database.execute(
            "UPDATE jobsets SET nix_expression = 'other.nix', check_requested_at = now()"
        )
        first, second = await jobsets.settled(jobset, 2)
    assert first["commit_hash"] == second["commit_hash"]
    assert second["cause"] == "configuration"
    assert set(await jobsets.builds(second["id"])) == {"o"}


async def test_a_push_to_an_input_is_evaluated_with_its_new_files(
    services: Services, jobsets: Jobsets
) -> None:
    lib, _ = await jobsets.add({"name.nix": '"old"'}, project="lib", state="disabled")
    _, jobset = await jobsets.add(
        {
            "release.nix": "{ lib, greeting }: "
            + release('{ a = make "${greeting}-${import (lib + "/name.nix")}" { }; }')
        }
    )
    await jobsets.add_input(jobset, "lib", "git", lib.url, "main")
    await jobsets.add_input(jobset, "greeting", "string", "hi")
    async with evaluating(services):
        (first,) = await jobsets.settled(jobset)
        revision = lib.commit({"name.nix": '"new"'})
        await jobsets.database.execute("UPDATE jobsets SET next_check_at = now() WHERE id = $1", jobset)
        _, second = await jobsets.settled(jobset, 2)
    assert second["cause"] == "input"
    assert second["inputs"]["lib"] == {"type": "git", "value": lib.url, "revision": revision}
    paths = [(await jobsets.builds(one["id"]))["a"]["drv_path"] for one in (first, second)]
    assert [path.rpartition("-hi-")[2] for path in paths] == ["old.drv", "new.drv"]


async def test_a_flake_is_evaluated(services: Services, jobsets: Jobsets) -> None:
    flake = '{ outputs = { self }: { hydraJobs.a = derivation { name = "a"; system = "x86_64-linux"; builder = "/bin/sh"; src = self; }; }; }'
    _, jobset = await jobsets.add({"flake.nix": flake}, nix_expression="hydraJobs", flake_mode=True)
    async with evaluating(services):
        (evaluation,) = await jobsets.settled(jobset)
    assert evaluation["error_message"] is None
    assert set(await jobsets.builds(evaluation["id"])) == {"a"}


async def test_a_force_push_is_evaluated(services: Services, jobsets: Jobsets) -> None:
    repository, jobset = await jobsets.add({"release.nix": release('{ a = make "a" { }; }')})
    async with evaluating(services):
        await jobsets.settled(jobset)
        repository.write({"release.nix": release('{ b = make "b" { }; }')})
        repository.git("add", "--all")
        repository.git("commit", "--quiet", "--amend", "--message", "Rewritten")
        await jobsets.database.execute("UPDATE jobsets SET next_check_at = now()")
        _, second = await jobsets.settled(jobset, 2)
    assert (second["cause"], second["commit_subject"]) == ("poll", "Rewritten")
    assert set(await jobsets.builds(second["id"])) == {"b"}


async def test_what_cannot_be_checked_is_shown_and_tried_ever_later(
    services: Services, jobsets: Jobsets
) -> None:
    _, absent = await jobsets.add({"x": ""}, project="absent", branch="nothing")
    gone, unreachable = await jobsets.add({"x": ""}, project="unreachable")
    gone.path.rename(gone.path.with_name("moved"))
    empty, hollow = await jobsets.add(None, project="empty", branch=None)
    _, waiting = await jobsets.add({"x": ""}, project="waiting")
    await jobsets.add_input(waiting, "tool", "build", "hello:main:app")
    async with evaluating(services):
        rows = {name: await jobsets.checked(jobset) for name, jobset in
                (("absent", absent), ("unreachable", unreachable), ("hollow", hollow), ("waiting", waiting))}  # fmt: skip
        assert rows["absent"]["last_error"].endswith("has no branch 'nothing'")
        assert "unreachable" in rows["unreachable"]["last_error"]
        assert rows["hollow"]["last_error"].endswith("is empty")
        assert "hello:main:app has not been built yet" in rows["waiting"]["last_error"]
        pauses = [_pause(rows["hollow"])]
        for _ in range(2):
            await jobsets.request(hollow)
            pauses.append(_pause(await jobsets.checked(hollow)))
        assert pauses == [60, 120, 240]
        assert (await jobsets.row(hollow))["check_failures"] == 3
        empty.commit({"release.nix": release("{ }")})
        await jobsets.request(hollow)
        await jobsets.settled(hollow)
    row = await jobsets.row(hollow)
    assert (row["check_failures"], row["last_error"], _pause(row)) == (0, None, 60)


def _pause(row: Any) -> int:
    return int((row["next_check_at"] - row["last_checked_at"]).total_seconds() + 0.5)


async def test_a_repository_that_does_not_answer_does_not_hold_up_the_others(
    services: Services, jobsets: Jobsets
) -> None:
    connected = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    _, silent = await jobsets.add({"x": ""}, project="silent")
    await jobsets.database.execute(
        "UPDATE projects SET repository_url = $1", f"git://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    )
    async with evaluating(services):
        await connected.wait()
        _, jobset = await jobsets.add({"release.nix": release("{ }")})
        await jobsets.settled(jobset)
    # Stopping hands the check back at once.
    row = await jobsets.row(silent)
    assert (row["claim_token"], row["last_checked_at"]) == (None, None)
    server.close()
    await server.wait_closed()


async def test_one_shot_is_evaluated_once(services: Services, jobsets: Jobsets) -> None:
    repository, jobset = await jobsets.add({"release.nix": release("{ }")}, state="one_shot")
    async with evaluating(services):
        await jobsets.settled(jobset)
        assert (await jobsets.row(jobset))["state"] == "disabled"
        await jobsets.database.execute("UPDATE jobsets SET state = 'one_shot', check_requested_at = now()")

        async def stopped() -> bool:
            return bool((await jobsets.row(jobset))["state"] == "disabled")

        await eventually(stopped, "a one_shot jobset without anything new is disabled")
        repository.commit({"release.nix": release('{ a = make "a" { }; }')})
        await jobsets.request(jobset)
    assert len(await jobsets.evaluations(jobset)) == 1


async def test_one_at_a_time_waits_until_everything_is_built(services: Services, jobsets: Jobsets) -> None:
    repository, jobset = await jobsets.add(
        {"release.nix": release('{ a = make "a" { }; }')}, state="one_at_a_time", check_interval=1
    )
    async with evaluating(services):
        await jobsets.settled(jobset)
    repository.commit({"release.nix": release('{ b = make "b" { }; }')})
    await jobsets.request(jobset)
    assert await claim_due(jobsets.database, uuid.uuid4()) is None
    await jobsets.database.execute("UPDATE builds SET status = 'failed', completed_at = now()")
    due = await claim_due(jobsets.database, uuid.uuid4())
    assert due is not None
    assert due.id == jobset


async def test_disabled_jobsets_and_projects_are_left_alone(services: Services, jobsets: Jobsets) -> None:
    await jobsets.add({"x": ""}, project="a", enabled=False)
    await jobsets.add({"x": ""}, project="b", state="disabled")
    await jobsets.add({"x": ""}, project="c")
    await jobsets.database.execute("UPDATE projects SET enabled = false WHERE name = 'c'")
    assert await claim_due(jobsets.database, uuid.uuid4()) is None


async def test_a_request_that_comes_during_a_check_is_not_lost(services: Services, jobsets: Jobsets) -> None:
    repository, jobset = await jobsets.add({"release.nix": release("{ }")})
    await jobsets.request(jobset)
    due = await claim_due(jobsets.database, uuid.uuid4())
    assert due is not None
    await jobsets.request(jobset)
    await jobsets.database.execute("UPDATE jobsets SET claim_token = NULL, lease_until = NULL")
    assert repository.head()
    async with evaluating(services):
        await jobsets.checked(jobset)
    assert len(await jobsets.evaluations(jobset)) == 1


async def test_a_jobset_changed_before_its_evaluation_begins_is_evaluated_anew(
    services: Services, jobsets: Jobsets
) -> None:
    repository, jobset = await jobsets.add(
        {"release.nix": release("{ }"), "b.nix": release('{ b = make "b" { }; }')}
    )
    outdated = await jobsets.database.fetchval(
        """INSERT INTO evaluations (jobset_id, commit_hash, inputs_hash, status) VALUES ($1, $2, 'other settings', 'pending')
        RETURNING id""",
        jobset,
        repository.head(),
    )
    async with evaluating(services):
        rows = {row["id"]: row for row in await jobsets.settled(jobset, 2)}
    assert rows[outdated]["status"] == "cancelled"
    assert "changed" in rows[outdated]["error_message"]
    assert sorted(row["status"] for row in rows.values()) == ["cancelled", "completed"]


async def test_an_expression_outside_of_the_repository_is_a_failure(
    services: Services, jobsets: Jobsets
) -> None:
    _, jobset = await jobsets.add({"x": ""}, nix_expression="../../etc/passwd")
    async with evaluating(services):
        (evaluation,) = await jobsets.settled(jobset)
    assert evaluation["status"] == "failed"
    assert "not a path inside the repository" in evaluation["error_message"]


async def test_an_evaluation_over_its_time_limit_ends_as_timed_out(
    services: Services, jobsets: Jobsets
) -> None:
    _, jobset = await jobsets.add({"release.nix": release("{ a = spin; }")}, evaluation_timeout=1)
    async with evaluating(services):
        (evaluation,) = await jobsets.settled(jobset)
    assert evaluation["status"] == "timed_out"
    assert "while evaluating a" in evaluation["error_message"]


async def test_stopping_hands_an_evaluation_back_at_once(services: Services, jobsets: Jobsets) -> None:
    _, jobset = await jobsets.add({"release.nix": release("{ a = spin; }")})

    async def running() -> bool:
        return any(row["status"] == "running" for row in await jobsets.evaluations(jobset))

    async with evaluating(services):
        await eventually(running, "the evaluation has begun")
    (evaluation,) = await jobsets.evaluations(jobset)
    assert (evaluation["status"], evaluation["attempts"], evaluation["claim_token"]) == ("pending", 0, None)


async def test_a_commit_that_is_gone_is_tried_again_and_then_a_failure(
    services: Services, jobsets: Jobsets
) -> None:
    _, jobset = await jobsets.add({"release.nix": release("{ }")}, enabled=True)
    async with evaluating(services):
        (evaluation,) = await jobsets.settled(jobset)
        await jobsets.database.execute(
            "UPDATE evaluations SET commit_hash = $1, status = 'pending'", "1" * 40
        )

        async def given_up_once() -> bool:
            (row,) = await jobsets.evaluations(jobset)
            return bool(row["attempts"] == 2 and row["status"] == "pending")

        await eventually(given_up_once, "the first attempt at the commit was given up")
        (evaluation,) = await jobsets.evaluations(jobset)
        assert "has no commit 1111" in evaluation["error_message"]
        await jobsets.database.execute("UPDATE evaluations SET next_attempt_at = now()")
        await jobsets.database.execute("UPDATE jobsets SET check_requested_at = now()")
        (evaluation, *_) = [row for row in await jobsets.settled(jobset, 2) if row["commit_hash"] == "1" * 40]
    assert evaluation["status"] == "failed"
    assert "has no commit 1111" in evaluation["error_message"]


async def test_an_evaluation_that_kills_its_process_every_time_is_given_up(
    services: Services, jobsets: Jobsets
) -> None:
    repository, jobset = await jobsets.add({"release.nix": release("{ }")})
    await jobsets.database.execute(
        """INSERT INTO evaluations (jobset_id, commit_hash, inputs_hash, status, attempts, claim_token, lease_until)
        VALUES ($1, $2, 'x', 'running', $3, gen_random_uuid(), now() - interval '1 second')""",
        jobset,
        repository.head(),
        MOST_ATTEMPTS,
    )
    async with evaluating(services):
        evaluations = await jobsets.settled(jobset)
    assert evaluations[0]["status"] == "failed"
    assert f"begun {MOST_ATTEMPTS} times and never ended" in evaluations[0]["error_message"]


async def test_the_newest_evaluation_comes_first(services: Services, jobsets: Jobsets) -> None:
    _, jobset = await jobsets.add({"x": ""})
    made = [
        await jobsets.database.fetchval(
            """INSERT INTO evaluations (jobset_id, commit_hash, status, evaluation_time)
            VALUES ($1, $2, 'pending', now() + make_interval(secs => $3)) RETURNING id""",
            jobset, f"{number:040x}", number,
        )
        for number in range(3)
    ]  # fmt: skip
    claimed = [await claim_evaluation(jobsets.database, uuid.uuid4()) for _ in range(4)]
    assert [None if one is None else one.claim.evaluation_id for one in claimed] == [*reversed(made), None]


async def test_a_claim_that_was_taken_over_cannot_be_renewed(services: Services, jobsets: Jobsets) -> None:
    _, jobset = await jobsets.add({"x": ""})
    await jobsets.database.execute(
        "INSERT INTO evaluations (jobset_id, commit_hash, status) VALUES ($1, 'x', 'pending')", jobset
    )
    first = await claim_evaluation(jobsets.database, uuid.uuid4())
    assert first is not None
    assert await renew(jobsets.database, first.claim)
    await jobsets.database.execute("UPDATE evaluations SET lease_until = now() - interval '1 second'")
    second = await claim_evaluation(jobsets.database, uuid.uuid4())
    assert second is not None
    assert second.attempts == 2
    assert not await renew(jobsets.database, first.claim)
    assert isinstance(second.claim.token, uuid.UUID)
