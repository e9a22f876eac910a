"""The configuration: config.toml read into one frozen value that holds every default.

In: the file's bytes. Out: Config, or a ConfigError whose one line names the file, the key and what was expected. An
unknown key is an error: a misspelt switch that does nothing is worse than one that complains.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curserve import log, paths
from curserve.errors import CurserveError

if TYPE_CHECKING:
    from curserve.rootpolicy import RootPolicy


SCOPES = ("session", "workspace", "user")
"""What requests are limited by; the kernel's order (cs_limits)."""


class ConfigError(CurserveError):
    """The configuration cannot be used; the message is one line."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Which folders are served. `refuse` follows rootpolicy's defaults and may take them back with `!`.
    `pinned`: roots that stay in memory whatever else must go."""

    auto: bool = True
    refuse: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()

    def policy(self) -> RootPolicy:
        """The compiled list; made anew at each call, so keep it. Loads pathspec, which the command line never needs."""
        from curserve.rootpolicy import RootPolicy

        return RootPolicy(self.refuse, paths.home())


@dataclass(frozen=True, slots=True)
class Log:
    """level: one of log.LEVELS."""

    level: str = "info"


@dataclass(frozen=True, slots=True)
class Limits:
    """threads: search threads, 0 = one per CPU. memory_bytes: the daemon's ceiling (ceiling.py).
    sweep_s: how often everything held is compared with the disk by stat, which bounds how long a change that no event
    tells of stays unseen. shadow: share (0 to 1) of the served searches that the real rg repeats for
    comparison.

    session_*, workspace_*, user_*: requests under way at once (concurrency) and per second (per_s) of one agent's
    session, of one workspace, of one user; 0: no limit. What exceeds one waits for wait_s at most, `waiting` of a
    session at most, and is declined then; so are heavy searches that wait for their turn. deadline_s: what one request
    may take in all; what exceeds it is declined, or broken off in the middle of its answer."""

    threads: int = 0
    memory_bytes: int = field(default_factory=lambda: parse_size("50%"))
    sweep_s: float = 30.0
    shadow: float = 0.0
    session_concurrency: int = 0
    workspace_concurrency: int = 0
    user_concurrency: int = 0
    session_per_s: float = 0.0
    workspace_per_s: float = 0.0
    user_per_s: float = 0.0
    waiting: int = 64
    wait_s: float = 2.0
    deadline_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """idle_exit_s: a daemon in the background ends when nobody has needed it for so long; None: it stays."""

    idle_exit_s: float | None = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is kept on disk for the next daemon (snapshot.py). size_bytes: of the folder. dir: another folder than the
    one in the state folder. every_s: how often a workspace that changes is saved. settled_s: a file that was read
    sooner than this after it changed is read again by the next daemon."""

    enabled: bool = True
    size_bytes: int = 8 << 30
    dir: str = ""
    every_s: float = 300.0
    settled_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Trust:
    """sandbox: serve peers in a sandbox the daemon is not in, although that may hide files from them."""

    sandbox: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """The endpoint that `curserve DIR "PROMPT"` gives its agent. key_env names the variable that holds the key."""

    base_url: str = ""
    model: str = ""
    key_env: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent that `curserve DIR` runs: a name of agents.AGENTS, and words put before all others."""

    name: str = "qwen"
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metrics:
    """port: where Prometheus may read the metrics on 127.0.0.1; 0: nowhere. roots: name the workspaces there, where any
    user of the machine can read them."""

    port: int = 0
    roots: bool = False


@dataclass(frozen=True, slots=True)
class Vllm:
    """metrics: the URL of a vLLM server's metrics, for `curserve top`; none: the server that [model] base_url names, if
    it is on this machine; "off": not at all."""

    metrics: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be configured. One table of config.toml per field."""

    roots: Roots = Roots()
    log: Log = Log()
    daemon: Daemon = Daemon()
    limits: Limits = field(default_factory=Limits)
    snapshot: Snapshot = Snapshot()
    trust: Trust = Trust()
    model: Model = Model()
    agent: Agent = Agent()
    metrics: Metrics = Metrics()
    vllm: Vllm = Vllm()


def load(file: Path | None = None) -> Config:
    """The configuration of `file` (default: paths.config_file()); all defaults when it does not exist. ConfigError."""
    file = file or paths.config_file()
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    try:
        return parse(data)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def parse(data: bytes) -> Config:
    """The configuration of one TOML text. ConfigError without the file's name."""
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except ValueError as error:  # TOML's, UTF-8's, or that a number has thousands of digits
        raise ConfigError(str(error)) from error
    except RecursionError:
        raise ConfigError("nested too deep") from None
    config = Config()
    for name, table in tables.items():
        known = {entry.name for entry in fields(Config)}
        if name not in known or not isinstance(table, dict):
            raise ConfigError(f"unknown table or key '{name}' (there are: {_listed(known)})")
        section = getattr(config, name)
        keys = {key: check for (owner, key), check in _KEYS.items() if owner == name}
        values = {}
        for key, value in table.items():
            if key not in keys:
                raise ConfigError(f"unknown key '{key}' in [{name}] (there are: {_listed(keys)})")
            target, check = keys[key]
            try:
                values[target] = check(value)
            except ValueError as error:
                raise ConfigError(f"[{name}] {key}: {error}") from error
        config = replace(config, **{name: replace(section, **values)})
    return config


