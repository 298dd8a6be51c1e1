"""Answers that are files."""

from urllib.parse import quote

from flask import Response


def download(content: bytes, filename: str, media_type: str) -> Response:
    """Return a file that the browser saves under its name."""
    disposition = f"attachment; filename*=UTF-8''{quote(filename)}"
    return Response(content, content_type=media_type, headers={"Content-Disposition": disposition})
