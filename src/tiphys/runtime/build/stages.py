"""The stages of a Dockerfile, and which of them a target needs. Pure.

Source: docs.docker.com/build/building/multi-stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.runtime.build.dockerfile import Dockerfile, Instruction
from tiphys.runtime.build.words import WordError, expand, split


@dataclass(frozen=True)
class Stage:
    """`base` is an image, "scratch", or the name or number of an earlier stage."""

    index: int
    name: str
    base: str
    first: Instruction  # The FROM.
    steps: tuple[Instruction, ...]

    @property
    def title(self) -> str:
        return self.name or str(self.index)


@dataclass(frozen=True)
class Plan:
    """stages in order; global_args are those before the first FROM, with their values."""

    stages: tuple[Stage, ...]
    global_args: Mapping[str, str]


def plan(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> Plan:
    """Raises: DockerfileError."""
    variables: dict[str, str] = {}
    stages: list[Stage] = []
    for one in dockerfile.instructions:
        if one.name == "FROM":
            stages.append(_stage(one, len(stages), variables, dockerfile.escape))
        elif not stages:
            variables |= argument(one, variables, build_args, dockerfile.escape)
        else:
            last = stages[-1]
            stages[-1] = Stage(last.index, last.name, last.base, last.first, (*last.steps, one))
    return Plan(tuple(stages), variables)


def argument(
    one: Instruction, variables: Mapping[str, str], given: Mapping[str, str], escape: str
) -> dict[str, str]:
    """The variables that an ARG sets: what was given, else its default, else nothing.

    Raises: DockerfileError.
    """
    found: dict[str, str] = {}
    for word in split(one.rest, escape):
        name, equals, default = word.partition("=")
        if name in given:
            found[name] = given[name]
        elif equals:
            try:
                found[name] = expand(default, {**variables, **found}, escape)
            except WordError as exc:
                raise one.error(str(exc)) from exc
    return found


def _stage(one: Instruction, index: int, variables: Mapping[str, str], escape: str) -> Stage:
    words = one.rest.split()
    name = ""
    if len(words) == 3 and words[1].lower() == "as":
        name = words[2].lower()
    elif len(words) != 1:
        raise one.error("requires either one or three arguments")
    try:
        base = expand(words[0], variables, escape)
    except WordError as exc:
        raise one.error(str(exc)) from exc
    if not base:
        raise one.error(f"base name ({words[0]}) should not be blank")
    return Stage(index, name, base, one, ())


def find(stages: Sequence[Stage], name: str, before: int) -> Stage | None:
    """The stage that name means in stage number `before`; later ones of a name win."""
    for stage in reversed(stages[:before]):
        if stage.name and stage.name == name.lower():
            return stage
    if name.isdigit() and int(name) < before:
        return stages[int(name)]
    return None


def needed(stages: Sequence[Stage], target: str) -> list[Stage]:
    """The target (the last stage for "") and the stages it is made from, in order.

    Raises: ValueError when there is no such target.
    """
    last = stages[-1] if not target else find(stages, target, len(stages))
    if last is None:
        raise ValueError(f"target stage {target!r} could not be found")
    wanted: set[int] = set()
    waiting = [last]
    while waiting:
        stage = waiting.pop()
        if stage.index in wanted:
            continue
        wanted.add(stage.index)
        sources = [stage.base, *(source_stage(step) for step in stage.steps)]
        found = (find(stages, name, stage.index) for name in sources if name)
        waiting += [one for one in found if one is not None]
    return [stage for stage in stages if stage.index in wanted]


def source_stage(step: Instruction) -> str:
    """What COPY --from names, "" for the context."""
    return step.flag("from") if step.name == "COPY" else ""
