"""Published findings that should reappear, each with the number that says whether it did in benchmarks/methods.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medgan.metrics.interval import paired_difference

Results = Mapping[str, Mapping[str, Any]]
Verdict = tuple[bool, str]
NOT_MEASURED = "not measured yet"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A published finding.

    Args:
        claim: What was found.
        paper: By whom.
        look: Says whether it was seen, with the number; None where it was not measured.
    """

    claim: str
    paper: str
    look: Callable[[Results], Verdict | None]


def facts_table(results: Results) -> str:
    """The findings as a Markdown table."""
    lines = ["| published finding | by | here | number |", "|---|---|---|---|"]
    for fact in FACTS:
        found = fact.look(results)
        verdict, number = (NOT_MEASURED, "") if found is None else ("seen" if found[0] else "not seen", found[1])
        lines.append(f"| {fact.claim} | {fact.paper} | {verdict} | {number} |")
    return "\n".join(lines) + "\n"


def differs(task: str, measure: str, arm: str, baseline: str, *, sign: int) -> Callable[[Results], Verdict | None]:
    """Seen where the mean difference of arm and baseline over subjects has the sign, its 95 % interval wholly."""

    def look(results: Results) -> Verdict | None:
        scores = [_by_subject(results, task, label, measure) for label in (arm, baseline)]
        if any(not score for score in scores):
            return None
        common = sorted(scores[0].keys() & scores[1].keys())
        own, other = ({subject: score[subject] for subject in common} for score in scores)
        found = paired_difference(own, other, subjects={subject: subject for subject in common})
        seen = found.low > 0 if sign > 0 else found.high < 0
        told = f"{measure}, `{arm}` less `{baseline}`: {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
        told = f"{task}: {told}, {found.n_subjects} subjects"
        blind = [one for one in (arm, baseline) if (_row(results, task, one) or {}).get("ignores_source")]
        if blind:
            return False, f"{told}, but `{blind[0]}` gives the same image whatever the source: no fair comparison"
        return seen, told

    return look


def collapses_or_loses(task: str, measure: str, arm: str, baseline: str) -> Callable[[Results], Verdict | None]:
    """Seen where the arm gives one image whatever the source, or scores lower by :func:`differs`."""

    def look(results: Results) -> Verdict | None:
        found = differs(task, measure, arm, baseline, sign=-1)(results)
        if found is None or not (_row(results, task, arm) or {}).get("ignores_source"):
            return found
        return True, found[1].replace(": no fair comparison", "")

    return look


def both(*looks: Callable[[Results], Verdict | None]) -> Callable[[Results], Verdict | None]:
    """Seen where each of them is; not measured where one is not."""

    def look(results: Results) -> Verdict | None:
        found = [one(results) for one in looks]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        return all(seen for seen, _ in known), "; ".join(number for _, number in known)

    return look


def sharper_for_less(arm: str, baseline: str) -> Callable[[Results], Verdict | None]:
    """Seen where the arm super-resolves with a lower PSNR and sharper images."""
    measures = {"psnr": -1, "sharpness": 1}
    return both(*(differs("super_resolution", name, arm, baseline, sign=sign) for name, sign in measures.items()))


def faster(task: str, arm: str, baseline: str) -> Callable[[Results], Verdict | None]:
    """Seen where a step takes less processor time; not measured where other machines ran them."""

    def look(results: Results) -> Verdict | None:
        rows = [_row(results, task, label) or {} for label in (arm, baseline)]
        own, other = (row.get("step_cpu_s") for row in rows)
        if own is None or other is None or rows[0]["machine"] != rows[1]["machine"]:
            return None
        told = f"{task}: {own:.3f} s a step, `{baseline}` {other:.3f} s ({own / other:.2f} times)"
        return own < other, told

    return look


def diverse(task: str, label: str) -> Callable[[Results], Verdict | None]:
    """Seen where outputs of one image differ by at least a tenth of what they differ from the source's own domain."""

    def look(results: Results) -> Verdict | None:
        found = (_row(results, task, label) or {}).get("diversity")
        among = results.get(task, {}).get("real_diversity")
        if found is None or among is None:
            return None
        told = (
            f"{task}: mean feature distance between outputs of one image {found:.3f}; between real images {among:.3f}"
        )
        return found > 0.1 * among, told

    return look


