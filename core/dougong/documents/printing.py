"""HTML to PDF by WeasyPrint, with the shipped fonts and nothing from anywhere else."""

import atexit
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from dougong.documents.fonts import FAMILY, WEIGHTS, font_files

STYLE = Path(__file__).with_name("document.css")
# Pango's font map is not safe across threads, and a mass run belongs to worker processes.
_lock = threading.Lock()
# Below this many documents a process does not pay for its start (1 s, as long as 15 receipts).
FEW = 16


def to_pdf(html: str) -> bytes:
    """Return ``html`` as a tagged PDF.

    Nothing is fetched but ``data:`` URIs: a template or a text in it can reach neither the network
    nor a file of this machine.
    """
    from weasyprint import HTML

    with _lock:
        style, fonts = _press()
        document = HTML(string=html, url_fetcher=_fetcher(), base_url=None)
        return document.write_pdf(stylesheets=[style], font_config=fonts, pdf_tags=True)


@dataclass(frozen=True)
class EmbeddedFile:
    """A file that travels inside a PDF, such as the structured data of an invoice."""

    name: str
    content: bytes
    description: str = ""


def to_archive_pdf(html: str, files: Sequence[EmbeddedFile] = ()) -> bytes:
    """Return ``html`` as PDF/A-3b, made for archives, with files embedded as its data.

    Nothing is fetched, as by `to_pdf`.
    """
    from weasyprint import HTML, Attachment

    with _lock:
        style, fonts = _press()
        # An attachment can be written once, so that they are made here.
        attached = [
            Attachment(
                string=file.content,
                name=file.name,
                description=file.description,
                relationship="Data",
            )
            for file in files
        ]
        document = HTML(string=html, url_fetcher=_fetcher(), base_url=None)
        return document.write_pdf(
            stylesheets=[style],
            font_config=fonts,
            pdf_tags=True,
            pdf_variant="pdf/a-3b",
            attachments=attached,
        )


def to_pdfs(htmls: Sequence[str], processes: int | None = None) -> Iterator[bytes]:
    """Yield each of ``htmls`` as a PDF, in order; a mass run is shared among processes.

    processes: as many as there are cores when unsaid; a few documents are printed here.
    """
    count = min(processes or os.cpu_count() or 1, len(htmls) // FEW)
    if count < 2:
        yield from map(to_pdf, htmls)
        return
    font_files()
    # Not forked: whoever prints may be a worker full of threads.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(to_pdf, htmls, chunksize=FEW)


@lru_cache(maxsize=1)
def _press() -> tuple[Any, Any]:
    """Return the base style sheet and the fonts, loaded once per process."""
    from weasyprint import CSS
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    faces = "".join(
        f"@font-face {{ font-family: '{FAMILY}'; font-weight: {WEIGHTS[name]};"
        f" src: url('{path.as_uri()}'); }}\n"
        for name, path in font_files().items()
    )
    style = CSS(
        string=faces + STYLE.read_text(encoding="utf-8"), font_config=fonts, url_fetcher=_fonts()
    )
    return style, fonts


# WeasyPrint keeps copies of the fonts in a temporary folder and can remove it only while the
# interpreter is whole.
atexit.register(_press.cache_clear)


@lru_cache(maxsize=1)
def _fetcher() -> Any:
    from weasyprint.urls import URLFetcher

    return URLFetcher(allowed_protocols=("data",), allow_redirects=False)


def _fonts() -> Any:
    """Return a fetcher for the shipped font files; only the kernel's own style sheet uses it."""
    from weasyprint.urls import URLFetcher

    return URLFetcher(allowed_protocols=("file",), allow_redirects=False)
