"""Wheels: made so that two builds are the same bytes, and looked through before one is unpacked.

What a wheel could do beyond bringing its package is refused: ``.pth`` files run code at every
start of Python, files elsewhere shadow libraries, links lead out, and a small archive may hold a
disk full of zeros.
"""

import base64
import configparser
import csv
import io
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from hashlib import sha256
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.plugins.manifest import Manifest, read_manifest

SUFFIX = "-py3-none-any.whl"
MOST_FILES, MOST_BYTES, MOST_RATIO = 500, 50_000_000, 100
EPOCH = (1980, 1, 1, 0, 0, 0)
NATIVE = (".so", ".pyd", ".dll", ".dylib")
LEFT_OUT = (".pyc", ".pyo", ".mo")
WHEEL = "Wheel-Version: 1.0\nGenerator: dougong\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class PackageRefused(Invalid):
    """A package that is not let in; the message says why."""

    code = "package_refused"


@dataclass(frozen=True)
class Wheel:
    """A wheel that was looked through. sha256: of the file. content: see `content_of`."""

    path: Path
    plugin: str
    version: str
    kernel: str
    sha256: str
    content: str
    files: tuple[str, ...]


def refuse(path: Path, text: str, /, **parameters: object) -> PackageRefused:
    """Return the error for a package that is not let in."""
    return PackageRefused(
        N_("%(file)s is refused: %(reason)s"),
        file=path.name,
        reason=gettext(text, **parameters),
    )


def content_of(files: Iterator[tuple[str, bytes]]) -> str:
    """Return a hash of a package's files by name; compiled ones, which any start writes, apart."""
    digest = sha256()
    for name, data in sorted(files):
        if not name.endswith(LEFT_OUT):
            digest.update(f"{name}\0{sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()


def content_of_folder(package: Path) -> str:
    """Return the hash of a package that lies unpacked; as `content_of` for its wheel."""
    found = (
        (f"{package.name}/{path.relative_to(package).as_posix()}", path.read_bytes())
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in LEFT_OUT
    )
    return content_of(found)


# --- making ---------------------------------------------------------------------------------------


def build_wheel(folder: Path, out: Path) -> Path:
    """Write the wheel of the plugin in ``folder`` (with its setup.cfg) to ``out``; return it.

    The same files give the same bytes, whenever, wherever and by whomever it is built: names in
    order, one date, one mode, no compression library's whim.
    """
    setup = configparser.ConfigParser(interpolation=None)
    setup.read_string((folder / "setup.cfg").read_text("utf-8"))
    [package] = [path.parent for path in folder.glob("dougong_*/manifest.toml")]
    manifest = read_manifest(package / "manifest.toml", package.name)
    files = {
        f"{package.name}/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in LEFT_OUT
    }
    info = f"{package.name}-{manifest.version}.dist-info"
    files[f"{info}/METADATA"] = _metadata(setup, folder, package.name, manifest)
    files[f"{info}/WHEEL"] = WHEEL.encode()
    files[f"{info}/entry_points.txt"] = (
        f"[dougong.plugins]\n{manifest.id} = {package.name}\n".encode()
    )
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{package.name}-{manifest.version}{SUFFIX}"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files, key=lambda name: (name.startswith(info), name)):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.create_system = 3
            archive.writestr(entry, files[name])
    return target


def _metadata(
    setup: configparser.ConfigParser, folder: Path, package: str, manifest: Manifest
) -> bytes:
    said = setup["metadata"]
    wanted = setup.get("options", "install_requires", fallback="").split("\n")
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {package}",
        f"Version: {manifest.version}",
        f"Summary: {said.get('description', str(manifest.name))}",
        f"Requires-Python: {said.get('python_requires', '>=3.11')}",
        *(f"Requires-Dist: {line.strip()}" for line in wanted if line.strip()),
    ]
    if said.get("license"):
        lines.insert(4, f"License: {said['license']}")
    readme = folder / "README.md"
    text = readme.read_text("utf-8") if readme.exists() else ""
    return "\n".join([*lines, "", text]).encode()


