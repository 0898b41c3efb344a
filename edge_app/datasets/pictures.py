"""The decoder for every picture from outside: files to teach and classify, data sets, `dir:` cameras, uploads, imports.

The format is recognised by the content, not by the name. Sizes are checked on the header, before memory is taken for
the pixels. Whatever a decoding library raises becomes an InputError.
"""

import io
import logging
import os
import struct
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.files import open_to_read

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 64 << 20
"""Largest picture file that is read."""
MAX_PIXELS = 32_000_000
"""Largest picture, but for JPEG: Pillow takes 4 bytes for each pixel."""
MAX_JPEG_PIXELS = 170_000_000
"""Largest JPEG; one above LARGE is decoded at a half, a quarter or an eighth of its size."""
MAX_PROGRESSIVE_PIXELS = 24_000_000
"""Largest progressive JPEG: its coefficients, up to 6 bytes a pixel, are held in memory at full size."""
MAX_SCANS = 100
"""Scans of a progressive JPEG; each costs as much time as a picture. Encoders write about ten."""
LARGE = 16_000_000
"""Pixels above which a picture is reduced: no model has an input of that size."""
MAX_THUMBNAIL_SIDE = 4096
"""Longest side of a stored thumbnail, pixels; it has the size of a model's input."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")
"""Formats that are read, by Pillow's names; of an animation the first picture."""
START_BYTES = 64
"""Bytes of a file that `picture_format` needs."""
# two letters alone are too common: the header's length tells a BMP from a text that begins with BM
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_OTHERS = {
    b"DDS ": "a DDS texture",
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop document",
    b"PK\x03\x04": "a zip",
    b"\xff\x0a": "a JPEG XL file (convert it to JPEG)",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL file (convert it to JPEG)",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 file (convert it to JPEG)",
    b"\xff\x4f\xff\x51": "a JPEG 2000 file (convert it to JPEG)",
    b"version https://git-lfs": "a pointer of Git LFS instead of the file (git lfs pull fetches it)",
    b"\x00\x05\x16\x07": "a companion file of macOS, without a picture",
}
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation -> Pillow's Transpose that turns the picture upright."""
_ORIENTATION = 0x0112


