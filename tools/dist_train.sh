#!/usr/bin/env bash
# Usage: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Environment: NNODES, NODE_RANK, MASTER_ADDR, PORT; MAX_RESTARTS, with --resume: how
# often to start again when a process dies
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
    exit 2
fi

TOOLS=$(cd "$(dirname "$0")" && pwd)

PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" \
python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$2" \
    --max-restarts="${MAX_RESTARTS:-0}" \
    "$TOOLS/train.py" "$1" --launcher pytorch "${@:3}"
