"""The wheel builds, holds every file that is not Python too, and runs from itself."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_from_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("tiphys-*.whl")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tiphys", "--version"],
        env={**os.environ, "PYTHONPATH": str(wheel)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("tiphys 0.")
    listed = subprocess.run(
        [sys.executable, "-c", "import tiphys.api.resources as r; print(len(r.RESOURCES))"],
        env={**os.environ, "PYTHONPATH": str(wheel)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(listed.stdout) >= 68
    with zipfile.ZipFile(wheel) as archive:
        assert "tiphys/cluster/learn/pages/01-cluster.md" in archive.namelist()
    # Where it was built: who installs the wheel needs no npm.
    if (ROOT / "src/tiphys/cluster/dashboard/web/index.html").exists():
        with zipfile.ZipFile(wheel) as archive:
            names = [Path(n).name for n in archive.namelist() if "/dashboard/web/" in n]
        kinds = {name.partition("-")[0] for name in names}
        assert {"index.html", "main", "shell", "style"} <= kinds
