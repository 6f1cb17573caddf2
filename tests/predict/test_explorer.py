"""The explorer in a real browser, and under attack over a real socket."""

import http.client
import io
import re
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from challenge import Subject
from tests.builders.paths import ROOT

api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def address(simulated: Path, out: Path) -> Iterator[str]:
    """Start the explorer as a user does, and stop it with Ctrl-C."""
    words = ["-m", "predict", "explore", "--data", simulated, "--out", out, "--fits", "both"]
    command = [sys.executable, *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        found = next(match[0] for line in lines if (match := re.search(r"http://\S+", line)))
        yield found
        process.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser, address: str, request: pytest.FixtureRequest):
    """Open the page; afterwards, nothing was complained of and nothing was asked of elsewhere."""
    context = browser.new_context(**getattr(request, "param", {}))
    opened = context.new_page()
    complaints, requests = [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda one: requests.append(one.url))
    opened.goto(address)
    yield opened
    context.close()
    assert complaints == []
    assert all(url.startswith((address, "data:")) for url in requests)


def choose(page, *paths: Path) -> None:
    with page.expect_navigation():
        page.set_input_files("#pictures", [str(path) for path in paths])


@pytest.fixture
def pictures(simulated: Path) -> list[Path]:
    return Subject(simulated / "subj01").pictures("test")[:3]


def pixels(page) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.locator("#brain").screenshot())).convert("RGB"))


@pytest.mark.slow
def test_a_picture_is_shown_turned_and_compared(page, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    assert page.locator("main h2").inner_text() == pictures[0].name
    assert "SIMULATED" in page.locator(".banner").first.inner_text()
    before = pixels(page)
    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 100
    page.locator("#brain").focus()
    page.keyboard.press("ArrowLeft")
    assert (pixels(page) != before).mean() > 0.02
    assert page.locator("table.rois tbody tr").count() > 20
    assert page.locator(".similar li").count() == 6
    # A second picture is compared with the one that was shown.
    choose(page, pictures[1])
    assert page.locator("main h2").inner_text() == f"{pictures[1].name} beside {pictures[0].name}"
    titles = page.locator("#brain-title option").all_inner_texts()
    assert titles == ["Predicted response", "Difference"]
    page.select_option("#brain-title", "Difference")
    assert "less" in page.locator("#brain-model option").first.inner_text()


@pytest.mark.slow
def test_a_picture_is_dropped(page, pictures: list[Path]) -> None:
    content = list(pictures[2].read_bytes())
    page.evaluate(
        """([content, name]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(content)], name, { type: "image/png" }));
        const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
        document.dispatchEvent(new DragEvent("drop", options));
    }""",
        [content, "dropped.png"],
    )
    page.wait_for_url("**picture=*")
    assert page.locator("main h2").inner_text().startswith("dropped.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [{"viewport": {"width": 360, "height": 740}, "is_mobile": True}], indirect=True
)
def test_a_phone_scrolls_down_only(page, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_dark_mode(page, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    assert sum(Image.open(io.BytesIO(page.screenshot())).convert("RGB").getpixel((5, 5))) < 150


class Client:
    """A client without the manners of a browser."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, str, dict]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, text, dict(answer.getheaders())

    def upload(self, *files: tuple[str, bytes], **headers: str) -> tuple[int, str]:
        boundary = "x" * 20
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="pictures"; filename="{name}"'
            "\r\nContent-Type: image/png\r\n\r\n".encode()
            + content
            + b"\r\n"
            for name, content in files
        ]
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self.ask("POST", self.path, body, **{**kind, **headers})[:2]


@pytest.fixture
def client(address: str) -> Client:
    return Client(address)


def huge_png(side: int) -> bytes:
    """Return a PNG of side x side pixels that is small on disk: one bit a pixel, all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


def test_nothing_is_answered_without_the_token_or_to_another_host(client: Client) -> None:
    for path in ("/", "/x/", "/../etc/passwd", f"{client.path}../", f"{client.path}etc/passwd"):
        status, text, _ = client.ask("GET", path)
        assert status == 404, path
        assert "root:" not in text
    assert client.ask("GET", client.path, Host="evil.example")[0] == 400
    assert client.upload(("a.png", b"x"), Host="evil.example")[0] == 400
    assert client.ask("PUT", client.path)[0] == 405


def test_the_policy_is_strict(client: Client) -> None:
    status, text, headers = client.ask("GET", client.path)
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
    assert nonce
    assert f'<script nonce="{nonce[1]}">' in text
    assert headers["cache-control"] == "no-store"
    assert client.ask("GET", client.path)[2]["content-security-policy"] != policy


def test_bad_uploads_are_refused_and_the_next_one_is_shown(
    client: Client, pictures: list[Path]
) -> None:
    content = pictures[0].read_bytes()
    for name, upload, message in (
        ("huge.png", huge_png(50_000), "expected at most 100,000,000 pixels"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that Pillow"),
        ("page.png", b"<html><script>alert(1)</script></html>", "not a picture that Pillow"),
        ("cut.png", content[:200], "not decoded"),
    ):
        status, text = client.upload((name, upload))
        assert status == 422, text
        assert message in text
    assert client.upload()[0] in (400, 413)
    assert client.upload(*[(f"{n}.png", content) for n in range(9)])[0] == 413
    assert client.upload(("a.png", content), **{"Content-Length": str(10**9)})[0] == 413
    # A name is shown as text.
    status, _ = client.upload(("<script>alert(1)</script>.png", content))
    assert status == 303
    _, text, _ = client.ask("GET", client.path)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_many_uploads_at_once_leave_it_alive(client: Client, pictures: list[Path]) -> None:
    content, statuses = pictures[1].read_bytes(), []

    def upload() -> None:
        try:
            statuses.append(client.upload(("a.png", content))[0])
        except OSError:  # a connection that was refused
            statuses.append(0)

    threads = [threading.Thread(target=upload) for _ in range(1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {303, 429, 0}
    assert statuses.count(303) >= 1
    assert client.ask("GET", client.path)[0] == 200


def test_a_port_in_use_is_said(simulated: Path, out: Path, address: str) -> None:
    port = str(urlsplit(address).port)
    words = ["-m", "predict", "explore", "--data", simulated, "--out", out, "--fits", "both"]
    done = subprocess.run(
        [sys.executable, *map(str, words), "--port", port],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"--port {port}: cannot be used" in done.stderr
