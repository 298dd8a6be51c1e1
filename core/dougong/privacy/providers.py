"""What wraps data keys: a key file of this machine, or the transit engine of Vault or OpenBao.

``keys/provider.toml`` chooses; without it the key file is used::

    kind = "transit"
    url = "https://vault.example:8200"
    key = "dougong"              # an AEAD key (aes256-gcm96) of the transit engine
    token_file = "/run/secrets/vault-token"
    suite = "sm"                 # SM4-GCM and HMAC-SM3 for data keys from now on; else "aes"

The context (scope and purpose of the data key) is authenticated, so that a wrapped key cannot be
handed to another community.
"""

import base64
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dougong.db.ciphers import Suite
from dougong.errors import DougongError
from dougong.i18n import N_
from dougong.later import Later
from dougong.paths import Paths

if TYPE_CHECKING:
    import httpx
else:
    httpx = Later("httpx")


NONCE = 12
SUITES = {"aes": Suite.AES_256_GCM, "sm": Suite.SM4_GCM}
PATIENCE_S = 5.0


class KeyProviderError(DougongError):
    """Data keys cannot be wrapped or unwrapped: the provider is away, or refuses."""

    status = 503
    code = "key_provider"


class KeyProvider(Protocol):
    """One decision: where the key that wraps all others lives."""

    @property
    def name(self) -> str:
        """Return the name that is kept beside each wrapped key."""

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Return ``secret`` under the newest wrapping key."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the secret; raises KeyProviderError when the context is another one."""

    def add_version(self) -> int:
        """Make a new wrapping key and return its version; data keys are wrapped anew after."""

    def forget_older(self) -> None:
        """Destroy every wrapping key but the newest; what only they unwrap is gone for ever."""


@dataclass(frozen=True)
class KeyFile:
    """Wrapping keys in a file that only its owner reads; the newest one wraps.

    The file may travel with no backup of the database: whoever has both can read everything.
    """

    path: Path
    name: str = "file"

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        version, key = self._keys()[-1]
        nonce = os.urandom(NONCE)
        return version.to_bytes(4) + nonce + AESGCM(key).encrypt(nonce, secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        version = int.from_bytes(wrapped[:4])
        key = dict(self._keys()).get(version)
        if key is None:
            raise KeyProviderError(N_("The wrapping key %(version)s is gone."), version=version)
        nonce, sealed = wrapped[4 : 4 + NONCE], wrapped[4 + NONCE :]
        try:
            return AESGCM(key).decrypt(nonce, sealed, context)
        except InvalidTag as error:
            raise KeyProviderError(N_("A data key does not belong where it is used.")) from error

    def add_version(self) -> int:
        """Make a new wrapping key and return its version; data keys are wrapped anew after."""
        keys = self._keys()
        version = keys[-1][0] + 1
        self._write([*keys, (version, os.urandom(32))], replace=True)
        return version

    def forget_older(self) -> None:
        """Leave only the newest wrapping key in the file."""
        self._write(self._keys()[-1:], replace=True)

    def _keys(self) -> list[tuple[int, bytes]]:
        if not self.path.exists():
            self._write([(1, os.urandom(32))], replace=False)
        if self.path.stat().st_mode & 0o077:
            raise KeyProviderError(
                N_("%(file)s can be read by others: take that right away."), file=str(self.path)
            )
        raw = json.loads(self.path.read_text())
        return sorted((int(v), base64.b64decode(k)) for v, k in raw.items())

    def _write(self, keys: list[tuple[int, bytes]], *, replace: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.with_suffix(f".{os.getpid()}-{os.urandom(3).hex()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({str(v): base64.b64encode(k).decode() for v, k in keys}, file)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(self.path)
            return
        try:
            os.link(temporary, self.path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()


@dataclass(frozen=True)
class Transit:
    """The transit engine of HashiCorp Vault or OpenBao: the wrapping key never leaves it.

    Source: Vault API, ``/transit/encrypt`` and ``/transit/decrypt`` with ``associated_data``.
    """

    url: str
    key: str
    token_file: Path
    mount: str = "transit"

    @property
    def name(self) -> str:
        return f"transit:{self.key}"

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        plaintext = base64.b64encode(secret).decode()
        return self._ask("encrypt", context, plaintext=plaintext)["ciphertext"].encode()

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return base64.b64decode(
            self._ask("decrypt", context, ciphertext=wrapped.decode())["plaintext"]
        )

    def add_version(self) -> int:
        """Rotate the engine's key; needs the right to ``keys/<key>/rotate``."""
        self._send(f"keys/{self.key}/rotate", {})
        return self._newest()

    def forget_older(self) -> None:
        """Trim the engine's key to its newest version; needs ``keys/<key>/config`` and ``trim``."""
        newest = self._newest()
        bounds = {"min_decryption_version": newest, "min_encryption_version": newest}
        self._send(f"keys/{self.key}/config", bounds)
        self._send(f"keys/{self.key}/trim", {"min_available_version": newest})

    def _newest(self) -> int:
        return int(self._send(f"keys/{self.key}", None)["data"]["latest_version"])

    def _ask(self, verb: str, context: bytes, **fields: str) -> dict[str, Any]:
        body = {**fields, "associated_data": base64.b64encode(context).decode()}
        return self._send(f"{verb}/{self.key}", body)["data"]

    def _send(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Ask the engine, without a body to read only; return its answer."""
        try:
            answer = httpx.request(
                "GET" if body is None else "POST",
                f"{self.url.rstrip('/')}/v1/{self.mount}/{path}",
                json=body,
                headers={"X-Vault-Token": self.token_file.read_text().strip()},
                timeout=PATIENCE_S,
            )
        except (httpx.HTTPError, OSError) as error:
            raise KeyProviderError(
                N_("The key server does not answer (%(reason)s)."), reason=type(error).__name__
            ) from error
        if answer.status_code not in (200, 204):
            raise KeyProviderError(
                N_("The key server refuses (%(reason)s)."), reason=str(answer.status_code)
            )
        return answer.json() if answer.content else {}


def key_provider(paths: Paths) -> KeyProvider:
    """Return the provider that ``keys/provider.toml`` names, the key file without one."""
    chosen = paths.keys / "provider.toml"
    if not chosen.exists():
        return KeyFile(paths.keys / "wrapping.json")
    fields = tomllib.loads(chosen.read_text())
    kind = fields.pop("kind", "file")
    fields.pop("suite", None)
    if kind == "transit":
        return Transit(**{**fields, "token_file": Path(fields["token_file"])})
    if kind == "file":
        return KeyFile(Path(fields.get("path", paths.keys / "wrapping.json")))
    raise KeyProviderError(N_("%(kind)s is no kind of key provider."), kind=str(kind))


def chosen_suite(paths: Paths) -> Suite:
    """Return the suite of data keys that are made from now on.

    Rotating keys changes values over to it. Raises KeyProviderError for a name that is none.
    """
    chosen = paths.keys / "provider.toml"
    name = tomllib.loads(chosen.read_text()).get("suite", "aes") if chosen.exists() else "aes"
    if name not in SUITES:
        raise KeyProviderError(N_("%(name)s is no suite of ciphers."), name=str(name))
    return SUITES[name]
