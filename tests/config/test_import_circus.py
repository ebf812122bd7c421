"""A circus.toml becomes configuration that is valid, and no secret of it appears anywhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.base.errors import InvalidInputError
from fc.config.import_circus import _api_key, _project, _user, import_circus
from fc.config.imported import Imported, Importing
from tests.support.configuration import compiled, shown

CIRCUS = """
[database]
url = "postgresql://circus:hunter2@localhost/circus"

[declarative]
allow_runtime_mutation = true

[[declarative.users]]
username = "alice"
email = "alice@example.org"
full_name = "Alice"
password = "hunter2"
role = "admin"

[[declarative.users]]
username = "bob"
email = "bob@example.org"
role = "emperor"

[[declarative.api_keys]]
name = "admin-key"
key = "circus_hunter2"
role = "admin"

[[declarative.api_keys]]
name = "bot"
key_file = "/run/secrets/bot"

[[declarative.remote_builders]]
name = "big-1"
ssh_uri = "ssh://builder@big-1.example.org"
systems = ["x86_64-linux"]
max_jobs = 8
supported_features = ["kvm"]

[[declarative.projects]]
name = "configuration"
repository_url = "https://me:hunter2@git.example.org/c.git"
cache_enabled = true

[[declarative.projects]]
name = "hello world"
repository_url = "https://git.example.org/hello.git"
description = "A friendly greeting"

[[declarative.projects.jobsets]]
name = "main"
nix_expression = "release.nix"
flake_mode = false
branch = "main"
check_interval = 300
keep_nr = 5

[[declarative.projects.jobsets.inputs]]
name = "nixpkgs"
input_type = "git"
value = "https://git.example.org/nixpkgs.git"
revision = "nixos-24.05"

[[declarative.projects.jobsets.inputs]]
name = "release"
input_type = "boolean"
value = "true"

[[declarative.projects.jobsets.inputs]]
name = "odd"
input_type = "carrier-pigeon"
value = "hunter2"

[[declarative.projects.jobsets]]
name = "all/branches"
nix_expression = "hydraJobs"
branch_pattern = "*"
state = "sometimes"

[[declarative.projects.channels]]
name = "stable"
jobset_name = "main"

[[declarative.projects.channels]]
name = "every"
jobset_name = "all/branches"

[[declarative.projects.channels]]
name = "nothing"
jobset_name = "nowhere"

[[declarative.projects.webhooks]]
forge_type = "github"
secret = "hunter2"

[[declarative.projects.webhooks]]
forge_type = "sourceforge"
secret = "hunter2"

[[declarative.projects.notifications]]
notification_type = "github_status"
config = {token = "hunter2", owner = "tools", repo = "hello"}

[[declarative.projects.notifications]]
notification_type = "webhook"
config = {url = "https://x.example.org/?token=hunter2", secret = "hunter2"}

[[declarative.projects.notifications]]
notification_type = "webhook"
config = {url = "https://y.example.org/"}

[[declarative.projects.notifications]]
notification_type = "email"
config = {to = "hunter2@example.org"}

[[declarative.projects.members]]
username = "alice"
role = "maintainer"

