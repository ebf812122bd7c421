"""Small payloads with the field names and shapes that the forges send."""

import copy
import hashlib
import hmac
from typing import Any

import msgspec

ZEROS = "0" * 40
OLD = "1" * 40
NEW = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"

GITHUB_REPOSITORY = {
    "id": 186853002,
    "name": "hello",
    "full_name": "tools/hello",
    "private": False,
    "owner": {"login": "tools", "type": "Organization"},
    "html_url": "https://github.com/tools/hello",
    "clone_url": "https://github.com/tools/hello.git",
    "git_url": "git://github.com/tools/hello.git",
    "ssh_url": "git@github.com:tools/hello.git",
    "default_branch": "main",
}
GITHUB_PUSH = {
    "ref": "refs/heads/main",
    "before": OLD,
    "after": NEW,
    "created": False,
    "deleted": False,
    "forced": False,
    "base_ref": None,
    "compare": "https://github.com/tools/hello/compare/111111111111...6113728f27ae",
    "commits": [{"id": NEW, "message": "Say hello"}],
    "head_commit": {"id": NEW, "message": "Say hello"},
    "repository": GITHUB_REPOSITORY,
    "pusher": {"name": "alice", "email": "alice@example.org"},
    "sender": {"login": "alice"},
}
GITHUB_PULL_REQUEST = {
    "action": "opened",
    "number": 2,
    "pull_request": {
        "number": 2,
        "state": "open",
        "title": "Say goodbye",
        "html_url": "https://github.com/tools/hello/pull/2",
        "user": {"login": "bob"},
        "merged": False,
        "draft": False,
        "head": {
            "label": "bob:goodbye",
            "ref": "goodbye",
            "sha": NEW,
            "repo": {"full_name": "bob/hello", "fork": True},
        },
        "base": {"label": "tools:main", "ref": "main", "sha": OLD, "repo": GITHUB_REPOSITORY},
    },
    "repository": GITHUB_REPOSITORY,
    "sender": {"login": "bob"},
}
GITHUB_CHECK_RUN = {
    "action": "rerequested",
    "check_run": {
        "id": 4,
        "head_sha": NEW,
        "external_id": "",
        "status": "completed",
        "conclusion": "neutral",
        "name": "fc/plan",
        "check_suite": {"id": 5, "head_branch": "goodbye", "head_sha": NEW, "pull_requests": []},
        "app": {"id": 4711, "slug": "fc", "owner": {"login": "tools"}},
        "pull_requests": [],
    },
    "repository": GITHUB_REPOSITORY,
    "sender": {"login": "alice"},
    "installation": {"id": 815},
}
GITHUB_CHECK_SUITE = {
    "action": "rerequested",
    "check_suite": {
        "id": 5,
        "head_branch": "goodbye",
        "head_sha": NEW,
        "status": "completed",
        "conclusion": "neutral",
        "pull_requests": [],
        "app": {"id": 4711, "slug": "fc", "owner": {"login": "tools"}},
    },
    "repository": GITHUB_REPOSITORY,
    "sender": {"login": "alice"},
    "installation": {"id": 815},
}
GITHUB_PING = {"zen": "Keep it logically awesome.", "hook_id": 109948940, "hook": {"type": "Repository"}}

GITEA_REPOSITORY = {
    "id": 140,
    "owner": {"id": 1, "login": "tools", "username": "tools"},
    "name": "hello",
    "full_name": "tools/hello",
    "html_url": "https://git.example.org/tools/hello",
    "ssh_url": "ssh://git@git.example.org/tools/hello.git",
    "clone_url": "https://git.example.org/tools/hello.git",
    "default_branch": "main",
}
GITEA_PUSH = {
    "ref": "refs/heads/main",
    "before": OLD,
    "after": NEW,
    "compare_url": "https://git.example.org/tools/hello/compare/1...2",
    "commits": [],
    "total_commits": 1,
    "head_commit": None,
    "repository": GITEA_REPOSITORY,
    "pusher": {"login": "alice"},
    "sender": {"login": "alice"},
}
GITEA_PULL_REQUEST = {
    "action": "synchronized",
    "number": 7,
    "pull_request": {
        "id": 33,
        "number": 7,
        "state": "open",
        "title": "Say goodbye",
        "html_url": "https://git.example.org/tools/hello/pulls/7",
        "user": {"login": "alice"},
        "merged": False,
        "head": {
            "label": "goodbye",
            "ref": "goodbye",
            "sha": NEW,
            "repo_id": 140,
            "repo": {"id": 140, "full_name": "tools/hello"},
        },
        "base": {"label": "main", "ref": "main", "sha": OLD, "repo_id": 140, "repo": GITEA_REPOSITORY},
    },
    "repository": GITEA_REPOSITORY,
    "sender": {"login": "alice"},
    "commit_id": "",
    "review": None,
}

GITLAB_PROJECT = {
    "id": 15,
    "name": "Hello",
    "web_url": "https://gitlab.example.org/group/tools/hello",
    "git_ssh_url": "git@gitlab.example.org:group/tools/hello.git",
    "git_http_url": "https://gitlab.example.org/group/tools/hello.git",
    "namespace": "Tools",
    "path_with_namespace": "group/tools/hello",
    "default_branch": "main",
}
GITLAB_PUSH = {
    "object_kind": "push",
    "event_name": "push",
    "before": OLD,
    "after": NEW,
    "ref": "refs/heads/main",
    "ref_protected": True,
    "checkout_sha": NEW,
    "user_id": 4,
    "project_id": 15,
    "project": GITLAB_PROJECT,
    "commits": [],
    "total_commits_count": 1,
}
GITLAB_MERGE_REQUEST = {
    "object_kind": "merge_request",
    "event_type": "merge_request",
    "user": {"id": 1, "username": "bob"},
    "project": GITLAB_PROJECT,
    "object_attributes": {
        "id": 99,
        "iid": 3,
        "action": "open",
        "title": "Say goodbye",
        "url": "https://gitlab.example.org/group/tools/hello/-/merge_requests/3",
        "state": "opened",
        "source_branch": "goodbye",
        "target_branch": "main",
        "source_project_id": 16,
        "target_project_id": 15,
        "last_commit": {"id": NEW, "message": "Say goodbye"},
        "source": {"path_with_namespace": "bob/hello"},
        "target": {"path_with_namespace": "group/tools/hello"},
        "work_in_progress": False,
    },
    "changes": {},
}


def changed(payload: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of ``payload`` with ``value`` at ``path``, such as ``pull_request.head.sha``."""
    result = copy.deepcopy(payload)
    *parents, last = path.split(".")
    node = result
    for key in parents:
        node = node[key]
    node[last] = value
    return result


def lacking(payload: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy of ``payload`` without the field at ``path``."""
    result = copy.deepcopy(payload)
    *parents, last = path.split(".")
    node = result
    for key in parents:
        node = node[key]
    del node[last]
    return result


def encoded(payload: Any) -> bytes:
    """The payload as a forge sends it."""
    return msgspec.json.encode(payload)


def hmac_of(body: bytes, secret: str) -> str:
    """The signature that GitHub, Gitea and Forgejo compute."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
