#!/usr/bin/env bash
# Builds the wheel, installs it into an environment without the checkout, and teaches and classifies with it.
# usage: tests/wheel.sh PYTHON-WITH-HATCHLING
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath -s "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work" .
wheel=$(echo "$work"/edge_app-*.whl)
others=$("$python" -m zipfile --list "$wheel" | awk 'NR > 1 {print $1}' | grep -vE '^edge_app(-[^/]*\.dist-info)?/' || true)
[ -z "$others" ] || { echo "the wheel puts other names into site-packages: $others" >&2; exit 1; }

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel[demo]"
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path
from skimage import io, data_dir
for name in ("coffee.png", "chelsea.png"):
    io.imsave(name.replace("png", "jpg"), io.imread(Path(data_dir) / name)[..., :3], check_contrast=False)
PYTHON
app="$work/venv/bin/edge-app"
"$app" models check
"$app" warmup
"$app" teach --state state cup coffee.jpg
"$app" teach --state state cat chelsea.jpg
"$app" classify --state state --json coffee.jpg chelsea.jpg > decisions.json
"$work/venv/bin/python" - <<'PYTHON'
import json
from pathlib import Path
text = Path("decisions.json").read_text()
print(text)
found = json.loads(text)
found = found.get("decisions", found) if isinstance(found, dict) else found
assert [item["label"] for item in found] == ["cup", "cat"], found
PYTHON
echo "the wheel works: $(basename "$wheel"), $(stat -c %s "$wheel") bytes"
