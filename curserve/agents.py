"""The agents we know: how each reaches ripgrep, what it needs to be served, how it is given a prompt and a model.

One row per agent; everything else asks the rows. A row's facts are those of the shipped packages, held by the tests
that run them. An agent that has no row is served as a plain shell is: by PATH, the preload library and the Node hook.
Nothing secret is put on a command line: a key goes from one environment variable to another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from curserve.config import Model

NO_KEY = "none"
"""What an agent that insists on a key is given where the endpoint wants none (a server on this machine)."""


def _nothing(model: Model, key: str | None) -> dict[str, str]:
    return {}


def _no_words(model: Model) -> list[str]:
    return []


@dataclass(frozen=True)
class Agent:
    """One row.

    program: the command's name. search: how its own search tool starts rg, in words. reached_by: what redirects that,
    the first that applies: "hook", "preload" or "path". probes: the names of doctor's checks that take the same way.
    shim_on_path: whether our folder may come first on PATH (interpose/hook.cjs sees to it in shells). vendored: the rg
    it brings, relative to any folder above its program's real file. prompt: the words that run it headless, so that it
    may edit files and not more. model_env, model_words: the endpoint, as environment and as words.
    """

    name: str
    program: str
    search: str
    reached_by: str
    probes: tuple[str, ...]
    prompt: Callable[[str], list[str]]
    shim_on_path: bool = True
    vendored: tuple[str, ...] = ()
    model_env: Callable[[Model, str | None], dict[str, str]] = _nothing
    model_words: Callable[[Model], list[str]] = _no_words


def _openai(base: str, model_name: str, prefix: str = "") -> Callable[[Model, str | None], dict[str, str]]:
    def env(model: Model, key: str | None) -> dict[str, str]:
        return {"OPENAI_API_KEY": key or NO_KEY, base: model.base_url, model_name: prefix + model.model}

    return env


def _gemini_env(model: Model, key: str | None) -> dict[str, str]:
    return {"GEMINI_API_KEY": key or NO_KEY, "GOOGLE_GEMINI_BASE_URL": model.base_url, "GEMINI_MODEL": model.model}


def _claude_env(model: Model, key: str | None) -> dict[str, str]:
    # Without its API's own prefix: claude adds /v1/messages itself.
    base = model.base_url.removesuffix("/").removesuffix("/v1")
    return {"ANTHROPIC_API_KEY": key or NO_KEY, "ANTHROPIC_BASE_URL": base, "ANTHROPIC_MODEL": model.model}


def _codex_words(model: Model) -> list[str]:
    values = {"name": "curserve", "base_url": model.base_url, "wire_api": "responses"}
    if model.key_env:
        values["env_key"] = model.key_env
    provider = ",".join(f"{name}={json.dumps(value)}" for name, value in values.items())
    return ["-c", f"model_providers.curserve={{{provider}}}", "-c", 'model_provider="curserve"', "-m", model.model]


def _opencode_env(model: Model, key: str | None) -> dict[str, str]:
    options = {"baseURL": model.base_url, "apiKey": f"{{env:{model.key_env}}}" if model.key_env else NO_KEY}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {model.model: {}}}
    content = {"provider": {"curserve": provider}, "model": f"curserve/{model.model}"}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(content)}


AGENTS: tuple[Agent, ...] = (
    Agent(
        name="qwen",
        program="qwen",
        search="a vendored static rg by absolute path (up to 0.24.3), rg from PATH where that is not executable",
        reached_by="hook",
        probes=("vendored", "node", "bash"),
        vendored=("vendor/ripgrep/x64-linux/rg", "vendor/ripgrep/arm64-linux/rg"),
        prompt=lambda text: ["--approval-mode=auto-edit", f"--prompt={text}"],
        model_env=_openai("OPENAI_BASE_URL", "OPENAI_MODEL"),
    ),
    Agent(
        name="gemini",
        program="gemini",
        search="rg from PATH, only where that is a real file in a system folder; any other first one turns it off",
        reached_by="hook",
        probes=("trusted", "node", "bash"),
        shim_on_path=False,
        prompt=lambda text: ["--approval-mode=auto_edit", f"--prompt={text}"],
        model_env=_gemini_env,
    ),
    Agent(
        name="codex",
        program="codex",
        search="rg typed in `bash -lc`, with a folder of its own first on PATH",
        reached_by="preload",
        probes=("vendored", "login", "sandbox"),
        vendored=(
            "codex-linux-x64/vendor/x86_64-unknown-linux-musl/codex-path/rg",
            "codex-linux-arm64/vendor/aarch64-unknown-linux-musl/codex-path/rg",
        ),
        prompt=lambda text: ["exec", "--sandbox", "workspace-write", "--", text],
        model_words=_codex_words,
    ),
    Agent(
        name="claude",
        program="claude",
        search="itself, with rg as argv[0]",
        reached_by="preload",
        probes=("argv0", "bash"),
        prompt=lambda text: ["-p", "--permission-mode", "acceptEdits", "--", text],
        model_env=_claude_env,
    ),
    Agent(
        name="opencode",
        program="opencode",
        search="the first rg on PATH",
        reached_by="path",
        probes=("path", "bash"),
        prompt=lambda text: ["run", "--", text],
        model_env=_opencode_env,
    ),
    Agent(
        name="aider",
        program="aider",
        search="none of its own; what is typed with /run goes through a shell",
        reached_by="path",
        probes=("path", "bash"),
        prompt=lambda text: [f"--message={text}"],
        model_env=_openai("OPENAI_API_BASE", "AIDER_MODEL", "openai/"),
    ),
    Agent(
        name="shell",
        program="sh",
        search="rg as typed",
        reached_by="path",
        probes=("path", "bash", "login", "pty"),
        prompt=lambda text: ["-c", text],
    ),
)


_INTERPRETERS = frozenset({"node", "bun", "deno", "python"})
"""Programs whose first word without a dash is the program that people mean."""


def by_name(name: str) -> Agent | None:
    """The row of that name."""
    return next((agent for agent in AGENTS if agent.name == name), None)


def by_program(word: str) -> Agent | None:
    """The row whose program a command's first word names, with or without a path."""
    name = os.path.basename(word)
    return next((agent for agent in AGENTS if agent.program == name), None)


def by_command(name: str, words: Sequence[str]) -> Agent | None:
    """The row that a running process belongs to, from its name and its command line: `qwen`, `node /usr/bin/qwen -p …`,
    `python3 -m aider`. None for others, shells among them."""
    called = [name, *words[:1]]
    if words and os.path.basename(words[0]).rstrip("0123456789.") in _INTERPRETERS:
        called += [word for word in words[1:] if not word.startswith("-")][:1]
    for word in called:
        base = os.path.basename(word)
        agent = by_program(base.removesuffix(".js").removesuffix(".mjs"))
        if agent is not None and agent.name != "shell":
            return agent
    return None


def environment(agent: Agent | None, served: Mapping[str, str], shim_dir: str) -> dict[str, str]:
    """The served environment (environment.served) as this agent needs it."""
    env = dict(served)
    if agent is not None and not agent.shim_on_path:
        env["PATH"] = ":".join(entry for entry in env.get("PATH", "").split(":") if entry != shim_dir)
    return env


def endpoint(agent: Agent, model: Model, given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What tells the agent its model: variables and words; nothing where no endpoint is configured. `given`: the
    environment that holds the key under model.key_env."""
    if not model.base_url:
        return {}, []
    key = given.get(model.key_env) if model.key_env else None
    return agent.model_env(model, key), agent.model_words(model)
