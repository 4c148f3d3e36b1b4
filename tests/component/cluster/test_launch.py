"""The process that becomes the supervisor keeps nothing that the command had open."""

import os
from pathlib import Path

from tiphys.cluster import processes
from tiphys.cluster.launch import launch
from tiphys.cluster.profile import Profile, Roots
from tiphys.lib.process import start_time


def _open_files(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return found


def test_it_inherits_only_the_pipe_that_it_waits_for(tmp_path: Path) -> None:
    kept = tmp_path / "held-by-the-caller"
    kept.touch()
    log_file = tmp_path / "logs" / "supervisor.log"
    inherited = os.open(kept, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    waiting = launch(Roots(tmp_path / "state", tmp_path / "run"), "p", log_file)
    try:
        # It opens its log before it closes what it inherited; the read end of the pipe stays.
        while str(log_file) not in _open_files(waiting.pid) or str(kept) in _open_files(
            waiting.pid
        ):
            assert start_time(waiting.pid) is not None
        pipe = os.readlink(f"/proc/self/fd/{waiting.pipe}")
        ours = {os.readlink(f"/proc/self/fd/{n}") for n in _numbers()} - {"/dev/null", pipe}
        assert pipe in _open_files(waiting.pid)
        assert _open_files(waiting.pid) & ours == set()
    finally:
        os.close(inherited)
        waiting.give_up()
    assert start_time(waiting.pid) is None


def test_it_is_found_and_stopped_before_it_has_begun(tmp_path: Path) -> None:
    """A delete in the moments after a start must not leave a supervisor behind."""
    roots = Roots(tmp_path / "state", tmp_path / "run")
    profile = Profile("p", roots, 0, "", "", "", "")
    profile.run_directory.mkdir(parents=True)
    waiting = launch(roots, "p", tmp_path / "supervisor.log")
    try:
        assert waiting.identity is not None
        assert processes.supervisor(profile) is None
        processes.record_supervisor(profile, waiting.identity)
        assert processes.supervisor(profile) is not None
        assert processes.stop(profile)
        assert start_time(waiting.pid) is None
    finally:
        waiting.give_up()


def _numbers() -> list[int]:
    """Our own descriptors that are still open after they were listed."""
    return [int(n) for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")]