def _record(files: dict[str, bytes], own: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name in sorted(files):
        writer.writerow([name, f"sha256={_urlsafe(files[name])}", len(files[name])])
    writer.writerow([own, "", ""])
    return text.getvalue().encode()


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()


# --- looking through ------------------------------------------------------------------------------


def look_through(path: Path) -> Wheel:
    """Return what a wheel holds, unpacking nothing; raises PackageRefused with the reason."""
    try:
        name, version, _build, _tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise refuse(path, N_("only wheels are let in, no source archives")) from error
    if not path.name.endswith(SUFFIX):
        raise refuse(path, N_("only pure Python is let in (py3-none-any)"))
    package = str(name).replace("-", "_")
    try:
        files = dict(_read(path, package, f"{package}-{version}.dist-info"))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise refuse(path, N_("it is not an archive that can be read")) from error
    info = f"{package}-{version}.dist-info"
    _check_record(path, files, f"{info}/RECORD")
    _check_entry_points(path, files.get(f"{info}/entry_points.txt", b""), package)
    _check_metadata(path, files.get(f"{info}/METADATA", b""), str(name), str(version))
    manifest = _manifest(path, files, package)
    if manifest.version != str(version) or f"dougong_{manifest.id}" != package:
        raise refuse(path, N_("its manifest tells another name or version"))
    own = ((n, data) for n, data in files.items() if n.startswith(f"{package}/"))
    return Wheel(
        path,
        manifest.id,
        manifest.version,
        manifest.kernel,
        sha256(path.read_bytes()).hexdigest(),
        content_of(own),
        tuple(files),
    )


def unpack(wheel: Wheel, folder: Path) -> None:
    """Write a wheel's files below ``folder``."""
    info = f"dougong_{wheel.plugin}-{wheel.version}.dist-info"
    for name, data in _read(wheel.path, f"dougong_{wheel.plugin}", info):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _read(path: Path, package: str, info: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file, and count what really comes out of the archive."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_FILES:
            raise refuse(path, N_("it holds more than %(most)s files"), most=MOST_FILES)
        total, seen, packed = 0, set[str](), path.stat().st_size
        for entry in entries:
            if entry.is_dir():
                continue
            _check_name(path, entry, package, info)
            if entry.filename.casefold() in seen:
                raise refuse(path, N_("it holds %(name)s twice"), name=entry.filename)
            seen.add(entry.filename.casefold())
            with archive.open(entry) as stream:
                data = stream.read(MOST_BYTES - total + 1)
            total += len(data)
            if total > MOST_BYTES or total > packed * MOST_RATIO:
                raise refuse(path, N_("it would unpack to too much"))
            yield entry.filename, data


def _check_name(path: Path, entry: zipfile.ZipInfo, package: str, info: str) -> None:
    name = entry.filename
    parts = PurePosixPath(name).parts
    is_plain = name == "/".join(parts) and ".." not in parts and "\\" not in name
    if not is_plain or name.startswith("/") or not name.isprintable():
        raise refuse(path, N_("%(name)s is no plain path"), name=repr(name))
    if name.endswith(".pth"):
        raise refuse(path, N_("%(name)s would run at every start of Python"), name=name)
    if parts[0] not in (package, info) or len(parts) < 2:
        raise refuse(path, N_("%(name)s lies outside of the plugin's package"), name=name)
    if name.endswith(NATIVE):
        raise refuse(path, N_("%(name)s is not Python"), name=name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise refuse(path, N_("%(name)s is a link or a device"), name=name)


def _check_record(path: Path, files: dict[str, bytes], record: str) -> None:
    said = {
        row[0]: row[1]
        for row in csv.reader(io.StringIO(files.get(record, b"").decode("utf-8", "replace")))
        if len(row) == 3
    }
    for name, data in files.items():
        if name != record and said.get(name) != f"sha256={_urlsafe(data)}":
            raise refuse(path, N_("%(name)s is not what its list of files says"), name=name)


def _check_entry_points(path: Path, text: bytes, package: str) -> None:
    found = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    try:
        found.read_string(text.decode("utf-8"))
        points = {group: dict(found[group]) for group in found.sections()}
    except (configparser.Error, UnicodeDecodeError):
        points = {}
    expected = {"dougong.plugins": {package.removeprefix("dougong_"): package}}
    if points != expected:
        raise refuse(path, N_("it must bring one plugin and no commands"))


def _check_metadata(path: Path, text: bytes, name: str, version: str) -> None:
    said = BytesParser().parsebytes(text, headersonly=True)
    if canonicalize_name(said.get("Name", "")) != name or said.get("Version") != version:
        raise refuse(path, N_("its manifest tells another name or version"))
    missing = [line for line in said.get_all("Requires-Dist", ()) if not _is_there(line)]
    if missing:
        names = ", ".join(missing)
        raise refuse(path, N_("it needs what is not installed: %(names)s"), names=names)


def _is_there(line: str) -> bool:
    try:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            return True
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except (InvalidRequirement, metadata.PackageNotFoundError):
        return False


def _manifest(path: Path, files: dict[str, bytes], package: str) -> Manifest:
    data = files.get(f"{package}/manifest.toml")
    if data is None:
        raise refuse(path, N_("it holds no manifest.toml"))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "manifest.toml"
        copy.write_bytes(data)
        return read_manifest(copy, package)
