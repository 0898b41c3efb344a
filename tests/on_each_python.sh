#!/usr/bin/env bash
# Runs the quick suite on every Python 3.11 to 3.13 (or of $PYTHONS) that the machine has, but for the one `make test`
# ran on.
set -euo pipefail
cd "$(dirname "$0")/.."
done_on=$(.venv/bin/python -c 'import sys; print("3.%d" % sys.version_info[1])' 2>/dev/null || true)
for version in ${PYTHONS:-3.11 3.12 3.13}; do
  [ "$version" != "$done_on" ] || continue
  found=""
  for candidate in "$(command -v "python$version" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
    # a version manager's shim may be on the PATH for a version that it does not run
    if [ -x "$candidate" ] && "$candidate" -c "import venv, ensurepip, sys; sys.exit('$version' != '3.%d' % sys.version_info[1])" 2>/dev/null; then
      found=$candidate
      break
    fi
  done
  if [ -z "$found" ]; then
    echo "Python $version: not on this machine, not run"
    continue
  fi
  echo "Python $version: $("$found" -V)"
  make --no-print-directory PYTHON="$found" VENV=".venv-$version" test-quick
done
