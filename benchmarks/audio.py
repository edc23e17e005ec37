"""Languages told apart by their sound: Glia's default beside mean log-mel spectra with logistic regression.

    apt-get download asterisk-core-sounds-{en,es,fr,it,ru}-wav
    for file in *.deb; do dpkg -x "$file" FOLDER; done
    python benchmarks/audio.py --sounds FOLDER/usr/share/asterisk/sounds --write
    python benchmarks/audio.py --sounds FOLDER/usr/share/asterisk/sounds --augment 3

Half of the prompts, in all languages, are held out: no text is in two parts. ``--augment`` measures instead what
blotting out parts of training sounds gains, in pairs by seed: with and without, on the same few prompts.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.special import stdtrit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from glia import AudioClassifier, AudioPreparation, InputError, SpecAugment, __version__
from glia.core.hardware import processor_name
from glia.data.audio import look_at_wav
from glia.estimators.audio_fit import audio_columns

RESULTS = Path(__file__).parent / "results"
FEW_PROMPTS = 80
"""Prompts to learn from, in all languages, where the gain of blotting out is measured: with few sounds it can show."""


def prompts(root):
    """Return the name of each prompt → language → path; files that cannot be read are left out."""
    found, broken = defaultdict(dict), 0
    for folder in sorted(root.iterdir()):
        for path in sorted(folder.rglob("*.wav")):
            name = path.relative_to(folder).as_posix()
            if name.startswith("silence/"):  # nobody speaks
                continue
            try:
                look_at_wav(path)
                found[name][folder.name] = str(path)
            except InputError:
                broken += 1
    return found, broken


def part(found, names):
    rows = [(path, voice, name) for name in sorted(names) for voice, path in sorted(found[name].items())]
    paths, voices, groups = (list(column) for column in zip(*rows, strict=True))
    return paths, np.array([voice[:2] for voice in voices]), np.array(groups)


def interval(right):
    spread = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / len(right))
    return f"{right.mean():.4f} ± {spread:.4f}"


def classic(train, test):
    columns = audio_columns(train[0], test[0])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(columns[0].to_numpy(), train[1])
    return model.predict(columns[1].to_numpy())


def network(train, test, effort, **preparation):
    model = AudioClassifier(preparation=AudioPreparation(**preparation), effort=effort)
    return model.fit(train[0], train[1], groups=train[2]).predict(test[0])


def augmentation(train, test, seeds, cells):
    """Print accuracy and log loss with and without SpecAugment, by seed, and the mean of the paired differences."""
    known = json.loads(cells.read_text()) if cells is not None and cells.exists() else {}
    ways = {"with": SpecAugment(), "without": "none"}
    found = {name: [] for name in ways}
    for seed in range(seeds):
        prompts = np.random.default_rng(seed).permutation(np.unique(train[2]))[:FEW_PROMPTS]
        few = np.flatnonzero(np.isin(train[2], prompts))
        for name, figures in found.items():
            cell = f"augment {name} {seed}"
            if cell not in known:
                start = time.perf_counter()
                model = AudioClassifier(
                    preparation=AudioPreparation(seconds=2.0), augment=ways[name], epochs=24, early_stopping=False,
                    random_state=seed,
                )  # fmt: skip
                model.fit([train[0][i] for i in few], train[1][few], groups=train[2][few])
                probability = model.predict_proba(test[0])
                right = model.classes_[probability.argmax(axis=1)] == test[1]
                own = probability[np.arange(len(test[1])), np.searchsorted(model.classes_, test[1])]
                seconds = time.perf_counter() - start
                known[cell] = [float(right.mean()), float(-np.log(np.maximum(own, 1e-12)).mean()), seconds, len(few)]
                if cells is not None:
                    cells.write_text(json.dumps(known), encoding="utf-8")
            figures.append(known[cell][:2])
            print(cell, known[cell], flush=True)
    gap = np.array(found["with"]) - np.array(found["without"])  # (seeds, 2)
    half = stdtrit(seeds - 1, 0.975) * gap.std(axis=0, ddof=1) / np.sqrt(seeds)
    for place, what in enumerate(("accuracy", "log loss")):
        means = {name: float(np.mean(figures, axis=0)[place]) for name, figures in found.items()}
        print(
            f"{what}: with {means['with']:.4f}, without {means['without']:.4f}, "
            f"difference {gap.mean(axis=0)[place]:+.4f} ± {half[place]:.4f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--cells", type=Path, help="JSON file of what is measured, so that a run that was cut goes on")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--augment", type=int, metavar="SEEDS", help="measure only the gain of blotting out, ≥ 3 seeds")
    options = parser.parse_args()
    found, broken = prompts(options.sounds)
    order = np.random.default_rng(0).permutation(sorted(found))
    train, test = part(found, order[len(order) // 2 :]), part(found, order[: len(order) // 2])
    if options.augment is not None:
        augmentation(train, test, options.augment, options.cells)
        return
    ways = {
        "mean log-mel, logistic regression": lambda: classic(train, test),
        "glia, quick effort": lambda: network(train, test, "quick"),
        "glia, quick effort, each sound's own mean taken out": lambda: network(train, test, "quick", scale="per_clip"),
        "glia, default effort": lambda: network(train, test, "default"),
    }
    known = json.loads(options.cells.read_text()) if options.cells is not None and options.cells.exists() else {}
    lines = [
        "# Languages told apart by their sound", "",
        f"{datetime.now(UTC).date()} · {os.cpu_count()} cores, {processor_name()}, one thread · glia {__version__}", "",
        "Telephone prompts of the Debian packages asterisk-core-sounds-{en,es,fr,it,ru}-wav: "
        f"{len(train[0]):,} to learn from, {len(test[0]):,} to judge by, of {len(found):,} prompts, no prompt in both; "
        f"{broken} file without a sample left out.", "",
        "| how | accuracy | wrong between en and es | seconds |", "|---|--:|--:|--:|",
    ]  # fmt: skip
    same = np.isin(test[1], ["en", "es"])
    for name, work in ways.items():
        if name not in known:
            start = time.perf_counter()
            said = work()
            seconds = time.perf_counter() - start
            mixed = float(np.mean(np.isin(said[same], ["en", "es"]) & (said[same] != test[1][same])))
            known[name] = f"{interval(said == test[1])} | {mixed:.4f} | {seconds:.0f}"
            if options.cells is not None:
                options.cells.write_text(json.dumps(known), encoding="utf-8")
        lines.append(f"| {name} | {known[name]} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "± is half of a 95 % interval; the classic baseline is logistic regression on mean and deviation of each band. "
        "What this means: there is one voice for each language in these packages, so that voice, microphone and "
        "language cannot be told from each other here; a model may hear the speaker. English and Spanish are both "
        "spoken by a voice that the packages call Allison, so that the errors between these two say more about "
        "language than the rest does. With each sound's own mean spectrum taken out, what a voice and a line have in "
        "common all the time is gone, and the accuracy that is left leans more on what is said. Nothing of this tells "
        "how well languages of speakers who were never heard would be told apart. Seconds are of one thread at low "
        "priority beside other work.",
    ]  # fmt: skip
    text = "\n".join([*lines, ""])
    print(text)
    if options.write:
        name = f"{datetime.now(UTC).date()}_{os.cpu_count()}-cores-{processor_name()}_audio.md"
        (RESULTS / name.lower().replace(" ", "-")).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
