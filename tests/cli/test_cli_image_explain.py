"""Pictures explained from the command line: a planted mark is found, files are written, and what is refused."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import glia
from glia.cli.main import run
from glia.nn import MLP, ConvNet
from glia.report.picture_explanation import HeatMap

SIDE = 16


def marked(root, count, seed=0):
    """A bright square somewhere on the left or on the right, in folders of that name; its place by file."""
    rng, places = np.random.default_rng(seed), {}
    for i in range(count):
        name, x = ("left", "right")[i % 2], rng.normal(90, 12, (SIDE, SIDE, 3))
        line, column = int(rng.integers(1, 11)), int(rng.integers(1, 3)) + 8 * (i % 2)
        x[line : line + 4, column : column + 4] += 130
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(x, 0, 255).astype(np.uint8)).save(root / name / f"{i}.png")
        places[f"{name}/{i}.png"] = (line, column)
    return places


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("explained")
    places = marked(root / "photos", 120)
    made = glia.ImageClassifier(ConvNet((6, 6), head="flatten"), epochs=10, lr=5e-3, augment="none")
    glia.save(made.fit(root / "photos"), root / "m.glia", target="class")
    return root, places


@pytest.mark.parametrize("method", ["integrated_gradients", "lime", "grad_cam"])
def test_the_mark_is_found_and_the_page_written(place, method, capsys):
    root, places = place
    out = root / method
    words = [
        "explain",
        str(root / "m.glia"),
        str(root / "photos"),
        "--method",
        method,
        "--rows",
        "6",
        "--out",
        str(out),
    ]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == method and len(told["pictures"]) == 6 and told["checks"]["deletion gain"] > 0.05
    values = np.load(out / "attributions.npy")
    assert values.shape[:4] == (6, 3, SIDE, SIDE)
    assert [one["file"].partition("/")[0] for one in told["pictures"]] == ["left"] * 3 + ["right"] * 3
    inside = 0.0
    for one, value in zip(told["pictures"], values, strict=True):
        assert one["predicted"].startswith(one["file"].partition("/")[0])
        line, column = places[one["file"]]
        sizes = np.abs(value.reshape(3, SIDE, SIDE).sum(axis=0))
        inside += sizes[line - 1 : line + 5, max(0, column - 1) : column + 5].sum() / sizes.sum() / 6
    assert inside > {"integrated_gradients": 0.5, "lime": 0.3, "grad_cam": 0.2}[method]  # 36 of 256 places: 0.14
    page = (out / "explain.html").read_text()
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page)
    assert len(pictures) == 12 and sum(alt.startswith("Heat map of") for _, alt in pictures) == 6
    first = Image.open(io.BytesIO(base64.b64decode(pictures[0][0])))
    assert first.size == (192, 192) and "://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert len(list((out / "maps").iterdir())) == 6 and "out first" in page


def test_auto_is_grad_cam_for_convolutions_and_nothing_is_written_without_out(place, capsys, tmp_path):
    root, _ = place
    words = ["explain", str(root / "m.glia"), str(root / "photos"), "--rows", "2", "--output", "right"]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == "grad_cam" and told["output_names"] == ["right"] and not told.get("files")
    dense = glia.ImageClassifier(MLP((8,)), epochs=1).fit(root / "photos")
    glia.save(dense, tmp_path / "d.glia", target="class")
    assert run(["explain", str(tmp_path / "d.glia"), str(root / "photos"), "--rows", "1", "--no-checks"]) == 0
    assert "integrated_gradients, 1 picture of 16 × 16" in capsys.readouterr().out


def test_refused(place, capsys):
    root, _ = place
    for words, said in (
        (["--method", "ale"], "pictures are explained one by one"),
        (["--method", "grad_can"], "method must be a known name"),
        (["--output", "middle"], "output must be a position or a name"),
        (["--method", "grad_cam", "--space", "probability"], "grad_cam must take --space"),
    ):
        assert run(["explain", str(root / "m.glia"), str(root / "photos"), "--rows", "1", *words]) == 2
        err = capsys.readouterr().err
        assert said in err and "Traceback" not in err


def test_colours_say_for_and_against():
    shares = np.zeros((2, 2))
    shares[0, 0], shares[1, 1] = 1.0, -1.0
    drawn = HeatMap("a.png", np.full((3, 2, 2), 128, dtype=np.uint8), shares, "x", "x").overlay().astype(int)
    assert drawn[0, 0, 0] > drawn[0, 0, 2] + 80 and drawn[1, 1, 2] > drawn[1, 1, 0] + 80  # orange, blue
    assert np.ptp(drawn[0, 1]) == 0  # grey where nothing is


def test_a_model_is_drawn(place, tmp_path, capsys):
    root, _ = place
    assert run(["describe", str(root / "m.glia"), "--out", str(tmp_path / "net.svg")]) == 0
    svg = (tmp_path / "net.svg").read_text()
    assert svg.count('class="layer"') == 10 and "net.svg" in capsys.readouterr().out
    assert run(["describe", str(root / "m.glia"), "--out", str(tmp_path / "net.png")]) == 2
    assert "ends in .svg" in capsys.readouterr().err and not (tmp_path / "net.png").exists()


def test_pictures_that_a_table_names(place, tmp_path, capsys):
    root, places = place
    table = root / "t.csv"
    table.write_text("photo,side\n" + "".join(f"photos/{name},{name.partition('/')[0]}\n" for name in places))
    read = glia.read(table, target="side")
    made = glia.ImageClassifier(ConvNet((2,)), epochs=1).fit(read, read.target)
    glia.save(made, tmp_path / "t.glia", target="side")
    assert run(["explain", str(tmp_path / "t.glia"), str(table), "--rows", "3", "--no-checks", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in told["pictures"]] == [str(root / "photos" / name) for name in list(places)[:3]]
