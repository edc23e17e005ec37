"""Sounds: files of all codings, the mel scale at known frequencies, pure tones, energy, resampling, folders."""

import io
import wave

import numpy as np
import pytest
import torch
from scipy import signal
from scipy.io import wavfile

from glia.core.errors import InputError, ModelFileError
from glia.data.audio import (
    AudioPreparation,
    LogMel,
    as_sounds,
    hertz,
    look_at_wav,
    mel,
    mel_filters,
    read_audio_folder,
    read_wav,
    resampled,
)  # fmt: skip


def tone(frequency, seconds=1.0, rate=8000):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32", "float64", "int24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_all_codings_say_the_same(tmp_path, kind, channels):
    wanted = 0.5 * tone(440, 0.1)
    both = np.stack([wanted, wanted], 1) if channels == 2 else wanted
    path = tmp_path / "a.wav"
    if kind == "int24":
        whole = np.rint(both.reshape(len(wanted), -1) * (2**23 - 1)).astype("<i4")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels), file.setsampwidth(3), file.setframerate(8000)
            file.writeframes(whole.view("u1").reshape(*whole.shape, 4)[..., :3].tobytes())
    elif kind.startswith("float"):
        wavfile.write(path, 8000, both.astype(kind))
    elif kind == "uint8":
        wavfile.write(path, 8000, np.rint(both * 127 + 128).astype("u1"))
    else:
        wavfile.write(path, 8000, np.rint(both * np.iinfo(kind).max).astype(kind))
    samples, rate = read_wav(path)
    assert rate == 8000 and samples.dtype == np.float32 and samples.shape == (800,)
    np.testing.assert_allclose(samples, wanted, atol=0.01 if kind == "uint8" else 1e-4)
    clip = look_at_wav(path)
    assert (clip.frames, clip.channels, clip.seconds) == (800, channels, 0.1)


def test_channels_are_averaged_and_the_middle_is_kept(tmp_path):
    left, right = np.arange(1000, dtype=np.float32) / 1000, np.zeros(1000, np.float32)
    wavfile.write(tmp_path / "a.wav", 1000, np.stack([left, right], 1))
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav")[0], left / 2, atol=1e-7)
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav", 0.2)[0], left[400:600] / 2, atol=1e-7)


def test_an_hour_is_read_no_further_than_asked(tmp_path):
    """The file is sparse: reading all of it would take 58 MB, and many times that as float."""
    head = io.BytesIO()
    wavfile.write(head, 8000, np.zeros(1, np.int16))
    frames = 3600 * 8000
    data = bytearray(head.getvalue()[:44])
    data[4:8], data[40:44] = (36 + 2 * frames).to_bytes(4, "little"), (2 * frames).to_bytes(4, "little")
    path = tmp_path / "hour.wav"
    with open(path, "wb") as file:
        file.write(data)
        file.truncate(44 + 2 * frames)
    assert look_at_wav(path).seconds == 3600
    assert read_wav(path, 2.0)[0].shape == (16000,)
    assert AudioPreparation(seconds=2.0).fit([str(path)] * 2).layout_.shape[1] == 41


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no bytes"),
        (b"just some text, no sound at all", "no RIFF/WAVE header"),
        (b"RIFF\x24\x00\x00\x00WAVE", "wav must be|a WAV file must be whole"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x07\x00\x01\x00" + 10 * b"\x40\x1f\x00", "whole"),
    ],
)  # fmt: skip
def test_broken_files_are_named(tmp_path, content, said):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        look_at_wav(path)
    assert "broken.wav" in str(raised.value)


def test_files_without_a_sample_and_not_a_number(tmp_path):
    wavfile.write(tmp_path / "none.wav", 8000, np.zeros(0, np.int16))
    with pytest.raises(InputError, match=r"must have samples · got none\.wav"):
        look_at_wav(tmp_path / "none.wav")
    wavfile.write(tmp_path / "nan.wav", 8000, np.array([0, np.nan], np.float32))
    with pytest.raises(InputError, match=r"finite · got NaN or infinity in nan\.wav"):
        read_wav(tmp_path / "nan.wav")
    with pytest.raises(InputError, match="No such file"):
        look_at_wav(tmp_path / "absent.wav")