def _row(results: Results, task: str, label: str) -> Mapping[str, Any] | None:
    rows = results.get(task, {}).get("rows", [])
    return next((row for row in rows if row["label"] == label), None)


def _by_subject(results: Results, task: str, label: str, measure: str) -> dict[str, float]:
    row = _row(results, task, label)
    return dict(row["measures"].get(measure, {}).get("by_subject", {})) if row else {}


FACTS = (
    Fact(
        claim="cycle loss alone is worse than the whole CycleGAN",
        paper="Zhu 2017, table 4",
        look=differs("t1_to_flair", "ssim", "cyclegan:cycle", "cyclegan:full", sign=-1),
    ),
    Fact(
        claim="GAN loss alone is worse than the whole CycleGAN",
        paper="Zhu 2017, table 4",
        look=differs("t1_to_flair", "ssim", "cyclegan:gan", "cyclegan:full", sign=-1),
    ),
    Fact(
        claim="the cycle in one direction alone often makes training unstable and collapses the direction removed",
        paper="Zhu 2017, section 5.1.3",
        look=collapses_or_loses("t1_to_flair", "ssim", "cyclegan:backward", "cyclegan:full"),
    ),
    Fact(
        claim="the cycle of the other direction alone is worse than that of this direction alone",
        paper="Zhu 2017, table 4",
        look=collapses_or_loses("t1_to_flair", "ssim", "cyclegan:backward", "cyclegan:forward"),
    ),
    Fact(
        claim="CoGAN scores below CycleGAN",
        paper="Zhu 2017, tables 1 to 3",
        look=differs("t1_to_flair", "ssim", "cogan", "cyclegan:full", sign=-1),
    ),
    Fact(
        claim="BiGAN/ALI between images scores below CycleGAN",
        paper="Zhu 2017, tables 1 to 3",
        look=differs("t1_to_flair", "ssim", "bigan", "cyclegan:full", sign=-1),
    ),
    Fact(
        claim="DualGAN is better than its GANs alone",
        paper="Yi 2017, section 4",
        look=differs("t1_to_flair", "ssim", "dualgan", "dualgan:gan", sign=1),
    ),
    Fact(
        claim="skip connections help pix2pix (L1 + cGAN)",
        paper="Isola 2017, table 2",
        look=differs("t1_to_flair", "mae", "pix2pix:encoder-decoder", "pix2pix", sign=1),
    ),
    Fact(
        claim="L1 alone blurs",
        paper="Isola 2017, figure 4",
        look=both(
            differs("t1_to_flair", "sharpness", "pix2pix:l1", "pix2pix", sign=-1),
            differs("mask_to_dermoscopy", "sharpness", "pix2pix:l1", "pix2pix", sign=-1),
        ),
    ),
    Fact(
        claim="L1 + cGAN has a higher FCN score than L1 alone",
        paper="Isola 2017, table 1",
        look=differs("mask_to_dermoscopy", "dice", "pix2pix", "pix2pix:l1", sign=1),
    ),
    Fact(
        claim="a discriminator that does not see the input scores far below one that does, both without L1",
        paper="Isola 2017, table 1",
        look=differs("mask_to_dermoscopy", "dice", "pix2pix:gan", "pix2pix:cgan", sign=-1),
    ),
    Fact(
        claim="StarGAN's translations are taken for the wanted domain more often than those of one CycleGAN a target",
        paper="Choi 2018, table 3",
        look=differs("fundus_sites", "domain", "stargan", "cyclegan", sign=1),
    ),
    Fact(
        claim="MUNIT gives several outputs for one image",
        paper="Huang 2018, table 1",
        look=diverse("dermoscopy_to_clinical", "munit"),
    ),
    Fact(
        claim="a step of CUT takes less time than one of CycleGAN",
        paper="Park 2020, section 4.2",
        look=faster("dermoscopy_to_clinical", "cut", "cyclegan"),
    ),
    Fact(
        claim="SRGAN gives up PSNR for texture",
        paper="Ledig 2017, table 2",
        look=sharper_for_less("srgan", "srgan:srresnet-mse"),
    ),
    Fact(
        claim="super-resolution by features has a lower PSNR and sharper images than the same network by pixels",
        paper="Johnson 2016, section 4.2",
        look=sharper_for_less("johnson_resolution", "johnson_resolution:pixels"),
    ),
)
