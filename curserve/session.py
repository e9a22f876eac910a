"""Requests that need a decision: find or make the plan, find the workspace, have the kernel answer.

The kernel's desk accepts clients and answers known questions by itself; what comes out here is a question not asked
before, or a workspace not known yet. Blocking threads, not an event loop (figures in ARCHITECTURE.md); the calls that
wait or work release the GIL. Every request ends in exactly one of: answered, declined, client gone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from curserve.config import SCOPES, Limits
from curserve.errors import Decline
from curserve.kernel_door import Handle, ffi, lib
from curserve.plan import Planner
from curserve.request import parse, plan_key
from curserve.shadow import Shadow
from curserve.workspaces import Workspaces

_ACCEPT_MS = 60_000
"""How long a thread waits for a client. close() wakes it, so this only bounds what a bug could do; an idle daemon
sleeps."""
_WAIT_MS = 500
"""How long one is away in the kernel for those who wait, before it looks whether the daemon is ending."""

_WAITING_THREADS = 6
"""For clients that were slow to ask and searches that wait for their turn; arbitrary, above the slots of two agents."""
_STALL_LOOK_S = 0.1
"""How often the stalled are counted: one call of a microsecond."""
_DRAIN_LOOK_S = 0.02
_STALLED_MOST = 96
"""Threads beyond the first ones, one of each kind per client that reads slowly; see Reply::kStalledMost."""

_log = logging.getLogger(__name__)


class Sessions:
    """The threads that serve clients from one desk."""

    def __init__(
        self,
        desk: Handle,
        threads: int,
        planner: Planner,
        workspaces: Workspaces,
        shadow: Shadow,
        trust_sandbox: bool,
    ) -> None:
        self._desk = desk
        self._planner = planner
        self._workspaces = workspaces
        self._shadow = shadow
        self.trust_sandbox = trust_sandbox
        self._stopping = threading.Event()  # no new clients
        self._ending = threading.Event()  # nor those who wait
        self._accepting = [self._acceptor() for _ in range(threads)]
        self._waiting = [self._waiter() for _ in range(_WAITING_THREADS)]
        self._spares = 0

    def start(self) -> None:
        """Begin to serve."""
        for thread in self._accepting + self._waiting:
            thread.start()
        threading.Thread(target=self._replace_stalled, name="spares", daemon=True).start()

    def _acceptor(self) -> threading.Thread:
        return self._thread(lib.cs_desk_next, _ACCEPT_MS, self._stopping)

    def _waiter(self) -> threading.Thread:
        return self._thread(lib.cs_desk_next_waiting, _WAIT_MS, self._ending)

    def _thread(self, take: Callable[..., int], timeout_ms: int, over: threading.Event) -> threading.Thread:
        return threading.Thread(target=self._run, args=(take, timeout_ms, over), name="session", daemon=True)

    def _replace_stalled(self) -> None:
        """A client that does not read holds its thread; another thread takes that one's place, and stays."""
        numbers = ffi.new("cs_queue_numbers *")
        while not self._stopping.wait(_STALL_LOOK_S):
            lib.cs_desk_queue_numbers_get(self._desk.pointer, numbers)
            while self._spares < min(numbers.stalled, _STALLED_MOST) and not self._stopping.is_set():
                self._spares += 1
                self._accepting.append(self._acceptor())
                self._waiting.append(self._waiter())
                self._accepting[-1].start()
                self._waiting[-1].start()

    def limit(self, limits: Limits) -> None:
        """Other limits from now on."""
        raw = ffi.new("cs_limits *")
        raw.concurrency = [getattr(limits, f"{scope}_concurrency") for scope in SCOPES]
        raw.per_second = [getattr(limits, f"{scope}_per_s") for scope in SCOPES]
        raw.waiting = limits.waiting
        raw.wait_ms, raw.deadline_ms = int(limits.wait_s * 1000), int(limits.deadline_s * 1000)
        lib.cs_desk_limit(self._desk.pointer, raw)

    def close(self) -> None:
        """Take no new clients, as of now."""
        self._stopping.set()
        lib.cs_desk_close(self._desk.pointer)

    def stop(self, patience_s: float) -> bool:
        """Take no new clients; wait for those that are being answered or wait. True when all of them are done."""
        self.close()
        deadline_s = time.monotonic() + patience_s
        for thread in self._accepting:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        numbers = ffi.new("cs_queue_numbers *")
        while time.monotonic() < deadline_s:
            lib.cs_desk_queue_numbers_get(self._desk.pointer, numbers)
            if numbers.silent == 0 and numbers.waiting == 0:
                break
            time.sleep(_DRAIN_LOOK_S)
        self._ending.set()
        for thread in self._waiting:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._accepting + self._waiting)

    def _run(self, take: Callable[..., int], timeout_ms: int, over: threading.Event) -> None:
        desk = self._desk.pointer
        client = ffi.new("cs_client *")
        outcome = ffi.new("cs_outcome *")
        while not over.is_set():
            got = take(desk, timeout_ms, self.trust_sandbox, client)
            if got < 0:
                return
            if got == 0:
                continue
            try:
                self._serve(client, outcome)
            except Decline as decline:
                lib.cs_desk_decline(desk, client, decline.reason.encode())
            except Exception:
                # A fault of ours must cost the client nothing but time: the real rg runs.
                _log.exception("a request failed")
                lib.cs_desk_decline(desk, client, b"internal")
            finally:
                lib.cs_client_close(client)

    def _serve(self, client: Any, outcome: Any) -> None:
        desk = self._desk.pointer
        payload = ffi.buffer(client.payload, client.payload_size)[:]
        key = plan_key(payload)
        plan = self._planner.recall(key)
        plan_us = 0
        if plan is None:
            begun_ns = time.monotonic_ns()
            plan = self._planner.make(key, parse(payload))
            plan_us = (time.monotonic_ns() - begun_ns) // 1000
        if plan.answer is not None:
            text = ffi.new("cs_bytes *")
            text.data, text.size = ffi.from_buffer("char[]", plan.answer), len(plan.answer)
            lib.cs_desk_say(desk, client, text[0], plan.exit_code, plan_us)
            return
        workspace = self._workspaces.find(plan.paths)
        if workspace is None:
            raise Decline(self._workspaces.attach_for(plan.paths))
        if self._shadow.doubts(plan.kind):
            raise Decline("doubted")
        tree = workspace.tree.pointer
        lib.cs_desk_answer(desk, tree, plan.query, client, plan_us, outcome)
        if outcome.served:
            if self._shadow.awake:  # then every request comes this way, so that any may be compared
                self._shadow.served(parse(payload), plan.kind, workspace.generation)
            elif plan.reusable:
                lib.cs_desk_remember(desk, client, plan.query, tree)
                shape = plan.word_shape(parse(payload))
                if shape is not None:
                    lib.cs_desk_remember_shape(desk, client, plan.query, tree, shape.slot, shape.rules)
        elif ffi.string(outcome.reason) == b"gone":
            self._workspaces.drop(workspace)
