#!/usr/bin/env bash
# Start a Slurm of one machine, for tests: Debian's packages slurm-wlm and munge.
# Usage: tools/dev/start_slurm.sh FOLDER        (all that it writes is below FOLDER)
#        tools/dev/start_slurm.sh --stop FOLDER
# Then: export SLURM_CONF=FOLDER/slurm.conf; srun -p local hostname
# It pretends to have 4 processors and 2 GPUs. Run it as root, as slurmd has to.
set -euo pipefail

stop() {
    for name in slurmd slurmctld munged; do
        if [ -s "$1/$name.pid" ]; then
            kill "$(cat "$1/$name.pid")" 2>/dev/null || true
        fi
    done
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

if [ "${1:-}" = --stop ] && [ "$#" -eq 2 ]; then
    stop "$2"
    exit
fi
if [ "$#" -ne 1 ]; then
    echo "usage: $0 [--stop] FOLDER" >&2
    exit 2
fi
for program in munged slurmctld slurmd; do
    if ! PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null; then
        echo "$0: no $program; install slurm-wlm and munge" >&2
        exit 1
    fi
done
export PATH="$PATH:/usr/sbin"

mkdir -p "$1/state" "$1/spool"
FOLDER=$(cd "$1" && pwd)
HOST=$(hostname -s)
export SLURM_CONF="$FOLDER/slurm.conf"

head -c 128 /dev/urandom >"$FOLDER/munge.key"
chmod 600 "$FOLDER/munge.key"
munged --force --key-file="$FOLDER/munge.key" --socket="$FOLDER/munge.socket" \
    --pid-file="$FOLDER/munged.pid" --log-file="$FOLDER/munged.log" \
    --seed-file="$FOLDER/munge.seed" 2>>"$FOLDER/munged.log"

cat >"$FOLDER/slurm.conf" <<END
ClusterName=local
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge.socket
CredType=cred/munge
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=4 Gres=gpu:2 State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
touch "$FOLDER/gpu0" "$FOLDER/gpu1"  # what is handed out in the place of devices
echo "NodeName=$HOST Name=gpu File=$FOLDER/gpu[0-1]" >"$FOLDER/gres.conf"

slurmctld -c  # nothing of an earlier start
slurmd
for _ in $(seq 120); do
    if sinfo -h -o %T 2>/dev/null | grep -q idle; then
        echo "SLURM_CONF=$FOLDER/slurm.conf"
        exit
    fi
    sleep 0.5
done
echo "$0: the node did not get idle; see $FOLDER/*.log" >&2
stop "$FOLDER"
exit 1
