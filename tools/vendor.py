"""Fetch the browser libraries that we ship, pinned and checked, into ``static/vendor``.

Usage: python tools/vendor.py. For maintainers only: the result is committed, so nobody needs node
to install or run Dougong. ``vendor.json`` pins each package by version and SHA-512; a package
that does not match is refused. Icons become one sprite, ``static/icons.svg``.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "core/dougong/web/static"
BRAND = '<symbol id="dougong" viewBox="0 0 24 24">{}</symbol>'


def main() -> None:
    """Fetch every pinned package and write its files."""
    pins = json.loads(Path(__file__).with_name("vendor.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        for name, pin in pins.items():
            package = _fetch(name, pin["integrity"], Path(folder))
            target = ROOT / pin.get("into", STATIC / "vendor") / name
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for file in pin["files"]:
                (target / Path(file).name).write_bytes(_without_map(package / file))
            if "icons" in pin:
                _write_sprite(package / "dist/icons", pin["icons"])
            sys.stdout.write(f"{name}\n")


def _fetch(name: str, integrity: str, folder: Path) -> Path:
    """Download and unpack one package; raises SystemExit when it is not the pinned one."""
    done = subprocess.run(
        ["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True
    )
    archive = folder / done.stdout.split()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise SystemExit(f"{name} is not the pinned package: sha512-{digest}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / name, filter="data")
    return folder / name / "package"


def _without_map(file: Path) -> bytes:
    """Return a file without the comment that names a source map we do not ship."""
    return re.sub(rb"\s*/[/*]# sourceMappingURL=\S+(\s*\*/)?\s*$", b"\n", file.read_bytes())


def _write_sprite(folder: Path, names: list[str]) -> None:
    symbols = [BRAND.format((STATIC / "brand.svg").read_text().strip())]
    for name in names:
        drawing = (folder / f"{name}.svg").read_text()
        shapes = re.sub(r"^<svg[^>]*>|</svg>\s*$", "", drawing)
        shapes = re.sub(r"></(path|line|circle|polyline|polygon|rect|ellipse)>", "/>", shapes)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>')
    sprite = "\n".join(symbols)
    (STATIC / "icons.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg">\n{sprite}\n</svg>\n'
    )


if __name__ == "__main__":
    main()
