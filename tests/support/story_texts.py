"""The words of the story: names, commits, errors and logs."""

from typing import Any

PROJECTS: dict[str, tuple[str, str, list[tuple[str, str, str, str, bool]]]] = {
    "nimbus": (
        "The event pipeline behind the weather service",
        "https://git.example.org/weather/nimbus.git",
        [
            ("main", "Every push to main, and every pull request", "main", "release.nix", True),
            ("release-2.4", "The release in service", "release-2.4", "release.nix", True),
        ],
    ),
    "kestrel": (
        "Flight recorder and its command line",
        "https://git.example.org/weather/kestrel.git",
        [
            ("main", "", "main", "ci.nix", True),
            ("next", "Against the next compiler", "next", "ci.nix", True),
        ],
    ),
    "site": (
        "The handbook and the status pages",
        "https://git.example.org/weather/site.git",
        [
            ("main", "", "main", "flake.nix", True),
            ("legacy", "The old site, kept for its redirects", "legacy", "default.nix", False),
        ],
    ),
}

COMMITS = [
    ("Parse GRIB messages without copying", "Ana Duarte"),
    ("gateway: refuse requests above the quota early", "Jonas Weber"),
    ("Bump nixpkgs to 26.05", "renovate"),
    ("Fix the race when a shard moves while it is read", "Mei Tanaka"),
    ("docs: explain back-pressure with a picture", "Ana Duarte"),
    ("ingest: retry only what can be retried", "Samir Haddad"),
    ("Drop the compatibility shim of 2.2", "Jonas Weber"),
    ("Make the integration test wait for the port", "Mei Tanaka"),
    ("Count dropped events by reason", "Samir Haddad"),
]

NIMBUS_JOBS = [
    "docs.x86_64-linux",
    "gateway.x86_64-linux",
    "gateway.aarch64-linux",
    "grib.x86_64-linux",
    "grib.aarch64-linux",
    "ingest.x86_64-linux",
    "ingest.aarch64-linux",
    "image.x86_64-linux",
    "integration.x86_64-linux",
    "lint.x86_64-linux",
    "nimbus.x86_64-linux",
    "nimbus.aarch64-linux",
    "schema.x86_64-linux",
    "shards.x86_64-linux",
]
KESTREL_JOBS = [
    "completions",
    "kestrel.x86_64-linux",
    "kestrel-cli.x86_64-linux",
    "kestrel-replay.x86_64-linux",
    "manual",
]
SITE_JOBS = ["handbook", "redirects", "status"]

DESCRIPTIONS = {
    "nimbus": "Event pipeline: ingest, shard, serve",
    "gateway": "HTTP gateway with quotas",
    "grib": "Reader for GRIB2 messages",
    "docs": "Manual as HTML and PDF",
    "integration": "Two nodes, one gateway, a thousand events",
    "kestrel": "Flight recorder",
}

ERRORS = {
    "failed": "the builder failed with exit code 101: cargo test",
    "dependency_failed": "kestrel.x86_64-linux, which it needs, has failed",
    "timeout": "timed out after 3600 seconds",
}

EVALUATION_ERRORS = [
    (
        "bench.x86_64-linux",
        (
            "error: \x1b[31;1mundefined variable 'criterion'\x1b[0m\n\n       at /source/bench.nix:14:22:\n\n           13|   nativeBuildInputs = [\n"
            "           14|     rustPlatform.hooks criterion\n             |                      ^\n           15|   ];\n\n"
            "error: undefined variable 'criterion'"
        ),
    ),
    (
        "fuzz.aarch64-linux",
        "error: Package 'honggfuzz-2.6' is not supported on 'aarch64-linux', refusing to evaluate.",
    ),
]

EVALUATION_FAILURE = """error: syntax error, unexpected ';', expecting '}'

       at /source/ci.nix:31:5:

           30|     inherit (pkgs) cargo rustc
           31|     ;
             |     ^
           32|   };"""

