#!/usr/bin/env bash
# The Debian package for arm64 on an emulated Pi 4: built, unpacked, and taken from nothing to a first example.
# usage: tests/aarch64/deb.sh PYTHON-OF-THE-ENVIRONMENT
# A program started by an emulated program would not be emulated, so that its scripts do not run here: tests/release has
# them for amd64.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(realpath -s "$1")
[ "$(id -u)" = 0 ] || { echo "this needs root, for chroot" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/aarch64/emulator.sh

PYTHONPATH=. "$python" -m release.deb "$suite" arm64 --fast --out "$work" > /dev/null
package=$(echo "$work"/edge-app_*_arm64.deb)
system=$work/system
cp -a "$root" "$system"
dpkg-deb -x "$package" "$system"
rm "$package"
compile_natively -s "$system" -p / "$system/opt/edge-app/lib" "$system/usr/lib/python$version"
site=$system/opt/edge-app/lib/python$version/site-packages
wrong=$(find "$site" -name '*.so*' -type f -exec sh -c 'file=$1; [ "$(od -An -tu2 -j18 -N2 "$file" | tr -d " ")" = 183 ] || echo "$file"' sh {} \;)
[ -z "$wrong" ] || { echo "not for ARM (ELF machine 183): $wrong" >&2; exit 1; }
mkdir -p "$system"/{proc,tmp,dev,srv}
cp "$(prefix_of cortex-a72)/proc/cpuinfo" "$system/proc"
mkdir -p "$system/sys/devices/system/cpu"
echo 0-3 | tee "$system/sys/devices/system/cpu/possible" > "$system/sys/devices/system/cpu/present"
cp "$(command -v qemu-aarch64-static)" "$system/qemu"
"$python" - "$system/srv" <<'PYTHON'
import sys, shutil
from pathlib import Path
from skimage import data_dir
shutil.copy(Path(data_dir) / "coffee.png", Path(sys.argv[1]) / "cup.png")
PYTHON

app() {
  echo "$ edge-app $*"
  NUMBA_CACHE_DIR=/tmp/kernels chroot "$system" /qemu -cpu cortex-a72 /opt/edge-app/bin/python3 -m edge_app "$@"
}
start=$SECONDS
app --version
app models check
# The example is decided on before it is learnt: encoder, kernels and journal in one process. A next process compiles
# the kernels of a network with classes, and had not ended after minutes when this was tried
app teach --state /srv/state cup /srv/cup.png | tee "$work/taught"
grep -q '/srv/cup.png is cup (before: unknown)' "$work/taught" || { echo "cup.png was not taught" >&2; exit 1; }
[ -s "$system/srv/state/examples.sqlite" ]
echo "the arm64 package decides and learns on an emulated Cortex-A72: $((SECONDS - start)) s"