def test_the_mel_scale_at_known_frequencies():
    """1000 Hz are 1000 mels to the scale's rounding; the others by hand: 2595 log10(2), 2595 log10(11)."""
    np.testing.assert_allclose(mel([0, 700, 1000, 7000]), [0, 781.1728, 999.9855, 2702.4140], atol=1e-3)
    np.testing.assert_allclose(hertz(mel([20, 440, 4000])), [20, 440, 4000], rtol=1e-12)


def test_filters_are_triangles_that_share_what_lies_between_centres():
    filters = mel_filters(20, 512, 8000, 20, 4000)
    assert filters.shape == (20, 257) and filters.min() == 0 and filters.max() <= 1
    centres = hertz(np.linspace(mel(20), mel(4000), 22)[1:-1])
    found = np.arange(257)[filters.argmax(axis=1)] * 8000 / 512
    assert np.abs(found - centres).max() <= 8000 / 512
    between = (np.arange(257) * 8000 / 512 > centres[0]) & (np.arange(257) * 8000 / 512 < centres[-1])
    np.testing.assert_allclose(filters[:, between].sum(axis=0), 1.0, atol=1e-9)
    assert (mel_filters(40, 64, 8000, 20, 4000).sum(axis=1) > 0).all()  # narrower than the transform can tell


@pytest.mark.parametrize("frequency", [150.0, 440.0, 1000.0, 2500.0])
def test_a_pure_tone_lands_in_its_band(frequency):
    spectra = LogMel(8000)
    found = spectra(torch.from_numpy(tone(frequency)).float())
    centres = np.linspace(mel(20), mel(4000), 42)[1:-1]
    nearest = int(np.abs(centres - mel(frequency)).argmin())
    assert (found.argmax(1) - nearest).abs().max() <= 1
    quiet = [band for band in range(40) if abs(band - nearest) > 8]
    assert (found.max(1).values[:, None] - found[:, quiet]).min() > 4  # e⁴ times the power


