"""What may import what: data flows one way, foreign things have one door each (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "curserve"

# Lower parts first. A module may import from its own layer and those before it. Names are packages or modules.
LAYERS: list[set[str]] = [
    {"errors", "choices"},
    {"flags", "environment"},
    {"flagvalues", "args", "colors", "filetypes_table", "filetypes", "rgversion", "smallfile", "regex"},
    {"rgconfig", "options"},
    {"paths", "log", "rootpolicy", "config", "configwatch", "machine", "statuskeys", "agents", "modelname", "cpus"},
    {"kernel_door", "kernel"},
    {"request", "verify", "plan"},
    {"snapshot", "workspaces", "ceiling", "refusals", "stats", "shadow", "callers", "census", "savings", "metrics"},
    {"session"},
    {"control", "crashes", "daemonlock", "handover", "idleness", "ondemand", "client"},
    {"daemon"},
    {"daemon_main"},
    {"lifecycle"},
    {"subshell", "install", "probe", "sidebyside"},
    {"doctor"},
    {"display"},
    {"top"},
    {"cli"},
    {"__main__", "__init__"},
]
DOORS = {
    "curserve._kernel": {"kernel_door"},
    "pathspec": {"rootpolicy"},
    "watchdog": {"configwatch"},
    "prometheus_client": {"metrics"},
    "rich": {"display", "top"},
}


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "kernel" not in path.relative_to(PACKAGE).parts[:1])


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_module_has_a_layer() -> None:
    known = set().union(*LAYERS)
    assert {_part(path) for path in _modules()} <= known


def test_lower_parts_do_not_import_higher_ones() -> None:
    level = {name: index for index, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for path in _modules():
        own = _part(path)
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] == "curserve" and len(parts) > 1 and parts[1] in level and level[parts[1]] > level[own]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_foreign_things_have_one_door_each() -> None:
    wrong = []
    for path in _modules():
        for name in _imports(path):
            for foreign, doors in DOORS.items():
                if (name == foreign or name.startswith(foreign + ".")) and _part(path) not in doors:
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_only_the_environment_module_reads_the_environment() -> None:
    doors = ("os.environ", "os.getenv")
    readers = {_part(path) for path in _modules() if any(door in path.read_text() for door in doors)}
    assert readers <= {"environment"}
