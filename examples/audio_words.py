"""Sounds told apart: rising, falling and steady whistles of many speakers, from files in folders."""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile

import glia
from glia.data.audio import LogMel

RATE = 8000
WORDS = {"rise": (0.5, 1.8), "fall": (1.8, 0.5), "stay": (1.0, 1.0)}


def whistle(word, pitch, rng):
    """Return a whistle of 0.2 to 0.5 seconds, in noise; the word is in how its pitch moves, not in where it is."""
    time = np.arange(int(RATE * rng.uniform(0.2, 0.5))) / RATE
    begin, end = (pitch * factor for factor in WORDS[word])
    phase = 2 * np.pi * (begin * time + (end - begin) * time**2 / (2 * time[-1]))
    return np.sin(phase) + 0.2 * rng.normal(size=len(time))


def record(folder, speakers, each, seed):
    """Write sounds as folder/word/speaker/number.wav."""
    rng = np.random.default_rng(seed)
    for speaker in speakers:
        pitch = rng.uniform(500, 1500)
        for word in WORDS:
            place = Path(folder) / word / speaker
            place.mkdir(parents=True)
            for number in range(each):
                loud = whistle(word, pitch, rng) * rng.uniform(500, 9000)
                wavfile.write(place / f"{number}.wav", RATE, loud.astype(np.int16))


def main():
    each = max(2, int(os.environ.get("GLIA_EXAMPLE_ROWS", "800")) // 100)
    with tempfile.TemporaryDirectory() as place:
        record(f"{place}/known", [f"speaker {i}" for i in range(12)], each, seed=0)
        record(f"{place}/new", ["Ada", "Carl", "Emmy"], each, seed=1)  # nobody has heard them
        model = glia.AudioClassifier(network=glia.nn.GRU(hidden=32), epochs=20, random_state=0)
        model.fit(f"{place}/known")  # who speaks is known from the folders: nobody is learned from and judged by
        said = model.predict_frame(f"{place}/new")
        print(f"Speakers who were never heard, accuracy: {model.score(f'{place}/new'):.3f}")
        print(said.head(3).select("file", "prediction").rows())
        glia.save(model, f"{place}/words.glia")
        again = glia.load(f"{place}/words.glia").predict_frame(f"{place}/new")
        print(f"From its file, the same answers: {again.equals(said)}")
    steps, channels = model.layout_.shape
    print(f"The network sees {steps} steps of {channels - 1} bands and the mask; shorter sounds are padded")
    spectra = LogMel(RATE)
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    loudest = int(spectra(torch.from_numpy(tone).float()).mean(0).argmax())
    print(f"A tone of 1,000 Hz is in band {loudest} of {spectra.bands}")


if __name__ == "__main__":
    main()