def test_power_is_scipys_and_keeps_the_energy():
    samples = np.random.default_rng(0).normal(size=4000)
    spectra = LogMel(8000, window=0.032, hop=0.016)
    found = spectra.power(torch.from_numpy(samples).float()).numpy()
    window = signal.windows.hann(256, sym=False)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 256)[::128] * window
    np.testing.assert_allclose(found.shape, (len(frames), 129))
    energy = found[:, 0] + found[:, -1] + 2 * found[:, 1:-1].sum(axis=1)  # Parseval
    np.testing.assert_allclose(energy, (frames**2).sum(axis=1), rtol=1e-4)
    _, _, theirs = signal.spectrogram(
        samples, window=window, noverlap=128, detrend=False, scaling="spectrum", mode="psd"
    )
    theirs = theirs.T * window.sum() ** 2 / 256
    theirs[:, 1:-1] /= 2  # one-sided there
    np.testing.assert_allclose(found, theirs, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize(("rate", "to"), [(44100, 8000), (8000, 16000), (22050, 16000)])
def test_resampling_keeps_tones_and_takes_out_what_does_not_fit(rate, to):
    kept = resampled(tone(440, 1.0, rate).astype(np.float32), rate, to)
    assert abs(len(kept) - to) <= 1
    middle = slice(to // 10, -to // 10)
    np.testing.assert_allclose(kept[middle], tone(440, 1.0, to)[middle][: len(kept[middle])], atol=0.01)
    if rate > 2 * to:  # a tone above half the new rate is gone and does not come back as another
        gone = resampled(tone(0.4 * rate, 1.0, rate).astype(np.float32), rate, to)
        assert np.abs(gone[middle]).max() < 0.01


def sounds(count=12, seed=0):
    rng = np.random.default_rng(seed)
    return [tone(300 + 50 * i, rng.uniform(0.1, 0.5)) + 0.1 * rng.normal(size=1) for i in range(count)]


def test_preparation_pads_masks_and_does_not_hear_loudness():
    made = AudioPreparation(seconds=0.4).fit(as_sounds(sounds(), 8000))
    found = made.transform(as_sounds(sounds(), 8000))
    assert found.shape == (12, *made.layout_.shape) and made.layout_.shape == (24, 41) and found.dtype == np.float32
    assert set(np.unique(found[..., -1])) == {0.0, 1.0}
    assert (np.diff(found[..., -1], axis=1) <= 0).all() and (found[found[..., -1] == 0] == 0).all()
    louder = made.transform(as_sounds([50 * one for one in sounds()], 8000))
    np.testing.assert_allclose(louder, found, atol=1e-3)
    real = made.fit_transform(as_sounds([np.random.default_rng(i).normal(size=3000) for i in range(5)], 8000))
    real = real[real[..., -1] > 0][:, :-1]
    np.testing.assert_allclose(real.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(real.std(axis=0), 1, atol=1e-2)


def test_preparation_takes_odd_sounds():
    made = AudioPreparation().fit(as_sounds(sounds(), 8000))
    odd = made.transform(as_sounds([np.zeros(4000), np.ones(1), tone(440, 30.0)], 8000))
    assert np.isfinite(odd).all() and odd[1, :, -1].sum() == 1 and odd[2, :, -1].all()
    other = AudioPreparation(form="picture", scale="per_clip").fit(as_sounds(sounds(), 8000))
    assert (
        other.transform(as_sounds(sounds(), 8000)).shape == (12, *other.layout_.shape) and other.layout_.shape[0] == 1
    )


def test_preparation_comes_back_from_its_state():
    made = AudioPreparation(seconds=0.3, bands=20).fit(as_sounds(sounds(), 8000))
    state, arrays = made.to_state()
    again = AudioPreparation.from_state(state, arrays)
    rows = as_sounds(sounds(5, 3), 8000)
    np.testing.assert_array_equal(made.transform(rows), again.transform(rows))
    with pytest.raises(ModelFileError, match="fit together"):
        AudioPreparation.from_state(state, {**arrays, "std": -arrays["std"]})
    with pytest.raises(ModelFileError, match="version"):
        AudioPreparation.from_state({**state, "version": 9}, arrays)


def test_rows_are_checked():
    with pytest.raises(InputError, match="need their rate"):
        as_sounds([np.zeros(10)])
    with pytest.raises(InputError, match=r"sound 1 of shape \(0,\)"):
        as_sounds([np.zeros(10), np.zeros(0)], 8000)
    with pytest.raises(InputError, match="must be a folder"):
        as_sounds(3)
    rows = as_sounds(sounds(), 8000)
    assert len(rows[np.array([3, 1])]) == 2 and rows[np.array([3, 3])].identity()["sound"].n_unique() == 1
    for wrong in ({"sample_rate": 5}, {"seconds": 0}, {"form": "x"}, {"hop": 1e-9}, {"bands": 1000}):
        with pytest.raises(InputError):
            AudioPreparation(**wrong).fit(rows)


def write(path, frequency=440.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, 8000, (tone(frequency, 0.1) * 1e4).astype(np.int16))


def test_folders_have_classes_groups_and_broken_files(tmp_path):
    for name in ("yes/ann/1.wav", "yes/bob/1.wav", "no/ann/1.WAV", "no/bob/2.wav"):
        write(tmp_path / name)
    (tmp_path / "no" / "bob" / "bad.wav").write_text("no sound")
    (tmp_path / "no" / "readme.txt").write_text("notes")
    found = read_audio_folder(tmp_path)
    assert found.names == ("no/ann/1.WAV", "no/bob/2.wav", "yes/ann/1.wav", "yes/bob/1.wav")
    assert found.classes == ("no", "no", "yes", "yes") and found.groups == ("ann", "bob", "ann", "bob")
    assert found.broken[0][0] == "no/bob/bad.wav" and "1 file could not be read" in found.remark
    assert len(read_audio_folder(tmp_path, limit=3)) == 3
    with pytest.raises(InputError, match="no such folder"):
        read_audio_folder(tmp_path / "absent")
    with pytest.raises(InputError, match="there must be sounds"):
        read_audio_folder((tmp_path / "empty").mkdir() or tmp_path / "empty")


def test_a_manifest_says_what_sounds_are(tmp_path):
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name)
    file = tmp_path / "manifest.csv"
    file.write_text("path,word,speaker\nb.wav,no,2\na.wav,yes,1\ngone.wav,no,1\n")
    found = read_audio_folder(tmp_path, label="word", group="speaker")
    assert found.names == ("b.wav", "a.wav") and found.classes == ("no", "yes") and found.groups == ("2", "1")
    assert found.broken[0][0] == "gone.wav"
    for text, said in (
        ("word\nno\n", "must have a column of paths"),
        ("path,label\n../a.wav,no\n", "must lie below its folder"),
        ("path,label\na.wav,no\na.wav,yes\n", "each sound once"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=said):
            read_audio_folder(tmp_path)
    with pytest.raises(InputError, match="must have the column"):
        file.write_text("path,label\na.wav,no\n")
        read_audio_folder(tmp_path, group="speaker")
