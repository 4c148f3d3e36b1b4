"""Remove the cached images when no profile is left that uses them; otherwise say who does."""

import json
import subprocess
import sys
from pathlib import Path

TIPHYS = Path(sys.executable).parent / "tiphys"


def main() -> int:
    listed = subprocess.run(
        [str(TIPHYS), "profile", "list", "-o", "json"], capture_output=True, text=True, check=True
    )
    profiles = [p["profile"] for p in json.loads(listed.stdout)]
    if profiles:
        print(f"cached images stay, profiles use them: {', '.join(profiles)}")
        return 0
    return subprocess.run([str(TIPHYS), "delete", "--purge"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
