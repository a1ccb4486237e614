"""The options of local models, and checks whether this machine can do what they ask for."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from embedbridge._core.types import InputType
from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError, MissingExtraError

from .base import NoOptions

PADDED_TOKENS = {"cuda": 65_536, "mps": 16_384}
"""Tokens of a batch, padding included, that keep a GPU busy. A batch too large for its memory is halved."""
CPU_TOKENS = 1_024
"""The same for a processor: small enough for its caches, and for batches with little padding."""
MODULES = {"onnx": ("optimum.onnxruntime", "onnxruntime", "onnx"), "openvino": ("optimum.intel", "openvino")}
"""Backend → the modules that it imports."""
Device = Annotated[str, Field(pattern=r"^[a-z]+(:\d+)?$")]


class LocalOptions(NoOptions):
    """The `provider_options` of local models."""

    aside = frozenset({"device", "batch_tokens"})

    device: Device | Annotated[list[Device], Field(min_length=1)] | None = None
    """`cpu`, `cuda`, `cuda:1`, `mps` …; a list for a process on each; None: the one that torch chooses."""
    backend: Literal["torch", "onnx", "openvino"] = "torch"
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """The number format of the weights, for `torch`; for the other backends their file decides it."""
    revision: str | None = None
    """A branch, tag or commit of the model's repository."""
    trust_remote_code: bool = False
    """Run code that the model brings along; only with a `revision`, so that it cannot change unseen."""
    file_name: str | None = None
    """The weights' file, for `onnx` and `openvino`: an int8 version, for example."""
    prompt_names: dict[InputType, str] | None = None
    """Role → the name of the prompt saved with the model that is put before its texts, whatever the catalogue says; ""
    for the one that `encode` puts there by itself. Other roles as if this were None."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens of a batch, padding included; None: what suits the device."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.trust_remote_code and self.revision is None:
            raise ValueError(
                "trust_remote_code runs whatever the model's repository holds; pin it with "
                "provider_options={'revision': '<commit>'}"
            )
        if self.dtype is not None and self.backend != "torch":
            raise ValueError(f"dtype is for backend='torch'; for {self.backend!r}, name a file of that kind: file_name")
        if self.file_name is not None and self.backend == "torch":
            raise ValueError("file_name is for backend='onnx' and 'openvino'")
        if isinstance(self.device, list) and self.backend != "torch":
            raise ValueError("several devices need backend='torch'")
        return self

    @property
    def devices(self) -> list[str]:
        """The devices by name; empty where torch is to choose."""
        return [self.device] if isinstance(self.device, str) else self.device or []

    @property
    def pooled(self) -> bool:
        """Whether each device has a process of its own."""
        return isinstance(self.device, list)

    @property
    def tokens(self) -> int:
        """Tokens of one batch, padding included, for all devices together."""
        kind = (self.devices or [likely_device()])[0].partition(":")[0]
        return (self.batch_tokens or PADDED_TOKENS.get(kind, CPU_TOKENS)) * max(1, len(self.devices))


def likely_device() -> str:
    """The device that torch will probably choose. Importing it would take seconds; a wrong guess costs only speed."""
    try:
        alone = "+cpu" in version("torch")
    except PackageNotFoundError:
        alone = True
    return "cuda" if not alone and Path("/proc/driver/nvidia/version").exists() else "cpu"


@cache
def sure_device() -> str:
    """The device that torch does choose, which has to be imported for it unless it is a build for processors alone."""
    try:
        if "+cpu" in version("torch"):
            return "cpu"
    except PackageNotFoundError:
        pass
    with importing():
        from sentence_transformers.util import get_device_name

    return str(get_device_name())


def check_backend(backend: str) -> None:
    """Raise `MissingExtraError` when a package is missing that a backend needs."""
    missing = [name for name in MODULES.get(backend, ()) if not _is_installed(name)]
    if missing:
        raise MissingExtraError(
            f"backend={backend!r} needs {', '.join(missing)}, not installed; "
            f'run: pip install "sentence-transformers[{backend}]"'
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


def check_file(folder: Path | None, file_name: str | None) -> None:
    """Raise `ConfigurationError` for a file that is not there: others would be exported and taken for it."""
    if folder is not None and file_name is not None:
        places = (folder, folder / "onnx", folder / "openvino")
        if not any((place / file_name).is_file() for place in places):
            raise ConfigurationError(f"file_name={file_name!r}: the model's folder holds no such file")


def check_devices(torch: Any, devices: list[str]) -> None:
    """Raise `ConfigurationError` for a device that is not there."""
    for device in devices:
        kind, _, number = device.partition(":")
        if kind == "cuda":
            cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
            if int(number or 0) >= cards:
                raise ConfigurationError(
                    f"device={device!r}: torch {torch.__version__} finds {cards} CUDA cards here; use device='cpu', "
                    "or install NVIDIA's driver and a torch built for CUDA"
                )
        elif kind == "mps" and not torch.backends.mps.is_available():
            raise ConfigurationError(f"device={device!r}: torch {torch.__version__} finds no Apple GPU here")
        elif kind not in {"cpu", "mps"}:
            try:
                torch.empty(0, device=device)
            except (RuntimeError, AssertionError, NotImplementedError):
                raise ConfigurationError(
                    f"device={device!r}: torch {torch.__version__} has no such device here"
                ) from None
