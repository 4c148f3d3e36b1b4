"""Builds and programs: from an edit to an answer.

    python bench/cluster/programs.py [ROUNDS]

Prints, in a cluster and a registry of their own: the first `tiphys run` of a program (the base
image of Python is made and pulled), `tiphys run` after an edit (until the URL answers with it),
the same with `--watch`, and `tiphys image build` of a COPY and a RUN, first and all known.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

TIPHYS = str(Path(sys.executable).with_name("tiphys"))
PROFILE = "bench"
PROGRAM = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"NUMBER")
ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


def tiphys(*arguments: str) -> str:
    done = subprocess.run(
        [TIPHYS, "-p", PROFILE, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"tiphys {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def url_of(text: str) -> str:
    return next(word for word in text.split() if word.startswith("http://"))


def until_answer(url: str, text: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1) as found:
                if found.read() == text.encode():
                    return
        except OSError:
            pass
        time.sleep(0.005)
    raise SystemExit(f"{url} does not answer {text}")


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def write(file: Path, number: int) -> str:
    file.write_text(PROGRAM.replace("NUMBER", str(number)))
    return str(number)


def runs(file: Path, rounds: int) -> None:
    def once(number: int) -> None:
        text = write(file, number)
        until_answer(url_of(tiphys("run", str(file))), text)

    print(f"first run: {seconds(partial(once, 0)):.2f} s")
    edits = [seconds(partial(once, n)) for n in range(1, rounds + 1)]
    print(f"run after an edit, median of {rounds}: {statistics.median(edits):.2f} s")


def watched(file: Path, rounds: int) -> None:
    command = [TIPHYS, "-p", PROFILE, "run", "--watch", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = url_of(process.stdout.readline())

    def once(number: int) -> None:
        until_answer(url, write(file, number))
        assert process.stdout is not None
        process.stdout.readline()

    edits = [seconds(partial(once, 100 + n)) for n in range(rounds)]
    process.terminate()
    process.wait()
    print(f"--watch, edit to answer, median of {rounds}: {statistics.median(edits):.2f} s")


def builds(directory: Path) -> None:
    (directory / "blob").write_bytes(os.urandom(4 << 20))
    (directory / "Dockerfile").write_text("FROM busybox\nCOPY blob /blob\nRUN echo x > /x\n")

    def build() -> str:
        return tiphys("image", "build", "-t", "bench/x", str(directory))

    print(f"image build, COPY of 4 MiB and RUN: {seconds(build):.2f} s")
    print(f"image build, all steps known: {seconds(build):.2f} s")


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(prefix="ty", dir="/tmp") as home:
        os.environ |= {"TIPHYS_HOME": home, "KUBECONFIG": f"{home}/kubeconfig"}
        tiphys("start", "--wait")
        try:
            file = Path(home, "program.py")
            runs(file, rounds)
            watched(file, rounds)
            builds(Path(home))
        finally:
            tiphys("delete", "--purge")
    return 0


if __name__ == "__main__":
    sys.exit(main())
