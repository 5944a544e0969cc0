"""Networks of others on the command line: describing and downloading them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from enhance_cli.model.kept import KNOWN, KnownNetwork, download, licence_in

if TYPE_CHECKING:
    from enhance_cli.config import UpscaleOptions
    from enhance_cli.model.network import Network

_DIGITS = 16  # hexadecimal digits of a hash that are shown


def bring_known(models: Iterable[str], *, may_download: bool) -> None:
    """Download those known networks among the models that are missing, if the user agrees.

    The user agrees by --download, or by answering yes in a terminal. Raises EnhanceError if a
    download fails.
    """
    for model in models:
        known = KNOWN.get(model.lower())
        if known and not known.path.is_file() and (may_download or _agrees(known)):
            _download(known)


def _agrees(known: KnownNetwork) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"Download {known.name}, {known.size / 1e6:.0f} MB, {known.licence}, {known.url}?"
    return click.confirm(question, err=True)


def _download(known: KnownNetwork) -> None:
    console = Console(stderr=True)
    click.echo(f"downloading {known.url} ({known.licence}) to {known.path}", err=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(known.name, total=known.size)
        download(known, lambda done, _: progress.update(task, completed=done))


def name_of(options: UpscaleOptions, network: Network) -> str:
    """Return a name for the network that the options choose; describe networks of others."""
    while hasattr(network, "network"):  # in a ConsistentNetwork or an EnsembleNetwork
        network = network.network
    if options.blend or options.strength is not None:
        strength = 0.5 if options.strength is None else options.strength
        names = [name for name in (options.model, options.blend) if name]
        if options.blend and strength in (0, 1):  # only one of the two is computed
            name = names[int(strength)]
            return name + _origin(name, network)
        mixed = [getattr(network, part, network) for part in ("first", "second")]
        described = [n + _origin(n, part) for n, part in zip(names, mixed, strict=False)]
        return f"{' blended with '.join(described)} at strength {strength:g}"
    names = [options.model, *options.then]
    described = [n + _origin(n, part) for n, part in zip(names, _in_a_row(network), strict=True)]
    return ", then ".join(described)


def _in_a_row(network: Network) -> list[Network]:
    """Return the networks of a chain in their order, or a list of the network itself."""
    from enhance_cli.model.chain import ChainNetwork

    if not isinstance(network, ChainNetwork):
        return [network]
    return [*_in_a_row(network.first), network.second]


def _origin(model: str, network: Network) -> str:
    """Return a network's architecture, scale, hash and licence; "" for ours and shipped ones."""
    from enhance_cli.model.shipped import find_weights, shipped_models

    module = getattr(network, "module", None)
    architecture = getattr(module, "architecture", None)
    if architecture is None:
        return ""
    path = find_weights(model)
    if path in shipped_models().values():
        return ""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = next((known for known in KNOWN.values() if known.sha256 == digest), None)
    licence = (known.licence if known else licence_in(path)) or "licence not stated"
    return f" ({architecture} ×{network.scale}, SHA-256 {digest[:_DIGITS]}…, {licence})"
