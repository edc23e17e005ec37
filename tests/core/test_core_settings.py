"""A settings class round-trips through TOML, explains every field, and reports all problems at once."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import Field

from glia.core.allowed import allowed, members, takes_none
from glia.core.errors import InputError
from glia.core.settings import REQUIRED, Settings, setting
from glia.core.toml import value_text


class Oven(Settings):
    """How bread is baked."""

    name: str = setting(REQUIRED, "what the bread is called", group="Bread")
    heat: Literal["auto"] | Annotated[float, Field(gt=0, le=300)] = setting("auto", "degrees", group="Heat")
    minutes: Annotated[int, Field(ge=1)] = setting(40, "how long", group="Heat")
    steam: bool = setting(True, "whether there is steam")
    seeds: dict[str, float] = setting({}, "grams of each kind of seed", flag="--seed-of")
    steps: list[str] = setting([], "what is done")
    sizes: list[Annotated[int, Field(ge=1)]] | None = setting(None, "loaves' sizes")
    note: str | None = setting(None, "anything else")


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ovens = st.builds(
    Oven,
    name=text,
    heat=st.just("auto") | st.floats(1e-300, 300),
    minutes=st.integers(1, 2**62),
    steam=st.booleans(),
    seeds=st.dictionaries(text, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    steps=st.lists(text, max_size=3),
    sizes=st.none() | st.lists(st.integers(1, 99), max_size=3),
    note=st.none() | text,
)


@hypothesis_settings(max_examples=150, deadline=None)
@given(ovens)
def test_toml_gives_back_the_same_settings(oven):
    assert Oven(**tomllib.loads(oven.to_toml())) == oven


def test_a_file_gives_back_the_same_settings(tmp_path):
    oven = Oven(name='a "quoted"\nname\x7f', seeds={"sun flower": 3, "é": 1.5}, sizes=[3, 4], heat=1e-05)
    (tmp_path / "oven.toml").write_text(oven.to_toml(), encoding="utf-8")
    assert Oven.from_toml(tmp_path / "oven.toml") == oven


def test_the_template_explains_every_field():
    assert Oven.template() == (
        "# How bread is baked.\n\n"
        "# ---- Bread ----\n\n"
        "# What the bread is called.\n# name =   (required)\n\n"
        "# ---- Heat ----\n\n"
        "# Degrees. May be: 'auto' or a number above 0 and at most 300.\nheat = \"auto\"\n\n"
        "# How long. May be: a whole number at least 1.\nminutes = 40\n\n"
        "# Whether there is steam. May be: true or false.\nsteam = true\n\n"
        "# Grams of each kind of seed. May be: name = value pairs, each value a number.\nseeds = {}\n\n"
        "# What is done. May be: a list, each text.\nsteps = []\n\n"
        "# Loaves' sizes. May be: a list, each a whole number at least 1.\n# sizes =   (not set)\n\n"
        "# Anything else.\n# note =   (not set)\n"
    )


def test_overrides_count_before_the_file_and_mappings_are_merged(tmp_path):
    path = tmp_path / "oven.toml"
    path.write_text('name = "rye"\nminutes = 50\nseeds = { flax = 1.0, sesame = 2.0 }\nsteps = ["knead"]\n')
    oven = Oven.from_toml(path, minutes=60, seeds={"flax": 9}, steps=["rest"])
    assert (oven.name, oven.minutes, oven.steps) == ("rye", 60, ["rest"])
    assert oven.seeds == {"flax": 9.0, "sesame": 2.0}


def problem(**values):
    with pytest.raises(InputError) as caught:
        Oven(**values)
    return str(caught.value)


def test_each_problem_is_one_message():
    assert problem() == "the setting 'name' must be given · got no name · give what the bread is called"
    assert problem(name="rye", minuts=3) == (
        "every setting must be a known one · got the setting 'minuts' · did you mean 'minutes'?"
    )
    assert problem(name="rye", heat="hot") == (
        "the setting 'heat' must be valid · got heat='hot' · give 'auto' or a number above 0 and at most 300"
    )
    assert problem(name="rye", seeds={"flax": 1, "rye": "two"}) == (
        "the setting 'seeds' must be valid · got seeds={'rye': 'two'} · give name = value pairs, each value a number"
    )
    assert problem(name="rye", note="x" * 500, heat="y" * 500).count("y") == 76


def test_all_problems_are_told_at_once():
    assert problem(heat=-3, minutes=0, sizes=[1, -1], colour="red") == (
        "every setting must be valid · got 5 problems: no name (give what the bread is called); "
        "heat=-3 (give 'auto' or a number above 0 and at most 300); minutes=0 (give a whole number at least 1); "
        "sizes=[1, -1] (give a list, each a whole number at least 1); "
        "the setting 'colour' (choose one of: heat, minutes, name, note, seeds, sizes, steam, steps) · correct them all"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "3x", [3], None, 300.5])
def test_numbers_must_be_numbers(value):
    assert "give 'auto' or a number above 0 and at most 300" in problem(name="rye", heat=value)


def test_python_values_become_plain_ones(tmp_path):
    oven = Oven(name=tmp_path / "rye", minutes=np.int64(3), heat=np.float32(2.5), steam=np.bool_(False))
    assert (oven.name, oven.minutes, oven.heat, oven.steam) == (str(tmp_path / "rye"), 3, 2.5, False)
    assert type(oven.minutes) is int and type(oven.heat) is float


def test_settings_are_frozen_and_replaced_with_checks():
    oven = Oven(name="rye")
    with pytest.raises(ValueError, match="frozen"):
        oven.minutes = 3
    assert oven.replace(minutes=3).minutes == 3 and oven.minutes == 40
    with pytest.raises(InputError, match="minutes=0"):
        oven.replace(minutes=0)


def test_the_schema_admits_the_same_fields():
    schema = Oven.schema_dict()
    assert schema["required"] == ["name"] and schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Oven.model_fields)
    assert schema["properties"]["minutes"]["minimum"] == 1
    assert schema["properties"]["minutes"]["description"] == "how long"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"name = rye", "Invalid value (at line 1, column 8)"),
        (b'name = "a"\nname = "b"', "Cannot overwrite a value"),
        (b"\xff\xfe\x00", "can't decode byte 0xff"),
        (b"a = " + b"[" * 100_000, ""),
        (b"# " + b"x" * (1 << 20), "too large"),
    ],
)
def test_files_that_are_no_toml_are_one_message(tmp_path, content, reason):
    path = tmp_path / "oven.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match="a settings file must be readable TOML") as caught:
        Oven.from_toml(path)
    assert repr(str(path)) in str(caught.value) and reason in str(caught.value) and caught.value.do


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "null"])
def test_files_that_are_not_there_are_one_message(tmp_path, kind):
    path = tmp_path / "oven.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    reason = {"missing": "No such file or directory", "null": "embedded null byte"}.get(kind, "not a regular file")
    with pytest.raises(InputError, match=reason):
        Oven.from_toml(Path("a\0b") if kind == "null" else path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "oven.toml").write_text('\ufeffname = "rye"', encoding="utf-8")
    assert Oven.from_toml(tmp_path / "oven.toml").name == "rye"


def test_a_field_that_toml_could_not_reset_is_refused_when_declared():
    with pytest.raises(TypeError, match=r"Bad\.x may be None, which TOML cannot say"):

        class Bad(Settings):
            x: int | None = setting(3, "no way back to None")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int | None, "a whole number"),
        (Literal["a"] | Literal["b", "c"] | int, "'a', 'b', 'c' or a whole number"),
        (bool | int, "true, false or a whole number"),
        (Annotated[int, Field(gt=2, lt=2**40)], "a whole number above 2 and below 1099511627776"),
        (dict[str, Literal["a"]], "name = value pairs, each value 'a'"),
    ],
)
def test_types_in_words(annotation, words):
    assert allowed(annotation) == words


def test_unions_are_taken_apart():
    assert members(Annotated[int | Annotated[float, Field(gt=0)] | None, "x"]) == (int, float, type(None))
    assert takes_none(int | None) and not takes_none(list[int | None])


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), object()])
def test_values_without_a_toml_form_are_refused(value):
    with pytest.raises(ValueError, match="TOML has no form"):
        value_text(value)
