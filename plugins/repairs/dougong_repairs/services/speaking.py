"""Sentences as sound, for phones that have no voice of their own.

eSpeak NG is called as a program of its own where the installation has it (`espeak-ng`); its licence
is the GPL, so that neither it nor a sound of it is part of this package.
"""

import io
import shutil
import subprocess
import wave
from array import array
from functools import lru_cache

VOICES = {"zh_Hans_CN": "cmn", "en": "en"}
WORDS_A_MINUTE = "150"
PATIENCE_S = 10
LONGEST = 120
HEADER_BYTES = 44
SPOKEN_HZ, SENT_HZ = 22_050, 11_025


def can_speak() -> bool:
    """Tell whether this installation can render speech."""
    return _program() is not None


@lru_cache(maxsize=1)
def _program() -> str | None:
    return shutil.which("espeak-ng")


def spoken(text: str, locale: str) -> bytes | None:
    """Return a sentence as a WAV file of 22 kB a second; None where nothing can speak it.

    text: cut off after 120 characters. locale: the language that it is read in.
    """
    program, voice = _program(), VOICES.get(locale)
    if program is None or voice is None:
        return None
    try:
        said = subprocess.run(
            [program, "-v", voice, "-s", WORDS_A_MINUTE, "--stdin", "--stdout"],
            input=text[:LONGEST].encode(),
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return _smaller(said) if len(said) > HEADER_BYTES else None


def _smaller(said: bytes) -> bytes:
    """Return a mono sound of 22,050 samples a second with half of them, each the mean of two."""
    samples = array("h", said[HEADER_BYTES : len(said) - len(said) % 4])
    means = array("h", [(a + b) >> 1 for a, b in zip(samples[::2], samples[1::2], strict=False)])
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SENT_HZ)
        file.writeframes(means.tobytes())
    return made.getvalue()
