"""What `curserve status --json` tells: every key, its type and its meaning. Programs may count on them.

SCHEMA moves when a key goes or changes its meaning; a new key does not move it. `*` stands for any key, `[]` for each
entry of a list. The test of status compares a daemon's answer with this table.
"""

from __future__ import annotations

from collections.abc import Iterator

SCHEMA = 1

KEYS: tuple[tuple[str, str, str], ...] = (
    ("schema", "int", "of this table"),
    ("running", "bool", "false: no daemon answers; then only running and version are there, and the exit status is 1"),
    ("pid", "int", "the daemon's"),
    ("version", "str", "the daemon's"),
    ("uptime_s", "float", "since the daemon began"),
    ("requests.served", "int", "searches answered from memory, since the daemon began, as all of requests"),
    ("requests.declined", "int", "searches that were handed to the real rg"),
    ("requests.declined_by_reason.*", "int", "the same, by reason"),
    ("requests.remembered", "int", "of all: asked before, and so answered without Python"),
    ("requests.repeated", "int", "of the served: asked before, and nothing had changed, so nothing was searched"),
    ("requests.answers_bytes", "int", "what is kept for that now"),
    ("requests.bytes_out", "int", "bytes of answers"),
    ("requests.clients_gone", "int", "clients that left before their answer's end"),
    ("requests.files", "int", "files that the served searches were about"),
    ("requests.candidates", "int", "those of them that the index could not rule out"),
    ("requests.candidate_bytes", "int", "their text"),
    (
        "requests.latency_us.*.p50",
        "int or null",
        "per stage (plan, barrier, search, total): half took less; null: none yet",
    ),
    ("requests.latency_us.*.p99", "int or null", "99 % took less"),
    (
        "requests.histogram_us.*[]",
        "int",
        "per stage: entry b counts times below 2^b us that no entry before does; the last, all others",
    ),
    ("requests.sum_us.*", "int", "per stage: the sum of all times"),
    ("queue.silent", "int", "clients now that have not asked yet"),
    ("queue.waiting", "int", "searches now that wait for their turn"),
    ("queue.heavy", "int", "heavy searches now"),
    ("queue.stalled", "int", "clients now that do not read"),
    ("queue.waited", "int", "searches that had to wait"),
    ("queue.expired", "int", "declined for waiting too long"),
    ("queue.overflowed", "int", "declined because too many waited"),
    ("shadow.share", "float", "of the served searches, that the real rg repeats for comparison ([limits] shadow)"),
    ("shadow.compared", "int", "comparisons made"),
    ("shadow.void", "int", "comparisons that count for nothing: something changed meanwhile"),
    ("shadow.differences", "int", "answers that differed"),
    ("shadow.kinds_declined", "int", "kinds of search declined since, until a restart"),
    ("shadow.last_difference", "str", "in words; empty: none"),
    ("savings.samples", "int", "searches run both ways, while somebody looked (curserve top)"),
    ("savings.rg_s", "float", "what they took ripgrep, spawn to exit"),
    ("savings.curserve_s", "float", "and us"),
    ("snapshot.folder", "str", "where the next daemon finds what this one held; empty: nothing is kept"),
    ("snapshot.trees", "int", "workspaces kept there"),
    ("snapshot.contents", "int", "different contents kept there"),
    ("snapshot.bytes", "int", "size of its files"),
    ("store.text_bytes", "int", "text held, each content once"),
    ("store.contents", "int", "different contents"),
    ("store.indexed_text_bytes", "int", "text that the index covers"),
    ("store.indexed_contents", "int", "contents that it covers"),
    ("store.index_bytes", "int", "the index itself"),
    ("store.index_segments", "int", "its parts"),
    ("memory.resident_bytes", "int", "the daemon's resident memory"),
    ("memory.ceiling_bytes", "int", "what it may come to ([limits] memory)"),
    ("memory.evicted", "int", "workspaces given up for the ceiling"),
    ("memory.indexes_given_up", "int", "times a workspace lost its index for it"),
    ("memory.caches_given_up", "int", "times one lost its caches"),
    ("crash.time_s", "int or null", "of the last crash on record, Unix time; null: there is none"),
    ("crash.signal", "str", "what ended it"),
    ("crash.version", "str", "of the daemon that crashed"),
    ("crash.searches", "int", "under way then; the report beside the log names them"),
    ("watches.used", "int", "inotify watches of all workspaces"),
    ("watches.limit", "int or null", "fs.inotify.max_user_watches; null: unknown"),
    ("workspaces[].root", "str", "the folder; bytes that are no UTF-8 as lone surrogates"),
    ("workspaces[].state", "str", "loading, served, poisoned (not watched fully: declined), gone or failed"),
    ("workspaces[].why", "str", "why it is not served; empty: it is"),
    ("workspaces[].attached_s", "float", "when it was attached, Unix time"),
    ("workspaces[].generation", "int", "another one after each change that was taken in"),
    ("workspaces[].entries", "int", "files, folders and links"),
    ("workspaces[].files", "int", "files"),
    ("workspaces[].files_held", "int", "those whose text is held"),
    ("workspaces[].text_bytes", "int", "their text, whoever shares it"),
    ("workspaces[].index_bytes", "int", "the index of that text, whoever shares it"),
    ("workspaces[].own_bytes", "int", "text and index that no other workspace holds: what would be freed without it"),
    ("workspaces[].share_bytes", "int", "its part of text and index, each divided by the number that hold it"),
    ("workspaces[].table_bytes", "int", "its names and tables, not shared"),
    ("workspaces[].watches", "int", "inotify watches"),
    ("workspaces[].dirty", "int", "paths that changed and have not been read again"),
    ("workspaces[].unsettled", "int", "files compared by stat at each search"),
    ("workspaces[].overflows", "int", "overflows of inotify's queue"),
    ("workspaces[].reads", "int", "times a file was read, its first included"),
    ("workspaces[].known_files", "int", "files not read: git's index or the snapshot vouched for them"),
    ("workspaces[].requests", "int", "searches that came to it"),
    ("workspaces[].served", "int", "those that were served"),
    ("workspaces[].served_after_s", "float or null", "seconds that its load took; null: not yet"),
    ("workspaces[].indexed_after_s", "float or null", "seconds until its index was made as well; null: not yet"),
    ("workspaces[].loaded_files", "int", "of the load that runs or ran"),
    ("workspaces[].loaded_bytes", "int", "of the load that runs or ran"),
)


def lines() -> Iterator[str]:
    """The table as text."""
    width = max(len(key) for key, _, _ in KEYS)
    for key, kind, meaning in KEYS:
        yield f"  {key:<{width}}  {kind:<11}  {meaning}"
