"""A believable story in a database: three projects with their evaluations, builds, builders, revisions and reports.

Pages are tested and shown with it. Everything lies in the past as seen from now, and nothing in it is random.
"""

import hashlib
import random
import uuid
from datetime import timedelta
from pathlib import Path

from fc.base.database import Database
from tests.support import story_texts as texts
from tests.support.story_rows import Story, add_build, add_evaluation, commit_hash, store_path


async def tell(database: Database, data_dir: Path) -> Story:
    """Fill an empty, migrated database, and the logs below ``data_dir``."""
    story = Story(database, data_dir)
    async with database.transaction() as connection:
        story.rows = connection
        await _builders(story)
        jobsets = await _projects(story)
        await _nimbus(story, jobsets)
        await _kestrel(story, jobsets)
        await _site(story, jobsets)
        await _configuration(story)
        await _reports(story)
    story.rows = database
    return story


async def _builders(story: Story) -> None:
    await story.rows.executemany(
        """INSERT INTO remote_builders (name, ssh_uri, systems, max_jobs, speed_factor, supported_features, public_host_key,
            consecutive_failures, disabled_until, last_failure, last_error, last_seen_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        [
            ("anvil-1", "ssh://builder@anvil-1.example.org", ["x86_64-linux", "i686-linux"], 8, 2, ["kvm", "big-parallel"],
             "ssh-ed25519 AAAA", 0, None, None, None, story.ago(seconds=3)),
            ("anvil-2", "ssh://builder@anvil-2.example.org", ["x86_64-linux", "i686-linux"], 8, 2, ["kvm"],
             "ssh-ed25519 AAAA", 3, story.now + timedelta(minutes=25), story.ago(minutes=2), "the connection was lost: Connection reset by peer",
             story.ago(minutes=9)),
            ("graviton", "ssh://nix@graviton.example.org:2222", ["aarch64-linux"], 4, 1, ["big-parallel"],
             "ssh-ed25519 AAAA", 0, None, None, None, story.ago(seconds=8)),
        ],
    )  # fmt: skip


async def _projects(story: Story) -> dict[str, uuid.UUID]:
    """Projects with their jobsets; the jobsets' ids by ``project/jobset``."""
    jobsets: dict[str, uuid.UUID] = {}
    for name, (description, url, members) in texts.PROJECTS.items():
        project = await story.rows.fetchval(
            "INSERT INTO projects (name, description, repository_url) VALUES ($1, $2, $3) RETURNING id",
            name,
            description,
            url,
        )
        for jobset, about, branch, expression, enabled in members:
            jobsets[f"{name}/{jobset}"] = await story.rows.fetchval(
                """INSERT INTO jobsets (project_id, name, description, nix_expression, flake_mode, branch, enabled, state,
                    check_interval, last_checked_at, next_check_at, last_commit)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 300, $9, $10, $11) RETURNING id""",
                project,
                jobset,
                about,
                expression,
                expression.startswith("flake"),
                branch,
                enabled,
                "enabled" if enabled else "disabled",
                story.ago(seconds=40),
                story.now + timedelta(seconds=260),
                commit_hash(f"{name}{jobset}"),
            )
        await story.rows.execute(
            """INSERT INTO notification_configs (project_id, name, notification_type, config)
            VALUES ($1, 'status', 'github_status', $2)""",
            project,
            {"repository": f"weather/{name}", "token": {"secret": "github-token"}},
        )
    await story.rows.execute(
        "INSERT INTO jobset_inputs (jobset_id, name, input_type, value, revision) VALUES ($1, 'nixpkgs', 'git', $2, 'nixos-26.05')",
        jobsets["nimbus/main"],
        "https://github.com/NixOS/nixpkgs.git",
    )
    return jobsets


async def _nimbus(story: Story, jobsets: dict[str, uuid.UUID]) -> None:
    """The main actor: a history with a failure that was repaired, and a newest evaluation at work."""
    chance = random.Random(4)
    for number in range(9):
        began = story.ago(hours=(8 - number) * 5.5, minutes=4)
        newest = number == 8
        evaluation = await add_evaluation(story, "nimbus/main", jobsets["nimbus/main"], evaluation_time=began)
        for index, job in enumerate(texts.NIMBUS_JOBS):
            status = texts.nimbus_status(number, job)
            seconds = 8 + chance.random() * 140
            started = (
                story.ago(seconds=95 - 20 * (index % 4))
                if status == "running"
                else began + timedelta(seconds=12 + index)
            )
            await add_build(
                story, evaluation, job, status, created=began + timedelta(seconds=9), started=started,
                completed=started + timedelta(seconds=seconds if not newest else 30 + index * 4), error=texts.ERRORS.get(status),
                system="aarch64-linux" if job.endswith("aarch64-linux") else "x86_64-linux",
                builder="graviton" if job.endswith("aarch64-linux") else "anvil-1",
                waits="pending" if job.startswith(("integration", "image")) else "ready",
            )  # fmt: skip
        for job, message in texts.EVALUATION_ERRORS if number in {3, 4} else ():
            await story.rows.execute(
                "INSERT INTO evaluation_errors (evaluation_id, job_name, message) VALUES ($1, $2, $3)",
                evaluation,
                job,
                message,
            )
    await _extras(story)
    await _proposal_and_release(story, jobsets)


async def _proposal_and_release(story: Story, jobsets: dict[str, uuid.UUID]) -> None:
    """A pull request with a failure, and the release that a channel stands at."""
    proposal = await add_evaluation(
        story, "nimbus/main", jobsets["nimbus/main"], evaluation_time=story.ago(minutes=50), cause="pull_request", pr_number=214,
        pr_head_branch="retry-budget", pr_base_branch="main", pr_action="synchronized", commit_subject="Give every upstream a retry budget",
    )  # fmt: skip
    story.evaluations["nimbus/main"].insert(0, story.evaluations["nimbus/main"].pop())
    for index, job in enumerate(texts.NIMBUS_JOBS[:6]):
        started = story.ago(minutes=49) + timedelta(seconds=index)
        await add_build(
            story, proposal, job, "succeeded" if index != 4 else "failed", created=story.ago(minutes=50), started=started,
            completed=started + timedelta(seconds=40), error=texts.ERRORS["failed"] if index == 4 else None,
        )  # fmt: skip
    release = await add_evaluation(
        story, "nimbus/release-2.4", jobsets["nimbus/release-2.4"], evaluation_time=story.ago(days=3)
    )
    for job in texts.NIMBUS_JOBS:
        started = story.ago(days=3) + timedelta(seconds=20)
        await add_build(
            story,
            release,
            job,
            "succeeded",
            created=story.ago(days=3),
            started=started,
            completed=started + timedelta(seconds=70),
        )
    await story.rows.execute(
        """INSERT INTO channels (project_id, name, jobset_id, current_evaluation_id)
        SELECT project_id, 'stable', id, $2 FROM jobsets WHERE id = $1""",
        jobsets["nimbus/release-2.4"],
        release,
    )


async def _extras(story: Story) -> None:
    """Dependencies, products and measurements of single builds."""
    newest = "nimbus/main"
    waiting = story.build(newest, "integration.x86_64-linux")
    for needed in ("nimbus.x86_64-linux", "gateway.x86_64-linux"):
        await story.rows.execute(
            "INSERT INTO build_dependencies (build_id, dependency_build_id) VALUES ($1, $2)",
            waiting,
            story.build(newest, needed),
        )
        await story.rows.execute(
            """INSERT INTO derivation_inputs (derivation_id, input_id)
            SELECT w.derivation_id, n.derivation_id FROM builds w, builds n WHERE w.id = $1 AND n.id = $2""",
            waiting,
            story.build(newest, needed),
        )
    await story.rows.execute(
        "UPDATE derivations SET missing_inputs = 2 WHERE id = (SELECT derivation_id FROM builds WHERE id = $1)",
        waiting,
    )
    done = story.build(newest, "docs.x86_64-linux")
    output = store_path("docs-2.4.1")
    await story.rows.executemany(
        """INSERT INTO build_products (build_id, name, path, content_type, sha256_hash, file_size, is_directory)
        VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        [
            (
                done,
                "manual.pdf",
                f"{output}/share/doc/manual.pdf",
                "doc-pdf manual",
                hashlib.sha256(b"pdf").hexdigest(),
                1_843_204,
                False,
            ),
            (done, "manual", f"{output}/share/doc/html", "doc manual", None, None, True),
        ],
    )
    await story.rows.execute(
        "INSERT INTO build_metrics (build_id, metric_name, metric_value, unit) VALUES ($1, 'pages', 214, 'pages'), ($1, 'links.checked', 1893, '')",
        done,
    )


async def _kestrel(story: Story, jobsets: dict[str, uuid.UUID]) -> None:
    for number in range(4):
        began = story.ago(hours=(3 - number) * 11, minutes=26)
        evaluation = await add_evaluation(
            story, "kestrel/main", jobsets["kestrel/main"], evaluation_time=began, cause="poll"
        )
        for index, job in enumerate(texts.KESTREL_JOBS):
            broken = number == 3 and job == "kestrel.x86_64-linux"
            status = (
                "failed"
                if broken
                else "dependency_failed"
                if number == 3 and job.startswith("kestrel-")
                else "succeeded"
            )
            started = began + timedelta(seconds=10 + index)
            await add_build(
                story, evaluation, job, status, created=began, started=started, completed=started + timedelta(seconds=33),
                error=texts.ERRORS.get(status), version="0.9.3",
            )  # fmt: skip
        for job, message in texts.EVALUATION_ERRORS[:1] if number == 3 else ():
            await story.rows.execute(
                "INSERT INTO evaluation_errors (evaluation_id, job_name, message) VALUES ($1, $2, $3)",
                evaluation,
                job,
                message,
            )
    await add_evaluation(
        story, "kestrel/next", jobsets["kestrel/next"], evaluation_time=story.ago(hours=7), status="failed",
        error_message=texts.EVALUATION_FAILURE, cause="configuration",
    )  # fmt: skip


async def _site(story: Story, jobsets: dict[str, uuid.UUID]) -> None:
    for number in range(3):
        began = story.ago(days=2 - number, minutes=75)
        evaluation = await add_evaluation(
            story, "site/main", jobsets["site/main"], evaluation_time=began, cause="push"
        )
        for index, job in enumerate(texts.SITE_JOBS):
            started = began + timedelta(seconds=10 + index)
            await add_build(
                story, evaluation, job, "succeeded", created=began, started=started, completed=started + timedelta(seconds=21),
                builder="local" if index else "anvil-1", version="1.12",
            )  # fmt: skip
    await add_evaluation(
        story, "site/main", jobsets["site/main"], evaluation_time=story.ago(seconds=6), status="running", cause="push",
        started_at=story.ago(seconds=5), completed_at=None,
    )  # fmt: skip


async def _configuration(story: Story) -> None:
    applied = commit_hash("configuration2")
    await story.rows.execute(
        """INSERT INTO config_sources (name, url, branch, path, status, last_seen_commit, last_synced_at, next_sync_at)
        VALUES ('main', 'https://git.example.org/ops/fc-config.git', 'main', '.', 'synced', $1, $2, $3)""",
        applied,
        story.ago(seconds=12),
        story.now + timedelta(seconds=48),
    )
    for index, (subject, author, status, changes, errors) in enumerate(texts.REVISIONS):
        actions = [action for _, _, action, *_ in changes]
        revision = await story.rows.fetchval(
            """INSERT INTO config_revisions (source, commit_hash, author, subject, status, plan, errors, duration_seconds, created_at)
            VALUES ('main', $1, $2, $3, $4, $5, $6, 0.043, $7) RETURNING id""",
            commit_hash(f"configuration{index}"), author, subject, status,
            {"summary": {action: actions.count(action) for action in ("create", "update", "delete")}}, errors,
            story.ago(days=(len(texts.REVISIONS) - index) * 2 - 1.9),
        )  # fmt: skip
        story.revisions.append(revision)
        await story.rows.executemany(
            """INSERT INTO config_changes (revision_id, kind, key, action, before, after, file, line)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
            [(revision, *change) for change in changes],
        )
    await story.rows.executemany(
        """INSERT INTO config_resources (source, kind, key, content, content_hash, file, line) VALUES ('main', $1, $2, '{}', 'x', $3, $4)""",
        texts.RESOURCES,
    )


async def _reports(story: Story) -> None:
    config = await story.rows.fetchval(
        "SELECT c.id FROM notification_configs c JOIN projects p ON p.id = c.project_id WHERE p.name = 'kestrel'"
    )
    failed = story.build("kestrel/main", "kestrel.x86_64-linux")
    rows = [
        (failed, "completed", 1, None, 25),
        (
            story.build("kestrel/main", "kestrel-cli.x86_64-linux"),
            "pending",
            2,
            "api.github.com answered 403: secondary rate limit",
            24,
        ),
        (
            story.build("kestrel/main", "completions"),
            "failed",
            5,
            "api.github.com answered 404: there is no repository weather/kestrel",
            23,
        ),
    ]
    await story.rows.executemany(
        """INSERT INTO notification_tasks (notification_type, payload, status, attempts, next_retry_at, last_error,
            notification_config_id, build_id, created_at, completed_at, destination, subject)
        VALUES ('github_status', '{"content": {"state": "failure"}}', $2, $3, $6, $4, $7, $1, $5, $8, 'api.github.com', $9)""",
        [
            (build, status, attempts, error, story.ago(minutes=minutes), story.now + timedelta(minutes=3), config,
             story.ago(minutes=minutes) if status == "completed" else None, str(build))
            for build, status, attempts, error, minutes in rows
        ],
    )  # fmt: skip
