"""Slurm's commands as shell scripts that run each job on this machine and keep what was asked for.

They stand in for a cluster where there is none: the submitting path of Snakemake's plugin is the real one.
"""

from pathlib import Path

_SBATCH = """#!/bin/bash
root='{root}'
exec 9> "$root/.numbers"; flock 9
id=$(( $(ls "$root" | grep -c '[.]asked$') + 1 ))
printf '%s\\n' "$@" > "$root/$id.asked"
env > "$root/$id.environment"
exec 9>&-
while [ $# -gt 0 ]; do
  case "$1" in
    --output) out="${{2//%j/$id}}"; shift ;;
    --job-name) echo "$2" > "$root/$id.name"; shift ;;
    -D) cd "$2"; shift ;;
    --wrap=*) script="${{1#--wrap=}}" ;;
  esac
  shift
done
export SLURM_JOB_ID=$id
(
  setsid bash -c "$script" > "$out" 2>&1 &
  echo $! > "$root/$id.pid"
  wait $!
  echo $? > "$root/$id.status"
) > /dev/null 2>&1 &
echo $id
"""

_STATES = """#!/bin/bash
root='{root}'
[ "$1" = -j ] && {{ echo node1; exit 0; }}
for asked in "$root"/*.asked; do
  id=$(basename "$asked" .asked)
  state=RUNNING
  [ -e "$root/$id.cancelled" ] && state=CANCELLED
  [ -e "$root/$id.status" ] && {{ [ "$(cat "$root/$id.status")" = 0 ] && state=COMPLETED || state=FAILED; }}
  echo "$id|$state"
done
"""

_SRUN = """#!/bin/bash
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""

_SCANCEL = """#!/bin/bash
root='{root}'
for id; do
  case "$id" in -*) continue ;; esac
  touch "$root/$id.cancelled"
  kill -TERM -- -"$(cat "$root/$id.pid")"
done
"""


def make(folder: Path) -> tuple[Path, Path]:
    """Write the commands.

    Returns:
        The folder of the commands, for the front of PATH, and that of what the jobs asked for: ``1.asked`` with one
        argument a line, ``1.environment``, ``1.status``.
    """
    commands, root = folder / "bin", folder / "jobs"
    commands.mkdir(parents=True)
    root.mkdir()
    texts = {
        "sbatch": _SBATCH.format(root=root),
        "sacct": _STATES.format(root=root),
        "squeue": _STATES.format(root=root),
        "scancel": _SCANCEL.format(root=root),
        "srun": _SRUN,
        "sacctmgr": "#!/bin/sh\necho mine\n",
        "scontrol": "#!/bin/sh\necho 'MinJobAge = 300 sec'\n",
        "sinfo": "#!/bin/sh\necho 'gpu*'\n",
    }
    for name, text in texts.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    return commands, root
