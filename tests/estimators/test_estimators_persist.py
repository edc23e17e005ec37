"""Models to files and back: the same bits, the same settings, and one kind of error for a file that is not right."""

import copy
import pickle

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from torch import nn

from glia import Classifier, Objective, Optimizer, Perceptron, Preparation, Regressor, load, save
from glia.core.errors import InputError, ModelFileError
from glia.core.modelfile import read_archive, write_archive
from glia.data import read
from glia.engine.schedules import Warmup, as_schedule
from glia.nn import MLP
from glia.objectives import losses

NET = MLP(hidden=(8,))
SMALL = {"network": NET, "epochs": 4}


def people(count=160):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "age": np.where(rng.random(count) < 0.1, np.nan, rng.normal(40, 9, count)),
            "town": rng.choice(["Ulm", "Bonn", "Jena"], count),
            "day": pl.Series(rng.integers(0, 3000, count)).cast(pl.Int32).cast(pl.Date),
        }
    ).with_columns(pl.col("age").fill_nan(None))
    return frame, frame["town"].to_numpy() == "Ulm"


def probabilities(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


FRAME, IS_ULM = people()
NUMBERS, SPECIES = load_iris(return_X_y=True)
CASES = {
    "frame": (Classifier(**SMALL), FRAME, np.where(IS_ULM, "yes", "no")),
    "several classes": (Classifier(**SMALL), NUMBERS, SPECIES),
    "several labels": (Classifier(**SMALL), NUMBERS, np.stack([SPECIES == 0, SPECIES == 1], 1).astype(int)),
    "linear": (Classifier(network="linear", epochs=4), NUMBERS, SPECIES),
    "auto": (Classifier(epochs=2), FRAME, IS_ULM),
    "norms": (Classifier(network=MLP(hidden=(8, 8), norm="batch", residual=True), epochs=3), NUMBERS, SPECIES),
    "numeric embedding": (
        Classifier(
            network=MLP(hidden=(8,), numeric_embedding="piecewise_linear"),
            epochs=3,
            preparation=Preparation(numeric_bins=4),
        ),
        FRAME,
        IS_ULM,
    ),
    "values": (Regressor(**SMALL), FRAME, np.arange(160.0)),
    "several values": (Regressor(**SMALL), NUMBERS[:, 1:], NUMBERS[:, :2]),
    "quantiles": (Regressor(**SMALL, objective=losses.get("quantile")((0.1, 0.9))), NUMBERS[:, 1:], NUMBERS[:, 0]),
    "variance": (Regressor(**SMALL, objective=Objective("gaussian_nll", l1=0.01)), NUMBERS[:, 1:], NUMBERS[:, 0]),
    "perceptron": (Perceptron(epochs=5), FRAME, IS_ULM),
    "perceptron of several": (Perceptron(epochs=5, random_state=3), NUMBERS, SPECIES),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for name, (estimator, X, y) in CASES.items():
        path = folder / f"{name}.glia"
        save(clone(estimator).fit(X, y), path)
        made[name] = path
    return made


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_model_is_the_same_model(name, files):
    estimator, X, y = CASES[name]
    model = clone(estimator).fit(X, y)
    state = torch.get_rng_state()
    again = load(files[name])
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(probabilities(model, X), probabilities(again, X))
    assert model.predict(X).dtype == again.predict(X).dtype
    if name != "perceptron of several" and name != "perceptron":
        assert model.predict_frame(X).equals(again.predict_frame(X))
        assert model.evaluate(X, y, n_boot=5) == again.evaluate(X, y, n_boot=5)
        timeless = [[{**e, "seconds": 0} for e in m.history_.to_list()] for m in (model, again)]
        assert timeless[0] == timeless[1]
    assert repr(model.get_params()) == repr(again.get_params())
    np.testing.assert_array_equal(probabilities(clone(again).fit(X, y), X), probabilities(model, X))
    np.testing.assert_array_equal(probabilities(again.fit(X, y), X), probabilities(model, X))


def test_saving_twice_gives_the_same_bytes(files, tmp_path):
    for name in ("frame", "quantiles", "perceptron"):
        save(load(files[name]), tmp_path / "again.glia")
        assert (tmp_path / "again.glia").read_bytes() == files[name].read_bytes()


def test_settings_survive(tmp_path):
    frame, y = people()
    model = Classifier(
        network=MLP(hidden=(8, 4), activation="gelu", dropout=0.25),
        preparation=Preparation(scale="robust", impute="mean", indicator="never"),
        objective=Objective("focal", l1=0.001, l2=0.01),
        optimizer=Optimizer("adam", weight_decay=0.01, options={"betas": (0.8, 0.9)}),
        schedule=Warmup(share=0.3),
        class_weight={False: 1.0, True: 3.5},
        epochs=2,
        random_state=np.random.RandomState(0),
    ).fit(frame, y)
    save(model, tmp_path / "m.glia", target="is Ulm")
    again = load(tmp_path / "m.glia")
    assert repr(again.network) == repr(model.network) and repr(again.preparation) == repr(model.preparation)
    assert again.preparation.get_params() == model.preparation.get_params()
    assert again.objective.get_params() == model.objective.get_params()
    assert again.optimizer.get_params() == model.optimizer.get_params()
    assert (again.schedule, again.class_weight) == (Warmup(share=0.3), {False: 1.0, True: 3.5})
    assert again.random_state == 0  # a generator is no setting that a file could hold
    assert again.target_name_ == "is Ulm" and again.temperature_ == model.temperature_
    again.fit(frame, y)


@pytest.mark.parametrize("schedule", ["one_cycle", {"name": "cosine", "floor": 0.1}, as_schedule("step")])
def test_schedules_survive(schedule, tmp_path):
    save(Classifier(**SMALL, schedule=schedule).fit(NUMBERS, SPECIES), tmp_path / "m.glia")
    assert load(tmp_path / "m.glia").schedule == schedule


@pytest.mark.parametrize(
    "labels",
    [
        np.array([False, True]),
        np.array([3, 200], dtype=np.uint8),
        np.array([0, 2**63 + 5], dtype=np.uint64),
        np.array([-1, 1], dtype=np.int8),
        np.array([1.0, 2.0], dtype=np.float32),
        np.array(["a", "über"]),
        np.array([b"a", b"\xff"]),
        np.array(["a", "b"], dtype=object),
        np.array([False, True], dtype=object),
        np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"),
        np.array(["2020-01-01T00:00:01", "2021-01-01"], dtype="M8[ns]"),
    ],
    ids=lambda labels: labels.dtype.str,
)
def test_labels_of_every_kind_survive(labels, tmp_path):
    model = Classifier(**SMALL)
    model.fit(NUMBERS[:100], SPECIES[:100])
    model.target_.classes = labels
    save(model, tmp_path / "m.glia")
    found = load(tmp_path / "m.glia").predict(NUMBERS[:100])
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(found, model.predict(NUMBERS[:100]))


class Small(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.first, self.last = nn.Linear(in_features, 8), nn.Linear(8, out_features)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.to(self.first.weight.dtype))))


