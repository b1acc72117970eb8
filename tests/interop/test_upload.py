"""Test `push=` against a local server that answers as the API of the hub does."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from minitx.config.schema import ExportConfig
from minitx.errors import UserError
from minitx.interop.export import export_run
from minitx.interop.upload import check_push, upload

OLD_RUN = Path(__file__).parents[1] / "old_runs" / "language_modeling"


class Hub(BaseHTTPRequestHandler):
    """Keeps the models that were created, and the files that were committed to them."""

    models: dict
    refuses: bool

    def log_message(self, *_):
        pass

    def reply(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Authorization"] == "Bearer hf_of_a_test"
        if self.refuses:
            self.reply({"error": "You don't have the rights to create a model"}, 403)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.models[name] = {"visibility": asked.get("visibility"), "files": {}}
            self.reply({"url": f"http://{self.headers['Host']}/{name}"})
        elif self.path == "/api/validate-yaml":  # the head of the model card
            assert "pipeline_tag: text-generation" in json.loads(body)["content"]
            self.reply({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self.reply(
                {
                    "files": [
                        {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for each in files
                    ]
                }
            )
        elif "/commit/" in self.path:
            name = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.models[name]["files"][line["value"]["path"]] = content
            url = f"http://{self.headers['Host']}/{name}/commit/1"
            self.reply({"commitUrl": url, "commitOid": "1", "success": True})
        else:
            self.reply({"error": self.path}, 404)

    def do_GET(self):
        self.reply({"error": "Repository not found"}, 404)


@pytest.fixture
def hub(monkeypatch):
    handler = type("Handler", (Hub,), {"models": {}, "refuses": False})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_export_is_uploaded_as_a_private_model(hub, tmp_path):
    out = tmp_path / "out"
    done = export_run(ExportConfig(run=str(OLD_RUN), to=str(out), push="me/small-model"))
    uploaded = hub.models["me/small-model"]
    assert uploaded["visibility"] == "private"
    written = {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    assert uploaded["files"] == written
    assert "model.safetensors" in written
    assert done.address is not None
    assert done.address.endswith("/me/small-model")


def test_a_refusal_is_one_line_and_the_export_stays(hub, tmp_path):
    hub.refuses = True
    (tmp_path / "README.md").write_text("a card", encoding="utf-8")
    with pytest.raises(UserError, match="is written, but push=me/model failed") as caught:
        upload(tmp_path, "me/model")
    assert "\n" not in str(caught.value)
    assert f"try hf upload me/model {tmp_path}" in str(caught.value)


@pytest.mark.parametrize("name", ["model", "a/b/c", "me/", "me/a b", "me/..", "-me/--x"])
def test_a_name_that_no_model_can_have_is_refused_at_once(name):
    with pytest.raises(UserError, match="name the model as user/name"):
        check_push(name)


def test_without_an_account_nothing_starts(monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="set HF_TOKEN, or run hf auth login"):
        check_push("me/model")