def picture_format(start: bytes) -> str | None:
    """Return the format, one of FORMATS, of a file with these first START_BYTES; None if it is not a picture."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "TIFF"
    if start.startswith(b"BM") and len(start) >= 18 and struct.unpack("<I", start[14:18])[0] in _BMP_HEADERS:
        return "BMP"
    if start[4:8] == b"ftyp":
        # the major brand, then the compatible ones; bytes 12 to 15 are a version
        brands = {start[at : at + 4] for at in (8, *range(16, len(start) - 3, 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return "HEIF"
    return None


def read_picture_file(path: str | Path, most: int = MAX_BYTES) -> bytes:
    """Return the content of a file. Raises InputError, naming it; a pipe or a device is refused at once."""
    return _read(path, most, whole=True)


def read_start(path: str | Path, count: int = START_BYTES) -> bytes:
    """Return the first bytes of a file. Raises InputError as `read_picture_file`."""
    return _read(path, count, whole=False)


def _read(path: str | Path, most: int, *, whole: bool) -> bytes:
    try:
        with open_to_read(path) as file:
            size = os.fstat(file.fileno()).st_size
            if whole and size > most:
                raise InputError(f"{path} has {size:,} bytes, expected at most {most:,} for a picture")
            return file.read(most)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def decode_image(source: bytes | str | Path) -> NDArray[np.uint8]:
    """Return the picture in a file, or in the bytes of one, as (height, width, 3) uint8 sRGB, upright.

    Transparent parts become white, 16-bit grey keeps its upper byte, and colours are converted by the ICC profile.
    Pictures above LARGE pixels are reduced by a power of two. Raises InputError, naming the file, when it is missing,
    not a picture of FORMATS, damaged, or too large.
    """
    name = "image data" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else read_picture_file(source)
    kind = picture_format(data[:START_BYTES])
    if kind is None:
        raise InputError(f"{name} {_not_a_picture(data)}")
    if kind == "HEIF":
        _register_heif(name)
    if kind == "TIFF":
        _silence_libtiff()
    # Pillow warns of damaged metadata, and logs errors that it raises as well
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    try:
        return _decode(data, kind, name)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{name} does not fit into memory; scale it down first") from error
    except Exception as error:  # decoders raise NotImplementedError, struct.error, IndexError, SyntaxError, ...
        raise InputError(f"{name} cannot be read as a picture: {_reason(error, kind)}") from error


def decode_thumbnail(jpeg: bytes) -> NDArray[np.uint8]:
    """Return the picture in a stored thumbnail as (height, width, 3) uint8 sRGB.

    Raises InputError unless it is one whole JPEG of a thumbnail's size.
    """
    from PIL import Image

    if picture_format(jpeg[:START_BYTES]) != "JPEG":
        raise InputError(f"a thumbnail {_not_a_picture(jpeg)}, expected a JPEG")
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            size = image.size
    except Exception as error:
        raise InputError(f"a thumbnail cannot be read as a JPEG: {error}") from error
    # from the header, before memory is taken
    if max(size) > MAX_THUMBNAIL_SIDE:
        raise InputError(f"a thumbnail has {size[0]} x {size[1]} pixels, expected at most {MAX_THUMBNAIL_SIDE} a side")
    return decode_image(jpeg)


def _decode(data: bytes, kind: str, name: str) -> NDArray[np.uint8]:
    from PIL import Image

    # formats: Pillow must not try its other, less used decoders
    with Image.open(io.BytesIO(data), formats=[kind]) as image:
        _check_size(image, kind, data, name)
        # I: also the mode of a 16-bit PNG. The range of the others is not known, their upper byte is mostly black
        if image.mode == "F" or (image.mode == "I" and kind == "TIFF"):
            depth = "floating-point" if image.mode == "F" else "32-bit"
            raise InputError(f"{name} has {depth} pixels, expected 8 or 16 bits a channel: convert it")
        profile = image.info.get("icc_profile")
        if kind == "JPEG":
            _draft(image)
        image.load()
        # read before the picture is changed: the new ones have no metadata
        turn = _UPRIGHT.get(_orientation(image))
        # before colours are converted: a quarter of the work
        picture = image.reduce(2) if image.width * image.height > LARGE else image
        if profile:
            picture = _to_srgb(picture, profile)
        picture = _opaque(picture)
        if turn is not None:
            picture = picture.transpose(Image.Transpose[turn])
        return np.ascontiguousarray(np.asarray(picture, np.uint8))


def _check_size(image: "Image", kind: str, data: bytes, name: str) -> None:
    pixels, most = image.width * image.height, MAX_PIXELS
    if kind == "JPEG":
        progressive = bool(image.info.get("progressive"))
        most = MAX_PROGRESSIVE_PIXELS if progressive else MAX_JPEG_PIXELS
        # FF DA starts a scan
        if progressive and data.count(b"\xff\xda") > MAX_SCANS:
            raise InputError(f"{name} has more than {MAX_SCANS} scans, which a picture does not need")
    if pixels > most:
        raise InputError(
            f"{name} is too large: {image.width} x {image.height} pixels, expected at most {most:,} for this format; "
            "scale it down first"
        )


def _draft(image: "Image") -> None:
    """Let libjpeg decode a large picture at a fraction of its size: the pixels of the full size need no memory."""
    fraction = 1
    while image.width * image.height > LARGE * fraction * fraction and fraction < 8:
        fraction *= 2
    if fraction > 1:
        image.draft(None, (image.width // fraction, image.height // fraction))


def _orientation(image: "Image") -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none, or the metadata are damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 damaged metadata raise anything; the picture is fine
        return 1


def _to_srgb(image: "Image", profile: bytes) -> "Image":
    """Return the picture with the colours of its ICC profile converted to sRGB; unchanged if the profile is unusable.

    A picture whose profile is sRGB keeps its bits.
    """
    from PIL import Image

    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # a conversion from sRGB to sRGB would still change some bits
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        space = source.profile.xcolor_space.strip()
        if space == "RGB":
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        elif (space, image.mode) not in (("GRAY", "L"), ("CMYK", "CMYK")):  # a profile for other pixels than these
            return image
        mode = image.mode if space == "RGB" else "RGB"
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except Exception:  # noqa: BLE001 a damaged profile raises anything; without it the picture is sRGB
        return image
    return converted if isinstance(converted, Image.Image) else image


def _opaque(image: "Image") -> "Image":
    """Return the picture in mode RGB, transparent parts white; 16-bit grey keeps its upper byte."""
    from PIL import Image

    if image.mode.startswith("I"):
        # Pillow would clip 16-bit grey at 255 instead of scaling it
        grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _register_heif(name: str) -> None:
    """Let Pillow read HEIF. Raises InputError, with the way out, if pillow-heif is not installed."""
    try:
        import pillow_heif
    except ImportError as error:
        raise InputError(
            f"{name} is a HEIC picture, which needs pillow-heif: pip install 'edge-app[heic]', or convert it to JPEG"
        ) from error
    pillow_heif.register_heif_opener()


@cache
def _silence_libtiff() -> None:
    """Keep libtiff, which Pillow uses, from writing to standard error; Pillow has no switch for it."""
    import ctypes

    from PIL import _imaging  # noqa: F401 loads the library

    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        if "/libtiff" in line:
            # the copy that Pillow has loaded: the handlers belong to it
            library = ctypes.CDLL(line[line.index("/") :])
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)
            return


def _not_a_picture(data: bytes) -> str:
    """Return why data are not a picture, to follow a name."""
    start = data[:START_BYTES].lstrip().lower()
    known = ", ".join(FORMATS)
    if not data:
        return "is empty"
    for magic, what in _OTHERS.items():
        if data.startswith(magic):
            return f"is {what}, expected a picture: {known}"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, probably a failed download"
    if start.startswith((b"<svg", b"<?xml")):
        return f"is XML, perhaps a drawing (SVG), expected a picture: {known}"
    return f"is not a picture: expected {known}"


def _reason(error: Exception, kind: str) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"its header claims more pixels than the {MAX_JPEG_PIXELS:,} that are read"
    if isinstance(error, UnidentifiedImageError):
        if kind == "AVIF":
            return "AVIF needs Pillow 11.3 or later: pip install --upgrade pillow"
        return f"its header is damaged, or its kind of {kind} is not supported"
    text = str(error).strip().replace("\n", " ")
    return f"{kind}: {text or type(error).__name__}"
