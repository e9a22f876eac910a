"""Compiles a tree to the instructions that the kernel's VM runs (curserve/kernel/program.h).

In: a tree (hir.py). Out: packed "<BBBBII" instructions, entered at 0; group 0 is saved, the search for a start is the
VM's business. The shapes of loops are those of Rust's Thompson compiler, because with subexpressions that match nothing
they decide which spans win: x* is (x+)? if x can be empty. Too many instructions are declined ("regex_size").
"""
from __future__ import annotations

from ..errors import Decline
from .hir import ALT, CAP, CAT, CLASS, LIT, LOOK, REP, Node, can_be_empty
from .utf8 import BYTE_OP, FAIL_OP, INST_BYTES, JUMP_OP, LOOK_OP, MATCH_OP, SAVE_OP, SPLIT_OP, fragment, pack

MAX_INSTRUCTIONS = 200_000  # 2.4 MB packed; arbitrary, far below where rg gives up (100 MiB)


class _Compiler:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.pc = 0

    def reserve(self) -> int:
        """Room for one instruction whose targets are not known yet; returns its place in chunks."""
        self.chunks.append(b"")
        self.pc += 1
        return len(self.chunks) - 1

    def split(self, place: int, first: int, second: int, greedy: bool) -> None:
        arms = (first, second) if greedy else (second, first)
        self.chunks[place] = pack(SPLIT_OP, 0, 0, 0, *arms)

    def node(self, node: Node) -> None:
        """Appends the code of a node; it continues at the next instruction."""
        kind = node[0]
        chunks = self.chunks
        if kind == LIT:
            pc = self.pc
            for byte in node[1]:
                pc += 1
                chunks.append(pack(BYTE_OP, byte, byte, 0, pc, 0))
            self.pc = pc
            if pc > MAX_INSTRUCTIONS:
                raise Decline("regex_size")
        elif kind == CLASS:
            if not node[1].ranges:
                chunks.append(pack(FAIL_OP, 0, 0, 0, 0, 0))
                self.pc += 1
                return
            code, moves, size = fragment(node[1])
            chunks.append((code + self.pc * moves).to_bytes(size * INST_BYTES, "little"))
            self.pc += size
            if self.pc > MAX_INSTRUCTIONS:
                raise Decline("regex_size")
        elif kind == LOOK:
            self.pc += 1
            chunks.append(pack(LOOK_OP, node[1], 0, 0, self.pc, 0))
        elif kind == CAT:
            for sub in node[1]:
                self.node(sub)
        elif kind == REP:
            self.repetition(*node[1:])
        elif kind == CAP:
            self.pc += 1
            chunks.append(pack(SAVE_OP, 0, 0, 0, self.pc, 2 * node[1]))
            self.node(node[3])
            self.pc += 1
            chunks.append(pack(SAVE_OP, 0, 0, 0, self.pc, 2 * node[1] + 1))
        elif kind == ALT:
            self.alternation(node[1])

    def alternation(self, subs: tuple[Node, ...]) -> None:
        jumps = []
        for sub in subs[:-1]:
            place = self.reserve()
            start = self.pc
            self.node(sub)
            jumps.append(self.reserve())
            self.split(place, start, self.pc, True)
        self.node(subs[-1])
        end = pack(JUMP_OP, 0, 0, 0, self.pc, 0)
        for place in jumps:
            self.chunks[place] = end

    def repetition(self, low: int, high: int | None, greedy: bool, sub: Node) -> None:
        if high is None:
            if low == 0:
                place = self.reserve()
                start = self.pc
                self.node(sub)
                if can_be_empty(sub):
                    self.split(self.reserve(), start, self.pc, greedy)
                else:
                    self.chunks.append(pack(JUMP_OP, 0, 0, 0, start - 1, 0))
                    self.pc += 1
                self.split(place, start, self.pc, greedy)
                return
            for _ in range(low - 1):
                self.copy(sub)
            start = self.pc
            self.node(sub)
            self.split(self.reserve(), start, self.pc, greedy)
            return
        for _ in range(low):
            self.copy(sub)
        places = []
        for _ in range(high - low):
            places.append((self.reserve(), self.pc))
            self.copy(sub)
        for place, start in places:
            self.split(place, start, self.pc, greedy)

    def copy(self, sub: Node) -> None:
        before = self.pc
        self.node(sub)
        if self.pc == before:  # nothing to repeat: never loop four billion times over it
            self.pc += 1
            self.chunks.append(pack(JUMP_OP, 0, 0, 0, self.pc, 0))
            if self.pc > MAX_INSTRUCTIONS:
                raise Decline("regex_size")


def compile_program(node: Node) -> bytes:
    """The packed program of a tree."""
    compiler = _Compiler()
    compiler.node((CAP, 0, None, node))
    compiler.chunks.append(pack(MATCH_OP, 0, 0, 0, 0, 0))
    return b"".join(compiler.chunks)
