"""Tables with several columns of pictures: which picture is which matters; one branch, saved, streamed, refused."""

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import glia
from glia import Augment, ImageClassifier, ImageRegressor
from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.data import read
from glia.data.images import ImagePreparation, ImageRows, PictureTable, PictureTablePreparation
from glia.engine.image_transforms import OfPicture
from glia.estimators.image_fit import beside_classic_columns
from glia.estimators.image_table import with_readable_pictures
from glia.nn import ConvNet, PictureAndTable

SIDE = 8
SMALL = {
    "network": ConvNet((6,), head="flatten"), "augment": "none", "epochs": 12, "batch_size": 16, "lr": 5e-3,
    "early_stopping": False,
}  # fmt: skip


def photos(root, count, seed=0):
    """Two pictures a row, each bright on its left (1) or its right (0), and a number."""
    rng = np.random.default_rng(seed)
    (root / "pics").mkdir(parents=True, exist_ok=True)
    halves = rng.integers(0, 2, (count, 2))
    for i, row in enumerate(halves):
        for name, half in zip("ab", row, strict=True):
            x = rng.normal(90, 20, (SIDE, SIDE))
            x[:, 4 * (1 - half) : 4 * (2 - half)] += 90
            Image.fromarray(np.clip(x, 0, 255).astype(np.uint8)).save(root / "pics" / f"{seed}{name}{i}.png")
    names = {name: [str(root / "pics" / f"{seed}{name}{i}.png") for i in range(count)] for name in "ab"}
    frame = pl.DataFrame({"front": names["a"], "size": rng.normal(size=count).round(3), "back": names["b"]})
    return frame, halves


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    return root, photos(root, 240), photos(root, 80, seed=1)


