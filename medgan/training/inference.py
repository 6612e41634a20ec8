"""A trained translator made ready for use alone."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import torch

from medgan.networks.for_inference import for_inference
from medgan.settings.loop import TranslationPrecision
from medgan.training.translator import Translator


def ready_for_inference(translator: Translator, *, precision: TranslationPrecision, device: torch.device) -> Translator:
    """Put what :func:`for_inference` makes of its networks in their place, and move it to a device.

    Args:
        translator: Changed in place; it cannot be trained any more.
        precision: Number format in which the networks compute. A method without networks has none.
        device: Where to compute.

    Returns:
        The translator, in evaluation mode.
    """
    for group, names in translator.groups.items():
        for name in names:
            if group != "discriminator":
                network = for_inference(translator.get_submodule(name), precision=precision, device=device)
                setattr(translator, name, network)
    return translator.to(device).eval()


def side_by_side(work: Callable[[int], None], items: Sequence[int], *, device: torch.device) -> None:
    """Do some independent pieces of work on as many CPU threads as torch has, each piece on one of them.

    Threads then wait for one another once and not after every layer, and no sum is split among them: results do not
    depend on the number of threads. A single piece, and a GPU, use torch's threads as they are.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(items) == 1:
        for item in items:
            work(item)
        return
    try:
        with ThreadPoolExecutor(min(threads, len(items)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(work, items):
                pass
    finally:
        torch.set_num_threads(threads)  # what new threads start from is one number for the process


def exact_arithmetic(device: torch.device) -> AbstractContextManager[None]:
    """Let fp32 be fp32 on a GPU, too, and the same twice: no TF32, no choice of algorithms by their speed."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
