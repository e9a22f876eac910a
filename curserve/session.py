"""Requests that need a decision: find or make the plan, find the workspace, have the kernel answer.

The kernel's desk accepts clients and answers known questions by itself; what comes out here is a question not asked
before, or a workspace not known yet. Blocking threads, not an event loop (figures in ARCHITECTURE.md); the calls that
wait or work release the GIL. Every request ends in exactly one of: answered, declined, client gone.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from curserve.errors import Decline
from curserve.kernel_door import Handle, ffi, lib
from curserve.plan import Planner
from curserve.request import parse, plan_key
from curserve.shadow import Shadow
from curserve.workspaces import Workspaces

_ACCEPT_MS = 500
"""How long a thread is away in the kernel before it looks whether the daemon is stopping."""

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
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"session {index}", daemon=True) for index in range(threads)
        ]

    def start(self) -> None:
        """Begin to serve."""
        for thread in self._threads:
            thread.start()

    def stop(self, patience_s: float) -> bool:
        """Take no new clients; wait for those that are being answered. True when all of them are done."""
        self._stopping = True
        deadline_s = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        desk = self._desk.pointer
        client = ffi.new("cs_client *")
        outcome = ffi.new("cs_outcome *")
        while not self._stopping:
            got = lib.cs_desk_next(desk, _ACCEPT_MS, self.trust_sandbox, client)
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
        elif ffi.string(outcome.reason) == b"gone":
            self._workspaces.drop(workspace)
