"""exec probes. Upstream: pkg/probe/exec/exec.go."""

from tiphys.api.meta import Obj
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.probes.probe import MESSAGE_CHARS_MAX, Outcome, Target

CALL_SLACK_SECONDS = 5.0  # The runtime ends the command; we only wait for it to say so.


async def run(cri: CriClient, action: Obj, target: Target, timeout_seconds: int) -> Outcome:
    command = list(action.get("command") or [])
    request = {
        "container_id": target.running.id,
        "cmd": command,
        "timeout": timeout_seconds,
    }
    try:
        answer = await cri.call("ExecSync", request, timeout_seconds + CALL_SLACK_SECONDS)
    except CriError as exc:
        if exc.code == "DEADLINE_EXCEEDED":
            return Outcome("failure", f'command timed out: "{" ".join(command)}"')
        return Outcome("unknown", error_text(exc))
    output = answer.get("stdout", b"") + answer.get("stderr", b"")
    text = output[:MESSAGE_CHARS_MAX].decode(errors="replace")
    return Outcome("success" if answer.get("exit_code", 0) == 0 else "failure", text)
