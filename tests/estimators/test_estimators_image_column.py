"""A table with a column of pictures: planted truths in either branch or both, saved, explained, refused by name."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image

import glia
from glia import Augment, ImageClassifier, ImageRegressor
from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.data import infer_schema, read
from glia.data.images import ImagePreparation, PictureTablePreparation
from glia.data.preparation import Preparation
from glia.engine.image_transforms import Flip, OfPicture
from glia.estimators.image_table import with_readable_pictures
from glia.nn import ConvNet, PictureAndTable

SIDE = 8


def photos(root, count, seed=0):
    """Bright left or right half (``half``); ``size`` is a number, ``kind`` one of twelve words."""
    rng = np.random.default_rng(seed)
    (root / "pics").mkdir(parents=True, exist_ok=True)
    half, size = rng.integers(0, 2, count), rng.normal(size=count).round(3)
    for i in range(count):
        x = rng.normal(90, 20, (SIDE, SIDE))
        x[:, :4] += 90 * half[i]
        x[:, 4:] += 90 * (1 - half[i])
        Image.fromarray(np.clip(x, 0, 255).astype(np.uint8)).save(root / "pics" / f"{seed}_{i}.png")
    frame = pl.DataFrame(
        {
            "photo": [f"pics/{seed}_{i}.png" for i in range(count)],
            "size": size,
            "kind": rng.choice(list("abcdefghijkl"), count),
        }
    )
    return frame, half, size


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    return root, photos(root, 220), photos(root, 80, seed=1)


def table(root, frame, **columns):
    frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()}).write_csv(root / "t.csv")
    return read(root / "t.csv", target=list(columns))


SMALL = {
    "network": ConvNet((6,), head="flatten"), "augment": "none", "epochs": 12, "batch_size": 16, "lr": 5e-3,
    "early_stopping": False,
}  # fmt: skip


@pytest.mark.parametrize("truth", ["picture", "table", "both"])
def test_planted_truths_are_found(made, truth):
    root, (frame, half, size), (new, new_half, new_size) = made
    label = {"picture": lambda h, s: h, "table": lambda h, s: s > 0, "both": lambda h, s: h ^ (s > 0)}[truth]
    fitted = ImageClassifier(**SMALL).fit(table(root, frame, y=label(half, size).astype(int)), label(half, size))
    rows = read(_written(root, new)).frame
    clear = np.abs(new_size) > 0.1
    right = (fitted.predict(rows) == label(new_half, new_size))[clear].mean()
    assert right > 0.95
    shuffled = rows.with_columns(photo=rows["photo"].shuffle(seed=0))
    lost = right - (fitted.predict(shuffled) == label(new_half, new_size))[clear].mean()
    assert lost > 0.3 if truth != "table" else lost < 0.03
    other = rows.with_columns(size=rows["size"].shuffle(seed=0))
    lost = right - (fitted.predict(other) == label(new_half, new_size))[clear].mean()
    assert lost > 0.3 if truth != "picture" else lost < 0.03


def _written(root, frame):
    frame.write_csv(root / "new.csv")
    return root / "new.csv"


def test_quantities_saved_and_read_from_any_frame(made, tmp_path):
    root, (frame, half, size), (new, new_half, new_size) = made
    price = 2.0 * half + size
    fitted = ImageRegressor(**SMALL).fit(table(root, frame, price=price), price)
    rows = read(_written(root, new)).frame
    found = fitted.predict(rows)
    assert np.sqrt(np.mean((found - (2.0 * new_half + new_size)) ** 2)) < 0.35 * np.std(price)
    glia.save(fitted, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    assert np.array_equal(again.predict(rows), found) and again.layout_ == fitted.layout_
    assert isinstance(again.spec_, PictureAndTable) and again.feature_names == ["photo", "size", "kind"]
    assert np.array_equal(again.predict(rows.to_pandas()), found)
    assert np.array_equal(again.predict(root / "new.csv"), found)  # relative to the table's folder
    assert np.array_equal(again.predict(rows.select("kind", "photo", "size")), found)
    assert (tmp_path / "m.glia").stat().st_size < 200_000
    layout = fitted.layout_
    assert layout.groups()["photo"] == tuple(range(SIDE * SIDE)) and len(layout.to_dict()["features"]) < 30
    assert Layout.from_dict(layout.to_dict()) == layout


def test_frames_get_their_roles(made):
    root, (frame, half, _), _ = made
    frame = frame.with_columns(photo=str(root) + "/" + pl.col("photo"))
    a = ImageClassifier(**{**SMALL, "epochs": 2}).fit(frame, half)
    b = ImageClassifier(**{**SMALL, "epochs": 2}).fit(frame.to_pandas(), half)
    assert a.schema_.role("photo") == "image" and np.array_equal(a.predict_proba(frame), b.predict_proba(frame))
    alone = ImageClassifier(**{**SMALL, "epochs": 2}).fit(frame.select("photo"), half)
    assert alone.layout_.shape == (1, SIDE, SIDE)  # no columns beside: no second branch
    with pytest.raises(InputError, match="one column must hold paths"):
        ImageClassifier(**SMALL).fit(pd.DataFrame({"a": [1.5, 2.5] * 20, "b": ["x", "y"] * 20}), [0, 1] * 20)


def test_roles_with_reasons(made, tmp_path):
    root, (frame, *_), _ = made
    schema = read(_written(root, frame)).schema
    assert (schema.role("photo"), schema.column("photo").reason) == ("image", "paths of picture files")
    assert read(root / "new.csv", roles={"photo": "text"}).schema.role("photo") == "text"
    assert read(root / "new.csv").frame["photo"][0] == str(root / "pics/0_0.png")
    frame.write_csv(tmp_path / "away.csv")  # the pictures are elsewhere
    away = read(tmp_path / "away.csv").schema
    assert away.role("photo") != "image" and "no such files" in away.findings("pictures-not-found")[0].message
    assert infer_schema(frame.with_columns(photo=pl.lit("x.png"))).role("photo") == "ignored"  # all equal


def test_broken_pictures_are_left_out_by_name(made):
    root, (frame, *_), _ = made
    few = frame.head(12)
    few.write_csv(root / "few.csv")
    (root / "pics" / "words.png").write_text("no picture")
    few = few.with_columns(photo=pl.Series([*few["photo"][:9], "pics/words.png", "pics/gone.png", None]))
    few.write_csv(root / "few.csv")
    kept = with_readable_pictures(read(root / "few.csv"))
    said = [one.message for one in kept.schema.findings("broken-picture")]
    assert len(kept) == 9 and len(said) == 3
    assert any("words.png" in one and "text that begins" in one for one in said)
    assert any("gone.png" in one and "no such file" in one for one in said)
    assert any("A row without a file" in one for one in said)
    with pytest.raises(InputError, match="some picture of 'photo' must be readable"):
        with_readable_pictures(read(root / "few.csv").take([9, 10]))
    fitted = ImageRegressor(**{**SMALL, "epochs": 1}).fit(read(root / "few.csv").take(np.arange(9)), few["size"][:9])
    with pytest.raises(InputError, match=r"words\.png"):
        fitted.predict(read(root / "few.csv").frame[9:10])
    with pytest.raises(InputError, match=r"every row must have a picture in 'photo'.*row 2"):
        fitted.predict(read(root / "few.csv").frame[[0, 11]])


def test_refused(made):
    root, (frame, half, _), _ = made
    mixed = {**SMALL, "augment": Augment(mix="mixup")}
    with pytest.raises(InputError, match="no columns beside"):
        ImageClassifier(**mixed).fit(read(_written(root, frame)), half)
    fitted = ImageClassifier(**{**SMALL, "epochs": 1}).fit(read(_written(root, frame)), half)
    with pytest.raises(InputError, match="a table with the columns"):
        fitted.predict(np.zeros((3, SIDE, SIDE), dtype=np.uint8))
    with pytest.raises(InputError, match="rows without 'size'"):
        fitted.predict(frame.drop("size"))
    for wrong in (
        lambda: PictureAndTable((1, 8, 8)).build(Layout((64,)), 1),
        lambda: PictureAndTable((1, 8)).build(Layout((9,)), 1),
    ):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(ValueError, match="equal features"):
        Layout.from_dict({"shape": [4], "features": [{"name": "a", "source": "a", "times": 5}]})


@pytest.mark.parametrize("kind", ["polars", "pandas", "table"])
def test_estimators_of_tables_do_not_pass_over_pictures(made, kind):
    root, (frame, half, size), _ = made
    table = read(_written(root, frame))
    rows = {"polars": table.frame, "pandas": table.frame.to_pandas(), "table": table}[kind]
    for plain, y, reader in ((glia.Classifier(), half, "ImageClassifier"), (glia.Regressor(), size, "ImageRegressor")):
        with pytest.raises(InputError, match=rf"paths of pictures in 'photo' · use {reader}"):
            plain.fit(rows, y)
        with pytest.raises(InputError, match="paths of pictures in 'photo'"):
            plain.partial_fit(rows, y)
    given = read(root / "new.csv", roles={"photo": "ignored"})
    assert glia.Classifier(epochs=1).fit(given, half).feature_names == ["size", "kind"]
    assert glia.Classifier(epochs=1).fit(table.frame.drop("photo"), half).feature_names == ["size", "kind"]


def test_estimators_of_tables_do_not_pass_over_streamed_pictures(made):
    root, (frame, half, _), _ = made
    frame = frame.with_columns(photo=str(root) + "/" + pl.col("photo"), y=pl.Series(half))
    frame.write_csv(root / "stream.csv")
    with pytest.raises(InputError, match="paths of pictures in 'photo'"):
        glia.Classifier().fit(glia.Stream(root / "stream.csv", target="y"))


def test_prepared_rows_are_the_picture_and_then_the_columns(made):
    root, (frame, *_), _ = made
    fitted = ImageRegressor(**{**SMALL, "epochs": 1}, preparation=PictureTablePreparation(
        ImagePreparation(size=(4, 6), scale="unit"), Preparation(scale="zscore")
    )).fit(read(_written(root, frame)), frame["size"])  # fmt: skip
    rows = read(root / "new.csv")
    x = fitted.prepare(rows.frame).numpy()
    pictures = ImagePreparation(size=(4, 6), scale="unit").fit(rows.frame["photo"].to_list())
    assert np.array_equal(x[:, :24], pictures.transform(rows.frame["photo"].to_list()).reshape(len(x), -1))
    size = frame["size"].to_numpy()
    assert np.allclose(x[:, 24], (size - size.mean()) / size.std(), atol=0.2)  # some rows are held out of the fit
    assert fitted.layout_.features[24].name == "size" and fitted.layout_.features[0] == Feature(
        "photo (a pixel)", "photo"
    )


def test_only_the_picture_of_a_row_is_varied():
    x = torch.arange(2 * 10.0).reshape(2, 10)
    changed = OfPicture(lambda p, g: p.flip(-1), (1, 2, 4))(x, torch.Generator())
    assert torch.equal(changed[:, 8:], x[:, 8:])
    assert torch.equal(changed[0, :8], torch.tensor([3.0, 2, 1, 0, 7, 6, 5, 4]))
    assert "Flip" in repr(OfPicture(Flip(), (1, 2, 4)))  # what a checkpoint knows the fit by


def test_rows_go_through_in_parts_to_the_same_answers():
    torch.manual_seed(0)
    network = PictureAndTable((1, 64, 64), ConvNet((2,), stem=4)).build(Layout((64 * 64 + 2,)), 1).eval()
    x = torch.randn(150, 64 * 64 + 2)
    whole = network(x)  # gradients on: at once
    with torch.no_grad():
        torch.testing.assert_close(network(x), whole.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("keep", ["disk", "none"])
def test_streamed_tables_train_to_the_bits_of_memory(made, keep):
    root, (frame, half, _), _ = made
    rows, found = read(_written(root, frame)), []
    for kind in ("memory", keep):
        prepared = PictureTablePreparation(ImagePreparation(keep=kind))
        fitted = ImageClassifier(**{**SMALL, "epochs": 2, "augment": Augment(shift=0.2)}, preparation=prepared)
        found.append(fitted.fit(rows, half).predict_proba(rows))
    assert np.array_equal(*found)
