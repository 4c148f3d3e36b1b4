"""`make bench`: every benchmark in turn; `python -m bench NAME ...` runs some."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def scripts() -> list[Path]:
    return sorted(p for p in HERE.glob("*/*.py") if not p.name.startswith("_"))


def main() -> int:
    wanted = sys.argv[1:]
    failed = 0
    for script in scripts():
        name = f"{script.parent.name}/{script.stem}"
        if wanted and not any(w in name for w in wanted):
            continue
        print(f"== {name}", flush=True)
        failed |= subprocess.run([sys.executable, str(script)], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
