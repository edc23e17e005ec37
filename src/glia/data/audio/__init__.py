"""Sounds: reading files and folders, spectra on the mel scale, and their preparation into tensors."""

from glia.data.audio.audio_preparation import AudioPreparation
from glia.data.audio.describe_sounds import SoundClass, SoundsResult, describe_sounds
from glia.data.audio.folder import AudioFolder, manifest_columns, read_audio_folder
from glia.data.audio.log_mel import LogMel, hertz, mel, mel_filters
from glia.data.audio.rows import SoundRows, as_sounds
from glia.data.audio.wav import Clip, Level, level_of, look_at_wav, read_wav, resampled

__all__ = [
    "AudioFolder",
    "AudioPreparation",
    "Clip",
    "Level",
    "LogMel",
    "SoundClass",
    "SoundRows",
    "SoundsResult",
    "as_sounds",
    "describe_sounds",
    "hertz",
    "level_of",
    "look_at_wav",
    "manifest_columns",
    "mel",
    "mel_filters",
    "read_audio_folder",
    "read_wav",
    "resampled",
]
