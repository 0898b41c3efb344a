"""One decoder for every picture from outside: upright, in sRGB, on white; or an InputError."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from edge_app.datasets import pictures as pictures_module
from edge_app.datasets.pictures import (
    FORMATS,
    LARGE,
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SCANS,
    START_BYTES,
    decode_image,
    decode_thumbnail,
    picture_format,
    read_picture_file,
)
from edge_app.errors import InputError


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A picture that lossy formats keep."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x // width, 255 * y // height, 128 + 0 * x], axis=2).astype(np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def encoded(image: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    return saved(Image.fromarray(image), kind, **options)


def test_decodes_bytes_and_files_alike(tmp_path: Path) -> None:
    image = noise(5, 7)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(image))
    for source in (path, str(path), path.read_bytes()):
        decoded = decode_image(source)
        np.testing.assert_array_equal(decoded, image)
        assert decoded.flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(orientation: int) -> None:
    upright = np.zeros((6, 9, 3), np.uint8)
    upright[0, 0] = (255, 0, 0)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decode_image(encoded(np.ascontiguousarray(stored), exif=exif)), upright)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    jpeg, png = encoded(noise(64, 64), "JPEG"), encoded(noise(64, 64))
    broken = {
        "empty.jpg": b"",
        "text.jpg": b"this is no picture",
        "short.jpg": jpeg[: len(jpeg) // 2],
        "header.jpg": jpeg[:20],
        "short.png": png[: len(png) // 2],
        "flipped.png": png[:200] + bytes(byte ^ 255 for byte in png[200:260]) + png[260:],
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            decode_image(tmp_path / name)
    for missing in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(InputError, match=missing.name):
            decode_image(missing)


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_gives_a_picture_or_an_input_error(seed: int) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(encoded(noise(24, 24), ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")[seed % 6]))
    for _ in range(5):
        content[random.integers(len(content))] = random.integers(256)
    try:
        image = decode_image(bytes(content[: random.integers(1, len(content) + 1)]))
    except InputError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


def test_random_damage_prints_nothing_and_warns_of_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(5)
    kinds = [kind for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF") if kind != "AVIF" or avif()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = [encoded(noise(24, 24), kind) for kind in kinds]
        pictures += [encoded(noise(24, 24), "TIFF", compression=how) for how in ("tiff_lzw", "tiff_adobe_deflate")]
        for good in pictures:
            for _ in range(150):
                content = bytearray(good)
                for _ in range(random.integers(1, 6)):
                    content[random.integers(len(content))] = random.integers(256)
                try:
                    decode_image(bytes(content))
                except InputError:
                    continue
    assert capfd.readouterr() == ("", "")


def test_errors_that_pillow_logs_are_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(noise(8, 8), "TIFF")
    samples = data.index(struct.pack("<HHIH", 277, 3, 1, 3))
    with pytest.raises(InputError, match="TIFF"):
        decode_image(data[: samples + 8] + struct.pack("<H", 515) + data[samples + 10 :])
    assert capfd.readouterr() == ("", "")


def avif() -> bool:
    return bool(features.check("avif"))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_recognised_by_its_content_and_decoded(kind: str, tmp_path: Path) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if kind == "AVIF" and not avif():
        pytest.skip("this Pillow does not read AVIF")
    data = encoded(smooth(48, 64), kind)
    assert picture_format(data[:START_BYTES]) == kind
    (tmp_path / "picture.txt").write_bytes(data)
    image = decode_image(tmp_path / "picture.txt")
    assert image.shape == (48, 64, 3)
    assert np.abs(image.astype(int) - smooth(48, 64)).mean() < (30 if kind == "GIF" else 8)


OTHERS = {
    "": "is empty",
    "DDS \x7c\x00\x00\x00": "is a DDS texture",
    "<!DOCTYPE html><html>404</html>": "is a web page",
    '<svg xmlns="http://www.w3.org/2000/svg"/>': "perhaps a drawing",
    "%PDF-1.7": "is a PDF document",
    "\x00\x05\x16\x07": "a companion file of macOS",
    "\xff\x0a\xfa\x10": "is a JPEG XL file",
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a": "is a pointer of Git LFS",
    "BMX is not a bitmap, it is a bicycle": "is not a picture: expected JPEG, PNG",
    "GIF8": "is not a picture",
}


@pytest.mark.parametrize("content", OTHERS)
def test_what_is_not_a_picture_is_named_for_what_it_is(content: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=rf"photo\.jpg.*{OTHERS[content]}"):
        decode_image(tmp_path / "photo.jpg")


@pytest.mark.parametrize("kind", ["PPM", "TGA", "PCX", "ICO", "SGI"])
def test_formats_that_are_not_meant_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match="is not a picture"):
        decode_image(encoded(noise(32, 32), kind))


def test_heic_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"needs pillow-heif: pip install 'edge-app\[heic\]'"):
        decode_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_followed_in_every_format(kind: str) -> None:
    """HEIF has a rotation of its own, which its library applies."""
    if kind == "AVIF" and not avif():
        pytest.skip("this Pillow does not read AVIF")
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decode_image(encoded(smooth(48, 64), kind, exif=exif))
    assert image.shape == (64, 48, 3)
    assert np.abs(image.astype(int) - np.rot90(smooth(48, 64), -1)).mean() < 8


def test_damaged_metadata_do_not_hide_a_picture() -> None:
    data = encoded(smooth(48, 64), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(40))
    assert decode_image(data).shape == (48, 64, 3)
    profile = encoded(smooth(48, 64), "PNG", icc_profile=b"no profile")
    np.testing.assert_array_equal(decode_image(profile), smooth(48, 64))


def test_transparent_parts_are_white() -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    pixels[1, 1] = (0, 0, 0, 128)
    expected = np.full((2, 3, 3), 255, np.uint8)
    expected[0, 0], expected[1, 1] = (10, 20, 30), 127
    np.testing.assert_array_equal(decode_image(saved(Image.fromarray(pixels))), expected)
    assert decode_image(saved(Image.fromarray(pixels[:, :, 2:]), "PNG"))[0, 1].tolist() == [255] * 3
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([200, 0, 0, 0, 200, 0])
    palette.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF"):
        assert decode_image(saved(palette, kind, transparency=1)).tolist() == [[[200, 0, 0], [255, 255, 255]]]


def test_two_icons_that_differ_in_transparency_alone_differ() -> None:
    one, other = (np.zeros((8, 8, 4), np.uint8) for _ in range(2))
    one[:4, :, 3], other[:, :4, 3] = 255, 255
    assert not np.array_equal(decode_image(saved(Image.fromarray(one))), decode_image(saved(Image.fromarray(other))))


def test_deep_and_grey_pictures_keep_their_upper_byte() -> None:
    grey = np.array([[0, 128, 255]], np.uint8)
    assert (decode_image(encoded(grey)) == grey[:, :, None]).all()
    deep = (grey.astype(np.uint16) << 8) | 0x7F
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(decode_image(encoded(deep, kind))[:, :, 1], grey)
    assert decode_image(saved(Image.new("1", (3, 2), 1))).min() == 255


@pytest.mark.parametrize(("kind", "depth"), [(np.float32, "floating-point"), (np.int32, "32-bit")])
def test_pictures_whose_range_is_not_known_are_refused(kind: type, depth: str) -> None:
    with pytest.raises(InputError, match=f"{depth} pixels, expected 8 or 16 bits a channel: convert it"):
        decode_image(saved(Image.fromarray(np.full((2, 2), 200, kind)), "TIFF"))


def test_a_picture_in_jpeg_2000_is_named() -> None:
    with pytest.raises(InputError, match="is a JPEG 2000 file"):
        decode_image(encoded(noise(32, 32), "JPEG2000"))


def test_cmyk_becomes_rgb() -> None:
    image = decode_image(saved(Image.fromarray(smooth(32, 32)).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(image.astype(int) - smooth(32, 32)).mean() < 8


def wide_gamut() -> bytes:
    """An RGB profile with the primaries red, blue, green: converting it to sRGB swaps colours."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = bytearray(profile)
    tags = {bytes(profile[132 + 12 * i :][:4]): 132 + 12 * i for i in range(struct.unpack(">I", profile[128:132])[0])}
    swapped[tags[b"gXYZ"] + 4 : tags[b"gXYZ"] + 12] = profile[tags[b"bXYZ"] + 4 : tags[b"bXYZ"] + 12]
    swapped[tags[b"bXYZ"] + 4 : tags[b"bXYZ"] + 12] = profile[tags[b"gXYZ"] + 4 : tags[b"gXYZ"] + 12]
    return bytes(swapped).replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be")).replace(b"sRGB", b"Swap")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_converted_by_the_profile(mode: str) -> None:
    image = Image.new("RGB", (4, 4), (0, 250, 0)).convert(mode)
    red, green, blue = decode_image(saved(image, icc_profile=wide_gamut()))[0, 0].tolist()
    assert (red, green) == (0, 0)
    assert blue >= 245


