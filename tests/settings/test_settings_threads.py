"""The thread policy comes before torch."""

import os
import subprocess
import sys

import pytest

_CODE = (
    "import os; {first}from medgan.settings.threads import quiet_openmp as q; print(q(), os.environ['OMP_WAIT_POLICY'])"
)


@pytest.mark.parametrize(
    ("first", "kept", "told"),
    [
        ("", None, "True PASSIVE"),
        ("", "ACTIVE", "True ACTIVE"),
        ("import sys; sys.modules['torch'] = sys; ", None, "False PASSIVE"),
    ],
    ids=["before torch", "user's own", "after torch"],
)
def test_the_policy(first, kept, told):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if kept:
        environment["OMP_WAIT_POLICY"] = kept
    command = [sys.executable, "-c", _CODE.format(first=first)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told
