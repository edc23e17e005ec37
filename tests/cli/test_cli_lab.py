"""``glia lab``: what it lists, the folder it leaves, the settings that can be taken over, and what it refuses."""

import json
import tomllib
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from glia.cli.main import run


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 4))
    y = np.where(x[:, 0] + x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=160) > 0, "yes", "no")
    pl.DataFrame({**{f"c{i}": x[:, i] for i in range(4)}, "y": y}).write_csv(folder / "rows.csv")
    words = ["lab", "6,22", "--data", str(folder / "rows.csv"), "--target", "y", "--seeds", "5", "--quiet"]
    for name in ("one", "two"):
        assert run([*words, "--out", str(folder / name)]) == 0
    return folder


def claims(folder):
    return json.loads((folder / "lab.json").read_text())["claims"]


def test_every_claim_has_a_verdict_in_the_file(asked):
    found = claims(asked / "one")
    assert {claim["question"] for claim in found} == {6, 22}
    for claim in found:
        assert claim["verdict"] in ("supported", "refuted", "undecided")
        assert claim["seeds"] >= 5 and claim["unit"] and claim["seconds"] > 0
        assert claim["interval"][0] <= claim["effect"] <= claim["interval"][1]
    # back-propagation's own arithmetic is right whatever the table
    assert all(claim["verdict"] == "supported" for claim in found if claim["question"] == 6)


def test_the_same_seed_gives_the_same_verdicts(asked):
    one, two = (
        [{k: v for k, v in c.items() if k != "seconds"} for c in claims(asked / name)] for name in ("one", "two")
    )
    assert one == two


def test_the_page_has_a_part_for_each_question(asked):
    page = (asked / "one/report.html").read_text()
    HTMLParser().feed(page)
    for number in (6, 22):
        assert f'id="q{number}"' in page
    assert "glia lab 6,22" in page and "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_what_is_suggested_can_be_taken_over(asked, tmp_path):
    file = asked / "one/suggested.toml"
    suggested = tomllib.loads(file.read_text())
    assert suggested
    words = ["fit", str(asked / "rows.csv"), "--target", "y", "--settings", str(file), "--out", str(tmp_path / "run")]
    assert run([*words, "--epochs", "2", "--members", "1", "--quiet"]) == 0
    taken = tomllib.loads((tmp_path / "run/settings.toml").read_text())
    assert {name: taken[name] for name in suggested if name != "members"} == {
        name: value for name, value in suggested.items() if name != "members"
    }


def test_all_fifty_are_listed(capsys):
    assert run(["lab", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["questions"]
    assert [question["number"] for question in listed] == list(range(1, 51))
    assert sum(question["claims"] is not None for question in listed) >= 39


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["51"], "the questions are numbered 1 to 50"),
        (["28"], "still to come"),
        (["three"], "glia lab list"),
        (["16", "--data", "none.csv", "--target", "y"], "none.csv"),
        (["16", "--data", "rows.csv"], "name the column with --target"),
        (["16", "--data", "rows.csv", "--target", "yy"], "did you mean 'y'"),
        (["16", "--budget", "soon"], "write 90s, 10m or 1h"),
        (["16", "--seeds", "3"], "at least 5"),
        (["3", "--out", "rows.csv"], "out must be a folder"),
    ],
)
def test_mistakes_end_with_one_line(asked, monkeypatch, capsys, words, message):
    monkeypatch.chdir(asked)
    before = sorted(file.name for file in asked.iterdir())
    assert run(["lab", *words]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told and len(told.splitlines()) == 1
    assert sorted(file.name for file in asked.iterdir()) == before
