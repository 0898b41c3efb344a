#!/usr/bin/env bash
# Runs the determinism part of the suite on emulated ARM processors: arm64 Python and the arm64 wheels under qemu-user.
# usage: tests/aarch64/run.sh PYTHON-OF-THE-ENVIRONMENT [CPU...]      CPU: cortex-a72 (Pi 4), cortex-a76 (Pi 5)
#
# Nothing is installed on the machine; without root, user namespaces are needed. Status 77: an emulator is missing. What is
# downloaded is kept in EDGE_APP_ARM64_CACHE (.cache/aarch64), each part in a folder named after all that it depends on.
# Dependencies have the versions of the given environment.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(realpath -s "$1")
shift
cpus=("${@:-cortex-a72 cortex-a76}")
read -r -a cpus <<< "${cpus[*]}"
work=$(mktemp -d)
trap 'rm -rf "$work" /tmp/edge-app-*-$$' EXIT

. tests/aarch64/emulator.sh

"$python" - > "$work/requirements" <<'PYTHON'
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*project["dependencies"], "pytest", "hypothesis", sep="\n")
PYTHON
"$python" -m pip list --format=freeze --exclude-editable --disable-pip-version-check > "$work/constraints"
make_site() {
  "$python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary=:all: \
    --platform manylinux2014_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
    --python-version "$version" --implementation cp --target "$1" --constraint "$work/constraints" -r "$work/requirements"
}
site=$(kept site "$version $(cat "$work/requirements" "$work/constraints")" make_site)

# The wheel as it is shipped. Numba knows a source by its time and size: with a fixed time, the folder's name keeps
# kernels of other sources apart.
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work" .
"$python" -m zipfile --extract "$work"/edge_app-*.whl "$work/app"
find "$work/app" -exec touch --date=@1600000000 {} +
PYTHONPYCACHEPREFIX=$cache/bytecode compile_natively "$root/usr/lib/python$version" "$site" "$work/app"
kernels=$(cat "$work"/app/edge_app/colanet/*.py "$work/constraints" | sha256sum | cut -c 1-16)

namespace=(--mount)
[ "$(id -u)" = 0 ] || namespace+=(--map-root-user)

run() {  # CPU PYTEST-ARGUMENTS...
  local cpu=$1 prefix
  prefix=$(prefix_of "$1")
  shift
  # Where a program opens / itself and goes on from there, it is in the prefix: the folder of its files is mounted there.
  mkdir -p "$prefix/tmp"
  PYTHONHOME=$root/usr PYTHONPATH=$work/app:$site PYTHONPYCACHEPREFIX=$cache/bytecode PYTHONDONTWRITEBYTECODE= \
    NUMBA_CACHE_DIR=$cache/numba-$cpu-$kernels NUMBA_NUM_THREADS=4 \
    unshare "${namespace[@]}" sh -c 'mount --bind /tmp "$0/tmp" && exec "$@"' "$prefix" \
    qemu-aarch64-static -cpu "$cpu" -L "$prefix" "$interpreter" -P -m pytest -p no:cacheprovider -p no:xdist --quiet --tb=short --durations=5 --basetemp "/tmp/edge-app-$cpu-$$" "$@"
}

golden=(tests/aarch64/test_same_bits.py tests/encoder/test_selfcheck.py tests/spiking/test_golden.py)
arithmetic=(
  tests/colanet/test_golden.py tests/colanet/test_kernels.py tests/colanet/test_decorrelated.py
  tests/colanet/test_snapshot.py tests/encoder/test_ratecode.py tests/encoder/test_preprocess.py
  # an emulated process cannot start another one
  --deselect tests/encoder/test_preprocess.py::test_importing_it_loads_neither_opencv_nor_pillow
)
echo "Python $version, $(find "$site" -maxdepth 1 -name '*.dist-info' | wc -l) packages at the versions of $python"
running=()
for cpu in "${cpus[@]}"; do
  tests=("${golden[@]}")
  [ "$cpu" != cortex-a72 ] || tests+=("${arithmetic[@]}")
  (
    start=$SECONDS status=0
    run "$cpu" "${tests[@]}" > "$work/$cpu.log" 2>&1 || status=$?
    echo "== $cpu, $((SECONDS - start)) s"
    cat "$work/$cpu.log"
    exit "$status"
  ) &
  running+=($!)
done
status=0
for process in "${running[@]}"; do
  wait "$process" || status=1
done
exit "$status"
