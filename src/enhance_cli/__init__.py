"""Enlarge photographs with believable texture; train and measure the networks that do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enhance_cli.errors import EnhanceError

if TYPE_CHECKING:
    from enhance_cli.model.process import prepare_process as prepare_process
    from enhance_cli.upscale.enlarge import Upscaler as Upscaler

__version__ = "0.1.0"
__all__ = ["EnhanceError", "Upscaler", "__version__", "prepare_process"]


def __getattr__(name: str) -> object:
    """Import the Python API only when it is asked for: `enhance --help` must not wait for torch."""
    if name == "Upscaler":
        from enhance_cli.upscale.enlarge import Upscaler

        return Upscaler
    if name == "prepare_process":
        from enhance_cli.model.process import prepare_process

        return prepare_process
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
