"""Style transfer by optimisation: pixels of each image are moved until content and style fit; nothing is trained."""

from collections.abc import Iterable
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.errors import TrainingError
from medgan.losses.structure import total_variation
from medgan.networks.feature_network import FeatureNetwork, with_average_pooling, without_parameters
from medgan.settings.texture import StyleTransferRecipe
from medgan.training.features import empty_features, fill_features
from medgan.training.learner import Batch
from medgan.training.texture import BACKGROUND, Texture, content_loss, foreground, learnt_texture, style_loss
from medgan.training.translator import Domain, SampleShape, Translator

_PAPERS_CONTENT = ("relu4_2",)
_PAPERS_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


class GatysRecipe(StyleTransferRecipe):
    """No training steps; each translation is an optimisation of its own, thousands of times as long as a network's.

    The paper's network is VGG-19 with average pooling, which needs a file of the user's; its layers are named as their
    convolutions in the paper, and taken after the rectifier. Its ratio of content and style, 1e-3, is of a sum over
    features of images of 512 px and of layers that are weighed alike; here the content is a mean, whatever the size,
    and each layer's style lies between 0 and 1.

    So the weights had to be found anew. They were, with random features at 64 px and 30 iterations, on six images of
    training subjects of each of two tasks of docs/methods.md (dermoscopy to clinical photographs, poor to good fundus
    photographs), none of them of a subject that is tested there. With the last layer's content alone gyri and hairs
    turned to flat patches or noise, whatever its weight; so content is held in all layers that style is in. At a weight
    of 0.1 a brown patch was painted into an overexposed retina, and skin had coloured fringes; at 0.3 there was
    neither, and skin took the target's colour. Tissues do not change contrast with any weight tried.

    The paper starts from noise and says that other starts make little difference; the content image is the default
    here, since it comes as near in fewer iterations and the same every time. It does not say how many iterations it
    takes.
    """

    usual_content: ClassVar = {"vgg16": _PAPERS_CONTENT, "vgg19": _PAPERS_CONTENT}
    usual_style: ClassVar = {"vgg16": _PAPERS_STYLE, "vgg19": _PAPERS_STYLE}

    total_steps: int = Field(default=0, ge=0, le=0, description="Nothing is trained")
    weight_content: float = Field(default=0.3, ge=0, description="Of the mean squared difference of features")
    weight_style: float = Field(default=1.0, ge=0, description="Of the Gram matrices' distance, averaged over layers")
    weight_total_variation: float = Field(
        default=0.03,
        ge=0,
        description="Of the mean step from pixel to pixel, which this paper lacks and Johnson 2016 has: without it, "
        "random features leave noise",
    )
    iterations: int = Field(default=200, ge=1, description="Steps of the optimisation of each image")
    optimise_by: Literal["lbfgs", "adam"] = Field(default="lbfgs", description="lbfgs is the paper's")
    adam_rate: float = Field(default=0.02, gt=0, description="Rate of adam, in units of [-1, 1]")
    start: Literal["content", "noise"] = Field(default="content", description="From what image the optimisation starts")
    noise_seed: int = Field(default=0, ge=0, description="Seed of the noise, the same for every image")
    average_pooling: bool = Field(default=True, description="In the place of the network's maximum pooling")

    @classmethod
    def tiny(cls) -> Self:
        """A few iterations."""
        return cls(crop_px=32, iterations=3)


