"""Weights from a hub: one that answers, one that does not, and none asked for."""

import http.server
import os
import socket
import subprocess
import sys
import threading

import pytest
import timm
import torch
from safetensors.torch import save_file

from base.command_line.parser import run
from cache import FeatureStore
from extract.__main__ import EXAMPLES
from extract.__main__ import extract as command
from tests.builders.paths import ROOT
from tests.builders.spaces import VIT


@pytest.fixture
def silent_server():
    """Take connections and never answer, as a firewall may."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_an_unreachable_hub_is_known_in_seconds(simulated, tmp_path, silent_server):
    code = (
        "import sys, time, extract.pipeline.stage; from base.command_line.parser import run; "
        "from extract.__main__ import extract; "
        "start = time.monotonic(); status = run(extract, 'extract', []); "
        "print('took', time.monotonic() - start); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--data", simulated, "--spaces", "clip", "--out", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_ENDPOINT": silent_server, "HF_HOME": str(tmp_path / "hf")},
    )  # fmt: skip
    assert done.returncode == 2
    address = f"{silent_server}/timm/vit_base_patch32_clip_224.openai/resolve/main/"
    for part in (
        "error: no weights for open_clip's ViT-B-32 (openai): tried",
        f"{silent_server} (not reachable, and there is no local copy)",
        "no installed package carries them",
        f"On a machine with internet fetch {address}open_clip_model.safetensors",
        'pass --weights clip=FILE (make: WEIGHTS="clip=FILE")',
    ):
        assert part in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    # One time-out of 4 s, and what a busy machine takes besides.
    assert float(done.stdout.split()[-1]) < 60
    assert not (tmp_path / "features").exists()


def test_offline_is_said(simulated, tmp_path, monkeypatch, capsys):
    # What the variable HF_HUB_OFFLINE=1 sets, and HF_HOME.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    arguments = ["--data", str(simulated), "--spaces", "sam", "--out", str(tmp_path / "o")]
    status, errors = run(command, "extract", EXAMPLES, arguments), capsys.readouterr().err
    assert status == 2
    assert "no weights for timm's samvit_base_patch16.sa1b: tried" in errors
    assert "(HF_HUB_OFFLINE is set, and there is no local copy)" in errors
    assert "pass --weights sam=FILE" in errors


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as Hugging Face does, for one file."""

    content = b""
    asked: list[str]

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.asked.append(self.path)
        if self.answer():
            self.wfile.write(self.content)

    def answer(self):
        found = self.path in ("/", "/timm/test_vit.r160_in1k/resolve/main/model.safetensors")
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", '"abc"')
        if not found:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(self.content) if found else 0))
        self.end_headers()
        return found

    def log_message(self, *_):
        pass


def test_weights_are_downloaded_once(simulated, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        save_file(timm.create_model("test_vit").state_dict(), tmp_path / "x.safetensors")
    handler = type("H", (Hub,), {"content": (tmp_path / "x.safetensors").read_bytes(), "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    arguments = ["--data", simulated, "--subject", "01", "--spaces", VIT, "--out", tmp_path / "o"]
    code = (
        "import sys; from base.command_line.parser import run\n"
        "from extract.__main__ import extract\n"
        "for _ in range(2): run(extract, 'extract', []), print('ran', flush=True), input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, text=True,
        env={**os.environ, **hub}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        said = "".join(iter(process.stdout.readline, "ran\n"))
        assert f"{VIT}: weights from hub timm/test_vit.r160_in1k" in said
        assert sum("safetensors" in path for path in handler.asked) == 1
        server.shutdown()
        server.server_close()
        assert "0 pictures computed, 52 there already" in process.communicate("\n\n")[0]
    (entry,) = FeatureStore(tmp_path / "o" / "features").entries()
    assert not entry.untrained
    assert entry.meta["origin"] == "hub timm/test_vit.r160_in1k"
