"""Resamplers of training rows: what they keep, what they make, and that synthetic rows could be real."""

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError, MissingExtraError
from glia.core.layout import Feature, Layout
from glia.data import learn_schema
from glia.data.balance import Balance, balance_rows, balancers
from glia.data.balance import synthetic as synthetic_module
from glia.data.balance.columns import Columns
from glia.data.preparation import Preparation

ADDING = ("oversample", "smote", "borderline_smote", "adasyn", "smote_tomek", "smote_enn")
LEAVING = ("undersample", "tomek", "enn")
SYNTHETIC = ("smote", "borderline_smote", "adasyn", "smote_tomek", "smote_enn")


def needs(method):
    if method not in ("oversample", "undersample"):
        pytest.importorskip("imblearn", reason="the extra 'imbalance' brings it")


def mixed(n=300, seed=0):
    """Prepared rows of a table with numbers, gaps, one-hot categories and codes, two overlapping classes 9 : 1."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 10 == 0).astype(int)
    frame = pl.DataFrame(
        {
            "height": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n) + 0.8 * y),
            "width": rng.normal(size=n) + 0.5 * y,
            "colour": rng.choice(["red", "green", "blue"], n),
            "town": rng.choice([f"town {i}" for i in range(14)], n),
        }
    ).with_columns(pl.col("height").fill_nan(None))
    known, schema = learn_schema(frame)
    preparation = Preparation().fit(known, y, roles={c.name: c for c in schema.columns})
    return preparation.transform(known), y, preparation.layout_


@pytest.fixture(scope="module")
def rows():
    x, y, layout = mixed()
    assert {feature.kind for feature in layout.features} == {"numeric", "onehot", "code", "indicator"}
    return x, y, layout


@pytest.mark.parametrize("method", balancers.names())
def test_copies_are_copies_and_classes_are_more_even(rows, method):
    needs(method)
    x, y, layout = rows
    before = x.copy()
    found = balance_rows(x, y, layout, method, seed=1)
    np.testing.assert_array_equal(x, before)  # what was handed in stays as it was
    real = ~found.synthetic
    np.testing.assert_array_equal(found.x[real], x[found.source[real]])
    np.testing.assert_array_equal(found.y[real], y[found.source[real]])
    assert np.bincount(found.y)[1] / len(found.y) > 0.1 and found.x.dtype == np.float32
    if method in LEAVING:
        assert len(np.unique(found.source)) == len(found.source) < len(y)
        assert np.bincount(found.y)[1] == 30  # all of the rare class
    if method in ("oversample", "smote", "borderline_smote"):
        assert np.bincount(found.y).tolist() == [270, 270]
    assert found.synthetic.any() == (method in SYNTHETIC)
    again = balance_rows(x, y, layout, method, seed=1)
    np.testing.assert_array_equal(found.x, again.x)
    if method in ("undersample", *SYNTHETIC):  # oversampling by a whole number leaves nothing to chance
        other = balance_rows(x, y, layout, method, seed=2)
        assert other.x.shape != found.x.shape or not np.array_equal(other.x, found.x)


def could_be_real(made, x, layout):
    """Return whether rows have valid categories, and numbers within those of ``x``."""
    fits = np.ones(len(made), dtype=bool)
    for i, feature in enumerate(layout.features):
        if feature.kind in ("code", "indicator", "onehot"):
            fits &= np.isin(made[:, i], np.unique(x[:, i]))
        else:
            fits &= (made[:, i] >= x[:, i].min() - 1e-6) & (made[:, i] <= x[:, i].max() + 1e-6)
    for group in layout.groups().values():
        hot = [i for i in group if layout.features[i].kind == "onehot"]
        fits &= not hot or np.isin(made[:, hot].sum(1), np.unique(x[:, hot].sum(1)))
    return fits


@pytest.mark.parametrize("method", SYNTHETIC)
def test_synthetic_rows_have_valid_categories(rows, method):
    needs(method)
    x, y, layout = rows
    found = balance_rows(x, y, layout, method)
    made = found.x[found.synthetic]
    assert len(made) > 100 and could_be_real(made, x[y == 1], layout).all()
    assert len(np.unique(made, axis=0)) > 0.9 * len(made)  # they are no copies
    for i, feature in enumerate(layout.features):
        if feature.kind == "indicator":
            (number,) = [j for j, f in enumerate(layout.features) if f.source == feature.source and f.kind == "numeric"]
            stand_in = np.unique(x[x[:, i] == 1, number])
            assert len(stand_in) == 1 and (made[made[:, i] == 1, number] == stand_in).all()


def test_without_the_layout_categories_fall_between_the_chairs(rows):
    """The control: were one-hot columns and codes taken for numbers, synthetic rows would be impossible ones."""
    needs("smote")
    x, y, layout = rows
    found = balance_rows(x, y, None, "smote")
    assert could_be_real(found.x[found.synthetic], x, layout).mean() < 0.5


@pytest.mark.parametrize("method", ["smote", "borderline_smote", "adasyn"])
def test_numbers_alone_are_imbalanced_learns(method):
    needs(method)
    import imblearn.over_sampling as reference

    from glia.core.seeds import derive

    rng = np.random.default_rng(0)
    y = (np.arange(200) % 8 == 0).astype(int)
    x = (rng.normal(size=(200, 3)) + y[:, None]).astype(np.float32)
    found = balance_rows(x, y, None, method, seed=3)
    name, options = {
        "smote": ("SMOTE", {"k_neighbors": 5}),
        "borderline_smote": ("BorderlineSMOTE", {"k_neighbors": 5, "m_neighbors": 10}),
        "adasyn": ("ADASYN", {"n_neighbors": 5}),
    }[method]
    state = derive(3, "smote" if method == "smote" else name) % 2**32
    wanted_x, wanted_y = getattr(reference, name)(random_state=state, **options).fit_resample(x.astype(float), y)
    np.testing.assert_allclose(found.x, wanted_x, rtol=1e-6)
    np.testing.assert_array_equal(found.y, wanted_y)


def test_synthetic_rows_lie_between_two_rows_of_their_class():
    needs("smote")
    rng = np.random.default_rng(0)
    y = (np.arange(120) % 6 == 0).astype(int)
    x = rng.normal(size=(120, 2)).astype(np.float32)
    found = balance_rows(x, y, None, "smote")
    rare = x[y == 1].astype(float)
    for point in found.x[found.synthetic][:20]:
        ends = [(a, b) for i, a in enumerate(rare) for b in rare[i + 1 :]]
        far = [
            np.linalg.norm(a + np.clip(((point - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1) * (b - a) - point)
            for a, b in ends
        ]
        assert min(far) < 1e-5


def test_oversampling_repeats_all_rows_of_a_class_equally_often():
    y = np.array([0] * 50 + [1] * 7 + [2] * 20)
    found = balance_rows(np.arange(77.0)[:, None], y, None, "oversample")
    times = np.bincount(found.source)
    assert np.bincount(found.y).tolist() == [50, 50, 50]
    assert (times[:50] == 1).all() and set(times[50:57]) <= {7, 8} and set(times[57:]) <= {2, 3}
    half = balance_rows(np.arange(77.0)[:, None], y, None, Balance(ratio=0.5))
    assert np.bincount(half.y).tolist() == [50, 25, 25]


def test_undersampling_leaves_common_rows_out_in_order():
    y = np.array([0] * 50 + [1] * 7 + [2] * 20)
    found = balance_rows(np.arange(77.0)[:, None], y, None, "undersample")
    assert np.bincount(found.y).tolist() == [7, 7, 7] and (np.diff(found.source) > 0).all()
    half = balance_rows(np.arange(77.0)[:, None], y, None, Balance("undersample", ratio=0.5))
    assert np.bincount(half.y).tolist() == [14, 7, 14]


def test_pictures_can_be_drawn_more_often_but_not_made_up():
    x, y = np.random.default_rng(0).random((20, 1, 4, 4)), np.array([0] * 16 + [1] * 4)
    assert balance_rows(x, y, Layout((1, 4, 4)), "oversample").x.shape == (32, 1, 4, 4)
    needs("smote")
    with pytest.raises(InputError, match="need a table"):
        balance_rows(x, y, Layout((1, 4, 4)), "smote")


def test_tiny_classes():
    needs("smote")
    rng = np.random.default_rng(0)
    y = np.array([0] * 40 + [1] * 3 + [2])
    x = rng.normal(size=(44, 2)).astype(np.float32)
    found = balance_rows(x, y, None, "smote")
    assert np.bincount(found.y).tolist() == [40, 40, 40]
    assert not found.synthetic[found.y == 2].any()  # a lone row has no neighbour: it is copied
    assert (found.x[found.y == 2] == x[43]).all() and found.synthetic[found.y == 1].sum() == 37


@pytest.mark.parametrize("kinds", [("code", "code"), ("onehot", "onehot"), ("indicator", "code")])
def test_tables_of_categories_alone(kinds):
    needs("smote")
    rng = np.random.default_rng(0)
    features = tuple(
        Feature(f"c{i}", "c" if kind == "onehot" else f"c{i}", kind, cardinality=4 if kind == "code" else 0)
        for i, kind in enumerate(kinds)
    )
    x = np.column_stack([rng.integers(0, 4 if kind == "code" else 2, 60) for kind in kinds]).astype(np.float32)
    if kinds == ("onehot", "onehot"):
        x[:, 1] = 1 - x[:, 0]
    y = (np.arange(60) % 6 == 0).astype(int)
    layout = Layout((2,), features)
    for method in ("smote", "borderline_smote"):
        found = balance_rows(x, y, layout, method)
        assert could_be_real(found.x, x, layout).all()


def test_columns_go_there_and_back(rows):
    x, _, layout = rows
    columns = Columns.of(x, layout)
    np.testing.assert_array_equal(columns.expand(columns.compact(x), x.shape[1]), x)
    points, places = columns.embed(x)
    np.testing.assert_array_equal(columns.unembed(points, places, x.shape[1]), x)
    # two rows that differ in one category only are as far apart as the median standard deviation
    at = next(i for i, f in enumerate(layout.features) if f.kind == "code")
    pair = np.stack([x[0], x[0]])
    pair[1, at] = (x[0, at] + 1) % layout.features[at].cardinality
    both, _ = columns.embed(np.concatenate([x, pair]))
    unit = np.median(np.concatenate([x, pair])[:, list(columns.numbers)].astype(float).std(0))
    assert np.linalg.norm(both[-1] - both[-2]) == pytest.approx(unit)


def test_weights_follow_their_rows():
    needs("smote")
    y = np.array([0] * 30 + [1] * 6)
    x, weight = np.random.default_rng(0).normal(size=(36, 2)), np.arange(36.0)
    found = balance_rows(x, y, None, "smote")
    weights = found.weights(weight, y)
    np.testing.assert_array_equal(weights[:36], weight)
    np.testing.assert_allclose(weights[36:], weight[30:].mean())
    copied = balance_rows(x, y, None, "oversample")
    np.testing.assert_array_equal(copied.weights(weight, y), weight[copied.source])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("smoke", "known name"), (Balance(ratio=0), "ratio"), (Balance(ratio=1.1), "ratio"),
        (Balance("smote", neighbours=0), "neighbours"), (Balance("smote", neighbours=1.5), "neighbours"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        balance_rows(np.zeros((4, 1)), np.array([0, 0, 0, 1]), None, options)


@pytest.mark.parametrize("y", [[0, 1, 1], [0.0, 1.0, 0.0, 1.0], [-1, 0, 1, 0]])
def test_bad_codes_are_refused(y):
    with pytest.raises(InputError, match="class code"):
        balance_rows(np.zeros((4, 1)), np.array(y))


def test_what_a_way_cannot_do_is_said():
    needs("adasyn")
    x = np.concatenate([np.zeros((30, 1)), 100 + np.arange(8.0)[:, None]])  # no rare row has a common neighbour
    with pytest.raises(InputError, match=r"neighbours to make others from \(adasyn\).*use smote or oversample"):
        balance_rows(x, np.array([0] * 30 + [1] * 8), None, "adasyn")


def test_a_missing_package_is_named(monkeypatch):
    def gone(module, extra):
        raise MissingExtraError(f"{module} {extra}")

    monkeypatch.setattr(synthetic_module, "require", gone)
    with pytest.raises(MissingExtraError, match="imbalance"):
        balance_rows(np.zeros((4, 1)), np.array([0, 0, 0, 1]), None, "smote")
