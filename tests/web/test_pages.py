"""Every page: what it says, from a full database and from an empty one."""

import re
import uuid

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.base.database import Database
from tests.support.story_rows import Story

Client = AsyncTestClient[Litestar]


async def text(client: Client, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.text


def words(html: str) -> str:
    """What a page says, without its markup, on one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


async def test_every_page_of_the_story_answers(client: Client, story: Story) -> None:
    running = story.build("nimbus/main", "gateway.x86_64-linux")
    for path in (
        "/",
        *(f"/projects/{project}" for project in ("nimbus", "kestrel", "site")),
        *("/projects/" + jobset.replace("/", "/jobsets/") for jobset in story.evaluations),
        *(f"/evaluations/{one}" for several in story.evaluations.values() for one in several),
        *(f"/builds/{build}" for build in story.builds.values()),
        f"/builds/{running}/log",
        f"/builds/{running}/steps/1/log?line=200",
        "/builders",
        "/configuration",
        *(f"/configuration/revisions/{revision}" for revision in story.revisions),
        *(f"/notifications?status={status}" for status in ("", "failed", "pending", "nonsense")),
        "/api",
        "/metrics",
    ):
        await text(client, path)


@pytest.mark.parametrize("path", ["/", "/builders", "/configuration", "/notifications", "/api"])
async def test_pages_of_an_empty_service_say_what_to_do(client: Client, path: str) -> None:
    page = await text(client, path)
    assert "<main" in page
    if path == "/":
        assert "There are no projects yet." in words(page)


async def test_the_overview_tells_what_runs_and_what_waits(client: Client, story: Story) -> None:
    page = words(await text(client, "/"))
    assert "Building 3 of 13 slots in use" in page
    assert "Queue 4 2 ready to build" in page
    assert "Builders 2 of 3 remote, in service" in page
    assert "grib.aarch64-linux nimbus / main · graviton" in page
    assert "legacy disabled" in page
    assert "next evaluation failed" in page


async def test_a_broken_configuration_is_told_on_the_overview(
    client: Client, story: Story, database: Database
) -> None:
    await database.execute(
        "UPDATE config_sources SET status = 'failed', error_message = 'two files do not parse'"
    )
    page = words(await text(client, "/"))
    assert "cannot be applied; what was applied before stays in force" in page
    assert "two files do not parse" in page


async def test_a_project_shows_channels_and_targets_but_no_secret(client: Client, story: Story) -> None:
    page = await text(client, "/projects/nimbus")
    assert "stable of release-2.4" in words(page)
    assert "weather/nimbus" in page
    assert "github-token" not in page
    assert "projects/nimbus.yaml:3" in page


async def test_a_project_s_own_file_is_shown_with_its_project_and_alarms_nobody_else(
    client: Client, story: Story, database: Database
) -> None:
    await database.execute(
        """UPDATE projects SET delegate = '{"jobsets": true, "limits": {"max_jobsets": 7}}' WHERE name = 'nimbus'"""
    )
    await database.execute(
        """INSERT INTO config_sources (name, url, branch, path, project_id, status, error_message, errors)
        SELECT 'project/nimbus', repository_url, 'main', '.fc.yaml', id, 'failed', 'it has 1 error',
            '[{"file": ".fc.yaml", "line": 3, "column": 5, "message": "jobset <unknown>"}]' FROM projects WHERE name = 'nimbus'"""
    )
    page = words(await text(client, "/projects/nimbus"))
    assert "it has 1 error" in page
    assert ".fc.yaml:3:5" in page
    assert "max_jobsets 7" in page
    assert "cannot be applied" not in words(await text(client, "/"))
    assert "nimbus failed · it has 1 error" in words(await text(client, "/configuration"))
    answer = await client.get("/metrics")
    assert '\nfc_configuration_project_sources{status="failed"} 1\n' in answer.text
    assert 'source="project/nimbus"' not in answer.text


async def test_the_matrix_has_a_row_for_each_job_and_a_column_for_each_evaluation(
    client: Client, story: Story
) -> None:
    page = await text(client, "/projects/nimbus/jobsets/main")
    table = page.partition('<table class="matrix">')[2].partition("</table>")[0]
    assert table.count('<th scope="row"') == 14
    assert table.count('<th scope="col"') == 11
    newest = story.build("nimbus/main", "shards.x86_64-linux")
    assert f'<a href="/builds/{newest}" title="failed">' in table


async def test_the_matrix_can_be_narrowed_and_turned_over(client: Client, story: Story) -> None:
    failing = await text(client, "/projects/nimbus/jobsets/main?show=failing")
    assert failing.count('<th scope="row"') == 1
    prefixed = await text(client, "/projects/nimbus/jobsets/main?job=grib")
    assert prefixed.count('<th scope="row"') == 2
    after = await text(client, "/projects/nimbus/jobsets/main?after=nimbus.x86_64-linux")
    assert after.count('<th scope="row"') == 2
    assert "No job fits." in words(await text(client, "/projects/nimbus/jobsets/main?job=zzz"))
    assert "placeholder" in await text(
        client, "/projects/nimbus/jobsets/main?job=%22%3E%3Cscript%3E&before=nonsense"
    )


async def test_evaluations_are_turned_over_page_by_page(
    client: Client, story: Story, database: Database
) -> None:
    jobset = await database.fetchval(
        "SELECT jobset_id FROM evaluations WHERE id = $1", story.evaluations["nimbus/main"][-1]
    )
    for number in range(25):
        await database.execute(
            "INSERT INTO evaluations (jobset_id, commit_hash, status, evaluation_time) VALUES ($1, $2, 'completed', $3)",
            jobset, f"{number:040}", story.ago(days=30, minutes=number),
        )  # fmt: skip
    seen: list[str] = []
    path = "/projects/nimbus/jobsets/main"
    while path:
        page = (await text(client, path)).partition('<ul class="rows eval">')[2]
        listed = re.findall(r'class="name" href="/evaluations/([0-9a-f-]+)"', page.partition("</ul>")[0])
        assert 0 < len(listed) <= 10
        seen += listed
        following = re.search(r'href="(\?before=[^"]+)">Older', page)
        path = f"/projects/nimbus/jobsets/main{following[1]}" if following else ""
    assert len(seen) == len(set(seen)) == 35


async def test_an_evaluation_shows_what_has_changed(client: Client, story: Story) -> None:
    newest = words(await text(client, f"/evaluations/{story.evaluations['nimbus/main'][-1]}"))
    assert "Newly failing 1" in newest
    assert "shards.x86_64-linux succeeded → failed" in newest
    repaired = words(await text(client, f"/evaluations/{story.evaluations['nimbus/main'][-3]}"))
    assert "Fixed 1" in repaired


async def test_an_evaluation_shows_the_errors_of_its_jobs(client: Client, story: Story) -> None:
    page = words(await text(client, f"/evaluations/{story.evaluations['kestrel/main'][-1]}"))
    assert "bench.x86_64-linux error: undefined variable &#39;criterion&#39;" in page
    assert "at /source/bench.nix:14:22" in page
    failed = words(await text(client, f"/evaluations/{story.evaluations['kestrel/next'][-1]}"))
    assert "The evaluation failed. error: syntax error, unexpected &#39;;&#39;" in failed


async def test_groups_of_builds_are_turned_over_page_by_page(
    client: Client, story: Story, database: Database
) -> None:
    evaluation = story.evaluations["site/main"][0]
    await database.execute(
        """INSERT INTO builds (evaluation_id, job_name, drv_path, status)
        SELECT $1, 'many-' || lpad(n::text, 4, '0'), '/nix/store/x.drv', 'succeeded' FROM generate_series(1, 150) n""",
        evaluation,
    )
    first = await text(client, f"/evaluations/{evaluation}")
    assert "many-0099" in first
    assert "many-0100" not in first
    following = re.search(r'href="(\?group=succeeded&amp;after=[^"#]+)', first)
    assert following is not None
    second = await text(client, f"/evaluations/{evaluation}{following[1].replace('&amp;', '&')}")
    assert "many-0100" in second
    assert "many-0001" not in second


async def test_a_build_says_why_it_waits(client: Client, story: Story) -> None:
    page = words(await text(client, f"/builds/{story.build('nimbus/main', 'integration.x86_64-linux')}"))
    assert "Why is it waiting? It waits for 2 inputs: gateway-2.4.1 and nimbus-2.4.1." in page
    assert "There is no output yet." in page


async def test_a_build_shows_steps_products_outputs_and_neighbours(client: Client, story: Story) -> None:
    done = words(await text(client, f"/builds/{story.build('nimbus/main', 'docs.x86_64-linux')}"))
    assert "manual.pdf" in done
    assert "1.8 MiB" in done
    assert "links.checked 1893" in done
    assert "docs-2.4.1 succeeded anvil-1" in done
    needed = words(await text(client, f"/builds/{story.build('nimbus/main', 'gateway.x86_64-linux')}"))
    assert "Needed by 1 integration.x86_64-linux" in needed


async def test_a_log_on_a_page_is_coloured_text(client: Client, story: Story) -> None:
    page = await text(client, f"/builds/{story.build('nimbus/main', 'shards.x86_64-linux')}")
    assert (
        '<span class="a-f1">assertion `left == right` failed: the reader saw &lt;half&gt; a shard &amp; went on</span>'
        in page
    )


async def test_every_line_of_a_long_log_has_an_address(client: Client, story: Story) -> None:
    build = story.build("nimbus/main", "gateway.x86_64-linux")
    story.grow_log(build, "".join(f"more {number}\n" for number in range(3000)))
    page = await text(client, f"/builds/{build}/log?line=2345")
    assert '<div class="l" id="L2345">' in page
    assert '<div class="l" id="L2001">' in page
    assert '<div class="l" id="L3000">' in page
    assert 'id="L2000"' not in page
    assert 'id="L3001"' not in page
    for odd in ("-1", "x", "9" * 30, "0"):
        assert 'id="L1"' in await text(client, f"/builds/{build}/log?line={odd}")
    assert "There is no such line." in await text(client, f"/builds/{build}/log?line=999999")


async def test_a_log_that_is_gone_is_said_so(client: Client, story: Story) -> None:
    build = story.build("nimbus/main", "shards.x86_64-linux")
    story.logs[build].unlink()
    assert "The log is not on this machine, or was removed." in words(await text(client, f"/builds/{build}"))
    assert (await client.get(f"/builds/{build}/log")).status_code == 404


async def test_builders_show_how_they_are_and_what_they_do(client: Client, story: Story) -> None:
    page = words(await text(client, "/builders"))
    assert "anvil-2 backing off" in page
    assert "3 in a row. the connection was lost: Connection reset by peer It is tried again" in page
    assert "graviton in service ssh://nix@graviton.example.org:2222 1 of 4 slots in use" in page
    assert "AAAA" not in page


async def test_the_configuration_shows_where_it_is_wrong(
    client: Client, story: Story, database: Database
) -> None:
    await database.execute(
        "UPDATE config_sources SET status = 'failed', error_message = 'it has 2 errors', failures = 2, errors = "
        "(SELECT errors FROM config_revisions WHERE id = $1)",
        story.revisions[-1],
    )
    page = words(await text(client, "/configuration"))
    assert "The last try failed, 2 times in a row. it has 2 errors" in page
    assert "builders.yaml:7:5 &#39;max_job&#39; is not known here; did you mean &#39;max_jobs&#39;?" in page
    assert "jobset 2 project 3 remote builder 3" in page


async def test_the_configuration_shows_what_was_changed_by_hand(
    client: Client, story: Story, database: Database
) -> None:
    assert "Drift" not in words(await text(client, "/configuration"))
    await database.execute(
        """INSERT INTO config_drift (source, kind, key, file, line, missing, fields, actor, message) VALUES
        ('main', 'jobset', 'kestrel/main', 'a.yaml', 7, false, $1, 'sql:postgres (psql)', NULL),
        ('main', 'user', 'ada', 'b.yaml', 9, true, '[]', NULL, 'another row has its email already')""",
        [{"field": "branch", "declared": "main", "found": "<b>evil</b>"}],
    )
    page = words(await text(client, "/configuration"))
    assert "jobset kestrel/main branch: git says main , the row says &lt;b&gt;evil&lt;/b&gt;" in page
    assert "a.yaml:7 · by sql:postgres (psql)" in page
    assert "user ada the row is gone cannot be healed: another row has its email already b.yaml:9" in page
    assert 'fc_configuration_drifted{kind="jobset"} 1' in await text(client, "/metrics")
    owned = await database.fetchrow(
        "SELECT source, kind, key FROM config_resources ORDER BY kind, key LIMIT 1"
    )
    assert owned is not None
    path = f"/configuration/resources/{owned['kind']}/{owned['key']}"
    assert "drifted" not in words(await text(client, path))
    await database.execute(
        """INSERT INTO config_drift (source, kind, key, file, line, missing, fields, actor) VALUES
        ($1, $2, $3, 'a.yaml', 7, true, '[]', 'sql:postgres (psql)')""",
        *owned,
    )
    page = words(await text(client, path))
    assert f"{owned['key']} drifted" in page
    assert "Changed by hand by sql:postgres (psql), " in page
    assert "it is not as git says. the row is gone" in page
    assert f"fcctl heal {owned['kind']} {owned['key']}" in page


async def test_a_project_that_git_removed_says_so_and_when_it_will_be_deleted(
    client: Client, story: Story, database: Database
) -> None:
    await database.execute("UPDATE projects SET enabled = false WHERE name = 'kestrel'")
    await database.execute("DELETE FROM config_resources WHERE kind = 'project' AND key = 'kestrel'")
    await database.execute(
        """INSERT INTO config_changes (revision_id, kind, key, action, created_at)
        VALUES ($1, 'project', 'kestrel', 'delete', now())""",
        story.revisions[2],
    )
    page = await text(client, "/projects/kestrel")
    assert f'<a href="/configuration/revisions/{story.revisions[2]}">this revision</a>' in page
    assert "Its history will be deleted after 20" in words(page)
    assert 'href="/projects/kestrel"' not in await text(client, "/")


async def test_a_revision_shows_what_it_changed(client: Client, story: Story) -> None:
    page = await text(client, f"/configuration/revisions/{story.revisions[2]}")
    assert "<del><span>check_interval: 900</span></del>" in page
    assert "<ins><span>check_interval: 300</span></ins>" in page
    assert "<ins><span>token: «secret» github-token</span></ins>" in page
    assert "removed jobset site/preview" in words(page)
    failed = words(await text(client, f"/configuration/revisions/{story.revisions[3]}"))
    assert "Why it was not applied 2" in failed


async def test_notifications_show_what_stands_in_their_way(client: Client, story: Story) -> None:
    page = words(await text(client, "/notifications"))
    assert "api.github.com answered 403: secondary rate limit" in page
    assert "will be tried again" in page
    assert "given up" in page
    assert "kestrel.x86_64-linux is failure in kestrel / main" in page
    assert "kestrel-cli" not in words(await text(client, "/notifications?status=failed"))


@pytest.mark.parametrize(
    "path",
    [
        "/projects/none",
        "/projects/nimbus/jobsets/none",
        "/projects/nimbus/jobsets/none/badge.svg",
        f"/evaluations/{uuid.UUID(int=1)}",
        f"/builds/{uuid.UUID(int=1)}",
        f"/builds/{uuid.UUID(int=1)}/log",
        f"/builds/{uuid.UUID(int=1)}/steps/1/log",
        f"/builds/{uuid.UUID(int=1)}/log/live",
        f"/configuration/revisions/{uuid.UUID(int=1)}",
    ],
)
async def test_what_is_not_there_is_not_found(client: Client, story: Story, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_page_that_has_not_changed_is_not_sent_again(client: Client, story: Story) -> None:
    path = f"/configuration/revisions/{story.revisions[0]}"
    first = await client.get(path)
    again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")


async def test_without_scripts_only_unfinished_pages_load_again(client: Client, story: Story) -> None:
    refresh = '<noscript><meta http-equiv="refresh"'
    assert refresh in await text(client, f"/builds/{story.build('nimbus/main', 'gateway.x86_64-linux')}")
    assert refresh not in await text(client, f"/builds/{story.build('nimbus/main', 'docs.x86_64-linux')}")


async def test_static_files_are_kept_for_ever_under_their_contents_name(client: Client) -> None:
    page = await text(client, "/builders")
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        answer = await client.get(path)
        assert "immutable" in answer.headers["cache-control"]
        assert re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", path)
        identity = await client.get(path, headers={"accept-encoding": "identity"})
        assert identity.content == answer.content
    assert (await client.get("/static/style.css")).status_code == 404
    assert (await client.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"
