"""Builds an image: instructions in order, each a layer or a change of the config.

Sources: docs.docker.com/reference/dockerfile; moby (words of the classic builder's output).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from tiphys.lib.clock import Clock
from tiphys.runtime.build import image_config, stages, state
from tiphys.runtime.build.cache import Made, StepCache, key
from tiphys.runtime.build.copy_step import CopyStep
from tiphys.runtime.build.copying import CopyError
from tiphys.runtime.build.dockerfile import Dockerfile, DockerfileError, Instruction, instruction
from tiphys.runtime.build.layer_store import LayerStore
from tiphys.runtime.build.run_step import NO_NETWORK, Command, RunError, Runner
from tiphys.runtime.build.source_tree import SourceTree
from tiphys.runtime.build.stages import Stage
from tiphys.runtime.build.state import State
from tiphys.runtime.build.words import WordError, expand
from tiphys.runtime.images import manifest
from tiphys.runtime.images.layers import LayerError
from tiphys.runtime.images.stored_image import Layer, StoredImage

SCRATCH: Final = "scratch"
# May be given without ARG, reach RUN, and change neither cache nor image.
PROXY_ARGS: Final = tuple(
    name
    for base in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (base, base.lower())
)
NETWORKS: Final = ("default", "host", NO_NETWORK)


class BuildError(Exception):
    """The image cannot be built; the text says which step and why, `fix` what to do."""

    def __init__(self, message: str, *, fix: str = "correct the Dockerfile") -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True)
class Options:
    """What the command line says. `epoch` is SOURCE_DATE_EPOCH in seconds."""

    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    no_cache: bool = False
    epoch: int | None = None
    network: str = "default"


@dataclass(frozen=True)
class Parts:
    """What a build works with: `fetch` gives the image of a name, pulled when it is not here."""

    context: SourceTree
    layers: LayerStore
    cache: StepCache
    runner: Runner
    fetch: Callable[[str], Awaitable[StoredImage]]
    say: Callable[[str], None]
    output: Callable[[bytes], None]
    machine: str
    clock: Clock


class Build:
    """One build of one Dockerfile."""

    def __init__(self, dockerfile: Dockerfile, options: Options, parts: Parts) -> None:
        self._file = dockerfile
        self._options = options
        self._parts = parts
        self._given = {**platform_arguments(parts.machine), **options.build_args}
        if options.epoch is not None:
            self._given.setdefault("SOURCE_DATE_EPOCH", str(options.epoch))
        self._plan = stages.plan(dockerfile, self._given)
        self._done: dict[int, State] = {}
        self._used_args: set[str] = set(self._plan.global_args)
        self._copies = CopyStep(parts.layers, parts.context, dockerfile.escape)
        self._number = 0

    async def run(self) -> State:
        """The image of the target. Raises: BuildError."""
        try:
            wanted = stages.needed(self._plan.stages, self._options.target)
        except ValueError as exc:
            raise BuildError(str(exc)) from exc
        total = sum(1 + len(stage.steps) for stage in wanted)
        for stage in wanted:
            self._done[stage.index] = await self._stage(stage, total)
        self._warn_unused()
        found = self._done[wanted[-1].index]
        if self._options.labels:
            labels = {**(found.config.get("Labels") or {}), **self._options.labels}
            found = found.with_config({**found.config, "Labels": labels})
        return found

    def _warn_unused(self) -> None:
        names = sorted(set(self._options.build_args) - self._used_args - set(PROXY_ARGS))
        if names:
            listed = " ".join(names)
            self._parts.say(f"[Warning] One or more build-args [{listed}] were not consumed")

    async def _stage(self, stage: Stage, total: int) -> State:
        self._title(stage.first, total)
        found = await self._base(stage.base, stage.index)
        self._parts.say(f" ---> {short(found)}")
        triggers = list(found.config.get("OnBuild") or ())
        if triggers:
            config = {k: v for k, v in found.config.items() if k != "OnBuild"}
            found = found.with_config(config)
        steps = [instruction(text, stage.first.line) for text in triggers]
        for one in (*steps, *stage.steps):
            self._title(one, total + len(steps))
            found = await self._step(stage, found, one)
            self._parts.say(f" ---> {short(found)}")
        return found

    def _title(self, one: Instruction, total: int) -> None:
        self._number += 1
        self._parts.say(f"Step {self._number}/{total} : {one}")

    async def _base(self, name: str, index: int) -> State:
        if name == SCRATCH:
            architecture = manifest.ARCHITECTURES.get(self._parts.machine, self._parts.machine)
            return state.scratch(architecture)
        if stage := stages.find(self._plan.stages, name, index):
            return replace(self._done[stage.index], arguments={}, has_command=False)
        return state.from_image(await self._parts.fetch(name))

    async def _step(self, stage: Stage, now: State, one: Instruction) -> State:
        try:
            if one.name == "ARG":
                return self._argument(now, one)
            if one.name == "RUN":
                return await self._run(now, one)
            if one.name in ("COPY", "ADD"):
                return await self._copy(stage, now, one)
            return self._configure(now, one)
        except (WordError, CopyError, RunError, LayerError) as exc:
            raise BuildError(str(one.error(str(exc)))) from exc
        except DockerfileError as exc:
            raise BuildError(str(exc)) from exc
        except OSError as exc:
            where = f"{exc.filename}: " if exc.filename else ""
            raise BuildError(str(one.error(f"{where}{exc.strerror or exc}"))) from exc

    def _argument(self, now: State, one: Instruction) -> State:
        escape = self._file.escape
        known = {**self._plan.global_args, **self._given}
        found = stages.argument(one, now.variables, self._given, escape)
        for word in one.rest.split():
            name = word.partition("=")[0]
            self._used_args.add(name)
            if name not in found and name in known:
                found[name] = known[name]
        return replace(now, arguments={**now.arguments, **found})

    def _configure(self, now: State, one: Instruction) -> State:
        before = now
        if one.name == "ENTRYPOINT" and not now.has_command:
            # The base's command is of no use to another entry point (moby resets it, too).
            now = now.with_config({k: v for k, v in now.config.items() if k != "Cmd"})
        config = image_config.apply(now.config, one, now.variables, self._file.escape)
        inputs = {"config": config, "before": before.document}
        step = self._key(now, one, inputs)
        made = self._cached(step)
        if made is None:
            layer = self._working_directory(now, config) if one.name == "WORKDIR" else None
            made = self._made(step, layer)
        now = now.with_config(config).after(made, str(one))
        return replace(now, has_command=now.has_command or one.name == "CMD")

    def _working_directory(self, now: State, config: Mapping[str, Any]) -> Layer | None:
        """A layer with the directory, unless the image has it."""
        place = str(config["WorkingDir"])
        return self._parts.layers.changed(
            now.layers, lambda root: root.make_directory(place), keep_empty=False
        )

    async def _run(self, now: State, one: Instruction) -> State:
        command = self._command(now, one)
        inputs = {
            "args": command.args,
            "environment": {k: v for k, v in command.environment.items() if k not in PROXY_ARGS},
            "user": now.config.get("User"),
            "directory": now.config.get("WorkingDir"),
            "network": command.network,
        }
        step = self._key(now, one, inputs)
        made = self._cached(step)
        if made is None:
            names = self._parts.layers.unpacked(now.layers)
            command = replace(command, layers=names)
            async with self._parts.runner.run(command, self._parts.output) as upper:
                made = self._made(step, self._parts.layers.pack(upper, now.layers))
        words = one.rest if one.json is not None else " ".join(command.args)
        return now.after(made, f"RUN {words}")

    def _command(self, now: State, one: Instruction) -> Command:
        for name, value in one.flags:
            if name != "network":
                raise one.error(f"--{name} is not supported: use COPY, or a stage of its own")
            if value not in NETWORKS:
                raise one.error(f"unsupported network mode {value!r}")
        args = one.json or image_config.command(with_documents(one), now.config)
        proxies = {k: v for k, v in self._options.build_args.items() if k in PROXY_ARGS}
        return Command(
            args=args,
            config=now.config,
            environment={**proxies, **now.variables},
            layers=(),
            network=one.flag("network", self._options.network),
        )

    async def _copy(self, stage: Stage, now: State, one: Instruction) -> State:
        source = None
        if name := expand(one.flag("from"), now.variables, self._file.escape):
            source = (await self._base(name, stage.index)).layers
        plan = self._copies.plan(one, now, source)
        step = self._key(now, one, plan.inputs)
        made = self._cached(step)
        if made is None:
            made = self._made(step, self._copies.run(plan, now.layers))
        return now.after(made, str(one))

    def _key(self, now: State, one: Instruction, inputs: Mapping[str, Any]) -> str:
        return key(now.parents, str(one), {**inputs, "epoch": self._options.epoch})

    def _cached(self, step: str) -> Made | None:
        made = None if self._options.no_cache else self._parts.cache.find(step)
        if made is None or (made.layer is not None and not self._parts.layers.has(made.layer)):
            return None
        self._parts.say(" ---> Using cache")
        return made

    def _made(self, step: str, layer: Layer | None) -> Made:
        epoch = self._options.epoch
        when = self._parts.clock.now() if epoch is None else datetime.fromtimestamp(epoch, UTC)
        made = Made(when.strftime("%Y-%m-%dT%H:%M:%SZ"), layer)
        self._parts.cache.save(step, made)
        return made


def with_documents(one: Instruction) -> Instruction:
    """RUN's shell form with its here-documents: alone they are the script, else its input."""
    if not one.heredocs:
        return one
    if one.rest.startswith("<<") and len(one.rest.split()) == 1:
        text = one.heredocs[0].text
        if text.startswith("#!"):
            raise one.error("a here-document with an interpreter of its own is not supported")
        return replace(one, rest=text)
    parts = [one.rest, *(f"{doc.text}{doc.name}" for doc in one.heredocs)]
    return replace(one, rest="\n".join(parts) + "\n")


def platform_arguments(machine: str) -> dict[str, str]:
    """The arguments that every build has. Source: dockerfile reference, automatic platform ARGs."""
    architecture = manifest.ARCHITECTURES.get(machine, machine)
    values = {"PLATFORM": f"linux/{architecture}", "OS": "linux", "ARCH": architecture}
    return {f"{kind}{key}": v for kind in ("TARGET", "BUILD") for key, v in values.items()}


def short(now: State) -> str:
    """The beginning of the id that the image would have now."""
    return manifest.digest_of(manifest.encode(now.whole()))[7:19]
