#!/usr/bin/env bash
# Tries on a GPU what was tried on CPUs alone, on a machine with PyTorch and no network.
# Wheels laid beside it bring what that machine lacks: no wheel there is asked for its
# needs, so lay those there too, for that machine's Python and torch.
#
#     tools/dev/gpu_check.sh [--wheels FOLDER] [arguments of tools.dev.gpu_check]
#
# PYTHON names the interpreter that has PyTorch (python3).
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
wheels=wheels
if [[ ${1:-} == --wheels ]]; then
  wheels=${2:?--wheels needs a folder}
  shift 2
  [[ -d $wheels ]] || { echo "gpu_check: no folder $wheels" >&2; exit 1; }
fi
site=$PWD/work_dirs/gpu_check/site
if compgen -G "$wheels/*.whl" >/dev/null; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --upgrade \
    --target "$site" "$wheels"/*.whl
fi
# What the wheels bring comes first, but for torch, which they had better not bring.
export PYTHONPATH="$site:$PWD${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m tools.dev.gpu_check "$@"
