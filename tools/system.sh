#!/usr/bin/env bash
# Install (as root on Debian or Ubuntu) or name exactly what the system lacks.
# usage: tools/system.sh python | test
set -euo pipefail

need=()
python=${PYTHON:-python3}
case "$1" in
python)
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "Dougong needs Python 3.11 or newer, and $python is $("$python" --version 2>&1 ||
            echo missing). Install it (on Debian 12 or Ubuntu 24.04: apt-get install python3" \
            "python3-venv), or name another: make PYTHON=python3.12 up" >&2
        exit 1
    fi
    "$python" -c 'import venv, ensurepip' 2>/dev/null || need+=(python3-venv)
    "$python" - <<'PY' || need+=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0)
import ctypes.util, sys
sys.exit(0 if ctypes.util.find_library("pango-1.0") and ctypes.util.find_library("pangoft2-1.0")
         and ctypes.util.find_library("harfbuzz-subset") else 1)
PY
    ;;
test)
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || need+=(chromium)
    command -v pdftoppm >/dev/null || need+=(poppler-utils)
    command -v espeak-ng >/dev/null || need+=(espeak-ng)
    command -v mbpoll >/dev/null || need+=(mbpoll)
    command -v gcc >/dev/null || need+=(gcc libc6-dev)
    test -e /usr/include/modbus/modbus.h || need+=(libmodbus-dev)
    command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || need+=(mosquitto)
    ;;
esac
test ${#need[@]} -eq 0 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${need[*]}"
    # Services must not start by themselves; the tests start their own on loopback.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${need[@]}" >/dev/null
elif [ "$1" = test ] && [ "${CI:-}" != true ]; then
    echo "Some tests will be skipped. For all of them: sudo apt-get install ${need[*]}" >&2
else
    echo "Please install first: sudo apt-get install ${need[*]}" >&2
    exit 1
fi
