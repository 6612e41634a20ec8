"""Earlier fakes that the discriminator is shown again, so that it does not forget them."""

from collections.abc import Mapping

import torch
from torch import Tensor


class ImagePool:
    """Keeps some of the fakes it has seen.

    While there is room, each fake is kept and handed on. After that, each fake is, with even chances, either handed on
    or swapped for a kept one.

    Args:
        capacity: Images kept; 0 hands every fake on.
        generator: Where its chances come from, on the CPU; nobody else should draw from it.

    Source:
        Shrivastava 2017, arXiv:1612.07828, section 2.3; with 50 images in Zhu 2017, arXiv:1703.10593, section 4.
    """

    def __init__(self, capacity: int, *, generator: torch.Generator) -> None:
        self.capacity = capacity
        self._generator = generator
        self._images: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._images)

    def exchange(self, fakes: Tensor) -> Tensor:
        """Take fakes in, and hand out as many.

        Args:
            fakes: (N, C, H, W); every batch has the same C, H and W.

        Returns:
            (N, C, H, W), detached, on the same device and of the same type: each either the fake or an earlier one.
        """
        fakes = fakes.detach()
        return torch.stack([self._exchange_one(fake) for fake in fakes]) if self.capacity else fakes

    def tensors(self) -> dict[str, Tensor]:
        """What a resumed run needs: ``"random_state"`` and, unless the pool is empty, ``"images"`` (K, C, H, W)."""
        state = {"random_state": self._generator.get_state()}
        return state | ({"images": torch.stack(self._images)} if self._images else {})

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`tensors` gave, of this pool or of one of the same capacity."""
        self._generator.set_state(tensors["random_state"].cpu())
        self._images = [image.clone() for image in tensors["images"]] if "images" in tensors else []

    def _exchange_one(self, fake: Tensor) -> Tensor:
        if len(self._images) < self.capacity:
            self._images.append(fake.clone())
            return fake
        if torch.rand((), generator=self._generator).item() < 0.5:
            return fake
        place = int(torch.randint(self.capacity, (), generator=self._generator).item())
        kept, self._images[place] = self._images[place], fake.clone()
        return kept.to(fake)
