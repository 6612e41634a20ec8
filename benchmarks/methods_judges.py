"""Networks that judge translations in benchmarks/methods.py: trained on real images of the training subjects alone."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from methods_data import Task

from medgan.downstream.classification import Classifier, ClassifierRecipe
from medgan.downstream.segmentation import Segmenter, SegmenterRecipe
from medgan.networks.feature_network import FeatureNetwork
from medgan.samples.labelled import LabelledSamples, Target
from medgan.samples.seeds import seed_for
from medgan.settings.features import FeatureSettings
from medgan.settings.loop import LoopSettings
from medgan.training.features import loss_features
from medgan.training.loop import train
from medgan.training.tensor_files import read_tensors, write_tensors
from medgan.transforms.augment import build

SEED = 1
BATCH = 20
Pixels = npt.NDArray[np.float32]
Tensors = Mapping[str, torch.Tensor]

SEGMENTER = SegmenterRecipe(total_steps=400, batch_size=8, augment={"flips": {}, "affine": {}})
CLASSIFIER = ClassifierRecipe(
    total_steps=200, batch_size=16, pretrained="efficientnet-lite0", augment={"flips": {"axes": ("horizontal",)}}
)


class Judges:
    """The judges of one task, trained when first asked for and kept in its folder.

    Args:
        task: The task.
        folder: Where the judges are kept.
        features: Network whose features are compared.
        segmenter: How the segmenter is trained.
        classifier: How the classifier is trained.
    """

    def __init__(
        self,
        task: Task,
        folder: Path,
        *,
        features: Literal["efficientnet-lite0", "random"] = "efficientnet-lite0",
        segmenter: SegmenterRecipe = SEGMENTER,
        classifier: ClassifierRecipe = CLASSIFIER,
    ) -> None:
        self.task, self.folder = task, folder
        self.features_name = features
        self._recipes = {"segmenter": segmenter, "classifier": classifier, "domains": classifier}
        self._learners: dict[str, Segmenter | Classifier] = {}
        self._features: FeatureNetwork | None = None

    def lesions(self, images: Pixels) -> npt.NDArray[np.int64]:
        """Where the segmenter finds the structure, (N, H, W), 1 or 0."""
        learner = self._trained("segmenter")
        return np.concatenate([learner.probabilities(part).argmax(dim=1).numpy() for part in _parts(images)])

    def domains(self, images: Pixels) -> npt.NDArray[np.float64]:
        """Probability that a classifier of real images gives to each domain, (N, domains); of crops, their mean."""
        learner, side = self._trained("domains"), self._side("domains")
        starts = sorted({0, images.shape[-1] - side})
        crops = [images[..., top : top + side, left : left + side] for top in starts for left in starts]
        found = [
            np.concatenate([learner.probabilities(part).double().numpy() for part in _parts(crop)]) for crop in crops
        ]
        return np.mean(found, axis=0)

    def quality(self, images: Pixels) -> npt.NDArray[np.float64]:
        """Probability that the classifier gives to good quality, (N,)."""
        learner = self._trained("classifier")
        return np.concatenate([learner.probabilities(part)[:, 1].double().numpy() for part in _parts(images)])

    @torch.no_grad()
    def layers(self, images: Pixels) -> list[dict[str, torch.Tensor]]:
        """Features by layer, (1, C, h, w) each, one dict for every image."""
        if self._features is None:
            self._features = loss_features(FeatureSettings(network=self.features_name), channels=self.task.channels)
        network, found = self._features, []
        for part in _parts(images):
            layers = network(part)
            found += [{name: layer[i : i + 1] for name, layer in layers.items()} for i in range(len(part))]
        return found

    def pooled(self, images: Pixels) -> npt.NDArray[np.float64]:
        """Mean over the pixels of every channel of the layers, (N, F)."""
        rows = [torch.cat([layer.mean(dim=(0, 2, 3)) for layer in one.values()]) for one in self.layers(images)]
        return torch.stack(rows).double().numpy()

    def digests(self) -> dict[str, str]:
        """SHA-256 of the weights of the judges that the measures ask, by name: others would say other numbers."""
        wanted = {"segmenter": "dice", "classifier": "quality", "domains": "domain"}
        names = [name for name, measure in wanted.items() if measure in self.task.measures]
        for name in names:
            self._trained(name)
        facts = {name: self.folder / name / "judge.json" for name in names}
        return {name: json.loads(path.read_text(encoding="utf-8"))["sha256"] for name, path in facts.items()}

    def _trained(self, name: str) -> Any:
        if name not in self._learners:
            torch.manual_seed(seed_for(SEED, name))
            recipe = self._recipes[name]
            classes = len(self.task.train) if name == "domains" else 2
            kind = Segmenter if name == "segmenter" else Classifier
            learner = kind(recipe, channels=self.task.channels, classes=classes)
            due = {"task": self.task.digest(), "recipe": recipe.model_dump(mode="json")}
            _filled(learner, self._samples(name), self.folder / name, due=due)
            self._learners[name] = learner
        return self._learners[name]

    def _side(self, name: str) -> int:
        """Side of what a judge is shown: of domains crops where there are any, which do not tell what is centred."""
        return (self.task.crop_px if name == "domains" else None) or self.task.size_px

    def _samples(self, name: str) -> LabelledSamples:
        """Real images of the target domain with their masks, or of all domains with their quality or domain."""
        task, recipe = self.task, self._recipes[name]
        sides = task.train[1:] if name == "segmenter" else task.train
        pools = [[case for side in sides for case in side]]
        target: Target = "segmentation" if name == "segmenter" else "quality"
        values = {0: 0, task.label_value or 1: 1} if name == "segmenter" else {0: 0, 1: 1}
        if name == "domains":  # every domain as often, however few its images
            pools = [list(side) for side in sides]
            number = {case.case.case_id: place for place, side in enumerate(sides) for case in side}
            target, values = lambda case: number[case.case_id], {place: place for place in range(len(sides))}
        return LabelledSamples(
            pools,
            weights=[1] * len(pools),
            target=target,
            label_values=values,
            size_px=self._side(name),
            augment=build(recipe.augment),
            seed=SEED,
        )


def _filled(learner: Segmenter | Classifier, samples: LabelledSamples, folder: Path, *, due: dict[str, Any]) -> None:
    """Put kept weights in place, or train and keep them."""
    facts = folder / "judge.json"
    if facts.is_file() and (found := json.loads(facts.read_text(encoding="utf-8")))["due"] == due:
        learner.load_state_dict(read_tensors(folder / "judge.safetensors", digest=found["sha256"]))
        learner.eval()
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe = learner.recipe
    settings = LoopSettings(total_steps=recipe.total_steps, seed=SEED, device="cpu", threads=1, preview_every=None)
    train(learner, lambda step: samples.draw(step, recipe.batch_size), run=folder / "run", settings=settings)
    digest = write_tensors(folder / "judge.safetensors", learner.state_dict())
    facts.write_text(json.dumps({"due": due, "sha256": digest}, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder / "run")


def _parts(images: Pixels) -> tuple[torch.Tensor, ...]:
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).split(BATCH)
