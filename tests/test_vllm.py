"""vLLM's figures beside ours: read from its metrics, never in the display's way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from daemon_place import Place

from curserve import config
from curserve.top import vllm
from curserve.top.vllm import Load, Server, Unreachable, address

_METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="qwen"}} 3.0
vllm:num_requests_running{{engine="0",model_name="other"}} 1.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="qwen"}} 2.0
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="qwen"}} {prompt}
vllm:prompt_tokens_created{{engine="0",model_name="qwen"}} 1.7e+09
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="qwen"}} {generated}
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{le="0.001",model_name="qwen"}} 0.0
vllm:time_to_first_token_seconds_bucket{{le="+Inf",model_name="qwen"}} 4.0
vllm:time_to_first_token_seconds_count{{model_name="qwen"}} 4.0
vllm:time_to_first_token_seconds_sum{{model_name="qwen"}} 0.5
"""


class _Fake:
    """An HTTP server that answers /metrics as vLLM does, or as it is told to."""

    def __init__(self) -> None:
        self.generated, self.prompt = 1000, 5000
        self.body: bytes | None = None
        self.status = 200
        self.endless = self.silent = False
        self.asked: list[str] = []
        self.released = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.asked.append(self.path)
                if fake.silent:
                    fake.released.wait(30)
                    return
                text = _METRICS.format(generated=fake.generated, prompt=fake.prompt).encode()
                self.send_response(fake.status)
                self.end_headers()
                self.wfile.write(text if fake.body is None else fake.body)
                while fake.endless and not fake.released.is_set():
                    try:
                        self.wfile.write(b"# " + b"x" * 65536 + b"\n")
                    except OSError:
                        return

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def fake() -> Iterator[_Fake]:
    made = _Fake()
    yield made
    made.close()


def test_load_and_rates(fake: _Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 50.0
    monkeypatch.setattr("curserve.top.vllm.time.monotonic", lambda: now_s)
    server = Server(fake.url)
    assert server.ask() == Load(4, 2, None, None)
    fake.generated, fake.prompt, now_s = 1500, 5100, 52.0
    assert server.ask() == Load(4, 2, 250.0, 50.0)
    fake.generated = 3  # it was restarted
    assert server.ask() == Load(4, 2, None, None)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"no", "HTTP 404"),
        (200, b"<html>", "no Prometheus metrics"),
        (200, b"a 1\n", "no metrics of vLLM"),
        (200, b"", "no metrics of vLLM"),
        (200, b"\xff\xfe", "no Prometheus metrics"),
    ],
)
def test_what_is_no_vllm(fake: _Fake, status: int, body: bytes, said: str) -> None:
    fake.status, fake.body = status, body
    with pytest.raises(Unreachable, match=said):
        Server(fake.url).ask()


def test_slow_endless_and_absent_ones(fake: _Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "TIMEOUT_S", 0.1)
    fake.silent = True
    with pytest.raises(Unreachable, match="timed out"):
        Server(fake.url).ask()
    fake.silent = False
    monkeypatch.setattr(vllm, "TIMEOUT_S", 30)
    monkeypatch.setattr(vllm, "MOST_BYTES", 1 << 20)
    fake.endless = True
    with pytest.raises(Unreachable, match="endless"):
        Server(fake.url).ask()
    gone = _Fake()
    gone.close()
    with pytest.raises(Unreachable, match="refused"):
        Server(gone.url).ask()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (b"", None),
        (b'[model]\nbase_url = "http://127.0.0.1:8000/v1"', "http://127.0.0.1:8000/metrics"),
        (b'[model]\nbase_url = "http://localhost:8000/v1/"', "http://localhost:8000/metrics"),
        (b'[model]\nbase_url = "http://[::1]:8000/v1"', "http://[::1]:8000/metrics"),
        # Nobody else's server is asked unbidden.
        (b'[model]\nbase_url = "https://api.example.com/v1"', None),
        (b'[model]\nbase_url = "http://127.0.0.1.example.com/v1"', None),
        (b'[vllm]\nmetrics = "https://gpu.example.com/metrics"', "https://gpu.example.com/metrics"),
        (b'[model]\nbase_url = "http://127.0.0.1:8000/v1"\n[vllm]\nmetrics = "off"', None),
    ],
)
def test_who_is_asked(text: bytes, url: str | None) -> None:
    assert address(config.parse(text)) == url


def test_beside_ours(fake: _Fake) -> None:
    place = Place()
    try:
        folder = place.home / ".config" / "curserve"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(f'[vllm]\nmetrics = "{fake.url}"\n')
        place.start()
        told = json.loads(place.run("top", "--json", "--interval", "0.1").stdout)["vllm"]
        assert (told["url"], told["running"], told["waiting"], told["error"]) == (fake.url, 4, 2, None)
        assert told["generated_per_s"] == 0 and fake.asked == ["/metrics"] * 2
        assert "running 4, waiting 2" in place.run("top", "--once", "--interval", "0.1").stdout
        fake.status = 503
        assert json.loads(place.run("top", "--json", "--interval", "0.1").stdout)["vllm"]["error"] == "HTTP 503"
    finally:
        place.close()
