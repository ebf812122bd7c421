"""Configurations for tests: texts to files, to resources, to rows."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fc.config.blobs import blob_id
from fc.config.compile import Compiled, compile_fragments
from fc.config.declared import Fragment
from fc.config.load import read_fragment
from fc.config.sealing import seal

WHOLE = """
projects:
  hello:
    description: A friendly greeting
    repository_url: https://git.example.org/tools/hello.git
    jobsets:
      main:
        {branch: main, nix_expression: release.nix, flake_mode: false, check_interval: 5m,
         inputs: {nixpkgs: {type: git, value: https://git.example.org/nixpkgs.git}, release: {type: boolean, value: true}}}
    channels: {stable: {jobset: main}}
    webhooks: {github: {secret: !secret hello-webhook}}
    notifications:
      - {type: github_status, repository: tools/hello, token: !secret github-token}
    members: {alice: maintainer}
roles:
  "project-admin:*": {description: Administers one project, scopes: ["fc:*:<..>/*"]}
worker_pools:
  nix/linux: {provider_id: ssh, owner: ops@example.org, description: Linux builders, config: {builders: [big-1]}}
remote_builders:
  big-1: {ssh_uri: ssh://builder@big-1.example.org, systems: [x86_64-linux], max_jobs: 8, supported_features: [kvm]}
users: {alice: {email: alice@example.org, role: read-only}}
api_keys: {deploy-bot: {key: !secret deploy-key, role: restart-jobs, user: alice}}
"""
"""One of every kind: thirteen resources."""


def project(name: str, **jobsets: str) -> str:
    """A project whose jobsets have these branches."""
    lines = [
        "projects:",
        f"  {name}:",
        f"    repository_url: https://git.example.org/{name}.git",
        "    jobsets:" if jobsets else "",
        *(
            f"      {jobset}: {{branch: {branch}, nix_expression: release.nix}}"
            for jobset, branch in jobsets.items()
        ),
    ]
    return "\n".join(line for line in lines if line) + "\n"


def fragment(text: str, file: str = "fc.yaml") -> Fragment:
    """What one file declares."""
    data = text.encode()
    return read_fragment(file, blob_id(data), data)


def compiled(files: str | Mapping[str, str]) -> Compiled:
    """A configuration of one text, or of several by file."""
    named = {"fc.yaml": files} if isinstance(files, str) else files
    return compile_fragments(fragment(text, file) for file, text in sorted(named.items()))


def value_of(name: str) -> str:
    """The value of every secret in tests: its name after ``value-of-``."""
    return f"value-of-{name}"


def sealed(files: str | Mapping[str, str], resolve: Callable[[str], str] = value_of) -> Compiled:
    """A configuration without problems, ready to be applied."""
    made = compiled(files)
    assert not made.problems, shown(made.problems)
    made = seal(made, lambda reference: resolve(reference["secret"]))
    assert not made.problems, shown(made.problems)
    return made


def shown(problems: Iterable[object]) -> list[str]:
    """Problems as people see them."""
    return [str(problem) for problem in problems]


def write(directory: Path, files: Mapping[str, str]) -> Path:
    """Write files below a directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory
