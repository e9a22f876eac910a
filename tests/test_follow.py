"""Walks that follow symbolic links (-L): what is found through them, under which names, what is said of the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle import Answer, Box, compare, real_rg


@pytest.fixture(scope="module", params=["indexed", "brute"])
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with Box(tmp_path_factory.mktemp("box"), engine=request.param) as running:
        yield running


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "a.py").write_text("alpha\nbeta\n\nalpha beta\n")
    (root / "sub" / "b.txt").write_text("beta\nalpha\n")
    (root / "sub" / "deep" / "c.md").write_bytes(b"alpha\n\0beta\n")
    return root


def _served(box: Box, root: Path, *argv: str | bytes, cwd: Path | None = None) -> Answer:
    box.attach(root)
    answer = compare(box, ["-L", *argv], cwd or root)
    assert answer.served, answer.reason
    return answer


def _links(root: Path, **links: str) -> None:
    """name=target; a name's double underscores are slashes."""
    for name, target in links.items():
        (root / name.replace("__", "/")).symlink_to(target)


@pytest.mark.parametrize(
    "more",
    [["alpha"], ["--files"], ["-l", "alpha"], ["-c", "alpha"], ["--json", "beta"], ["-n", "--heading", "--stats", "a"],
     ["--files-without-match", "beta"], ["--sort", "path", "alpha"], ["--sortr", "path", "--files"],
     ["--sort", "modified", "alpha"], ["--sortr", "modified", "--files"], ["-j1", "alpha"], ["-a", "beta"],
     ["--binary", "beta"], ["--null", "-l", "alpha"], ["--path-separator=+", "alpha"], ["--vimgrep", "alpha"]],
    ids=" ".join,
)  # fmt: skip
def test_files_and_folders_are_found_under_their_links_names(box: Box, tree: Path, more: list[str]) -> None:
    _links(tree, twice="sub", again="a.py", sub__up="../a.py", sub__deep__same="c.md", chain="twice", last="chain/deep")
    for path in ([], ["."], ["sub"], ["sub/"], [os.fspath(tree)], ["./sub", "twice", "last"]):
        _served(box, tree, *more, *path)
    _served(box, tree, *more, cwd=tree / "sub")


@pytest.mark.parametrize(
    "more",
    [["alpha"], ["--files"], ["-c", "alpha"], ["-d2", "--files"], ["--no-messages", "alpha"], ["-j1", "nowhere"]],
    ids=" ".join,
)
def test_links_that_lead_back_or_nowhere_are_told(box: Box, tree: Path, more: list[str]) -> None:
    _links(tree, dot=".", sub__up="..", sub__deep__up="../..", broken="nowhere", sub__file="../a.py/x", d="sub/deep")
    for path in ([], ["."], ["./"], ["sub"], ["sub//"], [os.fspath(tree)], ["sub", "sub/deep", "nope", "d"]):
        assert _served(box, tree, *more, *path).code == 2


@pytest.mark.parametrize("order", ["-j1", "--sort=path", "--sortr=path", "--sort=modified"])
def test_one_thread_tells_of_links_in_the_order_of_its_walk(box: Box, tree: Path, order: str) -> None:
    _links(tree, z="nowhere", sub__up="..", b="nowhere", sub__q="nowhere", d="sub", sub__deep__a="nowhere", q="b")
    for path in (["gone", "sub", "lost", "."], [], ["sub/deep", "gone"]):
        ours = _served(box, tree, order, "alpha", *path)
        assert ours.stderr == real_rg(["-L", order, "alpha", *path], tree, box.env).stderr


def test_a_quiet_search_may_end_before_a_link_that_leads_nowhere(box: Box, tree: Path) -> None:
    _links(tree, broken="nowhere")
    box.attach(tree)
    assert not compare(box, ["-Lq", "alpha"], tree).served
    _served(box, tree, "-q", "--no-messages", "alpha")


RULES = {"dirs": "deep/\n", "names": "b.txt\n", "anchored": "/deep\n", "link": "/link\n", "path": "link/deep/c.md\n",
         "takes back": "*.txt\n!/link/b.txt\n", "real": "/sub/b.txt\n"}  # fmt: skip


