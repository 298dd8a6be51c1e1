"""What may be attached: told from the bytes, never from what a browser says about them.

Nothing that a browser could run is accepted: no HTML, no SVG, no scripts, no programs, no office
files with macros, no archives of unknown content.
"""

import io
import re
import unicodedata
import zipfile
from pathlib import PurePosixPath

from dougong.errors import Invalid
from dougong.i18n import N_, gettext

LONGEST_NAME = 200
WORD, SHEET, SLIDES = (
    f"application/vnd.openxmlformats-officedocument.{kind}"
    for kind in ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
)
EXTENSIONS: dict[str, tuple[str, ...]] = {
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "image/heic": ("heic", "heif"),
    "application/pdf": ("pdf",),
    WORD: ("docx",),
    SHEET: ("xlsx",),
    SLIDES: ("pptx",),
    "application/x-ole-storage": ("doc", "xls", "ppt", "wps", "et"),
    "video/mp4": ("mp4", "m4v"),
    "video/quicktime": ("mov",),
    "audio/mp4": ("m4a",),
    "audio/mpeg": ("mp3",),
    "audio/amr": ("amr",),
    "audio/wav": ("wav",),
    "text/plain": ("txt", "csv", "log"),
}
ACCEPTED = ",".join(f".{e}" for names in EXTENSIONS.values() for e in names)
INLINE = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
BEGINNINGS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"#!AMR", "audio/amr"),
    (b"ID3", "audio/mpeg"),
)
RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
# ISO base media files by their major brand. Source: ISO/IEC 14496-12, 4.3; mp4ra.org.
BRANDS = {
    "image/heic": (b"heic", b"heix", b"mif1", b"msf1", b"hevc"),
    "video/quicktime": (b"qt  ",),
    "audio/mp4": (b"M4A ", b"M4B "),
    "video/mp4": (b"isom", b"iso2", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash"),
}
OFFICE = {"word": WORD, "xl": SHEET, "ppt": SLIDES}
# Controls, and the marks that make evil.exe read as a picture's name.
UNSEEN = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def checked_name(name: str) -> str:
    """Return a file's name without folders and unseen characters; raises Invalid for none."""
    plain = unicodedata.normalize("NFC", UNSEEN.sub("", name)).replace("\\", "/")
    last = PurePosixPath(plain).name.strip(" .")
    if not last:
        raise _refused(gettext("The file has no name."))
    stem, dot, extension = last.rpartition(".")
    return last if len(last) <= LONGEST_NAME else stem[: LONGEST_NAME - 12] + dot + extension[:10]


def media_type(name: str, content: bytes) -> str:
    """Return the media type that the bytes show; raises Invalid for what is not accepted.

    Also refused is a file whose name ends for another type than its bytes are.
    """
    extension = name.rpartition(".")[2].lower()
    found = _by_bytes(content)
    if found is None and extension in EXTENSIONS["text/plain"] and _is_text(content):
        found = "text/plain"
    if found is None:
        raise _refused(gettext("Files of this kind cannot be attached."))
    if extension not in EXTENSIONS[found]:
        raise _refused(gettext("The file is not what its name says."))
    return found


def _refused(reason: str) -> Invalid:
    return Invalid(N_("This file cannot be attached: %(reason)s"), reason=reason)


def _by_bytes(content: bytes) -> str | None:
    for beginning, kind in BEGINNINGS:
        if content.startswith(beginning):
            return kind
    if content.startswith(b"RIFF"):
        return RIFF.get(content[8:12])
    if content[4:8] == b"ftyp":
        brand = content[8:12]
        return next((kind for kind, brands in BRANDS.items() if brand in brands), None)
    if content.startswith(b"PK\x03\x04"):
        return _office(content)
    if content[:1] == b"\xff" and content[1:2] in (b"\xfb", b"\xf3", b"\xf2"):
        return "audio/mpeg"
    return None


def _office(content: bytes) -> str | None:
    """Return the kind of an office file, None for another archive or one with macros."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, UnicodeDecodeError, ValueError):
        return None
    if "[Content_Types].xml" not in names or any("vbaproject" in n.lower() for n in names):
        return None
    return next(
        (kind for part, kind in OFFICE.items() if any(n.startswith(part) for n in names)), None
    )


def _is_text(content: bytes) -> bool:
    for encoding in ("utf-8", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return not any(ord(c) < 32 and c not in "\t\r\n\f" for c in text)
    return False
