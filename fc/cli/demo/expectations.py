"""What the demo must end with: each build and its result, the statuses the forge must hold."""

FIRST_PUSH: dict[str, str] = {
    "greeting/main/hello": "succeeded",
    "greeting/main/shout": "succeeded",
    "greeting/main/report": "succeeded",
    "greeting/main/broken": "failed",
    "greeting/main/after-broken": "dependency_failed",
    "toolbox/main/saw": "succeeded",
    "toolbox/main/plane": "succeeded",
    "toolbox/main/hammer": "succeeded",
    "toolbox/main/ruler": "succeeded",
    "toolbox/main/bundle": "succeeded",
}
"""``project/jobset/job`` to status. ``broken`` fails on purpose; ``after-broken`` depends on it."""

SECOND_PUSH: dict[str, str] = FIRST_PUSH | {"greeting/nightly/almanac": "succeeded"}
"""After the jobset nightly was added to the configuration."""

EVALUATION_ERRORS = {"greeting/main/unwritten"}
"""Jobs that cannot be evaluated, on purpose."""

BUILT_ON: dict[str, str] = {
    "greeting/main/hello": "local",
    "toolbox/main/ruler": "local",
    "toolbox/main/saw": "workshop",
    "toolbox/main/plane": "workshop",
}
"""Where a build must have run: these ask for the head or for a feature of the remote builder."""