@pytest.mark.parametrize("rules", RULES)
def test_rules_see_the_path_that_leads_through_the_link(box: Box, tree: Path, rules: str) -> None:
    _links(tree, link="sub", sub__file="../a.py")
    (tree / "over").mkdir()
    _links(tree, over__deep="../sub", over__link="../sub/deep")
    for place in (".", "over", "sub"):
        (tree / place / ".gitignore").write_text(RULES[rules])
        for more in ([], ["--no-ignore-vcs"], ["--no-ignore-parent", "over"], ["link"], ["-g", "!*.md"], ["--hidden"]):
            _served(box, tree, "--files", *more)


def test_the_verdict_on_a_link_changes_with_what_it_leads_to(box: Box, tree: Path) -> None:
    (tree / ".gitignore").write_text("link/\n")
    for target in ("sub", "a.py", "sub", "sub/b.txt"):
        (tree / "link").unlink(missing_ok=True)
        _links(tree, link=target)
        _served(box, tree, "--files")
        _served(box, tree, "alpha")


def test_links_into_folders_that_are_ignored_or_hidden(box: Box, tree: Path) -> None:
    (tree / ".gitignore").write_text("/build/\n")
    (tree / "build" / "out" / "more").mkdir(parents=True)
    (tree / "build" / "out" / "more" / "x.txt").write_text("alpha\n")
    (tree / "build" / "out" / ".gitignore").write_text("*.log\n")
    (tree / "build" / "out" / "y.log").write_text("alpha\n")
    (tree / ".hid").mkdir()
    (tree / ".hid" / "z").write_text("alpha\n")
    (tree / ".git" / "config").write_text("alpha\n")
    _links(tree, out="build/out", one="build/out/y.log", hid=".hid", z=".hid/z", git=".git")
    _served(box, tree, "alpha")
    (tree / "build" / "out" / "y.log").write_text("alpha beta\n")
    (tree / "build" / "out" / "more" / "new").write_text("alpha\n")
    _served(box, tree, "alpha")
    _served(box, tree, "-uuu", "--files")


def test_types_globs_depths_and_sizes_are_of_what_the_link_leads_to(box: Box, tree: Path) -> None:
    _links(tree, py="a.py", deep="sub/deep", sub__x="../sub/deep")
    (tree / "link.md").symlink_to("a.py")
    (tree / ".hidden").symlink_to("a.py")
    (tree / "large").write_bytes(b"alpha\n" * 1000)
    _links(tree, small="large")
    for more in ("-tpy", "-Tpy", "-tmd", "-g*.md", "-g!deep", "-gdeep/**", "--max-filesize=1K", "-d1", "-d2", "-d0",
                 "--hidden", "--one-file-system", "--iglob=LINK*"):  # fmt: skip
        _served(box, tree, "--files", more)
        _served(box, tree, "-c", "alpha", more)


def test_folders_of_another_repository_bring_their_rules(box: Box, tree: Path) -> None:
    (tree / "other" / ".git" / "info").mkdir(parents=True)
    (tree / "other" / ".git" / "info" / "exclude").write_text("*.log\n")
    (tree / "other" / "x.log").write_text("alpha\n")
    (tree / "other" / "b.txt").write_text("alpha\n")
    (tree / ".gitignore").write_text("b.txt\n")
    _links(tree, link="other", sub__link="../other")
    _served(box, tree, "alpha")
    _served(box, tree, "--no-require-git", "alpha", "sub")


def test_every_change_of_a_link_or_of_its_target_is_seen(box: Box, tree: Path) -> None:
    link = tree / "link"
    _links(tree, link="sub")
    _served(box, tree, "alpha")
    for target in ("sub/deep", "a.py", "nowhere", "..", ".", "sub"):
        (tree / "next").symlink_to(target)
        (tree / "next").rename(link)
        box.attach(tree)
        compare(box, ["-L", "alpha"], tree)
    for _ in range(2):
        (tree / "sub" / "b.txt").write_text("alpha now\n")
        _served(box, tree, "alpha")
        (tree / "sub" / "made").write_text("alpha\n")
        _served(box, tree, "alpha")
        (tree / "sub" / "made").unlink()
        _served(box, tree, "alpha")
    (tree / "sub").rename(tree / "moved")
    _served(box, tree, "alpha")
    (tree / "moved").rename(tree / "sub")
    _served(box, tree, "alpha")
    link.unlink()
    _served(box, tree, "alpha")


