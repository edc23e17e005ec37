"""Sounds are told apart; speakers stay on one side; masks leak nothing; files come back."""

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from scipy.signal import resample_poly

import glia
from glia import AudioClassifier, AudioPreparation, InputError, SpecAugment
from glia.engine.augmented import AugmentedRows
from glia.engine.spectrum_masks import SpectrumMasks
from glia.nn import GRU

RATE = 4000


def sounds(count=60, seed=0):
    """Chirps up and chirps down of different lengths, in noise: their mean spectra are the same."""
    rng = np.random.default_rng(seed)
    found, labels = [], np.where(np.arange(count) % 2, "up", "down")
    for label in labels:
        time = np.arange(int(RATE * rng.uniform(0.25, 0.6))) / RATE
        low, high = (300, 1500) if label == "up" else (1500, 300)
        phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * time[-1]))
        found.append(np.sin(phase) + 0.2 * rng.normal(size=len(time)))
    return found, labels


@pytest.fixture(scope="module")
def fitted():
    X, y = sounds()
    how = {"epochs": 12, "augment": SpecAugment(), "preparation": AudioPreparation(bands=16)}
    return AudioClassifier(sample_rate=RATE, network=GRU(hidden=16), **how).fit(X, y)


def test_chirps_are_told_by_their_direction(fitted):
    X, y = sounds(40, 1)
    assert fitted.score(X, y) > 0.9
    backwards = [one[::-1] for one in X]  # the control: the same spectra in the other order
    assert fitted.score(backwards, y) < 0.1


def test_what_lies_in_padding_changes_no_answer(fitted):
    X, _ = sounds(4, 2)
    prepared = fitted.prepare(X)
    other = prepared.clone()
    other[..., :-1] += 7.0 * (prepared[..., -1:] < 0.5)
    assert not torch.equal(other, prepared)
    torch.testing.assert_close(fitted.forward(other), fitted.forward(prepared), rtol=0, atol=0)


