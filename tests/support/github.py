"""A stand-in GitHub: installation tokens and check runs, answered as the real one answers, on top of statuses."""

import base64
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typing_extensions import override

from fc.cli.demo.forge import Dialect
from fc.cli.demo.http_server import HttpAnswer, HttpRequest
from tests.support.forge import FaultyForge

APP, INSTALLATION = 4711, 815
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEY_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()

_TOKENS = re.compile(r"/app/installations/(\d+)/access_tokens")
_CREATE = re.compile(r"/repos/([^/]+/[^/]+)/check-runs")
_UPDATE = re.compile(r"/repos/([^/]+/[^/]+)/check-runs/(\d+)")
_LIST = re.compile(r"/repos/([^/]+/[^/]+)/commits/([0-9a-f]+)/check-runs")
_CONCLUSIONS = {"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
_MOST_ANNOTATIONS = 50
_LONGEST_TEXT = 65535


class FakeGitHub(FaultyForge):
    """A GitHub with one App, installed once on the repositories that it has."""

    def __init__(self, token: str = "forge-t0ken", repositories: frozenset[str] | None = None) -> None:
        super().__init__(token, repositories)
        self.token_life = 3600.0
        """Seconds that new tokens are good for."""
        self.tokens: dict[str, float] = {}
        """Those that are good, and until when."""
        self.tokens_given = 0
        self.runs: list[dict[str, Any]] = []
        """Every check run, as GitHub shows it, with its annotations."""
        self.may_write_checks = True
        self.answered: Callable[[HttpRequest], None] = _nothing
        """Called after every request that was carried out: what happens next may be changed there."""

    def run(self, name: str) -> dict[str, Any]:
        """The run of a name that GitHub's pages show."""
        return [run for run in self.runs if run["name"] == name][-1]

    def revoke(self) -> None:
        """No token that was given is good any more."""
        self.tokens.clear()

    @override
    async def answer(self, request: HttpRequest) -> HttpAnswer:
        answer = await self._answer(request)
        self.answered(request)
        return answer

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        path = request.path.partition("?")[0]
        if request.method == "POST" and (match := _TOKENS.fullmatch(path)):
            return self._give_token(int(match[1]), request)
        for method, route, act in (
            ("POST", _CREATE, self._create),
            ("PATCH", _UPDATE, self._update),
            ("GET", _LIST, self._list),
        ):
            if request.method == method and (match := route.fullmatch(path)):
                return self._refuse(request, match[1]) or act(request, *match.groups())
        return await super().answer(request)

    @override
    def _may_enter(self, dialect: Dialect, request: HttpRequest) -> bool:
        return self._is_app(request) or super()._may_enter(dialect, request)

    def _is_app(self, request: HttpRequest) -> bool:
        _, _, token = request.headers.get("authorization", "").partition(" ")
        return self.tokens.get(token, 0.0) > time.time()

    def _give_token(self, installation: int, request: HttpRequest) -> HttpAnswer:
        wrong = _wrong_with(request.headers.get("authorization", "").removeprefix("Bearer "))
        if wrong is not None:
            return _say(401, wrong)
        if installation != INSTALLATION:
            return _say(404, "Not Found")
        asked = msgspec.json.decode(request.body).get("repositories", [])
        if self._repositories is not None and not all(
            f"tools/{name}" in self._repositories for name in asked
        ):
            return _say(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        self.tokens_given += 1
        token = f"ghs_token{self.tokens_given:04}"
        end = time.time() + self.token_life
        self.tokens[token] = end
        at = datetime.fromtimestamp(int(end), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _json(201, {"token": token, "expires_at": at, "permissions": {"checks": "write"}})

    def _refuse(self, request: HttpRequest, repository: str) -> HttpAnswer | None:
        if not self._is_app(request):
            if super()._may_enter("github", request):
                return _say(403, "You must authenticate via a GitHub App.")
            return _say(401, "Bad credentials")
        if self._repositories is not None and repository not in self._repositories:
            return _say(404, "Not Found")
        if not self.may_write_checks:
            return _say(403, "Resource not accessible by integration")
        return None

    def _list(self, request: HttpRequest, _repository: str, sha: str) -> HttpAnswer:
        name = re.search(r"check_name=([^&]*)", request.path)
        found = [
            run
            for run in self.runs
            if run["head_sha"] == sha and name and run["name"] == name[1].replace("%2F", "/")
        ]
        return _json(200, {"total_count": len(found[-1:]), "check_runs": [_shown(run) for run in found[-1:]]})

    def _create(self, request: HttpRequest, _repository: str) -> HttpAnswer:
        fields = msgspec.json.decode(request.body)
        wrong = _invalid(fields, ("name", "head_sha"))
        if wrong is not None:
            return _say(422, wrong)
        run = {
            "id": 100 + len(self.runs),
            "app": {"id": APP},
            "annotations": [],
            "conclusion": None,
            "output": {},
        }
        self.runs.append(run)
        return _json(201, _shown(_write(run, fields)))

    def _update(self, request: HttpRequest, _repository: str, number: str) -> HttpAnswer:
        fields = msgspec.json.decode(request.body)
        wrong = _invalid(fields, ())
        if wrong is not None:
            return _say(422, wrong)
        found = [run for run in self.runs if run["id"] == int(number)]
        return _json(200, _shown(_write(found[0], fields))) if found else _say(404, "Not Found")


def _nothing(_request: HttpRequest) -> None:
    pass


def _write(run: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    output = fields.pop("output", {})
    run["annotations"] += output.pop("annotations", [])
    run["output"] |= output
    run |= {"status": "completed"} if "conclusion" in fields else {}
    run |= fields
    return run


def _shown(run: dict[str, Any]) -> dict[str, Any]:
    output = run["output"] | {"annotations_count": len(run["annotations"])}
    return {name: value for name, value in run.items() if name != "annotations"} | {"output": output}


def _invalid(fields: dict[str, Any], required: tuple[str, ...]) -> str | None:
    """What GitHub would say against the fields of a check run; none: nothing."""
    output = fields.get("output")
    missing = [name for name in required if not fields.get(name)]
    if fields.get("status") == "completed" and "conclusion" not in fields:
        missing.append("conclusion")
    if output is not None:
        missing += [name for name in ("title", "summary") if not output.get(name)]
    if missing:
        return f'Invalid request.\n\n"{missing[0]}" wasn\'t supplied.'
    if fields.get("conclusion", "success") not in _CONCLUSIONS:
        return "Invalid request.\n\nconclusion is not a member of its enumeration."
    annotations = (output or {}).get("annotations", [])
    if len(annotations) > _MOST_ANNOTATIONS:
        return f"Invalid request.\n\nNo more than 50 items are allowed; {len(annotations)} were supplied."
    if len((output or {}).get("summary", "")) > _LONGEST_TEXT:
        return "Invalid request.\n\nOnly 65535 characters are allowed."
    return next((wrong for one in annotations if (wrong := _invalid_annotation(one))), None)


def _invalid_annotation(one: dict[str, Any]) -> str | None:
    needed = ("path", "start_line", "end_line", "annotation_level", "message")
    missing = [name for name in needed if not one.get(name)]
    if missing:
        return f'Invalid request.\n\n"{missing[0]}" wasn\'t supplied.'
    if (
        one["annotation_level"] not in {"notice", "warning", "failure"}
        or one["end_line"] < one["start_line"]
        or one["start_line"] < 1
    ):
        return "Validation Failed"
    columns = [one[name] for name in ("start_column", "end_column") if name in one]
    if columns and (one["start_line"] != one["end_line"] or min(columns) < 1):
        return "Validation Failed: columns are for one line"
    if len(one["message"].encode()) > _LONGEST_TEXT or len(one.get("title", "")) > 255:
        return "Validation Failed: too long"
    return None


def _wrong_with(proof: str) -> str | None:
    """What GitHub would say against an App's JSON Web Token; none: nothing."""
    try:
        head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in proof.split("."))
        KEY.public_key().verify(signature, proof.rpartition(".")[0].encode(), PKCS1v15(), SHA256())
        header, said = msgspec.json.decode(head), msgspec.json.decode(claims)
    except (ValueError, InvalidSignature):
        return "A JSON web token could not be decoded"
    now = time.time()
    if header != {"alg": "RS256", "typ": "JWT"} or said["iss"] != str(APP):
        return "A JSON web token could not be decoded"
    if said["iat"] > now + 1:
        return (
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        )
    if said["exp"] > now + 600:
        return "'Expiration time' claim ('exp') is too far in the future"
    return (
        "'Expiration time' claim ('exp') must be a numeric value representing a time in the future"
        if said["exp"] < now
        else None
    )


def _json(code: int, answer: object) -> HttpAnswer:
    return HttpAnswer(code, msgspec.json.encode(answer))


def _say(code: int, message: str) -> HttpAnswer:
    return _json(code, {"message": message, "documentation_url": "https://docs.github.com/rest"})