@pytest.mark.parametrize("beside", [True, False])
def test_which_picture_is_which_matters(made, tmp_path, beside):
    _, (frame, halves), (new, truth) = made
    if not beside:
        frame, new = frame.drop("size"), new.drop("size")
    y, expected = (
        halves[:, 0] > halves[:, 1],
        truth[:, 0] > truth[:, 1],
    )  # the front is bright on the left, the back not
    fitted = ImageClassifier(**SMALL).fit(frame, y)
    assert (fitted.predict(new) == expected).mean() > 0.95
    swapped = new.rename({"front": "back", "back": "front"})
    assert (fitted.predict(swapped) == (truth[:, 1] > truth[:, 0])).mean() > 0.95
    for name in ("front", "back"):  # neither is enough
        shuffled = new.with_columns(new[name].shuffle(seed=0))
        assert (fitted.predict(shuffled) == expected).mean() < 0.9
    assert fitted.feature_names == list(frame.columns) and fitted.spec_.pictures == 2
    glia.save(fitted, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    assert np.array_equal(again.predict_proba(new), fitted.predict_proba(new)) and again.layout_ == fitted.layout_
    assert fitted.layout_.groups()["back"] == tuple(range(SIDE * SIDE, 2 * SIDE * SIDE))
    new.write_csv(tmp_path / "new.csv")
    assert again.reads_table(tmp_path / "new.csv") and np.array_equal(
        again.predict(tmp_path / "new.csv"), fitted.predict(new)
    )
    assert np.array_equal(again.predict(new.to_pandas()), fitted.predict(new))


@pytest.mark.parametrize("keep", ["disk", "none"])
@pytest.mark.parametrize("beside", [True, False])
def test_streamed_pairs_train_to_the_bits_of_memory(made, keep, beside):
    _, (frame, halves), _ = made
    frame, found = frame if beside else frame.drop("size"), []
    for kind in ("memory", keep):
        prepared = PictureTablePreparation(ImagePreparation(keep=kind))
        options = {"epochs": 2, "augment": Augment(shift=0.2), "early_stopping": True, "members": 2}
        fitted = ImageClassifier(**{**SMALL, **options}, preparation=prepared).fit(frame, halves[:, 0])
        found.append(fitted.predict_members(frame))
    assert np.array_equal(*found)


def test_prepared_rows_are_one_picture_after_the_other(made):
    _, (frame, halves), (new, _) = made
    fitted = ImageRegressor(**{**SMALL, "epochs": 1, "preparation": ImagePreparation(size=(4, 6))})
    fitted.fit(frame, halves[:, 0].astype(float))
    x = fitted.prepare(new).numpy()
    together = ImagePreparation(size=(4, 6)).fit([*frame["front"], *frame["back"]])  # one scale for both
    for place, name in enumerate(("front", "back")):
        expected = together.transform(new[name].to_list()).reshape(len(x), -1)
        np.testing.assert_allclose(x[:, 24 * place : 24 * (place + 1)], expected, atol=1e-5)
    assert x.shape[1] == 49 and fitted.layout_.features[24].source == "back"


def test_one_branch_sees_every_picture():
    torch.manual_seed(0)
    network = PictureAndTable((1, 6, 6), ConvNet((2,), stem=2), pictures=3).build(Layout((3 * 36 + 5,)), 2).eval()
    x = torch.randn(7, 3 * 36 + 5)
    seen = [network.picture(x[:, 36 * p : 36 * (p + 1)].reshape(7, 1, 6, 6)) for p in range(3)]
    by_hand = network.head(torch.cat([*seen, network.table(x[:, 108:])], dim=1))
    torch.testing.assert_close(network(x), by_hand)
    one = PictureAndTable((1, 6, 6), ConvNet((2,), stem=2)).build(Layout((41,)), 2)
    size = [sum(p.numel() for p in net.picture.parameters()) for net in (network, one)]
    assert size[0] == size[1]
    alone = PictureAndTable((1, 6, 6), ConvNet((2,), stem=2), pictures=2)
    assert alone.build(Layout((72,)), 1).table is None and type(alone).from_dict(alone.to_dict()).pictures == 2
    for wrong in (
        lambda: alone.build(Layout((71,)), 1),
        lambda: PictureAndTable((1, 6, 6), pictures=0).build(Layout((72,)), 1),
        lambda: PictureAndTable((1, 6, 6)).build(Layout((36,)), 1),
    ):
        with pytest.raises(InputError):
            wrong()


def test_every_picture_of_a_row_is_varied_by_itself():
    x = torch.arange(2 * 9.0).reshape(2, 9)
    changed = OfPicture(lambda p, g: p.flip(-1), (1, 2, 2), 2)(x, torch.Generator())
    assert changed[0].tolist() == [1, 0, 3, 2, 5, 4, 7, 6, 8]
    seen = []
    OfPicture(lambda p, g: seen.append(p.shape) or p, (1, 2, 2), 2)(x, torch.Generator())
    assert seen == [(4, 1, 2, 2)]


def test_rows_are_taken_with_all_their_pictures():
    pictures = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    rows = PictureTable(ImageRows(pictures), pl.DataFrame({"n": [0, 1, 2]}), ("a", "b"))
    part = rows[np.array([2, 0])]
    assert part.pictures.items[:, 0, 0, 0].tolist() == [2, 0, 5, 3] and part.frame["n"].to_list() == [2, 0]
    bare = PictureTable(ImageRows(pictures), pl.DataFrame(), ("a", "b"))[1:]
    assert len(bare) == 2 and bare.pictures.items[:, 0, 0, 0].tolist() == [1, 2, 4, 5]
    assert bare.identity().columns == ["a", "b"] and rows.identity().columns == ["n", "a", "b"]
    twice = PictureTable(ImageRows(pictures[[0, 0, 1, 2, 2, 2]]), pl.DataFrame(), ("a", "b")).identity()
    assert twice.rows()[0] == twice.rows()[1] != twice.rows()[2]
    with pytest.raises(InputError, match="one picture per row and column"):
        PictureTable(ImageRows(pictures), pl.DataFrame({"n": [0, 1]}), ("a", "b"))


def test_a_row_with_a_broken_picture_is_left_out_by_name(made, tmp_path):
    _, (frame, _), _ = made
    (tmp_path / "words.png").write_text("no picture")
    few = frame.head(8).with_columns(
        front=pl.Series([*frame["front"][:7], str(tmp_path / "words.png")]),
        back=pl.Series([str(tmp_path / "gone.png"), *frame["back"][1:8]]),
    )
    few.write_csv(tmp_path / "few.csv")
    kept = with_readable_pictures(read(tmp_path / "few.csv"))
    said = {one.column: one.message for one in kept.schema.findings("broken-picture")}
    assert len(kept) == 6 and "words.png" in said["front"] and "gone.png" in said["back"]
    fitted = ImageRegressor(**{**SMALL, "epochs": 1}).fit(kept, few["size"][1:7])
    with pytest.raises(InputError, match=r"every row must have a picture in 'back'.*row 1"):
        fitted.predict(few.with_columns(back=pl.lit(None, pl.String)))
    with pytest.raises(InputError, match="rows without 'back'"):
        fitted.predict(few.drop("back"))


def test_classic_models_see_every_picture(made):
    _, (frame, _), (new, _) = made
    train, test, roles = beside_classic_columns(frame, new, ("front", "back"), ["size"])
    assert train.columns == test.columns and train.columns[0] == "size" and train.height == 240 and test.height == 80
    ends = {name.rsplit(" of ", 1)[1] for name in roles}
    assert ends == {"front", "back"} and set(roles) == set(train.columns[1:])
    bare, _, _ = beside_classic_columns(frame, new, ("front",), [])
    assert bare.columns[0] == "component 1" and np.allclose(
        bare.to_numpy(), train.select(pl.col("^component .* front$")).to_numpy()
    )