def test_a_picture_in_srgb_keeps_its_bits() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(decode_image(encoded(noise(16, 16), icc_profile=profile)), noise(16, 16))


def test_a_profile_of_another_kind_of_picture_is_left_aside() -> None:
    grey = encoded(smooth(8, 8)[:, :, 0], icc_profile=wide_gamut())
    assert decode_image(grey).shape == (8, 8, 3)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bmp_header(width: int, height: int) -> bytes:
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + sizes + bytes(4)


@pytest.mark.parametrize("make", [png_header, bmp_header])
@pytest.mark.parametrize("side", [5_657, 10_000, 30_000, 2_000_000, 2**31 - 1])
def test_bombs_are_refused_by_their_header(make: Any, side: int) -> None:
    with pytest.raises(InputError, match=r"too large|claims more pixels"):
        decode_image(make(side, side))


def test_large_pictures_are_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_module, "LARGE", 1000)
    for kind, shape in (("JPEG", (25, 38)), ("PNG", (50, 75)), ("WEBP", (50, 75))):
        assert decode_image(encoded(smooth(100, 150), kind)).shape[:2] == shape
    assert MAX_PIXELS * 4 < 2**27
    assert LARGE > 4000 * 3000


def test_a_progressive_jpeg_with_too_many_scans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(smooth(32, 32), "JPEG", progressive=True)
    assert decode_image(data).shape == (32, 32, 3)
    monkeypatch.setattr(pictures_module, "MAX_SCANS", 3)
    with pytest.raises(InputError, match="more than 3 scans"):
        decode_image(data)
    assert MAX_SCANS >= 50


