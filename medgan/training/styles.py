"""Translators that give several images for one: what of the look is not told by the source is a style."""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from medgan.errors import SettingsError
from medgan.training.translator import Domain, Translator


class Style(NamedTuple):
    """A style for every image of a translation.

    Args:
        code: Its numbers.
        told: What it is, in words that name nobody, such as ``"style 2 of seed 0"``.
        domain: Domain whose look it is; None for one drawn from the prior, which is the same for both.
    """

    code: tuple[float, ...]
    told: str
    domain: Domain | None = None


class StyledTranslator(Translator):
    """A translator with a style code beside its content, whose prior is the standard normal distribution."""

    @property
    @abstractmethod
    def style_size(self) -> int:
        """Numbers of a style."""

    @abstractmethod
    def style_of(self, image: Tensor, *, domain: Domain) -> Tensor:
        """Styles of images.

        Args:
            image: (N, channels * neighbours, H, W) in [-1, 1], of that domain.
            domain: Whose look it is.

        Returns:
            (N, style_size).
        """

    @abstractmethod
    def translate_styled(self, image: Tensor, *, to: Domain, style: Tensor) -> Tensor:
        """Translate a batch in given styles.

        Args:
            image: As for :meth:`Translator.translate`.
            to: Domain wanted.
            style: (N, style_size), or (1, style_size) for one style for all.

        Returns:
            (N, channels, H, W) in [-1, 1].
        """

    def random_styles(self, count: int, *, seed: int) -> Tensor:
        """Styles from the prior, the first ones the same however many are drawn: (count, style_size) on the CPU."""
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randn(self.style_size, generator=generator) for _ in range(count)]
        return torch.stack(drawn) if drawn else torch.zeros(0, self.style_size)

    def in_style(self, image: Tensor, style: Style, *, to: Domain) -> Tensor:
        """Translate a batch in one style.

        Raises:
            SettingsError: S221, if it is the look of the other domain.
        """
        if style.domain not in {None, to}:
            raise SettingsError(
                "S221",
                "the style is the look of another domain than the one wanted",
                where=style.told,
                got=f"a style of domain {style.domain!r}",
                expected=f"one of domain {to!r}",
                remedy="take the style of an image of the domain that is translated to",
            )
        code = torch.tensor([style.code], dtype=image.dtype, device=image.device)
        return self.translate_styled(image, to=to, style=code)


def with_styles(translator: Translator, *, name: str) -> StyledTranslator:
    """The translator, if it has styles.

    Args:
        translator: Any.
        name: What it is called in the message.

    Raises:
        SettingsError: S220, if it has none.
    """
    if not isinstance(translator, StyledTranslator):
        raise SettingsError(
            "S220",
            "the method has no styles: it gives one translation for one image",
            where=name,
            got=type(translator).__name__,
            expected="a method with styles, such as munit",
            remedy="translate without a style, or train munit",
        )
    return translator