def test_a_model_comes_back_from_its_file(fitted, tmp_path):
    X, y = sounds(10, 3)
    glia.save(fitted, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.get_params()["sample_rate"] == RATE and isinstance(again.preparation, AudioPreparation)
    assert again.evaluate(X, y, n_boot=1).metrics["accuracy"].value == fitted.score(X, y)


def test_other_rates_are_heard_alike(fitted):
    X, y = sounds(20, 4)
    slow = fitted.predict_proba(X)
    other = glia.AudioClassifier(**{**fitted.get_params(deep=False), "sample_rate": 2 * RATE})
    other.__dict__.update({k: v for k, v in fitted.__dict__.items() if k.endswith("_") or k.startswith("_")})
    fast = other.predict_proba([resample_poly(one, 2, 1) for one in X])
    assert (
        np.abs(fast - slow).max() < 0.25 and (other.predict([resample_poly(one, 2, 1) for one in X]) == y).mean() > 0.8
    )


def test_no_speaker_is_on_both_sides(monkeypatch):
    X, y = sounds(240)
    X = [one[:600] for one in X]
    speakers = np.repeat(np.arange(12), 20)
    marks = {one.astype(np.float32).tobytes(): s for one, s in zip(X, speakers, strict=True)}
    seen = {}
    whole = AudioClassifier._parts

    def parts(self, rows, *rest):
        found = whole(self, rows, *rest)
        seen["train"] = {marks[one.tobytes()] for one in found[0].items}
        seen["valid"] = {marks[one.tobytes()] for one in found[3][0].items}
        return found

    monkeypatch.setattr(AudioClassifier, "_parts", parts)
    model = AudioClassifier(sample_rate=RATE, network=GRU(hidden=4), epochs=1, preparation=AudioPreparation(bands=8))
    model.fit(X, y, groups=speakers)
    assert seen["train"] and seen["valid"] and not seen["train"] & seen["valid"]
    assert seen["train"] | seen["valid"] == set(range(12))
    model.fit(X, y)
    assert seen["train"] & seen["valid"]  # the control: without groups they are


def test_folders_paths_and_pictures_of_spectra(tmp_path):
    X, y = sounds(24)
    for place, (one, label) in enumerate(zip(X, y, strict=True)):
        folder = tmp_path / "s" / label / f"p{place % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        wavfile.write(folder / f"{place}.wav", RATE, (one / np.abs(one).max() * 3e4).astype(np.int16))
    (tmp_path / "s" / "up" / "bad.wav").write_text("words")
    preparation = AudioPreparation(bands=16, form="picture", seconds=0.4)
    model = AudioClassifier(preparation=preparation, epochs=2)
    with pytest.warns(UserWarning, match=r"1 file could not be read and was left out: up/bad\.wav"):
        model.fit(tmp_path / "s")
    assert model.layout_.shape == (1, 16, model.layout_.shape[2]) and model.broken_[0][0] == "up/bad.wav"
    paths = sorted(str(path) for path in (tmp_path / "s").rglob("*.wav") if path.name != "bad.wav")
    assert set(model.predict(paths)) <= {"up", "down"}
    frame = model.predict_frame(tmp_path / "s" / "down")
    assert frame.columns == ["file", "prediction", "probability_down", "probability_up"] and frame.height == 12
    with pytest.raises(InputError, match=r"bad\.wav"):
        model.predict([str(tmp_path / "s" / "up" / "bad.wav")])


def test_masks_cover_what_they_should():
    x = torch.ones(200, 50, 21)
    x[:100, 30:] = 0.0
    masks = SpectrumMasks(times=2, time_share=0.2, bands=1, band_share=0.3)
    changed = masks(x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(changed[..., -1], x[..., -1], rtol=0, atol=0)  # the mask of steps stays
    torch.testing.assert_close(changed, masks(x, torch.Generator().manual_seed(0)), rtol=0, atol=0)
    gone = (changed[..., :-1] == 0) & (x[..., :-1] == 1)
    rows = gone.all(2)  # whole steps
    for part, steps in ((slice(0, 100), 30), (slice(100, 200), 50)):
        covered = rows[part, :steps].float().sum(1)
        assert covered.mean() > 0 and covered.max() <= 2 * round(0.2 * steps)
        share = covered.mean() / steps  # two masks of a uniform share up to 0.2, which may overlap
        assert 0.15 < share < 0.21
    bands = gone[100:].all(1).float().sum(1)
    assert bands.max() <= 6 and 2 < bands.mean() < 4
    picture = torch.ones(8, 1, 20, 50)
    found = masks(picture, torch.Generator().manual_seed(1))
    assert found.shape == picture.shape and 0 < (found == 0).float().mean() < 0.7
    assert torch.equal(SpectrumMasks(times=0, bands=0)(x, torch.Generator()), x)


def test_augmentation_is_in_training_alone_and_only_where_it_is_asked_for(fitted):
    X, y = sounds(20)
    rows = fitted.prepare(X)
    source = fitted._drawn(glia.engine.rows.Rows(rows, torch.zeros(len(rows))))
    assert isinstance(source, AugmentedRows)
    plain = AudioClassifier(sample_rate=RATE, network=GRU(hidden=4), epochs=1).fit(X, y)
    assert "accuracy" in plain.choices_["augment"]["why"]  # what was measured speaks against it
    assert not isinstance(plain._drawn(glia.engine.rows.Rows(plain.prepare(X), torch.zeros(20))), AugmentedRows)
    np.testing.assert_array_equal(fitted.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sample_rate": None}, "arrays of samples need their rate"),
        ({"augment": "much"}, "augment must be"),
        ({"augment": SpecAugment(time_share=0.9)}, "time_share must be in"),
        ({"preparation": "none"}, "preparation must be"),
        ({"network": "resnet"}, "takes images"),
    ],
)
def test_settings_are_checked(settings, said):
    X, y = sounds(12)
    with pytest.raises(InputError, match=said):
        AudioClassifier(**{"sample_rate": RATE, "epochs": 1, **settings}).fit(X, y)
