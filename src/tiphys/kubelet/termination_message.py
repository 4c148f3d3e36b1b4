"""What an ended container leaves behind as its message.

Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go (getTerminationMessage).
"""

import os
from pathlib import Path
from typing import Final

from tiphys.kubelet.logs import last_lines
from tiphys.kubelet.runtime_state import MESSAGE_POLICY, RuntimeContainer

FILE_BYTES_MAX: Final = 4096  # container.go MaxContainerTerminationMessageLength
LOG_BYTES_MAX: Final = 2048  # MaxContainerTerminationMessageLogLength
LOG_LINES_MAX: Final = 80  # MaxContainerTerminationMessageLogLines


def message_file(pod_dir: Path, name: str, attempt: int) -> Path:
    """The file that is mounted at the container's terminationMessagePath."""
    return pod_dir / "containers" / name / str(attempt)


def termination_message(container: RuntimeContainer, pod_dir: Path) -> str:
    """The file's end; the log's end where it is empty and the policy says so."""
    if container.state != "exited":
        return ""
    path = message_file(pod_dir, container.name, container.restart_count)
    text = _tail(path).decode(errors="replace")
    fallback = container.annotations.get(MESSAGE_POLICY) == "FallbackToLogsOnError"
    failed = container.exit_code != 0 or container.reason == "OOMKilled"
    if not text and fallback and failed and container.log_path:
        text = last_lines(Path(container.log_path), LOG_LINES_MAX, LOG_BYTES_MAX)
    if container.message and text:
        return f"{container.message}: {text}"
    return text or container.message


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - FILE_BYTES_MAX))
            return file.read(FILE_BYTES_MAX)
    except OSError:
        return b""
