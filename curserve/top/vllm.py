"""What a vLLM server does: requests that run and wait, tokens per second, from its Prometheus metrics.

In: the URL of its metrics. Out: a Load, or why there is none. Asked by `curserve top`, never by the daemon. A slow,
wrong or endless answer costs one attempt; it is never waited for in the display's way (feed.py).
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from curserve.config import Config
from curserve.errors import CurserveError
from curserve.metrics import samples

TIMEOUT_S = 1.5
MOST_BYTES = 8 << 20
"""Of an answer; a server of many models gives some 100 KB."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_RUNNING, _WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
_GENERATED, _PROMPTS = "vllm:generation_tokens_total", "vllm:prompt_tokens_total"


class Unreachable(CurserveError):
    """No figures; the message says why, in a few words."""


@dataclass(frozen=True)
class Load:
    """Sums over the server's models. The rates are None at the first reading, and after a restart of the server."""

    running: int
    waiting: int
    generated_per_s: float | None
    prompt_per_s: float | None


def address(config: Config) -> str | None:
    """The URL to ask: [vllm] metrics, or the server of [model] base_url if it is on this machine (nobody else is asked
    unbidden); None: there is none."""
    if config.vllm.metrics:
        return None if config.vllm.metrics == "off" else config.vllm.metrics
    parts = urlsplit(config.model.base_url)
    if parts.scheme not in ("http", "https") or parts.hostname not in _LOOPBACK:
        return None
    return f"{parts.scheme}://{parts.netloc}/metrics"


class Server:
    """One server, asked again and again. In one thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        # The machine's own servers are not asked through a proxy; others as everything else is.
        direct = urlsplit(url).hostname in _LOOPBACK
        handlers = [urllib.request.ProxyHandler({})] if direct else []
        self._opener = urllib.request.build_opener(*handlers)
        self._before: tuple[float, float, float] | None = None

    def ask(self) -> Load:
        """Its load now, and what it did since the last call. Unreachable."""
        try:
            with self._opener.open(self._url, timeout=TIMEOUT_S) as answer:
                data = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise Unreachable(f"HTTP {error.code}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(getattr(reason, "strerror", None) or str(reason)) from error
        if len(data) > MOST_BYTES:
            raise Unreachable("an endless answer")
        try:
            sums = samples(data.decode("utf-8"), (_RUNNING, _WAITING, _GENERATED, _PROMPTS))
        except ValueError as error:
            raise Unreachable("no Prometheus metrics there") from error
        if _RUNNING not in sums:
            raise Unreachable("no metrics of vLLM there")
        now = (time.monotonic(), sums.get(_GENERATED, 0.0), sums.get(_PROMPTS, 0.0))
        before, self._before = self._before, now
        rates: tuple[float | None, float | None] = (None, None)
        if before is not None and now[1] >= before[1] and now[2] >= before[2]:
            seconds = max(now[0] - before[0], 0.001)
            rates = ((now[1] - before[1]) / seconds, (now[2] - before[2]) / seconds)
        return Load(int(sums[_RUNNING]), int(sums.get(_WAITING, 0)), *rates)
