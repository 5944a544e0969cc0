"""XMP in results: what counts pixels is true however it is spelled, what is gone is not claimed."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from enhance_cli.images.files import read_photo
from enhance_cli.images.metadata.change import Change
from enhance_cli.images.metadata.long_xmp import LIMIT, merge_xmp, split_xmp
from enhance_cli.images.metadata.markup import MarkupError
from enhance_cli.images.metadata.xmp import fit_xmp, orientation_in_xmp

GOOGLE = "http://ns.google.com/photos/1.0/"
SPACES = {
    "GPano": GOOGLE + "panorama/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "HDRGainMap": "http://ns.apple.com/HDRGainMap/1.0/",
    "GCamera": GOOGLE + "camera/",
    "Container": GOOGLE + "container/",
    "Item": GOOGLE + "container/item/",
    "GDepth": GOOGLE + "depthmap/",
    "GImage": GOOGLE + "image/",
    "GFocus": GOOGLE + "focus/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
}
UPRIGHT = Change(1, (64, 48), (256, 192))
TURNED = Change(6, (64, 48), (192, 256))
ORIENTATIONS = range(1, 9)


def changes():
    for orientation in ORIENTATIONS:
        size = (192, 256) if orientation > 4 else (256, 192)
        yield Change(orientation, (64, 48), size)


@pytest.fixture
def packet(make_xmp):
    return lambda attributes="", body="": make_xmp(attributes, body, **SPACES)


def pairs(packet):
    """Each property with its text, without prefix, attributes and elements alike."""
    for node in ET.fromstring(packet).iter():  # noqa: S314  # our own
        for key, value in (*node.attrib.items(), (node.tag, (node.text or "").strip())):
            yield key.split("}")[-1], value


def values(packet, *names):
    found = dict(pairs(packet))
    return [float(found[name]) for name in names]


SPHERE = {
    "FullPanoWidthPixels": 128,
    "FullPanoHeightPixels": 64,
    "CroppedAreaImageWidthPixels": 64,
    "CroppedAreaImageHeightPixels": 48,
    "CroppedAreaLeftPixels": 32,
    "CroppedAreaTopPixels": 8,
    "LargestValidInteriorRectLeft": 2,
    "LargestValidInteriorRectTop": 4,
    "LargestValidInteriorRectWidth": 50,
    "LargestValidInteriorRectHeight": 40,
}


@pytest.mark.parametrize("prefix", ["GPano", "pano"])
@pytest.mark.parametrize("form", ["attributes", "elements", "both"])
def test_a_panorama_is_scaled_in_every_spelling(make_xmp, prefix, form):
    names = list(SPHERE)
    inside = {"attributes": names, "elements": [], "both": names[::2]}[form]
    attributes = " ".join(f"{prefix}:{name}='{SPHERE[name]}'" for name in inside)
    others = [name for name in names if name not in inside]
    body = "".join(f"<{prefix}:{name}>\n {SPHERE[name]} </{prefix}:{name}>" for name in others)
    given = make_xmp(attributes, body, **{prefix: SPACES["GPano"]})
    fitted, lost = fit_xmp(given, UPRIGHT)
    assert values(fitted, *SPHERE) == [4 * value for value in SPHERE.values()]
    assert lost == []


def test_a_panorama_turns_with_the_picture(packet):
    given = packet(" ".join(f'GPano:{name}="{value}"' for name, value in SPHERE.items()))
    fitted, _ = fit_xmp(given, TURNED)
    # Upright: 64 wide and 128 high; the part is 8 from the bottom's side, now the right one.
    assert values(fitted, *SPHERE) == [256, 512, 192, 256, 32, 128, 16, 8, 160, 200]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_regions_stay_on_what_they_show(orientation):
    """A white rectangle, turned by Pillow, is where the region says."""
    stored = np.zeros((48, 64), np.uint8)
    stored[6:16, 40:60] = 255
    image = Image.fromarray(stored)
    exif = Image.Exif()
    exif[274] = orientation
    image.info["exif"] = exif.tobytes()
    upright = np.asarray(ImageOps.exif_transpose(image))
    rows, columns = np.nonzero(upright)
    height, width = upright.shape
    change = Change(orientation, (64, 48), (4 * width, 4 * height))
    left, top, wide, high = change.area(40, 6, 20, 10)
    assert (left, top) == (4 * columns.min(), 4 * rows.min())
    assert (left + wide, top + high) == (4 * columns.max() + 4, 4 * rows.max() + 4)
    x, y = change.share(50 / 64, 11 / 48)
    assert x * width == pytest.approx((columns.min() + columns.max() + 1) / 2)
    assert y * height == pytest.approx((rows.min() + rows.max() + 1) / 2)


AREA = 'stArea:x="0.75" stArea:y="0.25" stArea:w="0.2" stArea:h="0.1" stArea:unit="normalized"'
AREA_FIELDS = "".join(
    f"<stArea:{name}>{value}</stArea:{name}>"
    for name, value in (("x", 0.75), ("y", 0.25), ("w", 0.2), ("h", 0.1), ("unit", "normalized"))
)


def regions(area, size='stDim:w="64" stDim:h="48" stDim:unit="pixel"'):
    return (
        f'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions {size}/>'
        f'<mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">{area}'
        "<mwg-rs:Name>A &amp; B</mwg-rs:Name></rdf:li></rdf:Bag></mwg-rs:RegionList>"
        "</mwg-rs:Regions>"
    )


@pytest.mark.parametrize("area", [
    f"<mwg-rs:Area {AREA}/>",
    f"<mwg-rs:Area><rdf:Description {AREA}/></mwg-rs:Area>",
    f'<mwg-rs:Area rdf:parseType="Resource">{AREA_FIELDS}</mwg-rs:Area>',
    f"<mwg-rs:Area><rdf:Description>{AREA_FIELDS}</rdf:Description></mwg-rs:Area>",
])  # fmt: skip
def test_faces_turn_and_scale_in_every_spelling(packet, area):
    for change in changes():
        fitted, _ = fit_xmp(packet(body=regions(area)), change)
        places = re.search(rb"AppliedToDimensions.*?/>", fitted, re.DOTALL)[0].decode()
        assert [int(one) for one in re.findall(r'"(\d+)"', places)] == list(change.made)
        inside = next(one for one in ET.fromstring(fitted).iter() if one.tag.endswith("}Area"))  # noqa: S314
        found = dict(pairs(ET.tostring(inside)))
        x, y = change.share(0.75, 0.25)
        expected = [float(x), float(y), *change.sides(0.2, 0.1)]
        assert [float(found[name]) for name in "xywh"] == pytest.approx(expected)
        assert b"A &amp; B" in fitted


def test_faces_in_pixels_are_scaled(packet):
    area = AREA.replace("normalized", "pixel").replace("0.75", "48").replace("0.25", "12")
    area = f"<mwg-rs:Area {area.replace('0.2', '8').replace('0.1', '6')}/>"
    fitted, _ = fit_xmp(packet(body=regions(area)), TURNED)
    assert values(fitted, "x", "y") == [144, 192]
    assert re.findall(rb'stArea:[wh]="(\d+)"', fitted) == [b"24", b"32"]


def test_faces_drawn_on_the_upright_picture_are_not_turned_again(packet):
    drawn = regions(f"<mwg-rs:Area {AREA}/>", 'stDim:w="48" stDim:h="64" stDim:unit="pixel"')
    fitted, _ = fit_xmp(packet(body=drawn), TURNED)
    assert values(fitted, "x", "y") == [0.75, 0.25]
    assert re.findall(rb'stDim:[wh]="(\d+)"', fitted) == [b"192", b"256"]


@pytest.mark.parametrize("form", ["attribute", "element"])
def test_faces_of_windows_turn(packet, form):
    rectangle = {
        "attribute": '<rdf:li><rdf:Description MPReg:Rectangle="0.7, 0.2, 0.1, 0.3"/></rdf:li>',
        "element": '<rdf:li rdf:parseType="Resource"><MPReg:Rectangle>0.7, 0.2, 0.1, 0.3'
        "</MPReg:Rectangle></rdf:li>",
    }[form]
    body = f'<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>{rectangle}</rdf:Bag></MPRI:Regions></MP:RegionInfo>'  # fmt: skip  # noqa: E501
    for change in changes():
        found = dict(pairs(fit_xmp(packet(body=body), change)[0]))["Rectangle"]
        expected = [float(one) for one in change.shared_area(0.7, 0.2, 0.1, 0.3)]
        assert [float(one) for one in found.split(",")] == pytest.approx(expected)


def boundary(unit, fields):
    inner = "".join(
        f"<Iptc4xmpExt:{key}>{value}</Iptc4xmpExt:{key}>" for key, value in fields.items()
    )
    return (
        '<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType="Resource">'
        '<Iptc4xmpExt:RegionBoundary rdf:parseType="Resource">'
        f"<Iptc4xmpExt:rbUnit>{unit}</Iptc4xmpExt:rbUnit>{inner}</Iptc4xmpExt:RegionBoundary>"
        "</rdf:li></rdf:Bag></Iptc4xmpExt:ImageRegion>"
    )


def test_regions_of_iptc_turn_and_scale(packet):
    rectangle = {"rbX": 40, "rbY": 6, "rbW": 20, "rbH": 10}
    fitted, _ = fit_xmp(packet(body=boundary("pixel", rectangle)), TURNED)
    assert values(fitted, *rectangle) == [128, 160, 40, 80]
    shares = {"rbX": 0.5, "rbY": 0.25, "rbW": 0.25, "rbH": 0.5}
    fitted, _ = fit_xmp(packet(body=boundary("relative", shares)), TURNED)
    assert values(fitted, *shares) == [0.25, 0.5, 0.5, 0.25]
    circle = {"rbX": 0.5, "rbY": 0.25, "rbRx": 0.3}
    fitted, _ = fit_xmp(packet(body=boundary("relative", circle)), TURNED)
    assert values(fitted, *circle) == pytest.approx([0.75, 0.5, 0.4])
    fitted, _ = fit_xmp(packet(body=boundary("relative", circle)), UPRIGHT)
    assert values(fitted, *circle) == [0.5, 0.25, 0.3]


def test_corners_of_a_region_of_iptc_turn(packet):
    corners = "".join(
        f'<rdf:li rdf:parseType="Resource"><Iptc4xmpExt:rbX>{x}</Iptc4xmpExt:rbX>'
        f"<Iptc4xmpExt:rbY>{y}</Iptc4xmpExt:rbY></rdf:li>"
        for x, y in ((10, 20), (30, 40))
    )
    body = boundary("pixel", {"rbVertices": f"<rdf:Seq>{corners}</rdf:Seq>"})
    fitted, _ = fit_xmp(packet(body=body), TURNED)
    found = [float(value) for key, value in pairs(fitted) if key in ("rbX", "rbY")]
    assert found == [112, 40, 32, 120]


def test_sizes_and_what_exif_counts_are_true(packet):
    given = packet(
        'tiff:ImageWidth="64" tiff:ImageLength="48" tiff:Orientation="6" tiff:XResolution="300/1"'
        ' tiff:YResolution="150/1" exif:PixelXDimension="64" exif:FocalPlaneXResolution="1000/10"'
        ' exif:FocalPlaneYResolution="500/10"',
        "<exif:PixelYDimension>48</exif:PixelYDimension><exif:SubjectArea><rdf:Seq><rdf:li>10"
        "</rdf:li><rdf:li>20</rdf:li><rdf:li>6</rdf:li><rdf:li>8</rdf:li></rdf:Seq></exif:SubjectArea>",
    )
    fitted, lost = fit_xmp(given, TURNED)
    found = dict(pairs(fitted))
    names = ("ImageWidth", "ImageLength", "PixelXDimension", "PixelYDimension")
    assert values(fitted, *names) == [192, 256, 192, 256]
    densities = found["FocalPlaneXResolution"], found["FocalPlaneYResolution"]
    assert densities == ("200/1", "400/1")
    assert (found["XResolution"], found["YResolution"]) == ("150/1", "300/1")
    assert [value for key, value in pairs(fitted) if key == "li"] == ["112", "40", "32", "24"]
    assert (found["Orientation"], lost) == ("1", [])


def test_crops_of_camera_raw(packet):
    shares = 'crs:HasCrop="True" crs:CropLeft="0.5" crs:CropTop="0.25" crs:CropRight="0.75" crs:CropBottom="0.5"'  # noqa: E501
    size = ' crs:CropWidth="16" crs:CropHeight="12" crs:CropUnits="0"'
    names = ("CropLeft", "CropTop", "CropRight", "CropBottom", "CropWidth", "CropHeight")
    assert values(fit_xmp(packet(shares + size), UPRIGHT)[0], *names) == [
        0.5,
        0.25,
        0.75,
        0.5,
        64,
        48,
    ]
    assert values(fit_xmp(packet(shares + size), TURNED)[0], *names) == [
        0.5,
        0.5,
        0.75,
        0.75,
        48,
        64,
    ]
    inches = size.replace('Units="0"', 'Units="1"')
    assert values(fit_xmp(packet(inches), UPRIGHT)[0], "CropWidth", "CropHeight") == [16, 12]
    fitted, lost = fit_xmp(packet(shares + ' crs:CropAngle="3.5"'), TURNED)
    assert (b"Crop" in fitted, lost) == (False, ["a tilted crop of Camera Raw"])


def test_a_point_of_focus_turns(packet):
    fitted, _ = fit_xmp(packet('GFocus:FocalPointX="0.2" GFocus:FocalPointY="0.3"'), TURNED)
    assert values(fitted, "FocalPointX", "FocalPointY") == [0.7, 0.2]


ITEMS = (
    '<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item '
    'Item:Mime="image/jpeg" Item:Semantic="Primary"/></rdf:li><rdf:li rdf:parseType="Resource">'
    "<Container:Item><rdf:Description><Item:Semantic>{}</Item:Semantic><Item:Length>9</Item:Length>"
    "</rdf:Description></Container:Item></rdf:li></rdf:Seq></Container:Directory>"
)


@pytest.mark.parametrize(("attributes", "body", "what"), [
    ('hdrgm:Version="1.0"', "", "gain map"),
    ("", "<hdrgm:Version>1.0</hdrgm:Version>", "gain map"),
    ("", "<hdrgm:GainMapMax><rdf:Seq><rdf:li>2</rdf:li></rdf:Seq></hdrgm:GainMapMax>", "gain map"),
    ('HDRGainMap:HDRGainMapVersion="65536"', "", "gain map"),
    ("", ITEMS.format("GainMap"), "gain map"),
    ('GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"', "", "motion"),
    ('GCamera:MicroVideo="1" GCamera:MicroVideoOffset="99"', "", "motion"),
    ("", "<GCamera:MicroVideoOffset>99</GCamera:MicroVideoOffset>", "motion"),
    ("", ITEMS.format("MotionPhoto"), "motion"),
    ("", ITEMS.format("Depth"), "depth map"),
    ('GDepth:Format="RangeInverse" GDepth:Mime="image/png"', "", "depth map"),
    ('GImage:Mime="image/jpeg"', "<GImage:Data>AAAA</GImage:Data>", "unedited"),
])  # fmt: skip
def test_a_claim_of_something_that_is_gone_goes_with_a_word(packet, attributes, body, what):
    given = packet(attributes, body + "<dc:format>image/jpeg</dc:format>")
    fitted, lost = fit_xmp(given, UPRIGHT)
    assert [key for key, _ in pairs(fitted) if key not in ("xmpmeta", "RDF")] == [
        "about", "Description", "format",
    ]  # fmt: skip
    assert len(lost) == 1
    assert what in lost[0]


def test_a_depth_map_inside_stays_unless_the_picture_is_turned(packet):
    given = packet('GDepth:ImageWidth="64" GDepth:ImageHeight="48" GDepth:Data="AAAA"')
    fitted, lost = fit_xmp(given, UPRIGHT)
    assert (values(fitted, "ImageWidth", "ImageHeight"), lost) == ([256, 192], [])
    fitted, lost = fit_xmp(given, TURNED)
    assert (b"GDepth:Data" in fitted, lost) == (False, ["its depth map"])


def test_every_byte_that_needs_no_change_stays(packet):
    given = b'<?xpacket begin="\xef\xbb\xbf"?>' + packet(
        "dc:format = 'a \"b\" &#10; c'", "<!-- a comment --><dc:title>1 &lt; 2</dc:title>"
    ) + b' <?xpacket end="w"?>'  # fmt: skip
    assert fit_xmp(given, UPRIGHT)[0] == given
    more = given.replace(b"dc:format", b"tiff:ImageWidth='64' dc:format")
    assert fit_xmp(more, UPRIGHT)[0] == more.replace(b"'64'", b"'256'")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_encoding_of_xmp_is_read(packet, encoding):
    given = packet('tiff:ImageWidth="64"', "<dc:title>Ünï</dc:title>").decode().encode(encoding)
    found = dict(pairs(fit_xmp(given, UPRIGHT)[0]))
    assert (found["ImageWidth"], found["title"]) == ("256", "Ünï")


@pytest.mark.parametrize("damaged", [
    b"", b"no markup", b"<x:xmpmeta", b"<a><b></a>",
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
])  # fmt: skip
def test_what_is_no_xmp_is_damaged(damaged):
    with pytest.raises(MarkupError):
        fit_xmp(damaged, UPRIGHT)


def test_the_orientation_of_xmp_alone_counts(packet):
    assert orientation_in_xmp(packet('tiff:Orientation="6"')) == 6
    assert orientation_in_xmp(packet("", "<tiff:Orientation>8</tiff:Orientation>")) == 8
    assert orientation_in_xmp(packet('tiff:Orientation="9"')) is None


def test_what_is_split_and_merged_is_whole(packet):
    given = packet(
        'dc:source="s" ' + f'dc:format="{"f" * 50_000}"', f"<dc:title>{'t' * 90_000}</dc:title>"
    )
    main, more, name = split_xmp(given)
    assert len(main) <= LIMIT
    assert b'dc:source="s"' in main  # as much as there is room for
    assert len(name) == 32
    whole = merge_xmp(main, more)
    expected = {pair for pair in pairs(given) if pair[1]}
    assert expected <= set(pairs(whole))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "avif", "tif"])
def test_xmp_is_true_in_every_format(tmp_path, picture, enlarge, packet, exiftool, source, suffix):
    given = packet('GPano:CroppedAreaLeftPixels="32" hdrgm:Version="1.0" tiff:ImageWidth="64"')
    path = tmp_path / f"in.{source}"
    if source == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", given.decode(), zip=True)
        picture.save(path, pnginfo=info)
    elif source == "tif":
        picture.save(path, tiffinfo={700: given})
    else:
        picture.save(path, xmp=given)
    found = exiftool(enlarge(path, suffix))
    assert found["XMP-GPano:CroppedAreaLeftPixels"] == 128
    assert found["XMP-tiff:ImageWidth"] == 256
    assert not [key for key in found if key.startswith("XMP-hdrgm")]


def test_long_xmp_of_a_jpeg_is_kept(tmp_path, picture, enlarge, packet, exiftool):
    given = packet("", f"<dc:description>{'d' * 200_000}</dc:description><dc:source>s</dc:source>")
    picture.save(tmp_path / "in.webp", xmp=given)
    once = enlarge(tmp_path / "in.webp", "jpg")
    found = exiftool(once)
    assert (len(found["XMP-dc:Description"]), found["XMP-dc:Source"]) == (200_000, "s")
    again = enlarge(once.rename(tmp_path / "once.jpg"), "png")
    assert len(exiftool(again)["XMP-dc:Description"]) == 200_000
    assert b"HasExtendedXMP" not in again.read_bytes()


def test_a_promise_of_more_xmp_that_is_not_there_goes_with_a_word(
    tmp_path, picture, enlarge, packet, caplog
):
    picture.save(tmp_path / "in.jpg", xmp=packet(f'xmpNote:HasExtendedXMP="{"A" * 32}"'))
    data = enlarge(tmp_path / "in.jpg", "jpg").read_bytes()
    assert b"HasExtendedXMP" not in data
    assert "a part of its XMP" in caplog.text


def test_damaged_xmp_is_left_out_with_a_warning(tmp_path, picture, enlarge, caplog):
    picture.save(tmp_path / "in.jpg", xmp=b"<x:xmpmeta><broken")
    assert b"xmpmeta" not in enlarge(tmp_path / "in.jpg", "jpg").read_bytes()
    assert "its XMP, which is damaged: left out" in caplog.text


def test_a_photo_turned_by_xmp_alone_is_upright(tmp_path, picture, packet):
    picture.save(tmp_path / "in.jpg", xmp=packet('tiff:Orientation="6"'))
    photo = read_photo(tmp_path / "in.jpg")
    assert (photo.size, photo.metadata.stored) == ((48, 64), (64, 48))


@pytest.mark.parametrize(("given", "what"), [
    ("<crs:RetouchAreas><rdf:Seq><rdf:li>dab</rdf:li></rdf:Seq></crs:RetouchAreas>",
     ["local corrections of Camera Raw"]),
    ("<xmp:Thumbnails><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></xmp:Thumbnails>", []),
    ("<mwg-rs:Rotation>1.5</mwg-rs:Rotation>", []),
])  # fmt: skip
def test_what_would_lie_wrong_goes_only_where_the_picture_is_turned(make_xmp, given, what):
    spaces = SPACES | {"xmp": "http://ns.adobe.com/xap/1.0/"}
    packet = make_xmp("", given, **spaces)
    assert fit_xmp(packet, UPRIGHT) == (packet, [])
    fitted, lost = fit_xmp(packet, TURNED)
    assert (given.encode() in fitted, lost) == (False, what)


def test_a_crop_that_camera_raw_has_made_tells_of_the_original(packet):
    given = packet('crs:AlreadyApplied="True" crs:CropWidth="16" crs:CropHeight="12"')
    assert fit_xmp(given, UPRIGHT) == (given, [])


def test_provenance_inside_the_file_goes_with_its_credentials(make_xmp):
    terms = {"dcterms": "http://purl.org/dc/terms/"}
    fitted, lost = fit_xmp(make_xmp('dcterms:provenance="self#jumbf=c2pa"', **terms), UPRIGHT)
    assert (b"jumbf" in fitted, lost) == (False, ["its content credentials (C2PA)"])
    outside = make_xmp('dcterms:provenance="https://example.org/manifest"', **terms)
    assert fit_xmp(outside, UPRIGHT) == (outside, [])


def test_layout_of_the_original_is_not_claimed(packet):
    body = "<tiff:BitsPerSample><rdf:Seq><rdf:li>16</rdf:li></rdf:Seq></tiff:BitsPerSample>"
    fitted, lost = fit_xmp(packet('tiff:Compression="5" tiff:Make="Maker"', body), UPRIGHT)
    found = dict(pairs(fitted))
    assert {"Compression", "BitsPerSample", "li"} & set(found) == set()
    assert (found["Make"], lost) == ("Maker", [])


def test_a_panorama_without_sizes_is_no_failure(packet):
    given = packet(" ".join(f'GPano:{name}="0"' for name in SPHERE))
    fitted, _ = fit_xmp(given, TURNED)
    assert values(fitted, "FullPanoWidthPixels", "CroppedAreaImageWidthPixels") == [0, 0]


def test_xmp_may_be_deep(packet):
    given = packet("", "<x>" * 2000 + "</x>" * 2000)
    assert fit_xmp(given, UPRIGHT) == (given, [])