def test_whatever_a_decoder_raises_becomes_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (NotImplementedError("new"), IndexError(), struct.error("short"), MemoryError(), SyntaxError("x")):

        def fail(*_args: object, error: BaseException = error, **_options: object) -> None:
            raise error

        monkeypatch.setattr(Image, "open", fail)
        with pytest.raises(InputError, match=r"cannot be read as a picture|does not fit into memory"):
            decode_image(encoded(noise(4, 4)))


def test_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, kind in ((tmp_path / "pipe.jpg", "named pipe"), (Path("/dev/zero"), "device")):
        with pytest.raises(InputError, match=f"^{path} is a {kind}, expected a file"):
            decode_image(path)
    with pytest.raises(InputError, match="is a folder, expected a file"):
        decode_image(tmp_path)
    with pytest.raises(InputError, match="is not a path"):
        decode_image("a\0b.jpg")
    (tmp_path / "what?.png").write_bytes(encoded(noise(4, 4)))
    assert decode_image(tmp_path / "what?.png").shape == (4, 4, 3)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="67,108,865 bytes, expected at most"):
        read_picture_file(tmp_path / "large.png")


def test_a_thumbnail_is_a_whole_jpeg_of_its_size() -> None:
    good = encoded(smooth(64, 64), "JPEG")
    decode_thumbnail(good)
    for bad, message in (
        (encoded(smooth(8, 8)), "expected a JPEG"),
        (b"DDS \x7c\0\0\0" + bytes(140), "a DDS texture"),
        (good[: len(good) // 2], "cannot be read"),
        (encoded(smooth(8, 5000), "JPEG"), "5000 x 8 pixels, expected at most 4096 a side"),
        (b"", "is empty"),
    ):
        with pytest.raises(InputError, match=message):
            decode_thumbnail(bad)


def test_importing_it_loads_neither_opencv_nor_pillow() -> None:
    code = "import edge_app.datasets.pictures, sys; print({'cv2', 'PIL.Image'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