class Gatys(Translator):
    """Starts from the content image and moves its pixels towards Gram matrices of the target domain.

    The style is that of the target domain's typical training image, unless the recipe names a style image: medgan's
    extension. It is kept in the run's weights together with the feature network, so that a run can be
    used where the network's file is not; of a downstream run, the folder must still be there.

    Every image, and every slice of a volume, is optimised by itself: slices that stand beside each other need not
    agree. Memory is that of one slice's features. Of a 2.5D stack, the middle slice alone is looked at.
    """

    summary = "Optimises the pixels of each image towards a domain's texture; trains nothing, slow, knows no anatomy"
    paper = (
        "Gatys et al. 2016, Image style transfer using convolutional neural networks, doi:10.1109/CVPR.2016.265, "
        "arXiv:1508.06576"
    )
    recipe_type = GatysRecipe
    directions = ("b",)
    size_multiple = 1

    def __init__(self, recipe: GatysRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: GatysRecipe = recipe
        made = empty_features(recipe.features, channels=shape.channels)
        if recipe.average_pooling:
            with_average_pooling(made.network)
        self.features: FeatureNetwork = without_parameters(made)
        self.content_layers = recipe.layers_of_content(made.layers)
        self.style_layers = recipe.layers_of_style(made.layers)
        self.layers = tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))
        with torch.no_grad():
            widths = {
                name: layer.shape[1] for name, layer in self._look(torch.zeros(1, shape.channels, 32, 32)).items()
            }
        for number in range(len(self.layers)):
            self.register_buffer(f"power_{number}", torch.tensor(float("nan")))
        for number, name in enumerate(self.style_layers):
            self.register_buffer(f"gram_{number}", torch.full((1, widths[name], widths[name]), float("nan")))

    def fit(self, *samples: Iterable[Tensor]) -> None:
        """Read the feature network and learn the style of the images of b: the style image alone where there is one."""
        fill_features(self.features, self.recipe.features)
        texture = learnt_texture(
            (self.middle(sample[None])[0] for sample in samples[1]),
            self._look,
            style_layers=self.style_layers,
            size_multiple=self.features.size_multiple,
            background=self.recipe.keep_background,
        )
        for number, name in enumerate(self.layers):
            self.get_buffer(f"power_{number}").copy_(texture.powers[name])
        for number, name in enumerate(self.style_layers):
            self.get_buffer(f"gram_{number}").copy_(texture.grams[name])

    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Optimise each image by itself; see :meth:`Translator.translate`.

        Raises:
            SettingsError: S211, if asked for domain a.
            TrainingError: T210, if :meth:`fit` has not been called.
        """
        self.check_direction(to)
        texture = self._texture()
        # Whoever translates has switched gradients off, and here they are what moves the pixels.
        with torch.inference_mode(mode=False), torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
            return torch.cat([self._painted(one[None], texture) for one in self.middle(image).clone().contiguous()])

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Content, translation and an image of the style's domain, (N, channels, H, W)."""
        made = self.translate(batch["a"], to="b")
        return {"real_a": self.middle(batch["a"]), "fake_b": made, "real_b": self.middle(batch["b"])}

    def _painted(self, source: Tensor, texture: Texture) -> Tensor:
        """One image (1, channels, H, W), optimised; without gradient."""
        seen = foreground(source) if self.recipe.keep_background else None
        with torch.no_grad():
            kept = self._look(source)
        pixels = self._started(source).requires_grad_()
        optimizer = self._optimizer(pixels)

        def held() -> Tensor:
            return pixels if seen is None else torch.where(seen.bool(), pixels, BACKGROUND)

        def closure() -> float:
            optimizer.zero_grad()
            loss = self._loss(held(), kept, texture, seen)
            loss.backward()
            return loss.item()

        for _ in range(self.recipe.iterations if self.recipe.optimise_by == "adam" else 1):
            optimizer.step(closure)
        return held().detach().clamp(-1, 1)

    def _loss(self, image: Tensor, kept: dict[str, Tensor], texture: Texture, seen: Tensor | None) -> Tensor:
        """Equations 1, 4, 5 and 7 of the paper, but for means in the place of sums."""
        recipe, found = self.recipe, self._look(image)
        styles = style_loss(found, texture, seen=seen, size_multiple=self.features.size_multiple)
        style = torch.stack(list(styles.values())).mean()
        content = content_loss(found, kept, texture, layers=self.content_layers)
        variation = recipe.weight_total_variation * total_variation(image)
        return recipe.weight_content * content + recipe.weight_style * style + variation

    def _optimizer(self, pixels: Tensor) -> torch.optim.Optimizer:
        if self.recipe.optimise_by == "adam":
            return torch.optim.Adam([pixels], lr=self.recipe.adam_rate)
        return torch.optim.LBFGS(
            [pixels],
            max_iter=self.recipe.iterations,
            history_size=20,
            line_search_fn="strong_wolfe",
            tolerance_grad=0.0,
            tolerance_change=0.0,
        )

    def _started(self, source: Tensor) -> Tensor:
        if self.recipe.start == "content":
            return source.clone()
        generator = torch.Generator().manual_seed(self.recipe.noise_seed)
        return torch.randn(source.shape, generator=generator).to(source).mul_(0.5)

    def _look(self, image: Tensor) -> dict[str, Tensor]:
        features: dict[str, Tensor] = self.features(image, self.layers)
        return features

    def _texture(self) -> Texture:
        powers = {name: self.get_buffer(f"power_{number}") for number, name in enumerate(self.layers)}
        grams = {name: self.get_buffer(f"gram_{number}") for number, name in enumerate(self.style_layers)}
        if any(power.isnan() for power in powers.values()):
            raise TrainingError("T210", "the style is not known yet", remedy="fit it on the training set first")
        return Texture(powers, grams)


method = Gatys
