"""A server that answers as a Hydra does: its JSON API for projects and jobsets, and its bad days."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

PROJECTS: dict[str, dict[str, Any]] = {
    "hello": {
        "name": "hello",
        "displayname": "Hello",
        "description": "A friendly greeting",
        "homepage": "",
        "owner": "alice",
        "enabled": True,
        "hidden": False,
        "jobsets": ["main", "flake", ".jobsets", "old one", "main"],
    },
    "empty": {"name": "empty", "enabled": False, "hidden": True, "jobsets": []},
}
MAIN: dict[str, Any] = {
    "name": "main",
    "project": "hello",
    "description": "The main line",
    "enabled": 1,
    "visible": True,
    "type": 0,
    "nixexprinput": "src",
    "nixexprpath": "release.nix",
    "flake": "",
    "checkinterval": 300,
    "schedulingshares": 200,
    "keepnr": 5,
    "enableemail": True,
    "emailoverride": "alice@example.org",
    "errormsg": "",
    "fetcherrormsg": "",
    "errortime": None,
    "lastcheckedtime": 1588365711,
    "triggertime": None,
    "starttime": None,
    "inputs": {
        "src": {
            "name": "src",
            "type": "git",
            "value": "https://git.example.org/hello.git main",
            "emailresponsible": False,
        },
        "nixpkgs": {
            "name": "nixpkgs",
            "type": "git",
            "value": "https://git.example.org/nixpkgs.git nixos-24.05 deepclone",
            "emailresponsible": True,
        },
        "officialRelease": {"name": "officialRelease", "type": "boolean", "value": "false"},
        "version": {"name": "version", "type": "string", "value": "1.0"},
        "stdenv": {"name": "stdenv", "type": "build", "value": "base:main:stdenv"},
        "pulls": {"name": "pulls", "type": "githubpulls", "value": "owner repo s3cr3t"},
    },
}
JOBSETS: dict[tuple[str, str], dict[str, Any]] = {
    ("hello", "main"): MAIN,
    ("hello", "flake"): {
        "name": "flake",
        "project": "hello",
        "enabled": 3,
        "visible": False,
        "type": 1,
        "flake": "github:tools/hello/next?dir=sub",
        "checkinterval": 0,
        "inputs": {},
    },
    ("hello", "old one"): {
        "nixexprinput": "hydra",
        "nixexprpath": "old.nix",
        "enabled": 0,
        "jobsetinputs": {
            "hydra": {"jobsetinputalts": ["https://user:s3cr3t@git.example.org/hello.git old"]},
            "text": {"jobsetinputalts": ["some text"]},
        },
    },
}


class StandInHydra:
    """Serves ``PROJECTS`` and ``JOBSETS`` below ``url`` while its block runs; ``pages`` come before them."""

    def __init__(self, pages: dict[str, tuple[int, bytes]] | None = None) -> None:
        self.pages = pages or {}
        """Status and body by path."""
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, accept: str) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append(path)
        if path in self.pages:
            return self.pages[path]
        if accept != "application/json":
            return 200, b"<!DOCTYPE html>"
        found: Any = None
        parts = path.strip("/").split("/")
        match parts:
            case [""]:
                found = list(PROJECTS.values())
            case ["project", name]:
                found = PROJECTS.get(name)
            case ["jobset", project, name]:
                found = JOBSETS.get((project, name.replace("%20", " ")))
            case _:
                pass
        if found is None:
            return 404, b'{"error": "not found"}'
        return 200, json.dumps(found).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = outer.answer(self.path, self.headers.get("Accept", ""))
                self.send_response(code)
                if code in {301, 302}:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *arguments: Any) -> None:
                return

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
