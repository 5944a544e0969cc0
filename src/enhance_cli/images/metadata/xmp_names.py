"""The properties of XMP that count pixels, or describe something that a result does not hold.

They are listed in docs/decisions/0010. Addresses are written as `plain_address` returns them.
"""

from __future__ import annotations

import re

_ADOBE, _GOOGLE = "http://ns.adobe.com/", "http://ns.google.com/photos/1.0/"
TIFF, EXIF = _ADOBE + "tiff/1.0", _ADOBE + "exif/1.0"
CAMERA_RAW = _ADOBE + "camera-raw-settings/1.0"
XMP, NOTE = _ADOBE + "xap/1.0", _ADOBE + "xmp/note"
PHOTOSHOP = _ADOBE + "photoshop/1.0"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns"
PANORAMA, DEPTH, FOCUS = _GOOGLE + "panorama", _GOOGLE + "depthmap", _GOOGLE + "focus"
CONTAINER, IMAGE, AUDIO = _GOOGLE + "container", _GOOGLE + "image", _GOOGLE + "audio"
REGIONS = "http://www.metadataworkinggroup.com/schemas/regions"
ACDSEE_REGIONS = "http://ns.acdsee.com/regions"
AREAS = {
    _ADOBE + "xmp/sType/Area",
    _ADOBE + "xap/1.0/sType/Area",
    "http://ns.acdsee.com/sType/Area",
}
DIMENSIONS = {_ADOBE + "xap/1.0/sType/Dimensions", "http://ns.acdsee.com/sType/Dimensions"}
MICROSOFT_REGION = "http://ns.microsoft.com/photo/1.2/t/Region"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29"
TERMS = "http://purl.org/dc/terms"

SIZES = (
    (TIFF, "ImageWidth", "ImageLength"),
    (EXIF, "PixelXDimension", "PixelYDimension"),
    (EXIF, "ExifImageWidth", "ExifImageHeight"),
)
SCALED = (  # whole pixels, across and down
    (PANORAMA, "FullPanoWidthPixels", "FullPanoHeightPixels"),
    (DEPTH, "ImageWidth", "ImageHeight"),
    (EXIF, "RelatedImageWidth", "RelatedImageHeight"),
)
DENSITIES = ((EXIF, "FocalPlaneXResolution", "FocalPlaneYResolution"),)
RESOLUTIONS = ((TIFF, "XResolution", "YResolution"),)
CROPPED = (
    "CroppedAreaLeftPixels",
    "CroppedAreaTopPixels",
    "CroppedAreaImageWidthPixels",
    "CroppedAreaImageHeightPixels",
)
INTERIOR = (
    "LargestValidInteriorRectLeft",
    "LargestValidInteriorRectTop",
    "LargestValidInteriorRectWidth",
    "LargestValidInteriorRectHeight",
)

_LAYOUT = (
    *((TIFF, name) for name in (
        "BitsPerSample", "Compression", "PhotometricInterpretation", "PlanarConfiguration",
        "SamplesPerPixel", "YCbCrSubSampling", "YCbCrPositioning", "YCbCrCoefficients",
        "ReferenceBlackWhite", "TransferFunction", "NativeDigest",
    )),
    (EXIF, "NativeDigest"), (PHOTOSHOP, "ColorMode"), (NOTE, "HasExtendedXMP"),
)  # fmt: skip
LAYOUT = frozenset(_LAYOUT)
"""How the original's pixels are stored in its file: no result needs it."""

CAMERA_RAW_PLACES = {
    (CAMERA_RAW, name) for name in (
        "RetouchAreas", "RetouchInfo", "RedEyeInfo", "PaintBasedCorrections",
        "GradientBasedCorrections", "CircularGradientBasedCorrections",
        "MaskGroupBasedCorrections", "UprightTransform_0",
    )
}  # fmt: skip
"""Corrections at places of the picture, in formats of their own: removed if it is turned."""
TURNED_AWAY = {
    (XMP, "Thumbnails"), (REGIONS, "Rotation"),
    ("http://ns.apple.com/faceinfo/1.0", "AngleInfoRoll"),
}  # fmt: skip

GAIN_MAP, CLIP, DEPTH_MAP = "its gain map (HDR)", "its video clip (motion photo)", "its depth map"
UNEDITED, CREDENTIALS = "an unedited picture inside its XMP", "its content credentials (C2PA)"
JUMBF = "its JUMBF data"
_GONE = (
    (r"http://ns\.adobe\.com/hdr-gain-map/.*", r".*", GAIN_MAP),
    (r"http://ns\.apple\.com/(HDRGainMap|HDRToneMap|pixeldatainfo)/.*", r".*", GAIN_MAP),
    (r".*", r"(?i).*(motion_?photo|micro_?video|o?livephoto).*", CLIP),
    (r"http://ns\.(oplus|vivo|oppo)\.com/.*", r".*(Video|Live).*", CLIP),
    (r"http://ns\.xiaomi\.com/.*", r"XMPMeta", DEPTH_MAP),
    (r"http://ns\.google\.com/photos/dd/.*", r".*", DEPTH_MAP),
    (re.escape(IMAGE), r".*", UNEDITED),
)
_ITEMS = (
    (r"GainMap|.*HDR.*", GAIN_MAP),
    (r"Motion.*|.*Video.*", CLIP),
    (r"Depth.*|Confidence|.*Disparity.*", DEPTH_MAP),
    (r"Original|.*Image.*|.*Photo.*", "another picture"),
)


def plain_address(address: str) -> str:
    """Return the address of a namespace as this module spells it."""
    return address.replace("https:", "http:").rstrip("/#")


def what_is_gone(space: str, name: str) -> str | None:
    """Return the name of what a property describes if no result holds it, else None."""
    for spaces, names, what in _GONE:
        if re.fullmatch(spaces, space) and re.fullmatch(names, name):
            return what
    return None


def what_an_item_is(semantic: str) -> str | None:
    """Return the name of an item of a container, by its meaning; None for the picture itself."""
    for names, what in _ITEMS:
        if re.fullmatch(names, semantic):
            return what
    return None
