"""The bundled sets against figures that their publishers state, and against damage."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data.bundled import __main__ as command
from glia.data.bundled import describe, get, load, names, sets, write_csv

ALL = (
    "adult",
    "air_passengers",
    "breast_cancer",
    "diabetes",
    "diamonds",
    "digits",
    "iris",
    "shakespeare",
    "sunspots",
    "wine",
)


def test_names_are_exactly_the_documented_ones():
    assert names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_each_set_is_as_its_record_says(name):
    one, table = get(name), load(name)
    assert table.shape == (one.rows, one.columns)
    assert one.target in table.columns if one.target else one.task == "text"
    assert one.licence and one.source and one.licence in describe()[name] and one.source in describe()[name]
    if one.task == "binary":
        assert table[one.target].n_unique() == 2


def test_adult_has_the_published_counts():
    # adult.names: 48842 rows, 45222 of them without unknowns; train 32561 (30162), test 16281 (15060);
    # '>50K' is 23.93 % of all rows (published), i.e. 11687.
    def whole(table):
        return table.filter(~pl.any_horizontal(pl.col(pl.String) == "?")).height

    everything, train, test = load("adult"), load("adult", part="train"), load("adult", part="test")
    assert (everything.height, train.height, test.height) == (48842, 32561, 16281)
    assert (whole(everything), whole(train), whole(test)) == (45222, 30162, 15060)
    assert round(100 * (everything["income"] == ">50K").mean(), 2) == 23.93
    assert pl.concat([train, test]).equals(everything)
    assert train.row(0)[:4] == (39, "State-gov", 77516, "Bachelors")
    assert everything["income"].unique().sort().to_list() == ["<=50K", ">50K"]


def test_series_and_tables_have_known_values():
    air = load("air_passengers")
    assert air["passengers"][:3].to_list() == [112, 118, 132]
    assert air["month"][[0, -1]].to_list() == [datetime.date(1949, 1, 1), datetime.date(1960, 12, 1)]
    assert air["passengers"].sum() == 40363  # mean 280.2986 of 144 months, as R prints it
    spots = load("sunspots")
    assert spots["sunspots"].max() == 253.8  # October 1957
    assert spots.filter(pl.col("sunspots") == 253.8)["month"].item() == datetime.date(1957, 10, 1)
    diamonds = load("diamonds")
    assert (diamonds["price"].min(), diamonds["price"].max()) == (326, 18823)
    assert round(diamonds["price"].mean(), 1) == 3932.8
    assert diamonds["cut"].value_counts(sort=True).row(0) == ("Ideal", 21551)


def test_text_is_the_real_text():
    works = load("shakespeare")
    hamlet = works.filter(pl.col("work") == "hamlet")["text"].item()
    assert "To be, or not to be,--that is the question:" in hamlet
    assert works["text"].str.len_chars().sum() > 5_000_000 - 250_000
    assert not works["text"].str.contains("\r").any()


def test_sets_of_sklearn_keep_names_and_order():
    from sklearn.datasets import load_breast_cancer, load_iris

    bunch = load_iris()
    iris = load("iris")
    assert iris.columns == ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    np.testing.assert_array_equal(iris.drop("species").to_numpy(), bunch.data)
    assert iris["species"].to_list() == bunch.target_names[bunch.target].tolist()
    # scikit-learn documents 212 malignant and 357 benign.
    counts = dict(load("breast_cancer")["diagnosis"].value_counts().iter_rows())
    assert counts == {"malignant": 212, "benign": 357}
    assert load_breast_cancer().data.shape == (569, 30)


def test_a_changed_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "files").mkdir()
    content = bytearray(sets.files(sets.__package__).joinpath("files/air_passengers.parquet").read_bytes())
    content[100] ^= 1
    (tmp_path / "files" / "air_passengers.parquet").write_bytes(content)
    get("air_passengers")  # the manifest is read before the folder is swapped
    monkeypatch.setattr(sets, "files", lambda _package: tmp_path)
    with pytest.raises(InputError, match=r"must have the hash .* install Glia again"):
        load("air_passengers")


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("adlut", None, r"got name='adlut' · did you mean 'adult'\?"),
        ("adult", "tset", r"got part='tset' of 'adult' · did you mean 'test'\?"),
        ("iris", "train", r"part='train' of 'iris' · leave part out"),
    ],
)
def test_unknown_names_offer_the_nearest(name, part, message):
    with pytest.raises(InputError, match=message):
        load(name, part=part)


def test_csv_comes_back_equal(tmp_path):
    path = tmp_path / "a folder" / "adult.csv"
    assert write_csv("adult", path, part="test") == 16281
    back = pl.read_csv(path)
    assert back.equals(load("adult", part="test").cast(dict.fromkeys(back.select(pl.col(pl.Int64)).columns, pl.Int64)))
    assert path.read_text().count("?") == 2203  # unknown cells stay question marks


def test_command_line(tmp_path, capsys):
    out = tmp_path / "wine.csv"
    assert command.main(["wine", str(out)]) == 0
    assert out.exists() and "178 rows" in capsys.readouterr().out
    assert command.main(["wines", str(out)]) == 2
    assert "did you mean 'wine'?" in capsys.readouterr().err


def test_the_page_lists_every_set_with_its_size_and_licence():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8").splitlines()
    for name in ALL:
        one = get(name)
        (row,) = [line for line in page if line.startswith(f"| `{name}` |")]
        assert f"| {one.rows:,} × {one.columns} |" in row
        assert f"`{one.target}`" in row or not one.target
        assert one.licence.split(",")[0] in row or "none stated" in row
