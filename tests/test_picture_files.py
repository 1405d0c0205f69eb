"""Picture files: read alike in every form, and refused before they cost memory."""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from processes import printed

from attn.data import picture_files
from attn.ui.media import ImageInput
from attn.ui.pages.memory.image import SIDE, memory_image_in_numpy

ROOT = Path(__file__).parents[1]
BROKEN = "the file must be a picture, PNG, JPEG, WebP or GIF, that can be read to its end"
MOST = 110_000_000  # bytes that one picture may cost, whatever is in the file


def saved(image, form="PNG", **options):
    """Return a picture file."""
    file = io.BytesIO()
    image.save(file, format=form, **options)
    return file.getvalue()


def plain(size, mode="RGB", color="red", form="PNG", **options):
    """Return the file of a picture of one colour."""
    return saved(Image.new(mode, size, color), form, **options)


def scene(width, height):
    """Return a picture of soft shapes, an edge, and a hole that grows clearer downwards."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    colours = [np.sin(7 * x + 3 * y) ** 2, np.where(x > y, 0.9, 0.2), np.cos(5 * x * y) ** 2]
    alpha = np.where((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.04, 1 - y, 1)
    return Image.fromarray(np.rint(255 * np.stack([*colours, alpha], axis=-1)).astype(np.uint8))


def slowly(image, size):
    """Return what a reader of files should make of a picture: white below it, then cut, then made small."""
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    small = ImageOps.fit(ground.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
    return np.asarray(small, dtype=float) / 255


def chunk(kind, content):
    """Return a piece of a PNG file."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_with(pieces):
    """Return a small PNG file with more pieces behind its header."""
    data = plain((8, 8))
    return data[:33] + pieces + data[33:]


def many_zeros(width, height, depth, colour, channels):
    """Return a PNG file of zeros, written without ever holding them."""
    pack, row = zlib.compressobj(9), bytes(1 + (width * channels * depth + 7) // 8)
    packed = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(range(6))) + chunk(b"tRNS", b"\x80") if colour == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + header + palette + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def promising(data, width, height):
    """Return a JPEG file whose header names another size, and which has little behind it."""
    at = next(at for at in (data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) if at > 0)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def test_pictures_are_read_from_files():
    read = picture_files.read_picture
    np.testing.assert_array_equal(read(plain((50, 31)), 16), np.broadcast_to([1, 0, 0], (16, 16, 3)))
    np.testing.assert_array_equal(read(plain((9, 9), "RGBA", (0, 0, 0, 0)), 8), 1)  # nothing is white
    assert read(plain((40, 40), "L", 128), 8).std() == 0
    assert read(plain((1, 1), form="GIF"), 8).shape == (8, 8, 3)
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255  # the middle square
    np.testing.assert_array_equal(read(saved(Image.fromarray(wide)), 20), 1)


@pytest.mark.parametrize("name", ["own.png", "own.jpg", "own.webp"])
@pytest.mark.parametrize("size", [(31, 20), (191, 320), (301, 400), (1001, 700)])
def test_the_lines_that_memory_shows_read_a_picture_as_the_page_does(tmp_path, monkeypatch, name, size):
    monkeypatch.chdir(tmp_path)
    across = np.add.outer(np.arange(size[1]), np.arange(size[0]))
    colours = np.stack([across, across * 2, across * 5, 255 - across], axis=-1).astype(np.uint8)  # edges everywhere
    Image.fromarray(colours).convert("RGB" if name == "own.jpg" else "RGBA").save(name)
    own = ImageInput(name, Path(name).read_bytes())
    found = {"np": np}
    exec(memory_image_in_numpy(own).lines, found)
    np.testing.assert_array_equal(found["picture"], own.pixels(SIDE))


FORMS = {  # what is saved of a scene, how, and how far off a number may be, at most and on average
    "rgba": (lambda image: image, {}, 0.04, 0.004),
    "interlaced film": (
        lambda image: image,
        {"save_all": True, "append_images": [Image.new("RGBA", (9, 9))]},
        0.04,
        0.004,
    ),
    "rgb": (lambda image: image.convert("RGB"), {}, 0.04, 0.004),
    "rgb, one colour clear": (lambda image: image.convert("RGB"), {"transparency": (0, 51, 255)}, 0.04, 0.004),
    "grey": (lambda image: image.convert("L"), {}, 0.04, 0.004),
    "grey and alpha": (lambda image: image.convert("LA"), {}, 0.04, 0.004),
    "black and white": (lambda image: image.convert("1"), {}, 0.1, 0.01),
    "palette": (lambda image: image.convert("RGB").quantize(64), {"transparency": 5}, 0.06, 0.006),
    "gif": (lambda image: image.convert("RGB").quantize(64), {"form": "GIF", "transparency": 5}, 0.06, 0.006),
    "webp": (lambda image: image, {"form": "WEBP", "lossless": True}, 0.04, 0.004),
    "jpeg": (lambda image: image.convert("RGB"), {"form": "JPEG", "quality": 95}, 0.06, 0.006),
    "progressive": (lambda image: image.convert("RGB"), {"form": "JPEG", "progressive": True}, 0.06, 0.006),
    "four inks": (lambda image: image.convert("CMYK"), {"form": "JPEG", "quality": 95}, 0.06, 0.006),
}