REVISIONS: list[tuple[str, str, str, list[tuple[Any, ...]], list[dict[str, Any]]]] = [
    (
        "Declare nimbus and its builders",
        "Ana Duarte",
        "applied",
        [
            ("project", "nimbus", "create", None, {"description": "The event pipeline behind the weather service", "repository_url": "https://git.example.org/weather/nimbus.git", "enabled": True}, "projects/nimbus.yaml", 3),
            ("remote_builder", "anvil-1", "create", None, {"ssh_uri": "ssh://builder@anvil-1.example.org", "systems": ["x86_64-linux", "i686-linux"], "max_jobs": 8}, "builders.yaml", 4),
        ],
        [],
    ),
    (
        "Add kestrel, site, and a second anvil",
        "Jonas Weber",
        "applied",
        [
            ("project", "kestrel", "create", None, {"description": "Flight recorder and its command line", "repository_url": "https://git.example.org/weather/kestrel.git", "enabled": True}, "projects/kestrel.yaml", 3),
            ("remote_builder", "anvil-2", "create", None, {"ssh_uri": "ssh://builder@anvil-2.example.org", "systems": ["x86_64-linux", "i686-linux"], "max_jobs": 8}, "builders.yaml", 11),
        ],
        [],
    ),
    (
        "Give the main branch of nimbus a larger share",
        "Mei Tanaka",
        "applied",
        [
            ("jobset", "nimbus/main", "update", {"branch": "main", "check_interval": 900, "nix_expression": "release.nix", "scheduling_shares": 100}, {"branch": "main", "check_interval": 300, "nix_expression": "release.nix", "scheduling_shares": 400}, "projects/nimbus.yaml", 9),
            ("notification", "nimbus/status", "update", {"repository": "weather/nimbus", "token": "«secret» old-token"}, {"repository": "weather/nimbus", "token": "«secret» github-token"}, "projects/nimbus.yaml", 14),
            ("jobset", "site/preview", "delete", {"branch": "preview", "check_interval": 300, "nix_expression": "flake.nix"}, None, None, None),
        ],
        [],
    ),
    (
        "Move the builders to their own file",
        "Samir Haddad",
        "failed",
        [],
        [
            {"file": "builders.yaml", "line": 7, "column": 5, "message": "'max_job' is not known here; did you mean 'max_jobs'?"},
            {"file": "projects/site.yaml", "line": 12, "column": 15, "message": "the channel 'site/live' follows the jobset 'man', which is not declared; did you mean 'main'?"},
        ],
    ),
]  # fmt: skip

RESOURCES = [
    ("project", "nimbus", "projects/nimbus.yaml", 3),
    ("jobset", "nimbus/main", "projects/nimbus.yaml", 9),
    ("jobset", "nimbus/release-2.4", "projects/nimbus.yaml", 10),
    ("project", "kestrel", "projects/kestrel.yaml", 3),
    ("project", "site", "projects/site.yaml", 3),
    ("remote_builder", "anvil-1", "builders.yaml", 4),
    ("remote_builder", "anvil-2", "builders.yaml", 11),
    ("remote_builder", "graviton", "builders.yaml", 18),
]


def nimbus_status(evaluation: int, job: str) -> str:
    """How a build of nimbus/main stands; evaluation 8 is the newest."""
    if evaluation == 8:
        return {
            "gateway.x86_64-linux": "running",
            "grib.aarch64-linux": "running",
            "nimbus.x86_64-linux": "running",
            "nimbus.aarch64-linux": "pending",
            "integration.x86_64-linux": "pending",
            "image.x86_64-linux": "pending",
            "ingest.aarch64-linux": "pending",
            "shards.x86_64-linux": "failed",
        }.get(job, "succeeded")
    if job == "shards.x86_64-linux" and evaluation in {2, 5}:
        return "failed"
    if job.startswith("integration") and evaluation == 2:
        return "dependency_failed"
    if job.startswith("image") and evaluation == 4:
        return "timeout"
    if job == "grib.aarch64-linux" and evaluation in {1, 2, 3}:
        return "cached_failure" if evaluation > 1 else "failed"
    return "succeeded"


