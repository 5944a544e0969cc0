"""Recognises kinds of image files by their first bytes or name, and refuses those not read."""

from __future__ import annotations

import struct
from pathlib import Path

from enhance_cli.config import IMAGE_SUFFIXES
from enhance_cli.errors import EnhanceError

HEAD = 64  # first bytes of a file, which identify its kind

_READ = ("AVIF", "BMP", "GIF", "HEIC", "JPEG", "JPEG XL", "PNG", "TIFF", "WebP")
_RAW = "a camera's raw"

_RAW_SUFFIXES = (
    ".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".dng",
    ".erf", ".fff", ".gpr", ".iiq", ".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw",
    ".orf", ".pef", ".ptx", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
_SUFFIXES = {
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c", ".jph"), "JPEG 2000"),
    **dict.fromkeys((".psd", ".psb"), "Photoshop (PSD)"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"), "Netpbm"),
    **dict.fromkeys((".hdr", ".rgbe", ".pic"), "Radiance HDR"),
    **dict.fromkeys((".ico", ".cur"), "ICO"),
    **dict.fromkeys((".svg", ".svgz"), "SVG"),
    **dict.fromkeys((".eps", ".epsf"), "EPS"),
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), "JPEG XR"),
    **dict.fromkeys((".tga", ".icb", ".vda"), "Targa"),
    **dict.fromkeys((".fits", ".fit", ".fts"), "FITS"),
    **dict.fromkeys((".dcm", ".dicom"), "DICOM"),
    **dict.fromkeys((".mng", ".jng"), "MNG"),
    **dict.fromkeys((".kra", ".ora", ".xcf"), "a painting program's file"),
    ".exr": "OpenEXR", ".icns": "ICNS", ".dds": "DDS", ".qoi": "QOI", ".pcx": "PCX",
    ".jls": "JPEG-LS", ".bpg": "BPG", ".flif": "FLIF", ".sgi": "SGI", ".ras": "Sun raster",
    ".mpo": "MPO",
}  # fmt: skip
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"), (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"), (0, b"GIF89a", "GIF"), (8, b"WEBP", "WebP"),
    (8, b"CR\2", "a camera's raw (CR2)"), (0, b"FUJIFILMCCD-RAW", "a camera's raw (RAF)"),
    (0, b"IIRO", "a camera's raw (ORF)"), (0, b"IIRS", "a camera's raw (ORF)"),
    (0, b"MMOR", "a camera's raw (ORF)"), (0, b"IIU\0", "a camera's raw (RW2)"),
    (0, b"FOVb", "a camera's raw (X3F)"), (0, b"\0MRM", "a camera's raw (MRW)"),
    (6, b"HEAPCCDR", "a camera's raw (CRW)"), (8, b"IIII", "a camera's raw (IIQ)"),
    (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"), (0, b"II+\0", "TIFF"), (0, b"MM\0+", "TIFF"),
    (0, b"II\xbc\1", "JPEG XR"), (0, b"8BPS", "Photoshop (PSD)"),
    (0, b"\xff\x0a", "JPEG XL"), (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"), (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"), (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"), (0, b"\0\0\1\0", "ICO"), (0, b"icns", "ICNS"),
    (0, b"DDS ", "DDS"), (0, b"qoif", "QOI"), (0, b"gimp xcf", "a painting program's file"),
    (0, b"SIMPLE  =", "FITS"), (0, b"\x8aMNG\r\n\x1a\n", "MNG"), (0, b"%!PS-Adobe", "EPS"),
    (0, b"BPG\xfb", "BPG"), (0, b"FLIF", "FLIF"), (0, b"\x59\xa6\x6a\x95", "Sun raster"),
)  # fmt: skip
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
}  # fmt: skip


def is_image_name(path: Path) -> bool:
    """Whether a file in a folder counts as an image by its name; hidden files do not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def kind_left_out(path: Path) -> str | None:
    """Return the kind of an image in a folder that is left out; None for any other file.

    The name decides or, where it does not say, the first bytes: a JPEG without an extension.
    """
    suffix = path.suffix.lower()
    if path.name.startswith(".") or suffix in IMAGE_SUFFIXES:
        return None
    if suffix in _RAW_SUFFIXES:
        return f"a camera's raw ({suffix[1:].upper()})"
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if not path.is_file():  # reading a pipe would block
        return None
    try:
        with path.open("rb") as file:
            kind = kind_of(file.read(HEAD))
    except OSError:  # a file that cannot be opened does not count as an image
        return None
    return f"{kind}, whose name does not say so" if kind else None


def kind_of(head: bytes) -> str | None:
    """Return the kind of image that begins with these bytes, or None if it is not known."""
    for place, signature, kind in _SIGNATURES:
        if head.startswith(signature, place):
            return kind
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head)
    if head[:2] == b"BM" and len(head) >= 18:
        (size,) = struct.unpack_from("<L", head, 14)
        return "BMP" if size in _BMP_HEADERS else None
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return "SVG" if start.startswith(b"<svg") else None


def _kind_of_brands(head: bytes) -> str | None:
    """Return the kind of a file in boxes (ISO base media), by its major and compatible brands."""
    size = min(len(head), int.from_bytes(head[:4], "big"))
    brands = [head[8:12], *(head[place : place + 4] for place in range(16, size - 3, 4))]
    if brands[0] == b"crx ":
        return "a camera's raw (CR3)"
    if _AVIF_BRANDS.intersection(brands):
        return "AVIF"
    return "HEIC" if _HEIC_BRANDS.intersection(brands) else None


def raw_refusal(name: object, kind: str) -> EnhanceError:
    """Return the error for a camera's raw file, which holds no finished picture."""
    return EnhanceError(
        f"{name} is a camera's raw file ({kind}): develop it first, for example by darktable or "
        "RawTherapee, and enlarge the TIFF or JPEG"
    )


def check_kind(head: bytes, name: Path | str) -> str:
    """Return the kind of a file that can be read. Raises EnhanceError for any other file.

    A camera's raw file that is also a TIFF is refused here by its name, or later by its content.
    """
    kind, suffix = kind_of(head), Path(name).suffix.lower()
    if kind and kind.startswith(_RAW):
        raise raw_refusal(name, kind.partition("(")[2].rstrip(")"))
    if kind in (None, "TIFF") and suffix in _RAW_SUFFIXES:
        raise raw_refusal(name, suffix[1:].upper())
    if not head:
        raise EnhanceError(f"{name} is empty: not an image")
    if kind is None:
        raise EnhanceError(f"{name} is not an image: no known format")
    if kind not in _READ:
        raise EnhanceError(f"{name} is {kind}, which is not read: convert it to PNG, TIFF or JPEG")
    return kind
