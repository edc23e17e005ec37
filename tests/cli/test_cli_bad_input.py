"""Bad input, word for word: one line on stderr, status 2, no traceback, nothing half-written."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import polars as pl
import pytest

from glia.cli.main import run

QUICK = ("--epochs", "1", "--effort", "quick", "--bootstrap", "0", "--importance-repeats", "0", "--no-baselines")
N = 200


def table(n=N):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=n), rng.choice(list("uvw"), n)
    return pl.DataFrame({"a": a, "b": b, "y": np.where(a + (b == "u") + rng.normal(size=n) > 0, "yes", "no")})


def at(rows, value, other):
    return pl.when(pl.int_range(pl.len()).is_in(list(rows))).then(pl.lit(value)).otherwise(other)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in an empty folder with a good table in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLIA_TRACEBACK", raising=False)
    table().write_csv("good.csv")
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the bytes of a model file that a real run wrote."""
    folder = tmp_path_factory.mktemp("model")
    table().write_csv(folder / "good.csv")
    assert run(["fit", str(folder / "good.csv"), "--target", "y", "--out", str(folder / "run"), "-q", *QUICK]) == 0
    return (folder / "run" / "model.glia").read_bytes()


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refused(here, capsys, *words):
    """Return the only line on stderr, after checking that the files are the same as before."""
    before = tree(here)
    status = run(list(words))
    out, err = capsys.readouterr()
    assert (status, out) == (2, "") and err.startswith("glia: error: ") and err.count("\n") == 1, err
    assert tree(here) == before
    return err.removeprefix("glia: error: ").rstrip("\n")


def refused_fit(here, capsys, name="t.csv", *more, target="y"):
    return refused(here, capsys, "fit", name, "--target", target, "--out", "run", "--quiet", *QUICK, *more)


def fitted(here, capsys, frame, *more):
    """Fit to a frame, which must work; return the codes of the findings and the roles."""
    frame.write_csv(here / "t.csv")
    assert run(["fit", "t.csv", "--target", "y", "--out", "run", "--json", *QUICK, *more]) == 0
    out, err = capsys.readouterr()
    assert err == "" and (here / "run" / "model.glia").is_file()
    schema = pl.read_json(out.encode())["schema"][0]
    found = {(one["code"], one["column"]): one["message"] for one in schema["warnings"]}
    return found, {column["name"]: column["role"] for column in schema["columns"]}