def test_networks_of_ones_own_need_their_code_again(tmp_path):
    model = Classifier(network=Small, epochs=4).fit(NUMBERS, SPECIES)
    save(model, tmp_path / "m.glia")
    with pytest.raises(ModelFileError, match=r"handed in again · got a model of '.*Small' · load it with network="):
        load(tmp_path / "m.glia")
    again = load(tmp_path / "m.glia", network=Small)
    np.testing.assert_array_equal(model.predict_proba(NUMBERS), again.predict_proba(NUMBERS))
    again.fit(NUMBERS, SPECIES)
    np.testing.assert_array_equal(model.predict_proba(NUMBERS), again.predict_proba(NUMBERS))
    with pytest.raises(ModelFileError, match="parts of a model file must fit together"):
        load(tmp_path / "m.glia", network=lambda in_features, out_features: nn.Linear(in_features, out_features))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_keep_their_precision(dtype, tmp_path):
    def make(in_features, out_features):
        return Small(in_features, out_features).to(dtype)

    model = Classifier(network=make, epochs=3, optimizer="sgd", lr=0.1).fit(NUMBERS, SPECIES)
    save(model, tmp_path / "m.glia")
    again = load(tmp_path / "m.glia", network=make)
    for a, b in zip(model.network_.parameters(), again.network_.parameters(), strict=True):
        assert a.dtype == b.dtype == dtype and torch.equal(a, b)