[[declarative.projects.members]]
username = "nobody"
"""


def assert_valid(imported: Imported) -> None:
    for files in (imported.text("x"), imported.files("x")):
        made = compiled(files)
        assert made.problems == (), shown(made.problems)
        assert len(made.resources) == len(imported.resources)


def test_everything_fc_has_is_carried_over() -> None:
    imported = import_circus(CIRCUS)
    assert_valid(imported)
    made = {key: one.fields for key, one in compiled(imported.text("circus.toml")).resources.items()}
    assert made["user", "alice"]["role"] == "admin"
    assert made["user", "bob"]["role"] == "read-only"
    assert made["remote_builder", "big-1"]["max_jobs"] == 8
    assert made["api_key", "bot"] == {"key": {"secret": "bot-key"}, "role": "read-only", "user": None}
    assert made["project", "configuration-1"]["repository_url"] == "https://git.example.org/c.git"
    main = made["jobset", "hello-world/main"]
    assert (main["nix_expression"], main["flake_mode"], main["check_interval"], main["keep_nr"]) == (
        "release.nix",
        False,
        300,
        5,
    )
    assert made["input", "hello-world/main/release"] == {"type": "boolean", "value": True}
    assert made["input", "hello-world/main/nixpkgs"]["revision"] == "nixos-24.05"
    assert made["channel", "hello-world/every"] == {"jobset": "all-branches"}
    assert made["jobset", "hello-world/all-branches"]["state"] == "enabled"
    assert made["webhook", "hello-world/github"]["secret"] == {"secret": "hello-world-github-webhook"}
    assert made["notification", "hello-world/github_status"]["repository"] == "tools/hello"
    assert made["notification", "hello-world/webhook"]["url"] == "https://x.example.org/"
    assert made["notification", "hello-world/webhook-2"]["url"] == "https://y.example.org/"
    assert made["member", "hello-world/alice"] == {"role": "maintainer"}
    assert len(made) == 18


def test_what_is_lost_is_told_and_what_must_be_provided_is_listed() -> None:
    imported = import_circus(CIRCUS)
    notes = "\n".join(imported.notes)
    for said in (
        "database: settings of the service are not configuration",
        "user 'alice': the password was left out",
        "user 'bob': FC has no such role",
        "project 'configuration' is now named 'configuration-1'",
        "the credentials in the address were left out",
        "project 'configuration-1': FC has nothing like cache_enabled",
        "jobset 'hello-world/all-branches': branch_pattern was left out",
        "jobset 'hello-world/all-branches': state was left out: state: expected",
        "input 'odd' of 'hello-world/main' was left out",
        "channel 'hello-world/nothing' was left out",
        "a notification (email) was left out",
        "a webhook was left out: FC has no such forge",
        "member 'hello-world/nobody' was left out",
    ):
        assert said in notes
    assert imported.secrets == {
        "admin-key-key": "the api key 'admin-key', which stands in the source in plain text",
        "bot-key": "the api key 'bot', now in /run/secrets/bot",
        "hello-world-github-webhook": "what github signs its posts for 'hello-world' with, which stands in the source in plain text",
        "hello-world-github_status-token": "the token that writes statuses for 'hello-world' (github_status), which stands in the source in plain text",
        "hello-world-notification": "what posts about 'hello-world' are signed with, which stands in the source in plain text",
    }
    text = imported.text("circus.toml")
    assert all(f"# - {note}\n" in text for note in imported.notes)
    assert all(f"# - {name}: " in text for name in imported.secrets)


def test_no_secret_appears_anywhere() -> None:
    imported = import_circus(CIRCUS)
    output = "\n".join(
        [imported.text("x"), *imported.files("x").values(), *imported.notes, str(imported.secrets)]
    )
    assert "hunter2" not in output


@pytest.mark.parametrize(
    "text", ["", "x = 1", "{}", "declarative = 3", "a = 'hunter2", "\0", "[[declarative]]"]
)
def test_what_is_no_circus_toml_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        import_circus(text)
    assert "hunter2" not in str(caught.value)


def test_hostile_values_are_left_out() -> None:
    text = """
[[declarative.users]]
username = {a = 1}
email = 3
[[declarative.users]]
username = "a"
email = "same@example.org"
[[declarative.users]]
username = "a"
email = "same@example.org"
[[declarative.projects]]
name = "../../etc"
repository_url = "ext::sh -c x"
[[declarative.projects]]
name = "p\\u001b[2J"
repository_url = "/srv/p"
description = 2024-01-01
jobsets = [{name = "", nix_expression = ["x"]}, {name = "j", nix_expression = "a\\n# b", inputs = [3, {name = {}, input_type = []}]}]
webhooks = [{forge_type = {}}, {forge_type = "github"}, {forge_type = "github"}]
notifications = 7
members = [{username = ["a"], role = {}}]
"""
    imported = import_circus(text)
    assert_valid(imported)
    assert {(one.kind, one.key) for one in imported.resources} >= {("user", "a"), ("project", "p-2J")}
    assert not any(character in imported.text("x") for character in "\x1b\0")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.text(max_size=12) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_stands_in_its_fields_the_result_is_valid(data: st.DataObject) -> None:
    """The tables of a circus.toml as the parser gives them, with any values in them."""
    importing = Importing()
    table = st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["name", "username", "email", "role", "key_file", "enabled"], VALUES)
    )
    _user(importing, data.draw(table))
    _api_key(importing, data.draw(table))
    jobset = st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["name", "nix_expression", "state", "keep_nr", "branch", "inputs"], VALUES)
    )
    project = st.fixed_dictionaries(
        {"repository_url": st.just("/srv/p") | VALUES, "jobsets": st.lists(jobset, max_size=3)},
        optional=dict.fromkeys(
            ["name", "description", "notifications", "webhooks", "members", "channels"], VALUES
        ),
    )
    _project(importing, data.draw(project))
    assert_valid(importing.finish())
