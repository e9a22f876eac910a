"""config.toml, the list of folders that are never roots by themselves, and the runtime folder's rules."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from curserve import config, cpus, paths
from curserve.config import Config, ConfigError
from curserve.paths import RuntimeDirError, RuntimePaths
from curserve.rootpolicy import RootPolicy


def test_no_file_is_all_defaults(tmp_path: Path) -> None:
    assert config.load(tmp_path / "none.toml") == Config() == config.parse(b"")


def test_every_key() -> None:
    read = config.parse(
        b"""
        [roots]
        auto = false
        refuse = ["/data/archive", "!~/.config"]
        [log]
        level = "debug"
        [limits]
        threads = 3
        memory = "2G"
        sweep_s = 2.5
        shadow = 0.01
        [trust]
        sandbox = true
        [model]
        base_url = "http://localhost:8000/v1"
        model = "qwen3"
        key_env = "KEY"
        [metrics]
        port = 9464
        roots = true
        [vllm]
        metrics = "http://gpu:8000/metrics"
        """
    )
    assert (read.metrics, read.vllm) == (config.Metrics(9464, True), config.Vllm("http://gpu:8000/metrics"))
    assert read.roots == config.Roots(False, ("/data/archive", "!~/.config"))
    assert read.limits == config.Limits(3, 2 << 30, 2.5, 0.01)
    assert (read.log.level, read.trust.sandbox) == ("debug", True)
    assert read.model == config.Model("http://localhost:8000/v1", "qwen3", "KEY")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rots = 1", "unknown table or key 'rots'"),
        ("roots = 1", "unknown table or key 'roots'"),
        ("[roots]\nautos = true", "unknown key 'autos' in [roots] (there are: auto, pinned, refuse)"),
        ("[roots]\nauto = 1", "[roots] auto: expected true or false"),
        ("[roots]\nrefuse = '/x'", "[roots] refuse: expected a list"),
        ("[roots]\nrefuse = ['']", "[roots] refuse: expected a list"),
        ("[roots]\nrefuse = ['!']", "no gitignore pattern"),
        ("[log]\nlevel = 'loud'", "expected one of debug, info, warning, error"),
        ("[limits]\nthreads = -1", "[limits] threads"),
        ("[limits]\nthreads = true", "[limits] threads"),
        ("[limits]\nmemory = '0'", "expected a size"),
        ("[limits]\nmemory = '101%'", "expected a size"),
        ("[limits]\nmemory = ''", "expected a size"),
        ("[limits]\nsweep_s = 0", "[limits] sweep_s"),
        ("[limits]\nshadow = 1.5", "[limits] shadow"),
        ("[limits]\nshadow = nan", "[limits] shadow"),
        ("[trust]\nsandbox = 'yes'", "expected true or false"),
        ("[model]\nmodel = 4", "expected a text"),
        ("[metrics]\nport = 65536", "expected a port"),
        ("[metrics]\nport = true", "expected a port"),
        ("[metrics]\nroots = 1", "expected true or false"),
        ("[vllm]\nmetrics = 'gpu:8000'", "expected a URL"),
        ("[vllm]\nmetrics = true", "expected a URL"),
        ("[roots", "Expected ']'"),
        ("\xff", ""),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as raised:
        config.load(file)
    message = str(raised.value)
    assert message.startswith(f"{file}: ") and said in message and "\n" not in message


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [("8G", 8 << 30), ("1.5m", 3 << 19), ("64k", 65536), ("1048576", 1 << 20), (7, 7), ("1T", 1 << 40)],
)
def test_sizes(size: object, size_bytes: int) -> None:
    assert config.parse_size(size) == size_bytes


def test_a_share_of_the_memory() -> None:
    assert 0 < config.parse_size("25%") * 4 - config.parse_size("100%") + 4 <= 4


POLICY = RootPolicy(["/data", "!/data/work", "!~/.config", "build-*/"], Path("/home/me"))


@pytest.mark.parametrize(
    "root",
    "/ /home /home/me /tmp /usr /usr/lib/python3 /etc /etc/x /var/lib/x /root /opt /mnt /proc/1 /home/me/.ssh "
    "/home/me/.cache/x/y /data /data/other /srv/a/build-1".split(),
)
def test_refused(root: str) -> None:
    assert POLICY.refuses(os.fsencode(root))


@pytest.mark.parametrize(
    "root",
    "/home/me/p /home/me/p/q /home/other/p /tmp/x /tmp/x/y /usr/src/linux /usr/src/linux/fs /root/p /opt/app /mnt/d/p "
    "/work/main /data/work /data/work/x /home/me/.config /homework /usrlocal /var/www/site /tmp/usr /workspaces/p"
    " /home/me/.config/x".split(),
)
def test_not_refused(root: str) -> None:
    assert not POLICY.refuses(os.fsencode(root))


def test_a_root_that_is_no_utf8() -> None:
    assert not POLICY.refuses(b"/home/me/caf\xe9") and POLICY.refuses(b"/etc/caf\xe9")


def _places(directory: Path) -> RuntimePaths:
    names = ("socket", "control", "lock", "start", "log")
    return RuntimePaths(directory, *(directory / name for name in names), own_directory=True)


def test_the_runtime_folder_is_made_private(tmp_path: Path) -> None:
    directory = tmp_path / "made"
    before = os.umask(0)
    try:
        paths.prepare(_places(directory))
        paths.prepare(_places(directory))
    finally:
        os.umask(before)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    directory, link, file = tmp_path / "open", tmp_path / "link", tmp_path / "file"
    directory.mkdir()
    directory.chmod(0o755)
    link.symlink_to(directory)
    file.write_text("")
    for path, said in ((directory, "chmod 700"), (link, "not a folder"), (file, "not a folder")):
        with pytest.raises(RuntimeDirError, match=re.escape(said)):
            paths.prepare(_places(path))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_runtime_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir(mode=0o700)
    os.chown(directory, 65534, 65534)
    with pytest.raises(RuntimeDirError, match="belongs to uid 65534"):
        paths.prepare(_places(directory))


def test_the_place_depends_on_the_uid_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURSERVE_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/elsewhere")
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    uid = os.getuid()
    folders = (Path(f"/run/user/{uid}/curserve"), Path(f"/tmp/curserve-{uid}"))
    assert paths.runtime_paths().socket in [folder / "socket" for folder in folders]


def test_the_real_rg_is_never_the_shim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shim = paths.shim_dir() / "rg"
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "rg").symlink_to(shim)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "rg").write_bytes(shim.read_bytes())
    (tmp_path / "copy" / "rg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{paths.shim_dir()}:{tmp_path}/link:{tmp_path}/copy")
    monkeypatch.delenv("CURSERVE_REAL_RG", raising=False)
    found = paths.real_rg()
    assert found is not None and found.name == "rg" and b"curserve-shim" not in found.read_bytes()[:4096]


@pytest.mark.parametrize(
    ("lines", "files", "said"),
    [
        ("0::/", {}, None),
        ("0::/a/b", {"a/b/cpu.max": "max 100000"}, None),
        ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 1),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 1),
        ("4:memory:/x\n2:cpu,cpuacct:/x", {"cpu,cpuacct/x/cpu.cfs_quota_us": "-1"}, None),
        ("2:cpu,cpuacct:/x", {"cpu,cpuacct/cpu.cfs_quota_us": "90000", "cpu,cpuacct/cpu.cfs_period_us": "90000"}, 1),
        ("3:cpuset:/x", {"cpu/x/cpu.cfs_quota_us": "1", "cpu/x/cpu.cfs_period_us": "9"}, None),
    ],
)
def test_processors_for_ripgrep(tmp_path: Path, lines: str, files: dict[str, str], said: int | None) -> None:
    """said: None is what the affinity mask says."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "cgroup").write_text(lines + "\n")
    assert cpus.available(tmp_path / "cgroup", tmp_path) == (said or len(os.sched_getaffinity(0)))
