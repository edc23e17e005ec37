"""Sequences, sounds and texts whose prepared rows are not in memory: the bits of training in memory, in flat memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.io import wavfile
from sklearn.base import clone

import glia
from glia import (
    AudioClassifier,
    AudioPreparation,
    SequenceClassifier,
    SequenceLabeler,
    SequencePreparation,
    SequenceRegressor,
    SpecAugment,
    TextClassifier,
    TextPreparation,
    TextRegressor,
)  # fmt: skip
from glia.core.errors import InputError
from glia.data.audio import rows as audio_rows
from glia.data.series.sequence_rows import MappedSequences
from glia.data.stream import is_mapped, row_store
from glia.data.stream.moments import Moments
from glia.data.stream.row_store import MadeRows, kept, place_for
from glia.engine.bucketed import BucketedRows
from glia.engine.checkpointing import Checkpoints
from glia.engine.indexed_rows import IndexedRows
from glia.nn import GRU, Backbone, ConvNet, TextConvNet
from glia.tuning.prepared import prepare

RNG = np.random.default_rng(0)
RATE = 4000
QUICK = {"epochs": 2, "batch_size": 16}


def ragged(count=130, channels=2, low=3, high=40):
    rows = [RNG.normal(size=(int(n), channels)) for n in RNG.integers(low, high, count)]
    for row in rows[::5]:
        row[1, 0] = np.nan
    return rows, np.array([np.nansum(row[:, 0]) > 0 for row in rows])


def sentences(count=130):
    y = RNG.integers(0, 2, count)
    words = ["the", "film", "was", "a", "story", "of", "it"]
    return [" ".join([*RNG.choice(words, RNG.integers(2, 9)), "good" if one else "bad"]) for one in y], y


SERIES, UP = ragged()
TEXTS, GOOD = sentences()
SOUNDS = [RNG.normal(size=int(n)).astype(np.float32) for n in RNG.integers(900, 3000, 130)]
for one, up in zip(SOUNDS, UP, strict=True):
    one += np.sin(np.arange(len(one)) * (0.3 if up else 0.8)).astype(np.float32)
CASES = {
    "sequences, by length": (
        SequenceClassifier(GRU(hidden=6), SequencePreparation(), **QUICK), SERIES, UP),
    "sequences, quantities": (
        SequenceRegressor(GRU(hidden=6), SequencePreparation(9, "per_series"), **QUICK), SERIES, UP * 1.0),
    "labels of steps": (
        SequenceLabeler(GRU(hidden=6), SequencePreparation(), **QUICK), SERIES, [row[:, 1] > 0 for row in SERIES]),
    "sounds": (
        AudioClassifier(GRU(hidden=6), AudioPreparation(bands=8), SpecAugment(), RATE, **QUICK), SOUNDS, UP),
    "sounds as pictures": (
        AudioClassifier(ConvNet((4,)), AudioPreparation(bands=8, form="picture", scale="per_clip"), sample_rate=RATE,
                        **QUICK), SOUNDS, UP),
    "texts": (TextClassifier(TextConvNet(8, 4), TextPreparation(), **QUICK), TEXTS, GOOD),
    "texts, quantities": (TextRegressor(TextConvNet(8, 4), TextPreparation(), **QUICK), TEXTS, GOOD * 1.0),
}  # fmt: skip


def with_keep(model, place, **more):
    """Return an unfitted copy whose prepared rows are to be kept there."""
    made = clone(model)
    return made.set_params(preparation=clone(made.preparation).set_params(keep=place), **more)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.network_.state_dict().values()])


def answers(model, X):
    found = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
    return np.concatenate(found) if isinstance(found, list) else found


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_store, "_MOST", 32)
        yield


@pytest.fixture(scope="module")
def in_memory():
    return {name: with_keep(model, "memory").fit(X, y) for name, (model, X, y) in CASES.items()}


@pytest.mark.parametrize("place", ["disk", "none"])
@pytest.mark.parametrize("name", list(CASES))
def test_rows_that_are_elsewhere_train_to_the_bits_of_memory(name, place, in_memory, monkeypatch):
    model, X, y = CASES[name]
    fetched = []
    plain = IndexedRows.epoch

    def epoch(self, *args):
        fetched.append(len(self))
        return plain(self, *args)

    monkeypatch.setattr(IndexedRows, "epoch", epoch)
    whole, apart = in_memory[name], with_keep(model, place).fit(X, y)
    assert fetched and apart.choices_["prepared rows"]["value"] == place and "prepared rows" not in whole.choices_
    assert torch.equal(weights(whole), weights(apart)) and np.array_equal(answers(whole, X), answers(apart, X))
    by_length = "order" in whole.choices_
    assert by_length == ("order" in apart.choices_) == (name in ("sequences, by length", "labels of steps", "sounds"))
    state, other = whole.preparation_.to_state(), apart.preparation_.to_state()
    assert all(np.array_equal(state[1][key], other[1][key]) for key in state[1])
    if place == "disk":
        control = with_keep(model, place, random_state=1).fit(X, y)
        assert not torch.equal(weights(control), weights(whole))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sequences, by length", {"members": 3}),
        ("sounds", {"members": 2, "bootstrap": True}),
        ("texts", {"members": 3, "bootstrap": True}),
        ("texts", {"balance": "batches"}),
        ("sequences, by length", {"balance": "batches"}),
    ],
)
def test_members_and_even_batches_train_to_the_bits_of_memory(name, settings):
    model, X, y = CASES[name]
    y = y & (np.arange(len(y)) % 3 > 0)  # a rare class
    one, other = (with_keep(model, place, **settings).fit(X, y) for place in ("memory", "disk"))
    a, b = one.predict_members(X), other.predict_members(X)
    assert len(a) == settings.get("members", 1) and np.array_equal(a, b)
    assert len({part.tobytes() for part in a}) == len(a)
    if "balance" in settings:
        plain = with_keep(model, "disk").fit(X, y)
        assert not np.array_equal(plain.predict_members(X), b)


@pytest.mark.parametrize("tune", ["frozen", "lora"])
def test_pretrained_networks_learn_from_disk_to_the_same_bits(tune, tmp_path):
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    words = sorted({word for text in TEXTS for word in text.split()})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    config = transformers.BertConfig(
        vocab_size=len(words) + 5, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.logging.disable_progress_bar()
    transformers.BertModel(config).save_pretrained(tmp_path)
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    model = TextClassifier(Backbone(tmp_path, tune=tune), TextPreparation(), **QUICK)
    whole, apart = (with_keep(model, place).fit(TEXTS, GOOD) for place in ("memory", "disk"))
    assert torch.equal(weights(whole), weights(apart)) and apart.choices_["prepared rows"]["value"] == "disk"
    assert np.array_equal(answers(whole, TEXTS), answers(apart, TEXTS))


@pytest.mark.parametrize("name", ["sequences, by length", "sounds", "texts"])
def test_a_fit_that_was_cut_off_goes_on_to_the_same_bits(name, in_memory, tmp_path, monkeypatch):
    model, X, y = CASES[name]

    class Stop(Exception):
        pass

    def cut(*args, calls=[0], plain=IndexedRows.epoch):  # noqa: B006  # counts the epochs
        calls[0] += 1
        if calls[0] == 2:
            raise Stop
        return plain(*args)

    checkpoints = Checkpoints(tmp_path / "kept", "1 epochs")
    with monkeypatch.context() as patch:
        patch.setattr(IndexedRows, "epoch", cut)
        with pytest.raises(Stop):
            with_keep(model, "disk", checkpoint=checkpoints).fit(X, y)
    again = with_keep(model, "disk", checkpoint=checkpoints).fit(X, y)
    assert torch.equal(weights(again), weights(in_memory[name])) and "resum" in str(again.events_)
    with pytest.raises(InputError, match="training_rows"):  # other rows are another fit
        with_keep(model, "disk", checkpoint=checkpoints).fit(X[::-1], y)


def test_a_file_of_rows_has_no_name_and_lies_in_the_folder_of_the_checkpoints(tmp_path, monkeypatch):
    model, X, y = CASES["texts"]
    seen, plain = [], row_store.tempfile.TemporaryFile

    def file(dir, buffering):
        seen.append(Path(dir))
        return plain(dir=dir, buffering=buffering)

    monkeypatch.setattr(row_store.tempfile, "TemporaryFile", file)
    during = []
    monkeypatch.setattr(IndexedRows, "fingerprint", lambda self: during.append(list(tmp_path.rglob("*"))) or "rows")
    with_keep(model, "disk", checkpoint=tmp_path / "run").fit(X, y)
    assert seen in ([tmp_path], [tmp_path / "run"]) and during
    files = [path for path in (*during[0], *tmp_path.rglob("*")) if path.is_file()]
    assert {path.suffix for path in files} == {".checkpoint"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize("name", ["sequences, by length", "sounds", "texts"])
def test_a_full_disk_is_said_in_one_message(name, tmp_path, monkeypatch):
    model, X, y = CASES[name]
    monkeypatch.setattr(row_store.tempfile, "TemporaryFile", lambda dir, buffering: open("/dev/full", "r+b", buffering))  # noqa: SIM115
    with pytest.raises(InputError, match=r"the disk of .* must hold .*B of rows .* make room, or set keep='none'"):
        with_keep(model, "disk").fit(X, y)
    monkeypatch.undo()
    assert with_keep(model, "disk").fit(X, y)


def test_auto_goes_by_the_size_of_the_prepared_rows(monkeypatch):
    model, X, y = CASES["sequences, by length"]
    train = round(0.85 * len(X))
    size = train * 39 * 4 * 4  # steps, two channels with indicators of gaps in one, and the mask; float32
    for limit, place in ((8 * size + 1, "memory"), (8 * size - 2000, "disk")):
        monkeypatch.setattr(row_store, "memory_bytes", lambda limit=limit: limit)
        fitted = with_keep(model, "auto").fit(X, y)
        assert fitted.choices_.get("prepared rows", {"value": "memory"})["value"] == place, limit
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Use", (), {"free": size}))
    assert place_for((train, 39, 4), 4) == "none"


def test_wrong_settings_are_refused():
    model, X, y = CASES["texts"]
    with pytest.raises(InputError, match=r"not resampled.*balance='batches'"):
        with_keep(model, "disk", balance="oversample").fit(X, y)
    for name in ("sequences, by length", "sounds", "texts"):
        model, X, y = CASES[name]
        with pytest.raises(InputError, match=r"keep must be one of.*keep='dsk'"):
            with_keep(model, "dsk").fit(X, y)


def test_what_was_kept_on_disk_is_saved_like_the_rest(in_memory, tmp_path):
    model, X, y = CASES["sounds"]
    fitted = with_keep(model, "disk").fit(X, y)
    glia.save(fitted, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    assert np.array_equal(answers(again, X), answers(in_memory["sounds"], X)) and again.preparation.keep == "disk"


@pytest.mark.parametrize("name", list(CASES))
def test_rows_to_predict_are_prepared_some_at_a_time(name, in_memory, monkeypatch):
    model, X, _ = in_memory[name], *CASES[name][1:]
    before = answers(model, X)
    most, plain = [], row_store.kept
    monkeypatch.setattr("glia.estimators.large_rows.block_rows", lambda shape: 32)

    def seen(rows, *args):
        most.append(len(rows))
        return plain(rows, *args)

    for module in ("audio.audio_preparation", "series.sequence_preparation", "texts.preparation"):
        monkeypatch.setattr(f"glia.data.{module}.kept", seen)
    assert np.array_equal(answers(model, X), before) and max(most) == 32 and sum(most) == len(X)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16])
def test_a_mapped_array_of_sequences_is_not_copied(kind, tmp_path, monkeypatch):
    X = (100 * RNG.normal(size=(150, 12, 3))).astype(kind)
    if kind != np.int16:
        X[::4, 9:] = np.nan  # shorter ones
        X[7, 2, 1] = np.nan
    y = X[:, 0, 0] > 0
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    settings = {"network": GRU(hidden=6), **QUICK}
    whole = SequenceClassifier(**settings).fit(X, y)
    read, plain = [], MappedSequences.read

    def seen(self):
        read.append(len(self))
        return plain(self)

    monkeypatch.setattr(MappedSequences, "read", seen)
    monkeypatch.setattr("glia.estimators.large_rows.block_rows", lambda shape: 32)
    for place in ("memory", "disk", "none"):
        apart = SequenceClassifier(preparation=SequencePreparation(keep=place), **settings).fit(mapped, y)
        assert torch.equal(weights(apart), weights(whole))
        assert np.array_equal(apart.predict_proba(mapped), whole.predict_proba(X))
        assert read and (max(read) <= 32 or place == "none")  # a network begins with a look at up to 512 rows
    part = MappedSequences(mapped)[np.array([5, 0])]
    assert np.array_equal(part.dense(4), glia.data.series.as_sequences(X[[5, 0]]).dense(4))
    fitted = SequenceRegressor(**settings).fit(mapped, y * 1.0, validation=(mapped[:20], y[:20] * 1.0))
    assert np.array_equal(fitted.predict(mapped[3:9]), fitted.predict(X[3:9]))


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_a_mapped_array_of_sounds_is_not_copied(kind, tmp_path, monkeypatch):
    X = (1000 * np.stack([sound[:900] for sound in SOUNDS])).astype(kind)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = AudioClassifier(GRU(hidden=4), AudioPreparation(bands=8, keep="disk"), sample_rate=RATE, **QUICK)
    whole = clone(model).fit(X, UP)
    read, plain = [], audio_rows.mono
    monkeypatch.setattr(audio_rows, "mono", lambda data, name: read.append(data.shape) or plain(data, name))
    rows = audio_rows.as_sounds(mapped, RATE)
    assert not read and all(is_mapped(item) for item in rows.items)
    apart = clone(model).fit(mapped, UP)
    assert torch.equal(weights(apart), weights(whole)) and set(read) == {(900,)}
    assert np.array_equal(apart.predict_proba(mapped), whole.predict_proba(X))
    if kind == np.float32:
        X[40, 3] = np.nan
        np.save(tmp_path / "x.npy", X)
        with pytest.raises(InputError, match="NaN or infinity in sound"):
            clone(model).fit(np.load(tmp_path / "x.npy", mmap_mode="r"), UP)


def test_nothing_on_disk_outlives_a_fit():
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("what is mapped is read from /proc")

    def open_files():
        return [line for line in maps.read_text().splitlines() if "(deleted)" in line]

    seen = []
    for name, members in (("texts", 1), ("sequences, by length", 2), ("sounds", 1)):
        model, X, y = CASES[name]
        before = open_files()
        with pytest.MonkeyPatch.context() as patch:
            plain = IndexedRows.epoch
            patch.setattr(IndexedRows, "epoch", lambda *a, plain=plain: seen.append(open_files()) or plain(*a))
            fitted = with_keep(model, "disk", members=members).fit(X, y)
        assert seen and len(seen[-1]) == len(before) + 1  # there is one while training goes on
        assert open_files() == before and fitted


def test_a_mapped_array_that_cannot_be_used_says_where(tmp_path):
    X = RNG.normal(size=(90, 5))
    cases = ((70, 2, np.inf, "infinity in sequence 6.*from sequence 64"), (40, ..., np.nan, "at least one step"))
    for row, step, value, said in cases:
        bad = X.copy()
        bad[row, step] = value
        np.save(tmp_path / "x.npy", bad)
        with pytest.raises(InputError, match=said):
            SequenceClassifier(**QUICK).fit(np.load(tmp_path / "x.npy", mmap_mode="r"), X[:, 0] > 0)
    np.save(tmp_path / "empty.npy", np.zeros((0, 4)))
    with pytest.raises(InputError, match="0 sample"):
        SequenceClassifier().fit(np.lib.format.open_memmap(tmp_path / "x.npy")[:0], [])


def test_moments_of_blocks_are_those_of_the_whole():
    values = RNG.normal(1e6, 1e-2, (1000, 3))
    known = RNG.random((1000, 3)) > 0.3
    known[:, 2] = False
    found = Moments(3)
    for start in range(0, 1000, 130):
        found.add(values[start : start + 130], known[start : start + 130])
    for column in range(2):
        own = values[known[:, column], column]
        np.testing.assert_allclose(found.mean[column], own.mean(), rtol=1e-14)
        np.testing.assert_allclose(found.deviation[column], own.std(), rtol=1e-8)
        naive = np.sqrt(max((own**2).mean() - own.mean() ** 2, 0.0))  # the control: sums of squares lose the digits
        assert abs(naive / own.std() - 1) > 1e-3
    assert found.mean[2] == found.deviation[2] == 0
    one = Moments(3)
    one.add(values)
    assert np.array_equal(one.mean, values.mean(axis=0))


def test_batches_by_length_are_those_of_rows_in_memory():
    x, y, lengths = torch.randn(53, 4), torch.arange(53), torch.randint(1, 9, (53,))
    inside = BucketedRows(x, y, None, lengths)
    outside = IndexedRows(lambda i: x.numpy()[i], y, None, (4,), lambda: "x").by_length(lengths)
    for number, skip in ((0, 0), (3, 2)):
        pairs = list(zip(inside.epoch(6, 9, number, skip), outside.epoch(6, 9, number, skip), strict=True))
        assert pairs and all(torch.equal(a, b) for one, other in pairs for a, b in zip(one[:2], other[:2], strict=True))
    names = {outside.fingerprint(), outside.by_length(lengths.flip(0)).fingerprint(), outside.evenly().fingerprint()}
    assert len(names) == 3 and outside.with_weight(torch.ones(53)).lengths is lengths


def test_rows_are_made_once_in_blocks_and_kept_where_they_are_asked_for(tmp_path):
    x = RNG.normal(size=(100, 3)).astype(np.float32)
    asked = []

    def make(index):
        asked.append(len(index))
        return x[index]

    rows = MadeRows(make, x.shape, np.float32)
    for keep, kind in (("memory", np.ndarray), ("disk", row_store.MappedRows), ("none", MadeRows)):
        asked.clear()
        found = kept(rows, keep, tmp_path)
        assert isinstance(found, kind) and asked == ([] if keep == "none" else [32, 32, 32, 4])
        assert np.array_equal(found[:], x) and np.array_equal(found[np.array([9, 9, 2])], x[[9, 9, 2]])
    assert list(tmp_path.iterdir()) == []


def test_tuning_trains_on_rows_that_are_elsewhere():
    model, X, y = CASES["sequences, by length"]
    parts = []
    for place in ("memory", "disk"):
        made = prepare(with_keep(model, place), (X[:100], y[:100], None), (X[100:], y[100:], None))
        parts.append(made)
    assert isinstance(parts[1].train, IndexedRows) and len(parts[1].x) == 100
    batches = (list(made.train.epoch(16, 3, 0)) for made in parts)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(*batches, strict=True))
    assert torch.equal(parts[0].held.x, parts[1].held.x)


def test_runs_take_the_place_from_stream_and_say_so(tmp_path):
    pl.DataFrame({"t": TEXTS, "y": GOOD}).write_csv(tmp_path / "t.csv")
    np.savez(tmp_path / "s.npz", X=RNG.normal(size=(60, 9)), y=UP[:60])
    for i, one in enumerate(SOUNDS[:60]):
        (tmp_path / "w" / str(UP[i])).mkdir(parents=True, exist_ok=True)
        wavfile.write(tmp_path / "w" / str(UP[i]) / f"{i}.wav", RATE, one)
    for name, more in (("t.csv", {"network": "text_convnet", "target": "y"}), ("s.npz", {}), ("w", {})):
        how = {"epochs": 1, "seed": 0, **more}
        found = {stream: glia.fit(tmp_path / name, stream=stream, **how) for stream in (True, False, "auto")}
        assert found[True].choices_["prepared rows"]["value"] == "disk"
        assert "prepared rows" not in found[False].choices_ and "prepared rows" not in found["auto"].choices_
        assert torch.equal(weights(found[True]), weights(found[False]))


MEASURED = """
import sys
import numpy as np, torch
from glia.data.series import SequencePreparation
from glia.data.series.sequence_rows import rows_of_sequences
from glia.engine.indexed_rows import IndexedRows
for count, keep in ((2000, "disk"), (20000, "disk"), (20000, "memory")):
    rows = rows_of_sequences(np.load(f"{sys.argv[1]}/{count}.npy", mmap_mode="r"))
    rows = rows[np.arange(len(rows))[::2]]  # as where a part is held out
    x = SequencePreparation(keep=keep).fit_rows(rows)
    source = IndexedRows(lambda i: x[i], torch.zeros(len(x)), None, x.shape[1:], str)
    seen = sum(len(part) for part, _, _ in source.epoch(64, 0, 0))
    status = open("/proc/self/status").read()
    print(seen, status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_sequences(tmp_path):
    """An epoch of fetching, as training does; in one process, whose peak can only rise."""
    for count in (2000, 20000):
        np.save(tmp_path / f"{count}.npy", RNG.normal(size=(count, 20, 40)).astype(np.float32))  # the latter 64 MB
    words = [sys.executable, "-c", MEASURED, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    seen, (few, many, memory) = zip(*(map(int, line.split()) for line in done.stdout.splitlines()), strict=True)
    assert seen == (1000, 10000, 10000)
    assert many < few + 15_000, (few, many, memory)  # kB
    assert memory > many + 20_000, (few, many, memory)  # what is measured does show rows in memory