@pytest.mark.parametrize("size", [(487, 331), (331, 1201)])
@pytest.mark.parametrize("form", FORMS)
def test_a_shrunk_picture_is_close_to_one_that_was_converted_first(form, size):
    made, options, at_most, on_average = FORMS[form]
    data = saved(made(scene(*size)), **options)
    expected = slowly(Image.open(io.BytesIO(data)), 17)
    away = np.abs(picture_files.read_picture(data, 17) - expected)
    assert away.max() < at_most
    assert away.mean() < on_average
    assert expected.std() > 0.1


def test_sixteen_bits_are_as_bright_as_eight():
    grey = np.asarray(scene(300, 200).convert("L"))
    deep = saved(Image.fromarray(grey.astype(np.uint16) * 257))
    np.testing.assert_array_equal(
        picture_files.read_picture(deep, 23), picture_files.read_picture(saved(Image.fromarray(grey)), 23)
    )


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_turned_as_its_camera_was_held(turn):
    image, exif = scene(90, 60).convert("RGB"), Image.Exif()
    exif[0x0112] = turn
    for form in ("PNG", "WEBP", "JPEG"):
        data = saved(image, form, exif=exif)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        np.testing.assert_allclose(picture_files.read_picture(data, 60), slowly(upright, 60), atol=1e-9)
        np.testing.assert_array_equal(np.asarray(picture_files.read_whole(data)), np.asarray(upright))


def test_of_a_film_the_first_picture_is_read():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    for form in ("GIF", "WEBP", "PNG"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:] * 50, duration=20)
        np.testing.assert_allclose(
            picture_files.read_picture(data, 5), np.broadcast_to([1, 0, 0], (5, 5, 3)), atol=0.02
        )