def test_one_file_through_several_links_is_searched_each_time(box: Box, tree: Path) -> None:
    late = b"alpha\n" * 12_000 + b"\0\n"
    (tree / "late").write_bytes(late)
    _links(tree, l0="late", l1="late", l2="l1")
    for more in ([], ["--stats"], ["-c"], ["--sort", "path"], ["--sort", "modified", "-l"]):
        _served(box, tree, *more, "alpha", "-g", "l*")


@pytest.fixture
def aside(tree: Path) -> Path:
    """A folder outside of the tree, with rules, links of its own, and links to it in the tree."""
    aside = tree.parent / "aside"
    (aside / "in" / "more").mkdir(parents=True)
    (aside / "in" / ".git").mkdir()
    (aside / ".gitignore").write_text("*.log\n/in/b.txt\n")
    for name in ("x.txt", "x.log", "in/b.txt", "in/y.py", "in/more/z.md", ".hid"):
        (aside / name).write_text(f"alpha of {name}\n")
        os.utime(aside / name, (9, 9))
    os.mkfifo(aside / "fifo")
    _links(aside, back="../tree/sub", up="..", lost="nowhere", again="in", in__file="../../tree/a.py")
    _links(tree, out="../aside", sub__one="../../aside/x.log", far="out/in/more/z.md")
    _links(tree, more=os.fspath(aside / "in" / "more"))
    return aside


@pytest.mark.parametrize(
    "more",
    [["alpha"], ["--files"], ["-c", "alpha"], ["--json", "alpha"], ["--sort=modified", "-l", "alpha"],
     ["-d3", "--files"], ["--sortr=path", "alpha"], ["-j1", "alpha"], ["--no-ignore", "--files"],
     ["--max-filesize=15", "--files"], ["-g!aside", "--stats", "alpha"], ["--hidden", "-g!.git", "alpha"],
     ["--files-without-match", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_links_that_lead_out_of_the_workspace(box: Box, tree: Path, aside: Path, more: list[str]) -> None:
    for path in ([], ["sub"], ["./", "sub"]):
        _served(box, tree, *more, *path)


def test_what_lies_outside_is_as_it_is_at_each_search(box: Box, tree: Path, aside: Path) -> None:
    (tree / "long").write_text("alpha\n" * 40_000)  # the index has something to say
    for number in range(3):
        (aside / "x.txt").write_text(f"alpha {number}\n")
        (aside / "in" / f"new{number}").write_text("alpha\n")
        _served(box, tree, "alpha")
        (aside / "in" / ".ignore").write_text(f"new{number}\n")
        _served(box, tree, "alpha")
        (tree / "out").unlink()
        (tree / "out").symlink_to("../aside/in" if number == 0 else "../aside")
        _served(box, tree, "alpha")


def test_files_outside_that_mind_the_buffer(box: Box, tree: Path, aside: Path) -> None:
    (aside / "b.txt").write_bytes(b"x" * 70_000 + b"\n")
    (aside / "c.txt").write_bytes(b"alpha\n" * 12_000 + b"\0\n")
    (aside / "d.txt").write_bytes(b"\n" * 100 + b"alpha\n" * 24_000 + b"\0\n")
    for more in ([], ["-c"], ["--binary"], ["-a"], ["--stats"]):
        _served(box, tree, "--sort", "path", *more, "alpha")
        compare(box, ["-L", *more, "alpha"], tree)


def test_what_lies_outside_and_is_large_or_not_the_same_to_all_is_left_to_ripgrep(box: Box, tree: Path) -> None:
    box.attach(tree)
    for target in ("/proc/self", "/proc/self/cwd", "/proc/self/status", "/sys/kernel"):
        _links(tree, link=target)
        assert not box.rg(["-L", "--files", "-d1"], tree).served
        (tree / "link").unlink()
    large = tree.parent / "large"
    for number in range(201):
        (large / str(number)).mkdir(parents=True)
        for name in range(100):
            (large / str(number) / str(name)).touch()
    _links(tree, link="../large")
    assert compare(box, ["-L", "--files"], tree).reason == "follow_outside"


def test_links_multiply_a_tree_until_it_is_left_to_ripgrep(box: Box, tree: Path) -> None:
    """Each of seven folders leads to each: 13,700 paths."""
    for name in "abcdefg":
        (tree / "sub" / name).mkdir()
        for other in "abcdefg":
            (tree / "sub" / name / other).symlink_to(f"../{other}")
    box.attach(tree)
    answer = compare(box, ["-L", "--no-messages", "alpha"], tree)
    assert answer.reason == "follow_too_far"
