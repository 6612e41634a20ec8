"""What metrics are called on the page."""

import re

METRIC_NAMES = {
    "dice": "Dice",
    "jaccard": "Jaccard (JA)",
    "thresholded_jaccard": "thresholded Jaccard (TJA, 0 below 0.65)",
    "pixel_accuracy": "pixel accuracy (AC)",
    "fcn_pixel_accuracy": "per-pixel accuracy (FCN score)",
    "fcn_class_accuracy": "per-class accuracy (FCN score)",
    "fcn_class_iou": "class IoU (FCN score)",
    "sensitivity": "sensitivity (SE)",
    "specificity": "specificity (SP)",
    "precision": "precision",
    "hd95": "Hausdorff 95 % (mm)",
    "hd95_px": "Hausdorff 95 % (px)",
    "average_surface_distance": "average surface distance (mm)",
    "average_surface_distance_px": "average surface distance (px)",
    "surface_dice": "surface Dice",
    "ssim": "SSIM",
    "psnr": "PSNR (dB)",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "F1, macro",
    "f1_binary": "F1, binary",
    "kappa": "kappa, unweighted",
    "kappa_linear": "kappa, linear weights",
    "kappa_quadratic": "kappa, quadratic weights",
    "auroc_binary": "AUROC",
    "auroc_macro": "AUROC, macro",
    "expected_class": "expected class (0 = worst)",
}

_LONGEST_FIRST = "|".join(sorted(METRIC_NAMES, key=len, reverse=True))
_WITH_CLASS = re.compile(rf"({_LONGEST_FIRST})_(\d+)")
_WITH_DETAIL = re.compile(rf"({_LONGEST_FIRST}) \((.+)\)")
_IN_TEXT = re.compile(rf"(?<![\w-])({_LONGEST_FIRST})(?:_(\d+))?(?![\w-])")


def metric_name(name: str) -> str:
    """Call a metric what a reader calls it; names that are not known pass through.

    Args:
        name: Name in the rows: bare, with a class (``"dice_2"``) or with a detail in brackets.

    Example:
        >>> metric_name("psnr"), metric_name("dice_2"), metric_name("psnr (data range 1)"), metric_name("my score")
        ('PSNR (dB)', 'Dice, class 2', 'PSNR (dB; data range 1)', 'my score')
    """
    if found := _WITH_CLASS.fullmatch(name):
        return f"{METRIC_NAMES[found[1]]}, class {found[2]}"
    if found := _WITH_DETAIL.fullmatch(name):
        shown, detail = METRIC_NAMES[found[1]], found[2]
        return f"{shown[:-1]}; {detail})" if shown.endswith(")") else f"{shown} ({detail})"
    return METRIC_NAMES.get(name, name)


def in_text(text: str) -> str:
    """Replace the names of metrics in a text, without what stands in brackets.

    Example:
        >>> in_text("largest fall in lesion hd95_px: 3.1, worst ssim"), in_text("a well-made dice-like score")
        ('largest fall in lesion Hausdorff 95 %: 3.1, worst SSIM', 'a well-made dice-like score')
    """

    def called(found: re.Match[str]) -> str:
        short = METRIC_NAMES[found[1]].partition(" (")[0]
        return f"{short}, class {found[2]}" if found[2] else short

    return _IN_TEXT.sub(called, text)