def test_images_and_tables_survive(tmp_path):
    images, digits = load_digits(return_X_y=True)
    X = (images.reshape(-1, 1, 8, 8)[:200] / 16).astype(np.float32)

    def convolution(in_channels, out_features):
        return nn.Sequential(nn.Conv2d(in_channels, 2, 3), nn.Flatten(), nn.Linear(72, out_features))

    model = Classifier(network=convolution, epochs=2).fit(X, digits[:200])
    save(model, tmp_path / "m.glia")
    again = load(tmp_path / "m.glia", network=convolution)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    with pytest.raises(InputError, match="the shape that was fitted"):
        again.predict(X[..., 1:])
    frame, y = people()
    frame.with_columns(answer=pl.Series(y)).write_csv(tmp_path / "t.csv")
    table = read(tmp_path / "t.csv", target="answer")
    model = Classifier(**SMALL).fit(table, y)
    save(model, tmp_path / "t.glia")
    np.testing.assert_array_equal(model.predict_proba(table), load(tmp_path / "t.glia").predict_proba(table))


def test_training_goes_on_after_loading(files):
    _, X, y = CASES["several classes"]
    again = load(files["several classes"])
    before = again.history_.to_list()
    again.partial_fit(X, y)
    assert again.history_.to_list()[:-1] == before and again.n_iter_ == len(before) + 1
    warm = load(files["several classes"]).set_params(warm_start=True)
    network = warm.network_
    assert warm.fit(X, y).network_ is network


def test_pickles_and_copies_work_too():
    estimator, X, y = CASES["frame"]
    model = clone(estimator).fit(X, y).partial_fit(X, y)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
        again.partial_fit(X, y)
    model.partial_fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_only_fitted_estimators_of_glia_are_saved(tmp_path):
    with pytest.raises(InputError, match="only Glia's estimators"):
        save(object(), tmp_path / "m.glia")
    with pytest.raises(ValueError, match="not fitted"):
        save(Classifier(), tmp_path / "m.glia")


# --- files that are not right ----------------------------------------------------------------------------------------


def altered(source, path, change):
    """Write the file again after ``change(manifest, tensors, parts)``."""
    archive = read_archive(source)
    manifest, tensors, parts = copy.deepcopy((archive.manifest, archive.tensors, archive.parts))
    change(manifest, tensors, parts)
    write_archive(path, manifest, tensors, parts=parts)
    return path


def put(*keys, value):
    def change(manifest, tensors, parts):
        at = {"manifest": manifest, "tensors": tensors, **parts}
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return change


def drop(*keys):
    def change(manifest, tensors, parts):
        at = {"manifest": manifest, "tensors": tensors, "parts": parts, **parts}
        for key in keys[:-1]:
            at = at[key]
        del at[keys[-1]]

    return change


