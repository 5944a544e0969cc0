"""Formats that Pillow reads only with a plugin, which an extra installs."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass

from enhance_cli.errors import EnhanceError
from enhance_cli.extras import install_command


@dataclass(frozen=True)
class _Plugin:
    kind: str  # what users call the format
    module: str
    extra: str


_PLUGINS = {
    "HEIF": _Plugin("HEIC", "pillow_heif", "heif"),
    "JXL": _Plugin("JPEG XL", "pillow_jxl", "jxl"),
}
"""By Pillow's name of the format."""

FORMAT_OF_KIND = {plugin.kind: name for name, plugin in _PLUGINS.items()}
"""Pillow's name of a kind of file that needs a plugin."""


def load_plugin(format_name: str, subject: object) -> None:
    """Load the plugin that Pillow needs for a format; for other formats do nothing.

    `subject` names the file in the message. Raises EnhanceError if the plugin is not installed.
    """
    plugin = _PLUGINS.get(format_name)
    if plugin is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the plugin warns about versions
            module = importlib.import_module(plugin.module)
    except ImportError as error:
        raise EnhanceError(
            f"{subject} is {plugin.kind}, which needs an extra: {install_command(plugin.extra)}"
        ) from error
    if format_name == "HEIF":
        module.register_heif_opener(thumbnails=False, depth_images=False)