def log(job: str, status: str) -> str:
    """What a build has printed so far."""
    name = job.partition(".")[0]
    lines = [
        "[fc] 09:14:02 attempt 1 on anvil-1",
        "\x1b[1munpacking sources\x1b[0m",
        f"unpacking source archive /nix/store/2kq8s-{name}-source",
        "\x1b[1mpatching sources\x1b[0m",
        "\x1b[1mconfiguring\x1b[0m",
        "checking for a working compiler... \x1b[32myes\x1b[0m",
        "checking for libeccodes >= 2.30... \x1b[32m2.36.0\x1b[0m",
        "checking for optional io_uring... \x1b[33mno\x1b[0m",
        "\x1b[1mbuilding\x1b[0m",
    ]
    lines += [f"   \x1b[32;1mCompiling\x1b[0m {crate}" for crate in CRATES]
    if name == "gateway":
        lines += [f"\x1b[36m[{number:3}/412]\x1b[0m compiling quota_{number}.rs" for number in range(1, 340)]
    lines += [
        "\x1b[33;1mwarning\x1b[0m\x1b[1m: unused variable: `budget`\x1b[0m",
        "  \x1b[34;1m-->\x1b[0m src/retry.rs:88:9",
        "   \x1b[34;1m|\x1b[0m",
        "\x1b[34;1m88\x1b[0m \x1b[34;1m|\x1b[0m     let budget = Budget::new(config.retries);",
        "   \x1b[34;1m|\x1b[0m         \x1b[33;1m^^^^^^\x1b[0m \x1b[33;1mhelp: if this is intentional, prefix it with an underscore: `_budget`\x1b[0m",
    ]
    if status == "succeeded":
        lines += [
            "    \x1b[32;1mFinished\x1b[0m release profile [optimized] in 41.27s",
            "\x1b[1mrunning tests\x1b[0m",
        ]
        lines += [f"test {test} ... \x1b[32mok\x1b[0m" for test in TESTS]
        lines += ["", f"test result: \x1b[32mok\x1b[0m. {len(TESTS)} passed; 0 failed"]
    elif status == "failed":
        lines += [
            "\x1b[1mrunning tests\x1b[0m",
            *(f"test {test} ... \x1b[32mok\x1b[0m" for test in TESTS[:-1]),
        ]
        lines += [
            f"test {TESTS[-1]} ... \x1b[31mFAILED\x1b[0m",
            "",
            "---- shard::moves_while_read stdout ----",
            "thread 'shard::moves_while_read' panicked at src/shard.rs:214:13:",
            "\x1b[31massertion `left == right` failed: the reader saw <half> a shard & went on\x1b[0m",
            "  left: 4096",
            " right: 8192",
            "",
            f"test result: \x1b[31mFAILED\x1b[0m. {len(TESTS) - 1} passed; 1 failed",
        ]
    return "\n".join(lines) + "\n"


CRATES = [
    "libc v0.2.174", "memchr v2.7.5", "bytes v1.10.1", "futures-core v0.3.31", "tokio v1.46.0", "hyper v1.6.0",
    "tower v0.5.2", "eccodes-sys v0.5.2", "grib v0.9.0", "nimbus-core v2.4.1 (/build/source/core)",
    "nimbus-shard v2.4.1 (/build/source/shard)", "nimbus v2.4.1 (/build/source)",
]  # fmt: skip

TESTS = [
    "grib::reads_an_empty_message", "grib::reads_two_grids", "grib::refuses_a_wrong_length", "quota::counts_by_key",
    "quota::forgets_after_a_minute", "retry::gives_up_on_client_errors", "shard::is_found_by_key", "shard::moves_while_read",
]  # fmt: skip
