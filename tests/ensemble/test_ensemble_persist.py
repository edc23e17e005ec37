"""Every ensemble in one file: what is read predicts the same bits, and a crafted file gets one message."""

import json
import zipfile

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from glia import Classifier, Regressor, load, save
from glia.core.errors import InputError, ModelFileError
from glia.core.modelfile import read_archive, write_archive
from glia.ensemble import AdaBoost, Architectural, Bagging, BalancedBagging, Boosting, Snapshot, Stacking

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
VALUE = X[:, 0] + np.abs(X[:, 1])
LABEL = np.array(["b", "a", "c"])[np.digitize(VALUE, [0.3, 1.3])]
ONE, MORE = Classifier(epochs=2), Classifier(epochs=4, members=1)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (Bagging(ONE, 2), LABEL),
        (BalancedBagging(ONE, 2), LABEL),
        (AdaBoost(Classifier(epochs=6), 3), LABEL),
        (Boosting(Regressor(epochs=2), n_estimators=2, patience=0), np.stack([VALUE, X[:, 2]], axis=1)),
        (Stacking([("one", ONE), ("more", MORE)], cv=2), LABEL),
        (Architectural([("one", ONE), ("more", MORE)]), LABEL),
        (Snapshot(Regressor(), n_cycles=2, cycle_epochs=2), VALUE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_file_holds_all_members(model, y, tmp_path):
    path = tmp_path / "many.glia"
    save(model.fit(X, y), path)
    again = load(path)
    assert type(again) is type(model) and len(again.members_) == len(model.members_)
    np.testing.assert_array_equal(again.predict_members(X), model.predict_members(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    save(again, tmp_path / "twice.glia")
    np.testing.assert_array_equal(load(tmp_path / "twice.glia").predict(X), model.predict(X))


def test_an_estimator_is_saved_as_before(tmp_path):
    model = Classifier(epochs=2).fit(X, LABEL)
    save(model, tmp_path / "one.glia", target="kind")
    np.testing.assert_array_equal(load(tmp_path / "one.glia").predict_proba(X), model.predict_proba(X))
    assert load(tmp_path / "one.glia").target_name_ == "kind"


def test_members_that_are_not_glias_are_named(tmp_path):
    model = Architectural([("net", Regressor(epochs=2)), ("plane", Ridge())]).fit(X, VALUE)
    with pytest.raises(InputError, match="'plane', a Ridge"):
        save(model, tmp_path / "mixed.glia")
    assert not list(tmp_path.iterdir())


def test_an_altered_or_crafted_file_is_refused(tmp_path):
    path = tmp_path / "many.glia"
    save(Bagging(ONE, 2).fit(X, LABEL), path)
    archive = read_archive(path)

    def crafted(change):
        parts = json.loads(json.dumps(archive.parts))
        tensors = dict(archive.tensors)
        change(parts, tensors)
        write_archive(tmp_path / "bad.glia", {"estimator": "Bagging"}, tensors, parts=parts)
        with pytest.raises(ModelFileError):
            load(tmp_path / "bad.glia")

    crafted(lambda parts, tensors: parts["ensemble.json"]["members"].append(parts["ensemble.json"]["members"][0]))
    crafted(lambda parts, tensors: parts["ensemble.json"]["settings"].update(estimators=[1]))
    crafted(lambda parts, tensors: parts["ensemble.json"].update(members=3))
    crafted(lambda parts, tensors: parts.pop("ensemble.json"))
    crafted(lambda parts, tensors: tensors.pop(next(name for name in tensors if name.startswith("member0/"))))
    content = path.read_bytes()
    with zipfile.ZipFile(path) as whole:
        assert "member0_fitted.json" in whole.namelist()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError):
        load(path)
