"""What an image under construction is: config, layers, history, variables. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tiphys.runtime.build import image_config
from tiphys.runtime.build.cache import Made
from tiphys.runtime.images.stored_image import Layer, StoredImage


@dataclass(frozen=True)
class State:
    """document is the image's config so far, without rootfs and history."""

    document: Mapping[str, Any]
    layers: tuple[Layer, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    has_command: bool = False  # Whether this Dockerfile has said CMD already.

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.document.get("config") or {})

    @property
    def parents(self) -> list[str]:
        return [layer.diff_id for layer in self.layers]

    @property
    def variables(self) -> dict[str, str]:
        """What instructions may use: arguments, and ENV, which wins."""
        return {**self.arguments, **image_config.environment(self.config)}

    def after(self, made: Made, text: str) -> "State":
        """With one more step in its history, and its layer."""
        row: dict[str, Any] = {"created": made.created, "created_by": text}
        if made.layer is None:
            row["empty_layer"] = True
        layers = self.layers if made.layer is None else (*self.layers, made.layer)
        document = {**self.document, "created": made.created}
        return replace(self, document=document, layers=layers, history=(*self.history, row))

    def with_config(self, config: Mapping[str, Any]) -> "State":
        return replace(self, document={**self.document, "config": dict(config)})

    def whole(self) -> dict[str, Any]:
        """The document as it is stored."""
        rootfs = {"type": "layers", "diff_ids": self.parents}
        return {**self.document, "rootfs": rootfs, "history": list(self.history)}


def scratch(architecture: str) -> State:
    return State({"architecture": architecture, "os": "linux", "config": {}})


def from_image(image: StoredImage) -> State:
    document = {k: v for k, v in image.document.items() if k not in ("rootfs", "history")}
    return State(document, image.layers, tuple(image.history))
