"""Prepared cases made without any image file."""

import numpy as np
import pytest

from medgan.imaging.intensity import Window
from medgan.manifests.manifest import Case
from medgan.samples.prepared import open_prepared, save_prepared
from medgan.transforms.trace import Prepared, Trace


@pytest.fixture
def make_case(tmp_path):
    """Write one prepared case and open it."""
    made = []

    def make(pixels, *, label=None, field=None, **columns):
        number = len(made)
        key = f"{number:064x}"
        pixels = np.asarray(pixels, dtype=np.float32)
        trace = Trace(
            preset="mr" if pixels.ndim == 4 else "photograph",
            source_shape=pixels.shape,
            prepared_shape=pixels.shape,
            window=Window(low=0, high=255, unit="level"),
            losses=("8 bits",),
        )
        field = np.ones(pixels.shape[1:], dtype=bool) if field is None else field
        folder = tmp_path / "store" / key[:2] / key
        save_prepared(Prepared(pixels, label, field, trace), folder, source="0" * 64)
        row = {"case_id": f"c{number}", "subject_id": f"s{number}", "domain": "a", "image": "x.png", **columns}
        made.append(key)
        return open_prepared(Case(**row), key, folder)

    return make
