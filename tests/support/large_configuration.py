"""A large configuration repository, as a big organisation writes one: fifty resources in each file."""

_FILE = "teams/t{0:04}.yaml"
PER_FILE = 50
"""Ten projects with two jobsets each, fifteen roles, five pools and builders."""


def large_files(files: int, description: str = "One of many") -> dict[str, str]:
    """Texts by path; ``description`` is that of the very first project alone."""
    return {
        _FILE.format(number): _text(number, description if number == 0 else "One of many")
        for number in range(files)
    }


def _text(number: int, description: str) -> str:
    lines = [f"# Team {number}", "projects:"]
    for index in range(10):
        name = f"project-{number}-{index}"
        lines += [
            f"  {name}:",
            f"    repository_url: https://git.example.org/team-{number}/{name}.git",
            f"    description: {description if index == 0 else 'One of many'}",
            "    jobsets:",
            "      main: {branch: main, nix_expression: release.nix, flake_mode: false, check_interval: 5m}",
            "      next:",
            "        branch: next",
            "        nix_expression: hydraJobs",
            "        scheduling_shares: 50",
        ]
    lines.append("roles:")
    for index in range(15):
        lines += [
            f'  "project-admin:team-{number}/{index}":',
            f"    description: Administers part {index} of team {number}",
            f'    scopes: ["fc:project:team-{number}/{index}/*", "fc:jobset:*"]',
        ]
    builders = [f"builder-{number}-{index}" for index in range(3 if number % 2 else 2)]
    lines.append("remote_builders:")
    lines += [
        f'  {name}: {{ssh_uri: "ssh://nix@{name}.example.org", systems: [x86_64-linux], max_jobs: 8}}'
        for name in builders
    ]
    lines.append("worker_pools:")
    lines += [
        f"  team-{number}/pool-{index}: {{provider_id: ssh, owner: ops@example.org, config: {{builders: [{builders[0]}]}}}}"
        for index in range(5 - len(builders))
    ]
    return "\n".join(lines) + "\n"
