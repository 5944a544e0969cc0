"""Results without a network: pixels are repeated, and all that the file said is carried over."""

import json
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from enhance_cli.images.encode import Encoding, encode
from enhance_cli.images.files import read_frames
from enhance_cli.images.formats import format_named

NAMES = {"jpg": "JPEG", "tif": "TIFF", "heic": "HEIF"}


def repeat(levels):
    return None if levels is None else levels.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture
def enlarge(tmp_path):
    """Enlarge a file fourfold, by repeating pixels; return the path of the result."""

    def run(source, suffix, *, every=False):
        frames = [
            replace(photo, pixels=repeat(photo.pixels), alpha=repeat(photo.alpha))
            for photo in read_frames(source, every=every)
        ]
        target = tmp_path / f"result.{suffix}"
        kind = format_named(NAMES.get(suffix, suffix))
        target.write_bytes(encode(frames, kind, Encoding(quality=95)))
        return target

    return run


@pytest.fixture
def picture():
    """A picture of 64×48 without symmetry."""
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([x * 3 + 40, y * 3 + 40, 0 * x + 90], 2).astype(np.uint8))


@pytest.fixture
def exiftool():
    """Return the tags of a file by exiftool, in groups, numbers as they are."""

    def run(path, *options):
        if not shutil.which("exiftool"):
            pytest.skip("exiftool is not installed")
        command = ["exiftool", "-j", "-n", "-G1", "-struct", *options, path]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]

    return run


@pytest.fixture
def set_tags():
    """Write tags into a file by exiftool."""

    def run(path, *tags):
        if not shutil.which("exiftool"):
            pytest.skip("exiftool is not installed")
        command = ["exiftool", "-q", "-overwrite_original", *tags, path]
        subprocess.run(command, capture_output=True, check=True)

    return run


def _chunk(kind, data):
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


@pytest.fixture
def add_chunks():
    """Put chunks, (kind, data), into a PNG file, behind its header."""

    def run(path, *chunks):
        data = path.read_bytes()
        path.write_bytes(data[:33] + b"".join(_chunk(*one) for one in chunks) + data[33:])

    return run


@pytest.fixture
def add_segments():
    """Put segments, (marker, data), into a JPEG file, at its beginning."""

    def run(path, *segments):
        data = path.read_bytes()
        made = (struct.pack(">BBH", 255, marker, len(body) + 2) + body for marker, body in segments)
        path.write_bytes(data[:2] + b"".join(made) + data[2:])

    return run


@pytest.fixture
def make_xmp():
    """Return a packet: attributes and elements of a description, prefixes and their addresses."""

    def run(attributes="", body="", **spaces):
        spaces["rdf"] = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        declared = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in spaces.items())
        inner = f'<rdf:Description rdf:about="" {attributes}>{body}</rdf:Description>'
        return (
            f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {declared}>{inner}</rdf:RDF></x:xmpmeta>'
        ).encode()

    return run
