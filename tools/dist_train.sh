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
ADDRESS=${MASTER_ADDR:-127.0.0.1}
MEETING=(
    --node_rank="${NODE_RANK:-0}"
    --master_addr="$ADDRESS"
    --master_port="${PORT:-29500}"
)
# Ranks tell each other their addresses in a store. By default torch keeps it for the
# next attempt, whose ranks then look for dead ones; this makes a new one.
if [ "${MAX_RESTARTS:-0}" -gt 0 ]; then
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    MEETING=(
        --max-restarts="$MAX_RESTARTS"
        --rdzv-backend=c10d
        --rdzv-endpoint="$ADDRESS:${PORT:-29500}"
        --rdzv-id=dist_train
    )
    if [ "${NNODES:-1}" = 1 ]; then
        MEETING+=(--local-addr="$ADDRESS")
    fi
fi

export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"
# In the place of this shell, which would keep SIGTERM to itself and leave the others.
exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    "${MEETING[@]}" \
    --nproc_per_node="$2" \
    "$TOOLS/train.py" "$1" --launcher pytorch "${@:3}"
