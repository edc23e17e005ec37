"""Pictures on a pretrained network of transformers by the command line."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import glia
from glia.cli.main import run
from glia.core.errors import InputError
from glia.data.images import ImagePreparation
from glia.estimators.backbone_folder import backbone_reads, picture_preparation

FLAGS = ["--epochs", "2", "--bootstrap", "20", "--quiet"]
MEAN, DEVIATION = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny vision transformer with random weights, and how its pictures are made, as ``save_pretrained`` writes."""
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    place = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=16, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    transformers.logging.disable_progress_bar()
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(place)
    sizes = {"size": {"height": 16, "width": 16}, "image_mean": MEAN, "image_std": DEVIATION, "do_normalize": True}
    (place / "preprocessor_config.json").write_text(json.dumps(sizes))
    return place


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    place, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    rows = []
    for i in range(40):
        kind = ("dark", "light")[i % 2]
        (place / "p" / kind).mkdir(parents=True, exist_ok=True)
        pixels = np.clip(rng.normal((70, 180)[i % 2], 20, (20, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / "p" / kind / f"{i}.png")
        rows.append((f"p/{kind}/{i}.png", float(rng.normal()), kind))
    pl.DataFrame(rows, schema=["photo", "noise", "kind"], orient="row").write_csv(place / "table.csv")
    return place


def refused(capsys, flags):
    capsys.readouterr()
    status, said = run(flags), capsys.readouterr().err
    assert status == 2 and "Traceback" not in said
    return said


@pytest.mark.parametrize("tune", ["frozen", "lora"])
def test_a_folder_of_pictures(folder, photos, tmp_path, tune):
    flags = ["--backbone", str(folder), "--tune", tune, "--out", str(tmp_path / "run"), *FLAGS]
    assert run(["fit", str(photos / "p"), *flags]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["network"]["name"] == "BackboneNetwork" and record["settings"]["tune"] == tune
    assert str(folder) in (tmp_path / "run" / "report.html").read_text() and record["comparison"]
    model = tmp_path / "run" / "model.glia"
    assert glia.load(model).preparation_.layout_.shape == (3, 16, 16)
    assert run(["predict", str(model), str(photos / "p"), "--out", str(tmp_path / "p.csv")]) == 0
    assert run(["explain", str(model), str(photos / "p"), "--out", str(tmp_path / "explained")]) == 0


def test_a_table_with_pictures(folder, photos, tmp_path):
    flags = ["--target", "kind", "--backbone", str(folder), "--out", str(tmp_path / "run"), *FLAGS]
    assert run(["fit", str(photos / "table.csv"), *flags]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["network"]["name"] == "PictureAndTableNetwork"


def test_pictures_are_as_the_network_wants_them(folder, photos):
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    paths = sorted((photos / "p").glob("*/*.png"))[:5]
    squares = [np.asarray(Image.open(path).resize((16, 16))) for path in paths]  # resampling is not what is compared
    made = picture_preparation(str(folder)).fit(np.stack(squares).transpose(0, 3, 1, 2))
    processor = transformers.ViTImageProcessor(image_mean=MEAN, image_std=DEVIATION, do_resize=False)
    wanted = processor(squares, return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(made.transform(np.stack(squares).transpose(0, 3, 1, 2)), wanted, atol=1e-5)
    again = ImagePreparation.from_state(*made.to_state())
    assert again.scale == made.scale == (tuple(MEAN), tuple(DEVIATION))


def test_what_a_folder_tells(folder, tmp_path):
    assert backbone_reads(str(folder)) == "pictures" and backbone_reads(str(tmp_path)) == "texts"

    def told(config, asked):
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(asked))
        found = picture_preparation(str(tmp_path))
        return found.size, found.channels, found.scale

    assert told({"num_channels": 3, "image_size": 224}, {"do_normalize": False}) == (224, 3, "unit")
    assert told({"num_channels": 1}, {"size": {"shortest_edge": 96}}) == (96, 1, "standard")
    assert told({"num_channels": 3}, {"crop_size": 64, "image_mean": [0.5], "image_std": [0.5]}) == (64, 3, "standard")
    assert told({"num_channels": 3}, {"image_mean": [0, 0, 0], "image_std": [1, 0, 1]}) == ("auto", 3, "standard")
    assert told({"num_channels": 7, "image_size": True}, []) == ("auto", "auto", "standard")
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert backbone_reads(str(tmp_path)) == "texts"


def test_what_is_refused(folder, photos, tmp_path, capsys):
    table = tmp_path / "t.csv"
    pl.read_csv(photos / "table.csv").drop("photo").write_csv(table)
    assert "reads pictures" in refused(capsys, ["fit", str(table), "--target", "kind", "--backbone", str(folder)])
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "model.safetensors").unlink()
    assert "without model.safetensors" in refused(capsys, ["fit", str(photos / "p"), "--backbone", str(bare)])
    (bare / "model.safetensors").write_bytes(b"no weights")
    assert "must be readable" in refused(capsys, ["fit", str(photos / "p"), "--backbone", str(bare)])
    assert "reads texts" in refused(capsys, ["fit", str(photos / "p"), "--backbone", str(tmp_path / "none")])


@pytest.mark.parametrize("scale", [("a", "b"), ((0.5,), (0.5, 0.5)), ((0.5,), (0.0,)), ((np.nan,), (1.0,)), 3])
def test_scales_that_cannot_be(scale):
    with pytest.raises(InputError, match="scale must be"):
        ImagePreparation(scale=scale).fit(np.zeros((4, 8, 8)))


def test_a_scale_for_other_channels():
    with pytest.raises(InputError, match="for each channel"):
        ImagePreparation(scale=((0.5,) * 3, (0.5,) * 3)).fit(np.random.default_rng(0).random((4, 8, 8)))
