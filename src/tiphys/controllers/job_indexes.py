"""Completion indexes of an Indexed Job: their text form, which are done, which come next. Pure.

Upstream: pkg/controller/job/indexed_job_utils.go, success_policy.go.
"""

import copy
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from tiphys.api.meta import Obj, annotations_of, at, name_of
from tiphys.controllers.job_pods import has_finalizer

INDEX: Final = "batch.kubernetes.io/job-completion-index"  # label and annotation
FAILURES: Final = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES: Final = "batch.kubernetes.io/job-index-ignored-failure-count"
VARIABLE: Final = "JOB_COMPLETION_INDEX"
GENERATED_NAME_MAX: Final = 58  # What is left of 63 before the random suffix.


def is_indexed(job: Obj) -> bool:
    return bool(at(job, "spec", "completionMode") == "Indexed")


def has_limit_per_index(job: Obj) -> bool:
    return at(job, "spec", "backoffLimitPerIndex") is not None


def completions_of(job: Obj) -> int:
    return int(at(job, "spec", "completions", default=0))


def index_of(pod: Obj) -> int | None:
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdigit() else None


def valid_index(job: Obj, pod: Obj) -> int | None:
    index = index_of(pod)
    return index if index is not None and index < completions_of(job) else None


def parse(text: str) -> set[int]:
    """`1,3-5` gives {1, 3, 4, 5}; the API server let nothing else in."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def format_indexes(indexes: AbstractSet[int]) -> str:
    """{1, 3, 4, 5} gives `1,3-5`; two in a row are written as both. Source: String."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(_run_text(run) for run in runs)


def _run_text(run: Sequence[int]) -> str:
    if len(run) == 1:
        return str(run[0])
    sign = "-" if len(run) > 2 else ","
    return f"{run[0]}{sign}{run[-1]}"


def noted(job: Obj, field: str) -> set[int]:
    """status.completedIndexes or status.failedIndexes, as far as they still count."""
    limit = completions_of(job)
    return {n for n in parse(at(job, "status", field, default="")) if n < limit}


def succeeded(job: Obj, pods: Iterable[Obj]) -> set[int]:
    """All that succeeded, by the status and by pods that are not in it yet."""
    found = noted(job, "completedIndexes")
    for pod in pods:
        if at(pod, "status", "phase") == "Succeeded" and has_finalizer(pod):
            index = valid_index(job, pod)
            if index is not None:
                found.add(index)
    return found


def failure_counts(pod: Obj | None) -> tuple[int, int]:
    """(counted, ignored) failures of the index before this pod."""
    notes = annotations_of(pod) if pod is not None else {}
    counted, ignored = notes.get(FAILURES, "0"), notes.get(IGNORED_FAILURES, "0")
    return (
        int(counted) if counted.isdigit() else 0,
        int(ignored) if ignored.isdigit() else 0,
    )


def pending(job: Obj, count: int, done: AbstractSet[int], active: Iterable[Obj]) -> list[int]:
    """The lowest indexes that nothing works on."""
    taken = {index for pod in active if (index := index_of(pod)) is not None} | done
    found: list[int] = []
    for index in range(completions_of(job)):
        if len(found) == count:
            break
        if index not in taken:
            found.append(index)
    return found


def duplicates(job: Obj, ranked: Sequence[Obj]) -> list[Obj]:
    """Pods without a good index, and all but the best of each. ranked: the worst first."""
    best = {valid_index(job, pod): pod for pod in ranked}
    return [p for p in ranked if valid_index(job, p) is None or best[valid_index(job, p)] is not p]


def matched_rule(job: Obj, done: AbstractSet[int]) -> str | None:
    """The message of the first rule of the success policy that is met."""
    for number, rule in enumerate(at(job, "spec", "successPolicy", "rules", default=[])):
        wanted = parse(rule["succeededIndexes"]) if rule.get("succeededIndexes") else None
        matching = done if wanted is None else done & wanted
        needed = rule.get("succeededCount")
        if needed is None:
            needed = len(wanted) if wanted is not None else completions_of(job)
        if len(matching) >= needed:
            return f"Matched rules at index {number}"
    return None


def with_index(job: Obj, template: Obj, index: int, failures: tuple[int, int] | None) -> Obj:
    """The template of the pod of an index. failures: of the index so far, where they count."""
    made: Obj = copy.deepcopy(template)
    described = made.setdefault("metadata", {})
    notes = dict(described.get("annotations") or {}) | {INDEX: str(index)}
    if failures is not None:
        notes[FAILURES] = str(failures[0])
        if failures[1]:
            notes[IGNORED_FAILURES] = str(failures[1])
    described["annotations"] = notes
    described["labels"] = dict(described.get("labels") or {}) | {INDEX: str(index)}
    spec = made["spec"]
    spec["hostname"] = f"{name_of(job)}-{index}"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        variables = container.setdefault("env", [])
        if all(v["name"] != VARIABLE for v in variables):
            variables.append({"name": VARIABLE, "valueFrom": source})
    return made


def generate_name(job: Obj, index: int) -> str:
    end = f"-{index}-"
    return name_of(job)[: GENERATED_NAME_MAX - len(end)] + end
