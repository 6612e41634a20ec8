"""What a run leaves about itself: its settings, and where and when each call started."""

import json
import os
import platform
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from medgan.training.parallel import ranks


def describe_start(
    run: Path, told: Mapping[str, object], *, step: int, device: torch.device, stale: Mapping[str, object] | None
) -> None:
    """Write ``settings.json``, and add a line to ``starts.jsonl``.

    These are apart from ``log.jsonl``, which is the same whether a run was interrupted or not.

    Args:
        run: The run's directory.
        told: Identity and settings, as JSON values.
        step: Step that this call goes on from.
        device: Where it trains.
        stale: The dead process's lock that was taken over, if one was.
    """
    (run / "settings.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    start = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "step": step,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "ranks": ranks(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "took_over": stale,
    }
    with (run / "starts.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(start) + "\n")