TEXT = b"a" * 1_000_000 + "𝛼".encode()
REFUSED = {
    "empty": (b"", BROKEN),
    "text": (b"no picture", BROKEN),
    "svg": (b"<svg></svg>", BROKEN),
    "cut": (plain((80, 80))[:60], BROKEN),
    "cut in its last row": (saved(scene(80, 80))[:-30], BROKEN),
    "another form": (plain((8, 8), form="TIFF"), BROKEN),
    "one more": (plain((8, 8), form="BMP"), BROKEN),
    "packed text": (png_with(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(9_000_000)))), BROKEN),
    "texts": (png_with(9 * chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(TEXT))), BROKEN),
    "packed colours": (png_with(chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(9_000_000)))), BROKEN),
    "tiny pieces": (png_with(200_000 * chunk(b"abCd", b"")), BROKEN),
    "PNG": (
        many_zeros(7071, 7071, 8, 0, 1),
        "a PNG must have at most 25 million pixels, got 7,071 × 7,071",
    ),
    "wide PNG": (many_zeros(200_000, 200, 1, 0, 1), "a PNG must have at most 25 million pixels, got 200,000 × 200"),
    "far too huge": (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0))
        + chunk(b"IDAT", b""),
        "a picture must have at most 64 million pixels, got more than 179 million",
    ),
    "WebP": (
        plain((2300, 2200), "RGBA", (0, 0, 0, 0), "WEBP", lossless=True),
        "a WebP must have at most 5 million pixels, got 2,300 × 2,200",
    ),
    "GIF": (
        plain((8, 8), form="GIF")[:6] + struct.pack("<HH", 5100, 5100) + plain((8, 8), form="GIF")[10:],
        "a GIF must have at most 25 million pixels, got 5,100 × 5,100",
    ),
    "JPEG": (
        promising(plain((8, 8), form="JPEG"), 8200, 8100),
        "a JPEG must have at most 64 million pixels, got 8,200 × 8,100",
    ),
    "progressive JPEG": (
        promising(plain((8, 8), form="JPEG", progressive=True), 4000, 3200),
        "a progressive JPEG must have at most 12.5 million pixels, got 4,000 × 3,200",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(name):
    data, sentence = REFUSED[name]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the whole sentence is compared
        picture_files.read_picture(data, 8)
    assert str(caught.value) == sentence


def test_a_jpeg_that_cannot_be_made_small_may_not_be_as_large():
    narrow = promising(plain((8, 8), form="JPEG"), 600, 60_000)
    with pytest.raises(ValueError, match=r"^a JPEG must have at most 25 million pixels, got 600 × 60,000$"):
        picture_files.read_picture(narrow, 224)
    assert picture_files.read_picture(narrow, 8).shape == (8, 8, 3)


def test_a_jpeg_with_a_scan_for_each_colour_counts_as_progressive():
    whole = plain((4096, 4096), form="JPEG")
    at = whole.index(b"\xff\xda")
    apart = whole[:at] + b"\xff\xda\x00\x08\x01" + whole[at + 5 : at + 7] + b"\x00\x3f\x00" + whole[at + 14 :]
    with pytest.raises(ValueError, match=r"^a progressive JPEG must have at most 12\.5 million"):
        picture_files.read_picture(apart, 8)
    assert picture_files.read_picture(whole, 8).shape == (8, 8, 3)


def test_a_jpeg_may_not_have_any_number_of_scans():
    data = plain((64, 64), form="JPEG", progressive=True)
    scan, rest = data[data.rfind(b"\xff\xc4") : -2], 60 - data.count(b"\xff\xda")
    with pytest.raises(ValueError, match=r"^a progressive JPEG must have at most 50 scans, got 60$"):
        picture_files.read_picture(data[:-2] + rest * scan + data[-2:], 8)
    assert picture_files.read_picture(data[:-2] + 9 * scan + data[-2:], 8).shape == (8, 8, 3)


COST = """
import json, resource, sys, threading
from pathlib import Path
from PIL import Image
from attn import picture_files

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

small = Path(sys.argv[1]).with_name("small")
for form in ("PNG", "JPEG", "WEBP", "GIF"):  # loads what reads them
    Image.new("RGB", (64, 64)).save(small, format=form)
    picture_files.read_picture(small.read_bytes(), 8)
data, said = Path(sys.argv[1]).read_bytes(), []

def read():
    try:
        said.append(picture_files.read_picture(data, 224).shape[0])
    except ValueError as error:
        said.append(str(error))

before = peak()
visitors = [threading.Thread(target=read) for _ in range(3)]
for visitor in visitors:
    visitor.start()
for visitor in visitors:
    visitor.join()
print(json.dumps([peak() - before, said]))
"""


def zeros(mode, form, side, **options):
    return lambda: plain((side, side), mode, 0, form, **options)


COSTLY = {  # the largest that are read, and what would cost most if it were read; each in bytes that are quickly made
    "refused": (lambda: many_zeros(7071, 7071, 8, 0, 1), 2_000_000, "a PNG must"),
    "eight bits and alpha": (lambda: many_zeros(5000, 5000, 8, 6, 4), MOST, 224),
    "sixteen bits": (lambda: many_zeros(5000, 5000, 16, 0, 1), MOST, 224),
    "palette": (lambda: many_zeros(5000, 5000, 8, 3, 1), MOST, 224),
    "narrow": (lambda: many_zeros(100, 250_000, 8, 6, 4), MOST, 224),
    "jpeg": (zeros("RGB", "JPEG", 8000), 20_000_000, 224),
    "progressive": (zeros("CMYK", "JPEG", 3500, progressive=True, subsampling=0), MOST, 224),
    "webp": (zeros("RGBA", "WEBP", 2236, lossless=True, method=0), MOST, 224),
    "gif": (zeros("P", "GIF", 5000), MOST, 224),
    "film": (
        lambda: saved(
            Image.new("L", (900, 900)), "GIF", save_all=True,
            append_images=[Image.new("L", (900, 900), 1 + at) for at in range(60)],
        ),
        10_000_000,
        224,
    ),
    "texts": (lambda: png_with(60 * chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(TEXT))), 20_000_000, BROKEN),
    "pieces of a PNG": (lambda: png_with(1_500_000 * chunk(b"abCd", b"")), 50_000_000, BROKEN),
    "pieces of a JPEG": (
        lambda: b"\xff\xd8" + 4_000_000 * b"\xff\xe5\x00\x02" + plain((8, 8), form="JPEG")[2:], 50_000_000, BROKEN
    ),
    "pieces of a GIF": (
        lambda: plain((8, 8), form="GIF")[:19] + 3_000_000 * b"!\xfe\x01a\0" + plain((8, 8), form="GIF")[19:],
        50_000_000,
        BROKEN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_three_at_once_cost_no_more_than_one_may(name, tmp_path):
    make, most, says = COSTLY[name]
    (tmp_path / "picture").write_bytes(make())
    cost, said = json.loads(printed(COST, str(tmp_path / "picture")))
    assert [str(one).startswith(str(says)) for one in said] == [True] * 3, said
    assert cost < most
