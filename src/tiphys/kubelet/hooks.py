"""postStart and preStop. Upstream: pkg/kubelet/lifecycle/handlers.go."""

from tiphys.api.meta import Obj
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.probes import http
from tiphys.kubelet.probes.probe import PortError, Target
from tiphys.lib.clock import Clock
from tiphys.lib.http.client import HttpError

EXEC_SECONDS_MAX = 3600.0  # A hook is bounded by its pod's grace; this bounds the call.


class HookError(Exception):
    """The hook did not succeed."""


async def run_hook(cri: CriClient, clock: Clock, hook: Obj, target: Target) -> None:
    """Returns when the hook has ended. Raises HookError."""
    if action := hook.get("exec"):
        await _exec(cri, list(action.get("command") or []), target)
    elif action := hook.get("httpGet"):
        await _http(action, target)
    elif action := hook.get("sleep"):
        await clock.sleep(int(action.get("seconds") or 0))


async def _exec(cri: CriClient, command: list[str], target: Target) -> None:
    request = {"container_id": target.running.id, "cmd": command, "timeout": 0}
    try:
        answer = await cri.call("ExecSync", request, EXEC_SECONDS_MAX)
    except CriError as exc:
        raise HookError(error_text(exc)) from exc
    code = answer.get("exit_code", 0)
    if code:
        raise HookError(f"command '{' '.join(command)}' exited with {code}")


async def _http(action: Obj, target: Target) -> None:
    try:
        url = http.url_of(action, target)
        answer = await http.get(url, http.headers_of(action), EXEC_SECONDS_MAX)
    except (HttpError, TimeoutError, PortError) as exc:
        raise HookError(str(exc)) from exc
    if answer.status >= 400:
        raise HookError(f"HTTP status {answer.status}")