WEIGHT = "network/output.weight"
FITTED = "fitted.json"
WRONG = {
    "unknown estimator": ("frame", put("manifest", "estimator", value="Classifer")),
    "no estimator": ("frame", drop("manifest", "estimator")),
    "another estimator": ("frame", put("manifest", "estimator", value="Regressor")),
    "a perceptron": ("frame", put("manifest", "estimator", value="Perceptron")),
    "no weights": ("frame", drop("tensors", WEIGHT)),
    "weights of another shape": ("frame", put("tensors", WEIGHT, value=np.zeros((2, 8), np.float32))),
    "weights too many": ("frame", put("tensors", "network/more", value=np.zeros(2, np.float32))),
    "no fitted part": ("frame", drop("parts", FITTED)),
    "no layout": ("frame", drop("parts", "layout.json")),
    "no schema": ("frame", drop("parts", "schema.json")),
    "no preparation": ("frame", drop("parts", "preparation.json")),
    "no parameters": ("frame", drop(FITTED, "params")),
    "unknown parameter": ("frame", put(FITTED, "params", "epoch", value=3)),
    "unknown network": ("frame", put(FITTED, "network", "family", value="gpt")),
    "unknown network setting": ("frame", put(FITTED, "network", "evil", value=1)),
    "huge network": ("frame", put(FITTED, "network", "hidden", value=[10**7, 10**7])),
    "unknown loss": ("frame", put(FITTED, "loss", "name", value="os.system")),
    "loss of another task": ("frame", put(FITTED, "loss", value={"name": "mse", "settings": {}})),
    "unknown settings": ("frame", put(FITTED, "params", "preparation", value={"settings": "Popen", "fields": {}})),
    "unknown schedule": ("frame", put(FITTED, "params", "schedule", value={"schedule": [], "name": "x"})),
    "three classes": ("frame", put(FITTED, "target", "classes", value=["a", "b", "c"])),
    "nested classes": ("frame", put(FITTED, "target", "classes", value=[["a"], ["b"]])),
    "unknown task": ("frame", put(FITTED, "target", "task", value="eval")),
    "unknown labels": ("frame", put(FITTED, "target", "dtype", value="|V8")),
    "numbers as labels": ("several classes", put(FITTED, "target", "classes", value=["a", "b", "c"])),
    "temperature of 0": ("frame", put(FITTED, "figures", "temperature_", value=0.0)),
    "temperature of words": ("frame", put(FITTED, "figures", "temperature_", value="warm")),
    "no temperature": ("frame", drop(FITTED, "figures", "temperature_")),
    "no history": ("frame", drop(FITTED, "history")),
    "no scale": ("values", put(FITTED, "target", "scale", value=[])),
    "scale of words": ("values", put(FITTED, "target", "scale", value=["x"])),
    "errors of another shape": ("values", put("tensors", "conformity_", value=np.zeros(5))),
    "weights of words": ("perceptron", put(FITTED, "perceptron", "weights", value="x")),
    "too few planes": ("perceptron of several", put(FITTED, "perceptron", "weights", value=[1.0, 2.0])),
    "no planes": ("perceptron", put(FITTED, "perceptron", "weights", value=[])),
    "no passes": ("perceptron", put(FITTED, "perceptron", "mistakes_per_epoch", value=[])),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_does_not_fit_together_is_one_error(case, files, tmp_path):
    name, change = WRONG[case]
    path = altered(files[name], tmp_path / "m.glia", change)
    with pytest.raises(ModelFileError, match=r" · got .* · ") as error:
        load(path)
    assert "\n" not in str(error.value)


def test_the_control_is_accepted(files, tmp_path):
    for name in files:
        load(altered(files[name], tmp_path / "m.glia", lambda manifest, tensors, parts: None))


def paths_of(value, at=()):
    """Yield where every value of JSON data stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at, key)
        yield from paths_of(item, (*at, key))


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6), st.lists(st.integers(-2, 2), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@pytest.mark.parametrize("name", ["frame", "values", "perceptron", "numeric embedding"])
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_part_loading_gives_a_model_or_that_error(name, files, tmp_path, data):
    parts = read_archive(files[name]).parts
    part = data.draw(st.sampled_from(sorted(parts)))
    keys = data.draw(st.sampled_from(list(paths_of(parts[part]))))
    change = data.draw(st.one_of(JUNK.map(lambda junk: put(part, *keys, value=junk)), st.just(drop(part, *keys))))
    path = altered(files[name], tmp_path / "m.glia", change)
    try:
        found = load(path, device="cpu")
    except ModelFileError:
        return
    assert type(found) is type(CASES[name][0])
