"""Estimators of texts, by learned word pieces and on a pretrained network of transformers made here."""

import json
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import glia
from glia.core.errors import InputError
from glia.nn import Backbone, TextConvNet

GOOD, BAD = ["good", "fine", "lovely", "great"], ["bad", "awful", "dull", "poor"]
NEUTRAL = ["the", "a", "film", "of", "and", "story", "with", "cast", "plot", "was", "very", "it", "in"]


def sentences(n, seed=0):
    chance = np.random.default_rng(seed)
    y = chance.integers(0, 2, n)
    found = []
    for label in y:
        drawn = [str(w) for w in chance.choice(NEUTRAL, chance.integers(3, 9))]
        drawn.insert(int(chance.integers(0, len(drawn))), str(chance.choice(GOOD if label else BAD)))
        found.append(" ".join(drawn))
    return found, np.array(["bad", "good"])[y]


@pytest.fixture(scope="module")
def fitted():
    return glia.TextClassifier(epochs=16, random_state=0).fit(*sentences(140))


def test_words_that_decide_are_found(fitted):
    X, y = sentences(200, seed=1)
    assert fitted.score(X, y) > 0.97
    assert fitted.predict_proba(X).shape == (200, 2)
    assert fitted.feature_names == ["text"]
    shuffled = np.random.default_rng(0).permutation(sentences(140)[1])  # negative control
    control = glia.TextClassifier(epochs=16, random_state=0).fit(sentences(140)[0], shuffled)
    assert control.score(X, y) < 0.75


def test_padding_says_nothing(fitted):
    X, _ = sentences(3, seed=2)
    x = fitted.prepare(X)
    other = x.clone()
    other[..., 0][x[..., 1] == 0] = 5
    with torch.no_grad():
        assert torch.equal(fitted.network_(x), fitted.network_(other))
        longer = torch.cat([x, torch.zeros(3, 20, 2)], dim=1)
        torch.testing.assert_close(fitted.network_(longer), fitted.network_(x), rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_tables_the_same_as_lists(fitted):
    X, y = sentences(140)
    again = clone(fitted).fit(pd.DataFrame({"review": X}), pd.Series(y))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_saved_and_loaded_it_answers_the_same(fitted, tmp_path):
    glia.save(fitted, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    X, _ = sentences(30, seed=3)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert isinstance(again.spec_, TextConvNet)


def test_scikit_learn_can_use_it():
    X, y = sentences(80)
    found = cross_val_score(glia.TextClassifier(epochs=16), X, y, cv=2)
    assert found.min() > 0.6


def test_quantities_are_read_off_texts(tmp_path):
    X, _ = sentences(150)
    values = np.array([3.0 * text.count("good") + len(text.split()) for text in X])
    model = glia.TextRegressor(epochs=30, random_state=0).fit(X, values)
    assert model.score(X, values) > 0.8
    glia.save(model, tmp_path / "m.glia")
    assert np.array_equal(glia.load(tmp_path / "m.glia").predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"preparation": "none"}, "TextPreparation"), ({"network": "resnet"}, "images"), ({"effort": "much"}, "effort")],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(InputError, match=message):
        glia.TextClassifier(**options).fit(*sentences(20))


def test_missing_and_empty_texts_are_answered(fitted):
    found = fitted.predict_proba(["", None, "zzz qqq"])
    assert np.isfinite(found).all()


