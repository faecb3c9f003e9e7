"""A server on loopback that speaks what `huggingface_hub` asks a hub for: listings, downloads, and uploads."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "a1B2" * 8


@dataclass
class HubRepository:
    """A data set with its files by revision; a gated one wants the token, a private one hides without it."""

    files: dict[str, bytes]
    more: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False
    private: bool = False

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and the files of a revision, None if there is no such one."""
        revisions = {"main": self.files, **self.more}
        for name, files in revisions.items():
            commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
            if revision in (name, commit):
                return commit, files
        return None


@dataclass
class HubServer:
    """What the server holds, and every request that it was sent, in order."""

    repositories: dict[str, HubRepository]
    asked: list[str] = field(default_factory=list)
    url: str = ""
    failing: bool = False


@contextmanager
def hub_server(repositories: dict[str, HubRepository]) -> Iterator[HubServer]:
    """Serve data sets until the context ends."""
    hub = HubServer(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._note()
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._send(401, b'{"error": "Invalid username or password."}')
            elif parts == ["api", "validate-yaml"]:
                self._json({"errors": [], "warnings": []})
            elif parts == ["api", "repos", "create"]:
                name = json.loads(body)
                full = f"{name.get('organization') or 'me'}/{name['name']}"
                is_new = full not in hub.repositories
                is_private = bool(name.get("private")) or name.get("visibility") == "private"
                hub.repositories.setdefault(full, HubRepository({".gitattributes": b""}, private=is_private))
                self._json({"url": f"{hub.url}/datasets/{full}", "id": full}, 200 if is_new else 409)
            elif parts[:2] == ["api", "datasets"] and parts[4:5] == ["preupload"]:
                files = json.loads(body)["files"]
                modes = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in files]
                self._json({"files": modes})
            elif parts[:2] == ["api", "datasets"] and parts[4:5] == ["commit"]:
                repository = hub.repositories["/".join(parts[2:4])]
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        repository.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                commit = repository.at("main")[0]
                self._json(
                    {"commitUrl": f"{hub.url}/datasets/{parts[2]}/{parts[3]}/commit/{commit}", "commitOid": commit}
                )
            else:
                self._send(404, b"{}")

        def _note(self) -> None:
            hub.asked.append(f"{self.command} {unquote(urlsplit(self.path).path)}")

        def _answer(self, *, with_body: bool) -> None:
            self._note()
            path = unquote(urlsplit(self.path).path)
            if hub.failing:
                self._send(503, b"down")
                return
            parts = path.strip("/").split("/")
            is_listing = parts[:2] == ["api", "datasets"]
            name = "/".join(parts[2:4] if is_listing else parts[1:3])
            repository = hub.repositories.get(name)
            has_token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if repository is None or (repository.private and not has_token):
                self._send(401, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
                return
            if is_listing:
                revision = "/".join(parts[5:]) if parts[4:5] == ["revision"] else "main"
                found = repository.at(revision)
                if found is None:
                    self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                    return
                about = {
                    "private": repository.private,
                    "gated": repository.gated,
                    "tags": [],
                    "downloads": 0,
                    "likes": 0,
                }
                siblings = [{"rfilename": each} for each in sorted(found[1])]
                self._json({"id": name, "sha": found[0], "siblings": siblings, **about})
                return
            if repository.gated and not has_token:
                self._send(401, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
                return
            revision, _, rest = "/".join(parts[4:]).partition("/")
            if revision == "refs":
                revision, rest = "/".join(parts[4:7]), "/".join(parts[7:])
            found = repository.at(revision)
            if found is None or rest not in found[1]:
                self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
                return
            data = found[1][rest]
            headers = {"X-Repo-Commit": found[0], "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
            self._send(200, data, headers, with_body=with_body)

        def _json(self, value: object, status: int = 200) -> None:
            self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _send(
            self, status: int, data: bytes, headers: dict[str, str] | None = None, *, with_body: bool = True
        ) -> None:
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if with_body and self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
