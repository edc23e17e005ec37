"""Pictures on pretrained networks: of transformers, made here with random weights, and of one's own."""

import shutil

import numpy as np
import pytest
import torch

import glia
from glia.core.errors import InputError, ModelFileError
from glia.engine.frozen_views import VIEWS
from glia.nn import Backbone, ConvNet
from glia.nn.backbone_network import BackboneNetwork


def pictures(n, seed=0, shift=0):
    """Bars that lie or stand, somewhere, with noise."""
    chance = np.random.default_rng(seed)
    x, y = chance.normal(0, 0.1, (n, 8, 8)), chance.integers(0, 2, n)
    for one, kind in zip(x, y, strict=True):
        place = chance.integers(1, 7)
        if kind:
            one[place] += 1
        else:
            one[:, place] += 1
    return x.astype(np.float32) + shift, y


@pytest.fixture(scope="module")
def expert():
    network = ConvNet((8, 16), head="flatten")
    return glia.ImageClassifier(network, epochs=8, augment="none", random_state=0).fit(*pictures(200))


def fit(network, n=24, **options):
    options = {"epochs": 30, "augment": "none", "early_stopping": False, "random_state": 0} | options
    return glia.ImageClassifier(network, **options).fit(*pictures(n, seed=1))


def test_features_help_where_labels_are_few(expert):
    judged = pictures(300, seed=2)
    frozen = fit(Backbone(expert.network_), 10)
    assert frozen.score(*judged) > 0.9
    control = []
    for seed in range(4):
        torch.manual_seed(seed)
        random = ConvNet((8, 16), head="flatten").build(expert.layout_, 2)
        control.append(fit(Backbone(random), 10).score(*judged))
    assert frozen.score(*judged) > np.mean(control)


@pytest.mark.parametrize("tune", ["frozen", "full", "gradual", "lora"])
def test_a_module_of_ones_own_is_saved_as_weights(expert, tmp_path, tune):
    network = Backbone(expert.network_, tune=tune)
    model = fit(network, epochs=4)
    glia.save(model, tmp_path / "m.glia")
    X, _ = pictures(40, seed=3)
    again = glia.load(tmp_path / "m.glia", network=network)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ModelFileError, match="network="):
        glia.load(tmp_path / "m.glia")


def test_frozen_is_frozen_to_the_bit(expert):
    model = fit(Backbone(expert.network_, layer="features.1"), epochs=3)
    own, seen = expert.network_.state_dict(), model.network_.state_dict()
    assert all(torch.equal(value, seen[f"features.module.{name}"]) for name, value in own.items())
    assert not model.network_.training


@pytest.mark.parametrize("balance", ["none", "batches"])
def test_features_of_streamed_pictures_are_computed_once_to_the_same_bits(expert, tmp_path, monkeypatch, balance):
    x, y = pictures(60, seed=1)
    y[:30] = 0
    monkeypatch.setattr("glia.nn.backbone_network._VALUES", 8 * 8 * 16)  # 16 at once
    seen, found = [], []
    scaled = glia.ImagePreparation.scaled
    monkeypatch.setattr(
        glia.ImagePreparation, "scaled", lambda self, pixels: seen.append(len(pixels)) or scaled(self, pixels)
    )
    for keep in ("memory", "none"):
        seen.clear()
        options = {"preparation": glia.ImagePreparation(keep=keep), "balance": balance, "augment": "none"}
        model = glia.ImageClassifier(Backbone(expert.network_), epochs=6, early_stopping=False, **options).fit(x, y)
        fitted = list(seen)
        found.append(model.predict_proba(pictures(20, seed=3)[0]))
    assert np.array_equal(*found)
    assert fitted[-4:] == [16, 16, 16, 12] and sum(fitted) <= 2 * 60  # once, besides what the head is scaled by


def test_varied_pictures_train_a_frozen_network_by_some_variants(expert, monkeypatch):
    passed, found = [], []
    encode = BackboneNetwork.encode
    monkeypatch.setattr(BackboneNetwork, "encode", lambda self, x: passed.append(len(x)) or encode(self, x))
    for keep in ("memory", "none"):
        passed.clear()
        options = {"augment": glia.Augment(shift=0.13), "preparation": glia.ImagePreparation(keep=keep), "epochs": 30}
        model = fit(Backbone(expert.network_), n=120, **options)
        assert sum(passed) == 120 + 1 + VIEWS * 120  # the head's scale, a trial of one row, the variants
        found.append(model.predict_proba(pictures(50, seed=2)[0]))
    assert np.array_equal(*found) and model.score(*pictures(300, seed=2)) > 0.85
    plain = fit(Backbone(expert.network_), n=120, epochs=30)
    assert not np.array_equal(plain.predict_proba(pictures(50, seed=2)[0]), found[0])
    passed.clear()
    fit(Backbone(expert.network_), n=120, epochs=3, augment=glia.Augment(mix="mixup"))
    assert sum(passed) == 120 + 3 * 120  # mixed rows are others in every epoch


def test_a_frozen_network_goes_on_from_a_checkpoint(expert, tmp_path):
    whole = fit(Backbone(expert.network_), epochs=6)
    first = fit(Backbone(expert.network_), epochs=6, checkpoint=tmp_path / "c")
    again = fit(Backbone(expert.network_), epochs=6, checkpoint=tmp_path / "c")
    X, _ = pictures(20, seed=3)
    for other in (first, again):
        assert np.array_equal(other.predict_proba(X), whole.predict_proba(X))
    assert len(again.history_) == 6


def made(kind, place):
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    if kind == "vit":
        config = transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8,
            patch_size=4, num_channels=1,
        )  # fmt: skip
        transformers.ViTModel(config).save_pretrained(place)
    else:
        config = transformers.ResNetConfig(
            num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
        )
        transformers.ResNetModel(config).save_pretrained(place)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_networks_of_transformers_for_pictures(kind, tmp_path):
    made(kind, tmp_path / "net")
    model = fit(Backbone(tmp_path / "net", tune="full", rate=0.5), epochs=3)
    X, _ = pictures(20, seed=3)
    expected = model.predict_proba(X)
    glia.save(model, tmp_path / "m.glia")
    shutil.rmtree(tmp_path / "net")
    assert np.array_equal(glia.load(tmp_path / "m.glia").predict_proba(X), expected)


def test_a_network_of_transformers_can_be_handed_in_itself(tmp_path):
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    made("vit", tmp_path / "net")
    whole = transformers.ViTForImageClassification.from_pretrained(tmp_path / "net", ignore_mismatched_sizes=True)
    model = fit(Backbone(whole), epochs=2)
    glia.save(model, tmp_path / "m.glia")
    X, _ = pictures(20, seed=3)
    assert np.array_equal(glia.load(tmp_path / "m.glia").predict_proba(X), model.predict_proba(X))
    assert whole.classifier.weight.requires_grad  # what was handed in is not changed


def test_a_backbone_by_name_alone_says_what_it_needs():
    with pytest.raises(InputError, match="source=None"):
        fit("backbone")
