"""Every way in which a `tiphys` command can fail: a stable id, an exit code of its own, a way out.

Scripts match ids and codes: neither changes its meaning, and none is used again for another.
docs/errors.md is made from this table. Upstream's idea: minikube's pkg/minikube/reason, whose code
for a profile that is not there (85) is ours too. `tiphys kubectl` has kubectl's words and codes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """why: what usually is behind it. fix: what to do, where the place that fails knows no better.

    code: the exit code, from 1 to 125, for the shell uses those above; 127 is the shell's own.
    """

    id: str
    code: int
    why: str
    fix: str


def _table(*rows: tuple[str, int, str, str]) -> tuple[Reason, ...]:
    return tuple(Reason(*row) for row in rows)


ALL = _table(
    # What was typed.
    ("FAILED", 1, "nothing more is known than the message says", "tiphys doctor"),
    ("USAGE", 2, "the command line was not understood", "tiphys --help"),
    ("NOT_ROOT", 11, "containers, mounts and networks are made by root", "sudo tiphys ..."),
    ("BAD_VALUE", 13, "an option has a value that is not possible", "tiphys COMMAND --help"),
    ("CONFIG_KEY", 14, "there is no such setting", "tiphys config defaults"),
    ("CONFIG_VALUE", 15, "the setting cannot have that value", "tiphys config --help"),
    ("CONFIG_DAMAGED", 16, "the file of settings is not JSON", "remove the file"),
    ("FILE", 17, "a file cannot be read or written", "correct its path or its rights"),
    # The machine.
    ("MACHINE_UNFIT", 20, "the machine lacks what a cluster needs", "tiphys doctor"),
    ("MACHINE_PORT", 22, "another program listens on the port", "ss -ltnp"),
    ("MACHINE_RANGES", 23, "no address range of the machine is free", "ip route"),
    ("MACHINE_CONFLICT", 24, "the profile's ranges are used by others now", "ip route"),
    ("MACHINE_NETWORK", 25, "the kernel refused a link, route or rule", "tiphys delete"),
    ("MACHINE_ADDRESS", 26, "the machine does not have the address", "ip address"),
    ("MACHINE_CPUS", 27, "the machine has fewer CPUs", "tiphys start --cpus max"),
    ("MACHINE_MEMORY", 28, "the machine has less memory", "tiphys start --memory max"),
    # Profiles.
    ("PROFILE_NAME", 30, "the name cannot be part of paths and host names", "choose another"),
    ("PROFILE_DAMAGED", 31, "a file of the profile is gone or unreadable", "tiphys delete"),
    ("PROFILE_FORMAT", 32, "another version of tiphys made it", "tiphys delete"),
    ("PROFILE_EXISTS", 33, "the name is in use", "tiphys profile list"),
    ("PROFILE_FIXED", 34, "it was chosen when the cluster was made", "tiphys delete"),
    ("PROFILE_NO_NODES", 35, "it is a control plane alone", "tiphys start --nodes 1 -p OTHER"),
    ("PROFILE_JOINED", 36, "the control plane is another machine's", "go to that machine"),
    ("PROFILE_IN_USE", 37, "something that runs uses it", "tiphys stop"),
    ("PROFILE_FILES_LEFT", 38, "something still uses the files", "lsof, mount"),
    ("PROFILE_LOCKED", 39, "another `tiphys start` does not end", "ps -ef | grep tiphys"),
    ("PROFILE_NOT_FOUND", 85, "no cluster of that name was started", "tiphys start"),
    # The user's kubeconfig.
    ("KUBECONFIG_WRITE", 40, "the file cannot be written or parsed", "tiphys update-context"),
    ("KUBECONFIG_READ", 41, "there is no usable context", "tiphys update-context"),
    # Nodes.
    ("NODE_NOT_FOUND", 50, "the profile has no such machine", "tiphys node list"),
    ("NODE_STOPPED", 51, "the machine is switched off", "tiphys node start NODE"),
    ("NODE_EXISTS", 52, "the name is in use", "tiphys node list"),
    ("NODE_LAST", 53, "a cluster without machines is of no use", "tiphys delete"),
    ("NODE_LIMIT", 54, "so many machines are not possible", "tiphys node delete NODE"),
    ("NODE_DRAIN", 55, "pods are left that may not be moved", "kubectl get pdb -A"),
    ("NODE_PROCESSES", 56, "a process of the machine does not end", "tiphys stop"),
    ("NODE_NOT_READY", 57, "its kubelet or runtime does not work", "tiphys logs kubelet"),
    ("NODE_COPY", 58, "the file cannot be copied to or from there", "tiphys ssh -- ls -l"),
    ("NODE_MOUNT", 59, "the directory cannot be mounted there", "tiphys mount --help"),
    # The cluster and what it answers.
    ("CLUSTER_NOT_READY", 60, "a part did not become ready in time", "tiphys logs"),
    ("CLUSTER_UNREACHABLE", 61, "the API server does not answer", "tiphys start"),
    ("CLUSTER_REFUSED", 62, "the API server answered no", "tiphys logs apiserver"),
    ("CLUSTER_SUPERVISOR", 63, "the supervisor ended", "tiphys logs supervisor"),
    ("CLUSTER_FREEZER", 64, "containers cannot be frozen or thawed", "tiphys doctor"),
    ("SERVICE_NO_PORT", 65, "the Service has no port on nodes", "kubectl edit service NAME"),
    ("SERVICE_NOT_FOUND", 66, "there is no such Service", "tiphys service list"),
    ("LOG_NOT_FOUND", 67, "nothing has written such a log", "tiphys logs"),
    ("NAMESPACE_EXISTS", 68, "the namespace is there already", "kubectl get namespaces"),
    ("NAMESPACE_ACCESS", 69, "no credentials could be made", "kubectl get csr"),
    # Machines that join.
    ("JOIN_REFUSED", 70, "the cluster does not let the machine in", "tiphys token create"),
    ("JOIN_UNTRUSTED", 71, "nothing says which cluster to trust", "--ca-hash sha256:HASH"),
    ("JOIN_NAME_TAKEN", 72, "a node of that name works", "tiphys join --node-name OTHER"),
    ("JOIN_CERTIFICATE", 73, "the node's certificate is not valid", "tiphys delete, join again"),
    ("JOIN_NOT_OPEN", 74, "the cluster is for its machine alone", "tiphys start --listen ADDRESS"),
    ("TOKEN_INVALID", 75, "it is not a bootstrap token", "tiphys token create"),
    ("TOKEN_NOT_FOUND", 76, "there is no such token", "tiphys token list"),
    ("TOKEN_EXISTS", 77, "there is a token of that id", "tiphys token list"),
    # The network.
    ("NET_FACT", 80, "a fact of the network could not be had", "tiphys status"),
    ("NET_END", 81, "there is no such end of a way", "tiphys net trace --help"),
    # The guide.
    ("LEARN_PAGE", 78, "the guide has no such page", "tiphys learn --list"),
    ("LEARN_STOPPED", 79, "a cluster for the guide could not be had", "tiphys doctor"),
    # Images.
    ("IMAGE_NOT_FOUND", 86, "there is no such image here", "tiphys image ls"),
    ("IMAGE_NAME", 87, "it cannot be an image's name", "NAME:TAG, for example nb/a:1"),
    ("IMAGE_DAMAGED", 88, "a layer or manifest is missing", "tiphys image pull NAME"),
    ("IMAGE_LOGIN", 89, "the file of logins is unreadable", "docker login"),
    ("IMAGE_PULL", 90, "the registry did not give it", "check the name and the network"),
    ("IMAGE_PUSH", 91, "the registry did not take it", "check the name and the login"),
    ("IMAGE_LOAD", 92, "it is no archive of images", "tiphys image save -o FILE NAME"),
    ("IMAGE_BUILD", 93, "a step of the build failed", "correct the Dockerfile"),
    ("IMAGE_SAVE", 94, "there is nowhere to save it", "tiphys image save -o FILE NAME"),
    # `tiphys run`.
    ("RUN_NO_PROGRAM", 100, "there is nothing that can be started", "tiphys run ./app.py"),
    ("RUN_PROJECT", 101, "the project's files are unreadable", "correct pyproject.toml"),
    ("RUN_SIZE", 102, "it has too many files for a layer", "run a smaller folder"),
    ("RUN_NAME", 103, "its name cannot be an object's", "tiphys run --name NAME"),
    ("RUN_NOT_OURS", 104, "an object of that name is somebody else's", "tiphys run --name NAME"),
    ("RUN_NO_ANSWER", 105, "the program ended or does not serve", "kubectl logs deploy/NAME"),
    ("RUN_LOOPBACK", 106, "it listens where nobody else can reach it", "listen on 0.0.0.0"),
    ("RUN_PACKAGES", 107, "pip could not install what it needs", "correct its dependencies"),
    ("RUN_IMAGE", 108, "the image could not be made", "tiphys doctor"),
    # Addons, containers, the store.
    ("ADDON_NOT_FOUND", 110, "there is no such addon", "tiphys addons list"),
    ("ADDON_NOT_READY", 111, "its pods do not become ready", "kubectl get pods -A"),
    ("ADDON_NOT_BUILT", 112, "this installation lacks its files", "make setup"),
    ("CONTAINER_NOT_FOUND", 113, "there is no such container", "tiphys container list --all"),
    ("RUNTIME_UNREACHABLE", 114, "the node's runtime does not answer", "tiphys logs runtime"),
    ("STORE_WHICH", 115, "which store is not said", "--etcd-servers https://HOST:2379"),
    ("STORE_FAILED", 116, "store or file cannot be used", "stop who uses it, or use another"),
    ("CLOUD_MISSING", 118, "the cloud's library is missing", "pip install 'tiphys[libcloud]'"),
    ("PROXY_FAILED", 117, "the local proxy does not answer", "tiphys dashboard --port N"),
    ("COMMAND_NOT_FOUND", 127, "the program is not on the machine", "tiphys ssh -- ls /usr/bin"),
)  # fmt: skip

BY_ID = {reason.id: reason for reason in ALL}

FAILED = BY_ID["FAILED"]
USAGE = BY_ID["USAGE"]


def of(reason_id: str) -> Reason:
    """Raises KeyError for an id that there is not."""
    return BY_ID[reason_id]


def document() -> str:
    """docs/errors.md."""
    rows = [f"| `{r.id}` | {r.code} | {r.why} | `{r.fix}` |" for r in ALL]
    return "\n".join([_HEAD, *rows, ""])


_HEAD = """\
# Errors

Every failure of a `tiphys` command has an id and an exit code of its own; neither ever changes its
meaning. A person reads on standard error:

```
Error: there is no profile "dev"
  start one: tiphys start -p dev
  PROFILE_NOT_FOUND (exit code 85, docs/errors.md)
```

With `-o json` the same is one object on standard output, whichever command it was:

```
{"error": "there is no profile \\"dev\\"", "id": "PROFILE_NOT_FOUND",
 "why": "no cluster of that name was started", "fix": "start one: tiphys start -p dev",
 "exitCode": 85}
```

Apart from these: 0 is success, 130 an interruption, 141 a reader that went away. `tiphys status`
has minikube's codes: 0, or the sum of 1 (nothing runs), 2 (API server or a kubelet does not work)
and 4 (the kubeconfig leads elsewhere). `tiphys doctor` ends with 1 when it found something fatal.
`tiphys kubectl` has kubectl's words and codes; `tiphys ssh` and `tiphys node shell` end with the
code of what ran there.

This table is made from `src/tiphys/cli/reasons.py` (`tools/errors.py` writes it).

| id | exit code | what is behind it | what to do |
|---|---|---|---|"""