def parse_size(text: Any) -> int:
    """Bytes of "50%" (of the machine's memory), "8G", "512M", "1048576" or a number. ValueError."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    if isinstance(text, str):
        unit = text[-1:].upper()
        number = text[:-1] if unit in "%KMGT" else text
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if unit == "%" and 0 < value <= 100:
            return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * value / 100)
        if unit != "%" and 0 < value < 1e15:
            return int(value * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(unit, 1))
    raise ValueError('expected a size like "50%", "8G" or "512M"')


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text in quotes")
    return value


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("expected an absolute path in quotes")
    return value


def _disk_size(value: Any) -> int:
    if isinstance(value, str) and value.endswith("%"):
        raise ValueError('expected a size like "8G" or "512M"')
    return parse_size(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list of texts")
    return tuple(_text(entry) for entry in value)


def _level(value: Any) -> str:
    if value not in log.LEVELS:
        raise ValueError(f"expected one of {', '.join(log.LEVELS)}")
    return str(value)


def _number(low: float, high: float, what: str) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"expected {what}")
        return float(value)

    return check


def _idle_exit(value: Any) -> float | None:
    return None if value == "off" else _number(1, 1e9, 'seconds from 1, or "off"')(value)


def _threads(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1024:
        raise ValueError("expected a number of threads from 0 (one per CPU) to 1024")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise ValueError("expected a whole number from 0 (no limit) to 1000000")
    return value


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError("expected a port from 1 to 65535, or 0 for none")
    return value


def _metrics_url(value: Any) -> str:
    if value != "off" and (not isinstance(value, str) or not value.startswith(("http://", "https://"))):
        raise ValueError('expected a URL like "http://127.0.0.1:8000/metrics", or "off"')
    return str(value)


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(pattern, str) and pattern for pattern in value):
        raise ValueError("expected a list of patterns")
    from curserve.rootpolicy import RootPolicy

    for pattern in value:
        try:
            RootPolicy([pattern], paths.home())
        except ValueError as error:
            raise ValueError(f"{pattern!r} is no gitignore pattern") from error
    return tuple(value)


# (table, key) → the field it sets and the check that makes its value.
_KEYS: dict[tuple[str, str], tuple[str, Callable[[Any], Any]]] = {
    ("roots", "auto"): ("auto", _bool),
    ("roots", "refuse"): ("refuse", _patterns),
    ("roots", "pinned"): ("pinned", _texts),
    ("log", "level"): ("level", _level),
    ("daemon", "idle_exit"): ("idle_exit_s", _idle_exit),
    ("limits", "threads"): ("threads", _threads),
    ("limits", "memory"): ("memory_bytes", parse_size),
    ("limits", "sweep_s"): ("sweep_s", _number(0.1, 3600, "seconds from 0.1 to 3600")),
    ("limits", "shadow"): ("shadow", _number(0, 1, "a share from 0 to 1")),
    **{("limits", f"{scope}_concurrency"): (f"{scope}_concurrency", _count) for scope in SCOPES},
    **{
        ("limits", f"{scope}_per_s"): (f"{scope}_per_s", _number(0, 1e6, "requests per second from 0 (no limit)"))
        for scope in SCOPES
    },
    ("limits", "waiting"): ("waiting", _count),
    ("limits", "wait_s"): ("wait_s", _number(0, 3600, "seconds from 0 to 3600")),
    ("limits", "deadline_s"): ("deadline_s", _number(0.001, 86400, "seconds from 0.001 to 86400")),
    ("snapshot", "enabled"): ("enabled", _bool),
    ("snapshot", "size"): ("size_bytes", _disk_size),
    ("snapshot", "dir"): ("dir", _folder),
    ("snapshot", "every_s"): ("every_s", _number(1, 86400, "seconds from 1 to 86400")),
    ("snapshot", "settled_s"): ("settled_s", _number(0, 3600, "seconds from 0 to 3600")),
    ("trust", "sandbox"): ("sandbox", _bool),
    ("model", "base_url"): ("base_url", _text),
    ("model", "model"): ("model", _text),
    ("model", "key_env"): ("key_env", _text),
    ("agent", "name"): ("name", _text),
    ("agent", "arguments"): ("arguments", _texts),
    ("metrics", "port"): ("port", _port),
    ("metrics", "roots"): ("roots", _bool),
    ("vllm", "metrics"): ("metrics", _metrics_url),
}


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
