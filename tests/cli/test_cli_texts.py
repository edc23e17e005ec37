"""Tables with a column of texts go all the way by the command line."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch

from glia.cli.main import run

GOOD, BAD = ("good", "fine", "great", "lovely"), ("bad", "poor", "dull", "awful")
NEUTRAL = ("the", "film", "plot", "cast", "was", "a", "story", "with", "and", "of", "it", "in")
FLAGS = ["--epochs", "12", "--bootstrap", "20", "--quiet"]


def reviews(count, seed=0):
    """Sentences with one word that says all; a column of noise beside them."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        words = list(rng.choice(NEUTRAL, rng.integers(4, 9)))
        words.insert(int(rng.integers(0, len(words))), str(rng.choice((GOOD, BAD)[i % 2])))
        rows.append((" ".join(words).capitalize() + f" <b>{i}</b>.", ("yes", "no")[i % 2], float(rng.normal())))
    return pl.DataFrame(rows, schema=["review", "liked", "noise"], orient="row")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("texts")
    reviews(240).write_csv(place / "reviews.csv")
    reviews(40, 1).write_csv(place / "new.csv")
    flags = ["--target", "liked", "--network", "text_convnet", "--out", str(place / "run"), *FLAGS]
    assert run(["fit", str(place / "reviews.csv"), *flags]) == 0
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with random weights and its tokenizer, as ``save_pretrained`` writes them."""
    transformers = pytest.importorskip("transformers", reason="optional package of the extra transfer")
    place = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *NEUTRAL]
    (place / "vocab.txt").write_text("\n".join(pieces))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=40,
    )  # fmt: skip
    transformers.logging.disable_progress_bar()
    transformers.BertModel(config).save_pretrained(place)
    transformers.BertTokenizer(str(place / "vocab.txt")).save_pretrained(place)
    return place


def record_of(folder):
    return json.loads((folder / "run.json").read_text())


def test_the_column_of_texts_is_learned_from_alone_and_that_is_said(place):
    record = record_of(place / "run")
    roles = {column["name"]: column["role"] for column in record["schema"]["columns"]}
    assert roles == {"review": "text", "liked": "target", "noise": "ignored"}
    assert any("'noise' is not used" in one["message"] for one in record["schema"]["warnings"])
    assert record["metrics"]["test"]["accuracy"]["value"] == 1.0
    assert [one["name"] for one in record["baselines"]][-1] == "logistic on words"
    assert record["network"]["name"] == "TextConvNetwork"


def test_the_report_shows_texts_and_words_escaped(place):
    record, page = record_of(place / "run"), (place / "run" / "report.html").read_text()
    assert all(set(row["values"]) == {"review"} for row in record["hardest"])
    assert "<b>1" not in page and "&lt;b&gt;" in page
    assert "Which words move its answers" in page and '<mark class="for l4"' in page
    leading = {one["word"] for one in record["words"]["features"][:5]}
    assert leading <= {*GOOD, *BAD}
    assert record["words"]["checks"]["deletion gain"] > 0.1
    signs = {one["word"]: one["mean"] > 0 for one in record["words"]["features"] if one["word"] in (*GOOD, *BAD)}
    assert all(good == (word in GOOD) for word, good in signs.items())  # the second class is "yes"


def test_the_model_is_of_use(place, capsys):
    model = str(shutil.copy(place / "run" / "model.glia", place / "moved.glia"))
    assert run(["predict", model, str(place / "new.csv"), "--out", str(place / "p.csv")]) == 0
    assert pl.read_csv(place / "p.csv")["prediction"].to_list() == reviews(40, 1)["liked"].to_list()
    only = place / "only.csv"
    pl.DataFrame({"words": ["a fine film", "12", None]}).write_csv(only)  # one column, whatever its name
    assert run(["predict", model, str(only), "--out", str(place / "q.csv")]) == 0
    assert pl.read_csv(place / "q.csv").height == 3
    capsys.readouterr()
    assert run(["evaluate", model, str(place / "new.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] == 1.0
    assert run(["describe", model]) == 0
    assert "TextClassifier" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["occlusion", "lime"])
def test_words_are_explained(place, capsys, method):
    out = place / f"explained by {method}"
    command = ["explain", str(place / "run" / "model.glia"), str(place / "new.csv"), "--rows", "6"]
    assert run([*command, "--method", method, "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    frame = pl.read_parquet(out / "attributions.parquet")
    texts = reviews(40, 1)["review"].head(6).to_list()
    said = zip(*(frame[name] for name in ("row", "start", "end", "word")), strict=True)
    assert all(texts[row][start:end] == word for row, start, end, word in said)
    largest = frame.group_by("row").agg(pl.col("word").sort_by(pl.col("share").abs()).last())["word"]
    assert set(largest.str.to_lowercase()) <= {*GOOD, *BAD}
    assert found["checks"]["deletion gain"] > 0.1
    page = (out / "explain.html").read_text()
    assert page.count("<blockquote>") == 6 and "rightly" in page and "<b>0</b>" not in page


def test_a_backbone_reads_texts_and_travels_with_the_model(place, folder, tmp_path, capsys):
    copied = shutil.copytree(folder, tmp_path / "bert")
    flags = ["--target", "liked", "--drop", "noise", "--backbone", str(copied), "--tune", "full", "--lr", "0.05",
             "--text-length", "16", "--no-baselines", "--out", str(tmp_path / "run"), *FLAGS]  # fmt: skip
    assert run(["fit", str(place / "reviews.csv"), *flags]) == 0
    record = record_of(tmp_path / "run")
    assert record["network"]["name"] == "BackboneNetwork" and record["settings"]["tune"] == "full"
    shutil.rmtree(copied)
    capsys.readouterr()
    assert run(["evaluate", str(tmp_path / "run" / "model.glia"), str(place / "new.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] > 0.8


def test_texts_alone_are_read_by_a_network_of_texts(place, tmp_path):
    data = tmp_path / "stars.csv"
    frame = reviews(120)
    stars = pl.Series("stars", [5.0 if liked == "yes" else 1.0 for liked in frame["liked"]]) + frame["noise"] / 5
    frame.select("review").with_columns(stars).write_csv(data)
    short = [*FLAGS[2:], "--epochs", "2", "--no-baselines"]
    assert (
        run(["fit", str(data), "--target", "stars", "--role", "review=text", "--out", str(tmp_path / "r"), *short]) == 0
    )
    record = record_of(tmp_path / "r")
    assert record["network"]["name"] == "TextConvNetwork" and "these texts alone" in record["choices"]["network"]["why"]
    assert record["words"]["unit"] == "target" and record["task"] == "regression"
    plain = ["--target", "stars", "--role", "review=text", "--network", "mlp", "--out", str(tmp_path / "m"), *short]
    assert run(["fit", str(data), *plain]) == 0  # a family of tables reads them by the weights of their words
    assert record_of(tmp_path / "m")["network"]["name"] != "TextConvNetwork"


def test_groups_and_weights_of_a_table_count(place, tmp_path):
    frame = reviews(120).with_columns(author=pl.Series([f"a{i // 2 % 15}" for i in range(120)]), w=pl.lit(1.0))
    frame.write_csv(tmp_path / "d.csv")
    flags = ["--target", "liked", "--network", "text_convnet", "--group", "author", "--weight", "w", "--no-baselines"]
    assert run(["fit", str(tmp_path / "d.csv"), *flags, "--out", str(tmp_path / "r"), *FLAGS[2:], "--epochs", "1"]) == 0
    record = record_of(tmp_path / "r")
    assert record["split"]["method"] == "group"
    authors = {name: {frame["author"][i] for i in rows} for name, rows in record["split"]["numbers"].items()}
    assert not authors["train"] & authors["test"] and not authors["train"] & authors["valid"]
    assert all({"review", "author"} == set(row["values"]) for row in record["hardest"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--backbone", "nowhere"], "'nowhere', no folder"),
        (["--backbone", "."], "must have a configuration, weights and a tokenizer"),
        (["--role", "liked=text", "--network", "text_convnet"], "one role"),
        (["--role", "review=ignored", "--network", "text_convnet"], "one column must hold texts"),
        (["--role", "noise=text", "--role", "review=text", "--network", "text_convnet"], "reads one column"),
        (["--network", "text_convnet", "--hidden", "4"], "for tables"),
        (["--network", "text_convnet", "--id", "noise"], "reads texts"),
        (["--text-length", "9"], "texts have a length"),
        (["--tune", "lora"], "how a backbone learns"),
        (["--backbone", "x", "--network", "mlp"], "one network"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_left(place, tmp_path, capsys, monkeypatch, flags, said):
    monkeypatch.chdir(tmp_path)
    assert run(["fit", str(place / "reviews.csv"), "--target", "liked", *flags, "--out", "r", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_texts_without_words_and_damaged_weights_are_refused(place, folder, tmp_path, capsys):
    pl.DataFrame({"t": ["...", "!?"] * 20, "y": [0, 1] * 20}).write_csv(tmp_path / "signs.csv")
    flags = ["--target", "y", "--role", "t=text", "--network", "text_convnet", "--out", str(tmp_path / "r")]
    assert run(["fit", str(tmp_path / "signs.csv"), *flags, "--quiet"]) == 2
    assert "some text of 't' must have words" in capsys.readouterr().err
    cut = shutil.copytree(folder, tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    flags = ["--target", "liked", "--backbone", str(cut), "--out", str(tmp_path / "r"), "--quiet"]
    assert run(["fit", str(place / "reviews.csv"), *flags]) == 2
    assert "the network of a folder must be readable" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_text_of_a_million_characters_is_cut(place, tmp_path):
    frame = reviews(60)
    huge = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("a dull story " * 80_000)).otherwise("review").alias("review")
    )
    huge.write_parquet(tmp_path / "d.parquet")
    flags = ["--target", "liked", "--drop", "noise", "--role", "review=text", "--out", str(tmp_path / "r"), *FLAGS[2:]]
    assert run(["fit", str(tmp_path / "d.parquet"), *flags, "--epochs", "1", "--network", "text_convnet"]) == 0
    record = record_of(tmp_path / "r")
    notes = {one["name"]: one["note"] for one in record["baselines"]}
    assert "first 20,000 characters" in notes["logistic on words"]
    assert (tmp_path / "r" / "report.html").stat().st_size < 1_000_000


def test_settings_of_texts_are_searched(place, tmp_path):
    flags = ["--target", "liked", "--network", "text_convnet", "--trials", "2", "--epochs", "1", "--no-untuned"]
    assert run(["tune", str(place / "reviews.csv"), *flags, "--out", str(tmp_path / "t"), "--quiet"]) == 0
    assert (tmp_path / "t" / "model.glia").exists()