def test_checkpoints_of_texts_go_on(tmp_path):
    X, y = sentences(60)
    whole = glia.TextClassifier(epochs=4, random_state=0).fit(X, y)
    kept = glia.TextClassifier(epochs=4, random_state=0, checkpoint=tmp_path / "c").fit(X, y)
    again = glia.TextClassifier(epochs=4, random_state=0, checkpoint=tmp_path / "c").fit(X, y)
    for other in (kept, again):
        assert np.array_equal(other.predict_proba(X), whole.predict_proba(X))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with random weights and a tokenizer, as ``save_pretrained`` writes them."""
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    place = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *NEUTRAL]
    (place / "vocab.txt").write_text("\n".join(pieces))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=40,
    )  # fmt: skip
    transformers.logging.disable_progress_bar()
    transformers.BertModel(config).save_pretrained(place)
    transformers.BertTokenizer(str(place / "vocab.txt")).save_pretrained(place)
    return place


@pytest.fixture
def copied(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.parametrize("tune", ["frozen", "full", "gradual", "lora"])
def test_a_pretrained_network_needs_no_folder_once_it_is_saved(copied, tmp_path, tune):
    X, y = sentences(60)
    preparation = "auto" if tune == "full" else glia.TextPreparation(str(copied), max_length=12)
    model = glia.TextClassifier(Backbone(copied, tune=tune, rate=0.3), preparation, epochs=4, random_state=0).fit(X, y)
    expected = model.predict_proba(X)
    glia.save(model, tmp_path / "m.glia")
    shutil.rmtree(copied)
    again = glia.load(tmp_path / "m.glia")
    assert np.array_equal(again.predict_proba(X), expected)
    assert again.spec_.source["model_type"] == "bert"
    assert tune == "full" or again.preparation.max_length == 12
    glia.save(again, tmp_path / "n.glia")
    assert np.array_equal(glia.load(tmp_path / "n.glia").predict_proba(X), expected)
    with zipfile.ZipFile(tmp_path / "m.glia") as archive:
        names = set(archive.namelist())
        text = b"".join(archive.read(name) for name in names if name.endswith(".json")).decode()
    assert all(name.endswith((".json", ".safetensors")) for name in names)
    assert str(tmp_path) not in text
    assert "auto_map" not in text and "_name_or_path" not in text


def test_pretrained_weights_are_those_of_the_folder(folder):
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    X, y = sentences(40)
    model = glia.TextClassifier(Backbone(folder), epochs=2).fit(X, y)
    plain = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    cut = transformers.AutoTokenizer.from_pretrained(folder)(X, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = plain(input_ids=cut["input_ids"], attention_mask=cut["attention_mask"])[0]
        mask = cut["attention_mask"].unsqueeze(-1)
        expected = (states * mask).sum(1) / mask.sum(1)
        found = model.network_.encode(model.prepare(X))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_whole_network_tuned_learns_and_one_with_random_weights_too(folder):
    X, y = sentences(120)
    config = json.loads((folder / "config.json").read_text())
    for source in (folder, config):
        options = {} if source is folder else {"preparation": glia.TextPreparation(tokenizer=folder)}
        network = Backbone(source, tune="full", rate=0.5, rate_decay=1.0)
        model = glia.TextClassifier(network, **options, epochs=12, random_state=0).fit(X, y)
        assert model.score(*sentences(100, seed=5)) > 0.85


def test_a_killed_gradual_fit_goes_on_to_the_same_bits(folder, tmp_path, monkeypatch):
    from glia.engine.loop import Trainer

    X, y = sentences(60)

    def fit(checkpoint=None):
        network = Backbone(folder, tune="gradual", rate=0.3, until=0.8)
        return glia.TextClassifier(network, epochs=4, random_state=0, checkpoint=checkpoint).fit(X, y)

    expected = fit().predict_proba(X)
    plain = Trainer.train_step

    def die(self, *batch):
        if self.step == 9:
            raise ZeroDivisionError
        return plain(self, *batch)

    kept = glia.Checkpoints(tmp_path / "c", every="1 epochs")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", die)
        with pytest.raises(ZeroDivisionError):
            fit(kept)
    resumed = fit(kept)
    assert any(event["event"] == "resumed" for event in resumed.events_)
    assert np.array_equal(resumed.predict_proba(X), expected)


def test_what_does_not_fit_a_network_is_said(folder, tmp_path):
    X, y = sentences(20)
    with pytest.raises(InputError, match="at most 40 tokens"):
        glia.TextClassifier(Backbone(folder), glia.TextPreparation(tokenizer=folder, max_length=50)).fit(X, y)
    with pytest.raises(InputError, match="own tokenizer"):
        glia.TextClassifier(Backbone(folder), glia.TextPreparation("word_pieces")).fit(X, y)
    with pytest.raises(InputError, match="must be texts"):
        glia.Classifier(Backbone(folder)).fit(np.zeros((20, 3)), y)
    with pytest.raises(InputError, match="gradual unfreezing is for one network"):
        glia.TextClassifier(Backbone(folder, tune="gradual"), members=2).fit(X, y)
    bad = tmp_path / "bad"
    shutil.copytree(folder, bad)
    (bad / "model.safetensors").rename(bad / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        glia.TextClassifier(Backbone(bad)).fit(X, y)


def test_a_file_cannot_bring_code(folder, tmp_path):
    """A configuration that names code, and one that is none."""
    X, y = sentences(20)
    model = glia.TextClassifier(Backbone(folder), epochs=1).fit(X, y)
    model.spec_._described["config"] |= {"auto_map": {"AutoModel": "evil.Model"}, "_attn_implementation": "x/y"}
    glia.save(model, tmp_path / "m.glia")
    assert type(glia.load(tmp_path / "m.glia").network_.features.model).__module__.startswith("transformers.")
    model.spec_._described["config"]["model_type"] = "evil"
    glia.save(model, tmp_path / "n.glia")
    with pytest.raises(glia.core.errors.ModelFileError):
        glia.load(tmp_path / "n.glia")
