"""Picture files in all their modes, folders with what people leave in them, and the preparation against NumPy."""

import struct
import zlib

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from glia.core.errors import InputError
from glia.core.source_kinds import source_kind
from glia.data.images import ImagePreparation, ImageRows, as_images, look_at, read_image_folder, to_pixels

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (9, 7, 3)).astype(np.uint8)


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif", "jpg"])
def test_formats(tmp_path, suffix):
    smooth = np.kron(RNG.integers(0, 256, (2, 2, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    path = saved(tmp_path / f"a.{suffix}", smooth, **options)
    found = to_pixels(path, 3).transpose(1, 2, 0).astype(int)
    assert found.shape == smooth.shape and np.abs(found - smooth).max() <= (8 if suffix == "jpg" else 0)
    assert look_at(path).height == 32 and not look_at(path).grey


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, COLOUR), (2, COLOUR[:, ::-1]), (3, COLOUR[::-1, ::-1]), (4, COLOUR[::-1]),
        (5, COLOUR.transpose(1, 0, 2)), (6, np.rot90(COLOUR, -1)), (8, np.rot90(COLOUR, 1)),
    ],
)  # fmt: skip
def test_orientation_is_applied(tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", COLOUR, exif=exif)
    assert np.array_equal(to_pixels(path, 3).transpose(1, 2, 0), turned)
    seen = look_at(path)
    assert (seen.height, seen.width) == turned.shape[:2] == tuple(as_images([path]).sizes()[0])


def test_modes(tmp_path):
    grey = COLOUR[..., 0]
    alpha = np.concatenate([COLOUR, np.full((9, 7, 1), 0, np.uint8)], 2)
    alpha[0, 0, 3] = 255
    shown = to_pixels(saved(tmp_path / "rgba.png", alpha), 3)
    assert shown[:, 0, 0].tolist() == COLOUR[0, 0].tolist() and (shown[:, 1:] == 255).all()  # transparent is white
    assert np.array_equal(to_pixels(saved(tmp_path / "l.png", grey), 1)[0], grey)
    assert np.array_equal(to_pixels(tmp_path / "l.png", 3), np.stack([grey] * 3))
    wide = grey.astype(np.uint16) * 257
    assert np.array_equal(to_pixels(saved(tmp_path / "wide.png", wide), 1)[0], grey)  # 16 bits to 8
    fraction = (grey / 255).astype(np.float32)
    assert np.array_equal(to_pixels(saved(tmp_path / "f.tiff", fraction), 1)[0], grey)
    Image.fromarray(grey > 127).save(tmp_path / "one.png")
    assert np.array_equal(to_pixels(tmp_path / "one.png", 1)[0], np.where(grey > 127, 255, 0))
    flat = Image.new("RGB", (4, 4), (255, 0, 0))
    for mode, suffix in (("CMYK", "jpg"), ("P", "png"), ("LA", "png"), ("YCbCr", "jpg")):
        flat.convert(mode).save(tmp_path / f"{mode}.{suffix}")
        assert to_pixels(tmp_path / f"{mode}.{suffix}", 3).shape == (3, 4, 4)
    assert np.abs(to_pixels(tmp_path / "CMYK.jpg", 3)[:, 0, 0].astype(int) - [255, 0, 0]).max() < 8
    assert to_pixels(tmp_path / "P.png", 3)[:, 0, 0].tolist() == [255, 0, 0]
    luma = np.rint(COLOUR @ np.array([0.299, 0.587, 0.114]))
    assert np.abs(to_pixels(saved(tmp_path / "c.png", COLOUR), 1)[0] - luma).max() <= 1


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (to_pixels(tmp_path / "a.gif", 1) == 10).all() and look_at(tmp_path / "a.gif").frames == 2


def bomb(path):
    """Write a PNG of a few bytes that says it has 10**10 pixels."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for name in ("cat", "dog", "dog/deep", ".git", "__MACOSX"):
        (root / name).mkdir(parents=True)
    for i, name in enumerate(
        ("cat/1.png", "cat/2.JPG", "dog/1.webp", "dog/deep/3.bmp", ".git/x.png", "__MACOSX/y.png")
    ):
        saved(root / name, np.full((10 + i, 12, 3), 40 * i, np.uint8))
    (root / "dog" / "empty.png").touch()
    (root / "dog" / "text.png").write_text("these are words")
    whole = saved(root / "cat" / "cut.jpg", RNG.integers(0, 255, (80, 80, 3)).astype(np.uint8)).read_bytes()
    (root / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    bomb(root / "cat" / "bomb.png")
    (root / "cat" / "notes.txt").write_text("not a picture")
    return root


def test_folder(folder):
    found = read_image_folder(folder)
    assert found.names == ("cat/1.png", "cat/2.JPG", "dog/1.webp", "dog/deep/3.bmp") and found.passed == 1
    assert found.classes == ("cat", "cat", "dog", "dog")
    why = dict(found.broken)
    assert set(why) == {"cat/bomb.png", "cat/cut.jpg", "dog/empty.png", "dog/text.png"}
    assert "empty" in why["dog/empty.png"] and "text that begins 'these'" in why["dog/text.png"]
    assert "truncated" in why["cat/cut.jpg"] and "many" in why["cat/bomb.png"]
    assert found.remark.startswith("4 files could not be read and were left out: cat/bomb.png")
    assert read_image_folder(folder, limit=2).classes == ("cat", "dog")  # some of every class
    assert source_kind(folder) == "images" and source_kind(folder / "cat" / "1.png") == "images"
    assert source_kind(folder / "cat" / "notes.txt") == source_kind("nowhere") == source_kind(COLOUR) == "table"
    (folder / "table.csv").write_text("a,b")
    assert source_kind(folder) == "table"


def test_what_is_no_picture_is_told_in_one_line(folder, tmp_path):
    for name, word in (
        ("dog/empty.png", "empty"),
        ("dog/text.png", "text"),
        ("cat/cut.jpg", "whole"),
        ("gone", "exist"),
    ):
        with pytest.raises(InputError, match=word):
            to_pixels(folder / name, 3)
    with pytest.raises(InputError, match=r"64,000,000 pixels"):
        to_pixels(folder / "cat" / "bomb.png", 3)
    with pytest.raises(InputError, match="no such folder"):
        read_image_folder(tmp_path / "none")
    with pytest.raises(InputError, match="there must be pictures"):
        read_image_folder(folder / "dog" / "text.png")


def test_rows_in_all_forms():
    grey, first = RNG.integers(0, 256, (5, 6, 7)).astype(np.uint8), RNG.random((5, 3, 6, 7))
    assert as_images(grey).items.shape == (5, 1, 6, 7) and as_images(grey.astype(np.int64)).items.dtype == np.uint8
    last = as_images(first.transpose(0, 2, 3, 1))
    assert np.array_equal(last.items, as_images(first).items) and (last.axis, as_images(first).axis) == (
        "last",
        "first",
    )
    assert np.array_equal(as_images(torch.from_numpy(first)).items, first.astype(np.float32))
    mixed = as_images([grey[0], first[1].transpose(1, 2, 0), Image.fromarray(grey[2])])
    assert mixed.channels() == (1, 3) and not mixed.stacked and mixed.floating()
    assert as_images([grey[0], grey[1]]).stacked and as_images(mixed) is mixed
    assert as_images(pl.DataFrame({"image": ["a.png", "b.png"]})).names == ["a.png", "b.png"]
    some = as_images(grey)[np.array([3, 1])]
    assert len(some) == 2 and np.array_equal(some.items[0, 0], grey[3])
    for wrong in (np.zeros((5, 4)), np.zeros((2, 0, 3)), 5, [np.zeros(3)], [None]):
        with pytest.raises(InputError):
            as_images(wrong)
    with pytest.raises(InputError, match="finite"):
        as_images(np.full((2, 3, 3), np.nan))
    same = ImageRows([grey[0][None], grey[1][None], grey[0][None].copy()]).identity()["picture"].to_list()
    assert same[0] == same[2] != same[1]


def test_preparation_by_numpy():
    x = RNG.integers(0, 256, (40, 8, 9, 3)).astype(np.uint8)
    made = ImagePreparation().fit(x[:30])
    flat = x[:30].reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(made.mean_, flat.mean(0), rtol=1e-12)
    np.testing.assert_allclose(made.deviation_, flat.std(0), rtol=1e-9)
    expected = ((x - flat.mean(0)) / flat.std(0)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(made.transform(x), expected, atol=1e-5)
    assert made.layout_.shape == (3, 8, 9) and made.transform(x).dtype == np.float32
    unit = ImagePreparation(scale="unit").fit(x).transform(x)
    np.testing.assert_allclose(unit, x.transpose(0, 3, 1, 2) / 255, atol=1e-6)
    constant = ImagePreparation().fit(np.full((3, 8, 8), 7, np.uint8))
    assert (constant.transform(np.full((2, 8, 8), 7, np.uint8)) == 0).all()


def test_large_values_keep_their_digits():
    x = (1e6 + RNG.random((20, 8, 8))).astype(np.float32)
    assert ImagePreparation().fit(x).deviation_[0] == pytest.approx(x.astype(np.float64).std(), rel=1e-6)


def test_sizes(tmp_path):
    mixed = [RNG.integers(0, 256, (h, w)).astype(np.uint8) for h, w in ((300, 200), (280, 220), (1, 1), (310, 190))]
    made = ImagePreparation().fit(mixed)
    assert made.layout_.shape == (1, 64, 44) and made.transform(mixed).shape == (4, 1, 64, 44)
    assert ImagePreparation(size=(5, 6), channels=3).fit(mixed).layout_.shape == (3, 5, 6)
    assert ImagePreparation().fit([mixed[2], mixed[2][:, [0, 0]]]).layout_.shape == (1, 8, 8)  # of single pixels
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    small = ImagePreparation(size=16, scale="none").fit([checks.astype(np.uint8)]).transform([checks.astype(np.uint8)])
    assert np.abs(small - 127.5).max() < 3  # antialiased; plain subsampling would see one colour only
    assert np.ptp(checks[::4, ::4]) == 0
    wide = np.zeros((20, 40), np.uint8)
    wide[:, 10:30] = 255
    modes = {
        r: ImagePreparation(20, scale="none", resize=r).fit([wide]).transform([wide])[0, 0] for r in ("crop", "pad")
    }
    assert (modes["crop"] == 255).all() and (modes["pad"][0] == 128).all() and modes["pad"][10, 10] == 255
    for wrong in ({"size": 0}, {"size": (3, 4, 5)}, {"channels": 2}, {"scale": "log"}, {"resize": "bend"}):
        with pytest.raises(InputError):
            ImagePreparation(**wrong).fit(mixed)


def test_state_round_trip_and_damage():
    x = RNG.random((10, 3, 8, 8))
    made = ImagePreparation(size=(6, 7)).fit(x)
    data, arrays = made.to_state()
    again = ImagePreparation.from_state(data, arrays)
    assert np.array_equal(again.transform(x), made.transform(x)) and again.size == (6, 7)
    for key, value in (("mean", np.zeros(2)), ("deviation", np.zeros(3)), ("mean", np.full(3, np.nan))):
        with pytest.raises(ValueError):
            ImagePreparation.from_state(data, {**arrays, key: value})
    with pytest.raises(ValueError):
        ImagePreparation.from_state({**data, "shape": [3, 10**6, 10**6]}, arrays)


def test_other_scales_and_channels_are_refused():
    whole, unit = RNG.integers(0, 256, (6, 8, 8)).astype(np.uint8), RNG.random((6, 8, 8))
    with pytest.raises(InputError, match="multiply them by 255"):
        ImagePreparation().fit(whole).transform(unit)
    with pytest.raises(InputError, match="divide them by 255"):
        ImagePreparation().fit(unit).transform(whole)
    ImagePreparation().fit(whole).transform(whole.astype(np.float64))  # the same numbers as another type
    with pytest.raises(InputError, match="channels that were fitted"):
        ImagePreparation().fit(RNG.random((3, 5, 8, 8))).transform(RNG.random((3, 2, 8, 8)))
    with pytest.raises(InputError, match=r"picture 1|gone\.png"):
        ImagePreparation().fit([whole[0], "gone.png"])
