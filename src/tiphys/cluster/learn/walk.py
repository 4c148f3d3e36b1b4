"""Runs a page's commands in a folder and on a profile of their own."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tiphys.api.errors import ApiError
from tiphys.cli.kubectl.client import KubeClient, Unreachable
from tiphys.cli.kubectl.main import access_of
from tiphys.client.kubeconfig import KubeconfigError
from tiphys.cluster.learn.likeness import is_like
from tiphys.cluster.learn.page import Command, File
from tiphys.cluster.learn.story import counts, tell

UNTIL_SECONDS_MAX: Final = 90.0
COMMAND_SECONDS_MAX: Final = 120.0
AGAIN_SECONDS: Final = 0.2
QUIET_SECONDS: Final = 0.8  # Without a new event: what a command caused is done, or takes longer.
STORY_SECONDS_MAX: Final = 6.0


@dataclass
class Walk:
    """kubectl: the program of that name, or empty for our own."""

    profile: str
    folder: Path
    env: Mapping[str, str]
    kubectl: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, file: File) -> None:
        path = self.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)

    def run(self, command: Command) -> str:
        """The output, errors included; of an `until` command the one that the page shows.

        The last output when that does not come in time: the caller compares.
        """
        deadline = time.monotonic() + UNTIL_SECONDS_MAX
        while True:
            output = self._once(command)
            done = not command.until or is_like(output, command.output)
            if done or time.monotonic() > deadline:
                break
            time.sleep(AGAIN_SECONDS)
        if command.assigns:
            self.variables[command.assigns] = output.strip()
        return output

    def _once(self, command: Command) -> str:
        try:
            done = subprocess.run(
                self._words(command.words),
                cwd=self.folder,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no end in {COMMAND_SECONDS_MAX:g} s"
        except FileNotFoundError:
            return f"{command.words[0]} is not installed"
        return done.stdout.decode(errors="replace").strip()

    def _words(self, words: tuple[str, ...]) -> list[str]:
        own = [sys.executable, "-m", "tiphys", "-p", self.profile]
        rest = [self._value(word) for word in words[1:]]
        if words[0] == "tiphys":
            return [*own, *rest]
        if words[0] == "kubectl":
            return [self.kubectl, *rest] if self.kubectl else [*own, "kubectl", *rest]
        return [words[0], *rest]

    def _value(self, word: str) -> str:
        for name, value in self.variables.items():
            word = word.replace(f"${name}", value)
        return word

    def events(self) -> list[dict[str, Any]]:
        """All events of the cluster; none while it does not answer."""
        try:
            client = KubeClient(access_of(self.profile, {}))
            found: list[dict[str, Any]] = client.request("GET", "/api/v1/events")["items"]
        except (ApiError, KubeconfigError, Unreachable):
            return []
        return found

    def story(self, known: dict[str, int]) -> list[str]:
        """What happened since, once no more comes for a moment."""
        deadline = time.monotonic() + STORY_SECONDS_MAX
        events = self.events()
        while time.monotonic() < deadline:
            time.sleep(QUIET_SECONDS)
            before, events = counts(events), self.events()
            if counts(events) == before:
                break
        return tell(events, known)


def environment(home: Path) -> dict[str, str]:
    """The user's, but with a kubeconfig of its own; `home` holds it."""
    return {**os.environ, "KUBECONFIG": str(home / "kubeconfig")}


def installed_kubectl() -> str:
    return shutil.which("kubectl") or ""