LINES = table().write_csv().splitlines()
FILES = {
    "missing": (None, "the file must exist · got 't.csv' · did you mean 'good.csv'?"),
    "empty": (b"", "a table must have a header and rows · got the empty file 't.csv' · choose another file"),
    "blank": (b" \n\n", "a table must have a header and rows · got the empty file 't.csv' · choose another file"),
    "header only": (
        b"a,b,y\n",
        "a table must have at least one row · got only a header in 't.csv' · hand in a file with rows below its names",
    ),
    "binary": (
        b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 9,
        "a table must be text, Parquet, Arrow or JSON lines · got 't.csv' with zero bytes: a binary file · "
        "hand in the table itself",
    ),
    "zip": (
        b"PK\x03\x04" + bytes(range(256)),
        "a table must be CSV, TSV, Parquet, Arrow, Feather or JSON lines · got 't.csv', which is a zip archive · "
        "unpack it; of a spreadsheet, save the sheet as CSV",
    ),
    "pickle": (
        pickle.dumps({"a": [1, 2]}),
        "a table must be CSV, TSV, Parquet, Arrow, Feather or JSON lines · got 't.csv', which is a pickle · "
        "it is not opened, because opening a pickle can run code; export the table as Parquet",
    ),
    "too long a row": (
        "\n".join([*LINES[:50], "1,2,3,4,5", *LINES[50:]]).encode(),
        "every row must have as many fields as the header · got 5 fields in line 51 of 't.csv', "
        "where the header has 3 · correct that line; a field that holds the delimiter must be quoted",
    ),
    "too short a row": (
        "\n".join([*LINES[:50], "1,u", *LINES[50:]]).encode(),
        "every row must have as many fields as the header · got 2 fields in line 51 of 't.csv', "
        "where the header has 3 · correct that line; a field that holds the delimiter must be quoted",
    ),
    "duplicate names": (
        "\n".join(["a,a,y", *LINES[1:]]).encode(),
        "column names must be unique · got 'a' 2 times in 't.csv' · rename these columns",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_hold_no_table(case, here, capsys):
    content, said = FILES[case]
    if content is not None:
        (here / "t.csv").write_bytes(content)
    assert refused_fit(here, capsys) == said
    assert refused(here, capsys, "describe", "t.csv") == said


def test_the_nearest_file_is_offered(here, capsys):
    assert refused_fit(here, capsys, "god.csv") == "the file must exist · got 'god.csv' · did you mean 'good.csv'?"
    assert refused_fit(here, capsys, "no/t.csv") == "the file must exist · got 'no/t.csv' · there is no folder 'no'"


def test_a_folder(here, capsys):
    (here / "t").mkdir()
    assert refused_fit(here, capsys, "t") == (
        "a folder must hold tables · got 't' with nothing · a table's name ends in one of "
        ".parquet, .pq, .arrow, .feather, .ipc, .csv, .tsv, .tab, .txt"
    )
    (here / "t" / "x.csv").write_text("a,y\n1,2\n")
    assert refused_fit(here, capsys, "t") == (
        "there must be at least two rows with a target · got 1 row · hand in more rows"
    )


INF = (
    "numbers must be finite · got infinite values (inf) in {} · "
    "replace them, leave them blank, or leave the columns out"
)
FRAMES = {
    "one class": (
        lambda t: t.with_columns(y=pl.lit("no")),
        "the target must have at least two classes · got target='y' with one class: 'no' · "
        "choose another target, or more rows",
    ),
    "target missing": (
        lambda t: t.with_columns(y=pl.lit(None, dtype=pl.String)),
        "the target must have values · got target='y' with only missing ones in 200 rows · "
        "choose another target, or fill it in",
    ),
    "one class beside missing ones": (
        lambda t: t.with_columns(y=at(range(100), None, pl.lit("no"))),
        "the target must have at least two classes · got target='y' with one class: 'no' · "
        "choose another target, or more rows",
    ),
    "infinity": (lambda t: t.with_columns(a=at([5], float("inf"), pl.col("a"))), INF.format("'a' (row 6)")),
    "minus infinity": (lambda t: t.with_columns(a=at([5], float("-inf"), pl.col("a"))), INF.format("'a' (row 6)")),
    "infinite target": (
        lambda t: t.with_columns(y=at([3, 13], float("inf"), pl.col("a"))),
        INF.format("'y' (rows 4, 14)"),
    ),
    "one row": (
        lambda t: t.head(1),
        "there must be at least two rows with a target · got 1 row · hand in more rows",
    ),
    "missing weight": (
        lambda t: t.with_columns(w=at([3], None, pl.lit(1.0))),
        "weights must be numbers of at least 0 · got a missing one in 'w' · correct it, or drop the column",
    ),
    "negative weight": (
        lambda t: t.with_columns(w=at([3], -1.5, pl.lit(1.0))),
        "weights must be numbers of at least 0 · got -1.5 in 'w' · correct it, or drop the column",
    ),
    "no weight": (
        lambda t: t.with_columns(w=pl.lit(0.0)),
        "some weight must be above 0 · got only zeros in 'w' · choose another column",
    ),
    "target alone": (
        lambda t: t.select("y"),
        "there must be at least one column to learn from · got none beside the target · "
        "hand in a table with further columns",
    ),
}


@pytest.mark.parametrize("case", FRAMES)
def test_tables_that_cannot_be_learned_from(case, here, capsys):
    make, said = FRAMES[case]
    make(table()).write_csv("t.csv")
    assert refused_fit(here, capsys, "t.csv", *(("--weight", "w") if "weight" in case else ())) == said


def test_few_rows(here, capsys):
    table().head(5).write_csv("t.csv")
    assert refused_fit(here, capsys) == "a fit needs at least 10 rows with a target · got 5 in t · give more rows"


SETTINGS = [
    (["--group", "nope"], "group must name columns of the table · got group='nope' · did you mean 'income'?"),
    (["--weight", "aa"], "weight must name columns of the table · got weight='aa' · did you mean 'a'?"),
    (
        ["--weight", "b"],
        "column 'b' must hold numbers · got 'v', 'u', 'w' · "
        "correct these values, leave them blank, or give the column another role",
    ),
    (["--split", "time"], "a split by time must name its column · got no time · set time to a column"),
    (
        ["--group", "a", "--time", "b"],
        "rows are divided by group or by time · got group='a' and time='b' · set split to 'group' or to 'time'",
    ),
    (["--split", "time", "--time", "q"], "time must name a column of the table · got time='q' · "),
    (["--drop", "zz"], "drop must name columns of the table · got drop='zz' · choose one of: a, b, income"),
    (["--drop", "income"], "the target must not be left out · got drop=['income'] · take it off the dropped columns"),
    (["--role", "zz=text"], "roles must name columns of the table · got roles='zz' · choose one of: a, b, income"),
    (["--optimizer", "adamm"], "the optimizer must be a known name · got optimizer='adamm' · did you mean 'adam'?"),
    (["--activation", "rellu"], "activation: the activation must be a known name · got activation='rellu' · did you"),
    (["--loss", "huber"], "the loss must fit the task 'binary' · got loss='huber' · choose one of: binary_cross"),
    (["--device", "abacus"], "the device must be a known name · got device='abacus' · choose one of: auto, cpu, cuda"),
    (["--dropout", "2"], "the setting 'dropout' must be valid · got dropout=2 · give 'auto' or a number at least 0"),
    (["--task", "regression"], "the target of a regression must hold numbers · got target='income' with 'no', 'yes'"),
]


@pytest.mark.parametrize(("words", "said"), SETTINGS, ids=[" ".join(words) for words, _ in SETTINGS])
def test_settings_that_cannot_be_used(words, said, here, capsys):
    table().rename({"y": "income"}).write_csv("t.csv")
    assert refused_fit(here, capsys, "t.csv", *words, target="income").startswith(said)


def test_the_nearest_column_is_offered_as_target(here, capsys):
    table().rename({"y": "income"}).write_csv("t.csv")
    said = "the target must be a column of the table · got target='incme' · did you mean 'income'?"
    assert refused_fit(here, capsys, target="incme") == said
    assert refused(here, capsys, "describe", "t.csv", "--target", "incme") == said


def test_an_output_that_is_a_file(here, capsys):
    assert refused(here, capsys, "fit", "good.csv", "--target", "y", "--out", "good.csv", "-q", *QUICK) == (
        "out must be a folder · got the file 'good.csv' · choose another name"
    )


def test_an_output_below_a_file(here, capsys):
    said = refused(here, capsys, "fit", "good.csv", "--target", "y", "--out", "good.csv/run", "-q", *QUICK)
    assert "the folder of an output must be writable · got 'good.csv/run', below" in said
    assert said.endswith("good.csv' · choose another path")


def test_a_failed_fit_leaves_an_earlier_run_as_it_was(here, capsys):
    fitted(here, capsys, table())
    before = tree(here)
    assert run(["fit", "good.csv", "--target", "z", "--out", "run"]) == 2
    assert tree(here) == before


# ---- What looks bad but works, with a finding ----


def test_a_column_without_values_is_left_out(here, capsys):
    found, roles = fitted(here, capsys, table().with_columns(c=pl.lit(None, dtype=pl.String)))
    assert found["all-missing", "c"] == "'c' has no values at all and is left out."
    assert roles == {"a": "numeric", "b": "categorical", "y": "target", "c": "ignored"}


def test_a_few_words_among_numbers_count_as_missing(here, capsys):
    mixed = table().with_columns(a=at(range(0, N, 40), "lots", pl.col("a").cast(pl.String)))
    found, roles = fitted(here, capsys, mixed)
    assert found["unparsed", "a"] == "5 of 200 values of 'a' cannot be read as a number and count as missing: 'lots'."
    assert roles["a"] == "numeric"


def test_many_words_among_numbers_make_categories(here, capsys):
    mixed = table().with_columns(a=at(range(0, N, 3), "lots", pl.col("a").round(0).cast(pl.String)))
    found, roles = fitted(here, capsys, mixed)
    assert "mixes numbers with words" in found["mixed-types", "a"] and roles["a"] == "categorical"


def test_ten_thousand_categories(here, capsys):
    n = 12_000
    many = table(n).with_columns(c="c" + (pl.int_range(n) % 10_000).cast(pl.String))
    found, roles = fitted(here, capsys, many, "--batch-size", "2048", "--hidden", "8")
    assert found["high-cardinality", "c"] == "'c' has 10,000 categories, 1.2 rows each on average."
    assert roles["c"] == "categorical"


def test_rows_without_a_target_are_left_out(here, capsys):
    numbers = table().with_columns(y=at(range(0, N, 10), None, 2 * pl.col("a")))
    assert fitted(here, capsys, numbers)[0]["target-missing", "y"] == (
        "20 of 200 rows have no target and were left out."
    )
    with_nan = table().with_columns(y=at(range(0, N, 10), float("nan"), 2 * pl.col("a")))
    assert fitted(here, capsys, with_nan)[0]["target-missing", "y"] == (
        "20 of 200 rows have no target and were left out."
    )


def test_a_class_with_one_row(here, capsys):
    found, _ = fitted(here, capsys, table().with_columns(y=at([7], "rare", pl.col("y"))), "--baselines")
    assert found["rare-class", "y"] == "Classes of 'y' with one row only: 'rare'."


# ---- Predicting ----


@pytest.fixture
def saved(here, model):
    (here / "m.glia").write_bytes(model)
    table().drop("y").write_csv("new.csv")
    return here


def refused_predict(here, capsys, path="m.glia", rows="new.csv", out="out.csv"):
    return refused(here, capsys, "predict", path, rows, "--out", out)


ROWS = {
    "a column is missing": (
        lambda t: t.drop("a"),
        "rows must have the columns that the model was fitted on · got rows without 'a' · "
        "add them; values may be blank",
    ),
    "columns have other names": (
        lambda t: t.rename({"a": "A", "b": "bb"}),
        "rows must have the columns that the model was fitted on · got rows without 'a', 'b' · "
        "for 'a' did you mean 'A'?; for 'b' did you mean 'bb'?",
    ),
    "words in place of numbers": (
        lambda t: t.with_columns(a=pl.lit("many")),
        "column 'a' must hold numbers · got 'many' · "
        "correct these values, leave them blank, or give the column another role",
    ),
    "infinite": (lambda t: t.with_columns(a=at([1], float("inf"), pl.col("a"))), INF.format("'a' (row 2)")),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_do_not_fit_the_model(case, saved, capsys):
    make, said = ROWS[case]
    make(table()).write_csv("new.csv")
    assert refused_predict(saved, capsys) == said


STRANGE = {
    "new categories": lambda t: t.with_columns(b=pl.lit("never seen")),
    "missing values": lambda t: t.with_columns(a=pl.lit(None, dtype=pl.Float64), b=pl.lit(None, dtype=pl.String)),
    "one row": lambda t: t.head(1),
    "further columns": lambda t: t.with_columns(z=pl.lit(1)),
    "another order": lambda t: t.select("b", "a"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_rows_that_can_be_predicted(case, saved, capsys):
    rows = STRANGE[case](table())
    rows.write_csv("new.csv")
    assert run(["predict", "m.glia", "new.csv", "--out", "out.csv", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    found = pl.read_csv("out.csv")
    assert found.columns == ["prediction", "probability_no", "probability_yes"] and found.height == rows.height
    assert set(found["prediction"]) <= {"no", "yes"}
    assert np.allclose(found["probability_no"] + found["probability_yes"], 1)


ARCHIVE = "a model file must be a whole, unaltered Glia archive · got 'm.glia': "
MODELS = {
    "truncated": (
        lambda b: b[: len(b) // 2],
        ARCHIVE + "it is truncated, or something was appended to it · copy or save the model again",
    ),
    "appended to": (
        lambda b: b + b"more",
        ARCHIVE + "it is truncated, or something was appended to it · copy or save the model again",
    ),
    "a pickle": (
        lambda b: pickle.dumps({"a": 1}),
        ARCHIVE + "a pickle · a pickle can run code when it is loaded, so Glia never loads one: "
        "save the model with glia.save",
    ),
    "not a zip": (
        lambda b: b"hello",
        ARCHIVE + "a file that is not a Glia archive · give a file made by glia.save",
    ),
    "empty": (lambda b: b"", ARCHIVE + "an empty file · give a file made by glia.save"),
}


@pytest.mark.parametrize("case", MODELS)
def test_model_files_that_are_refused(case, saved, capsys):
    make, said = MODELS[case]
    (saved / "m.glia").write_bytes(make((saved / "m.glia").read_bytes()))
    assert refused_predict(saved, capsys) == said
    assert refused(saved, capsys, "evaluate", "m.glia", "good.csv") == said
    assert refused(saved, capsys, "describe", "m.glia") == said


def test_a_flipped_byte_anywhere_is_noticed(saved, model, capsys):
    assert refused_predict(saved, capsys, path="new.csv").endswith("give a file made by glia.save")
    for place in np.linspace(30, len(model) - 30, 23, dtype=int).tolist():
        (saved / "m.glia").write_bytes(model[:place] + bytes([model[place] ^ 1]) + model[place + 1 :])
        said = refused_predict(saved, capsys)
        assert said.startswith("a model file must "), (place, said)


def test_model_paths_that_hold_no_model(saved, capsys):
    (saved / "folder").mkdir()
    assert refused_predict(saved, capsys, path="none.glia") == (
        "a model file must be there and readable · got 'none.glia': No such file or directory · check the path"
    )
    assert refused_predict(saved, capsys, path="folder") == (
        "a model must be a regular file · got 'folder': a folder · give the path of a .glia file"
    )


def test_outputs_that_cannot_be_written(saved, capsys):
    (saved / "d.csv").mkdir()
    assert refused_predict(saved, capsys, out="x.xlsx") == (
        "the output must end in one of .csv, .tsv, .parquet, .arrow, .feather, .jsonl · got 'x.xlsx' · "
        "choose one of these, e.g. predictions.parquet"
    )
    assert refused_predict(saved, capsys, out="d.csv") == (
        "the output must be a file · got the folder 'd.csv' · give a file name inside it"
    )
    assert refused_predict(saved, capsys, out="good.csv/x.csv") == (
        "the folder of an output must be writable · got 'good.csv/x.csv': File exists · choose another path"
    )
    assert refused_predict(saved, capsys, out="new.csv") == (
        "the output must not be the table itself · got 'new.csv' · give another file name"
    )


def test_answers_that_cannot_be_measured_against(saved, capsys):
    assert refused(saved, capsys, "evaluate", "m.glia", "new.csv") == (
        "the data must hold the target · got no column 'y' · choose one of: a, b"
    )
    table().with_columns(y=pl.lit("maybe")).write_csv("t.csv")
    assert refused(saved, capsys, "evaluate", "m.glia", "t.csv") == (
        "every label of y must be one of the classes ['no', 'yes'] · got 'maybe' · correct it, or leave such rows out"
    )
    table().with_columns(y=pl.lit(None, dtype=pl.String)).write_csv("t.csv")
    assert refused(saved, capsys, "evaluate", "m.glia", "t.csv") == (
        "the target must have values · got only missing ones in y · check the column"
    )


def test_warnings_are_one_line_without_code(here, capsys, monkeypatch):
    def describe(*args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("odd\n  thing", stacklevel=1)
        raise KeyboardInterrupt

    monkeypatch.setattr("glia.data.describe", describe)
    assert run(["describe", "good.csv"]) == 130
    assert capsys.readouterr().err == "glia: warning: odd thing\nglia: interrupted\n"
    assert run(["describe", "good.csv", "--quiet"]) == 130
    assert capsys.readouterr().err == "glia: interrupted\n"


def test_in_a_process_of_its_own(here):
    code = "import sys; from glia.cli.main import main; main(sys.argv[1:])"
    words = ["fit", "no.csv", "--target", "y", "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120)
    said = "glia: error: the file must exist · got 'no.csv' · did you mean 'good.csv'?\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert [path.name for path in here.iterdir()] == ["good.csv"]
