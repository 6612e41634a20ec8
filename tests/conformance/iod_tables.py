"""A second opinion on DICOM objects: their attributes by the tables of PS3.3, which highdicom carries."""

import json
import pkgutil
from functools import cache
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

_ONE_OF_THREE = {"PixelData", "FloatPixelData", "DoubleFloatPixelData"}
_EITHER = {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"}  # a group stands in one or the other


@cache
def _table(name: str) -> Any:
    raw = pkgutil.get_data("highdicom", f"_standard/{name}.json")
    assert raw is not None
    return json.loads(raw)


def modules_of(sop_class: str) -> dict[str, str]:
    """Modules of an object and their usage: M, C or U."""
    name = _table("sop_class_iod_map")[sop_class]
    return {item["key"]: item["usage"] for item in _table("iod_module_map")[name]}


def violations(dataset: Dataset) -> list[str]:
    """What the tables require of an object and it lacks.

    Every Type 1 and 2 attribute of a mandatory module, also within the items of sequences that are there; and no
    Type 1 or 1C attribute of any of its modules without a value. Conditions are prose and not in the tables.
    """
    attributes = _table("module_attribute_map")
    found: list[str] = []
    for module, usage in modules_of(str(dataset.SOPClassUID)).items():
        for attribute in attributes[module]:
            for item in _items(dataset, attribute["path"]):
                mandatory = usage == "M" and attribute["path"][-1:] not in ([name] for name in _EITHER)
                wrong = _wrong(item, attribute["keyword"], attribute["type"], mandatory=mandatory)
                if wrong:
                    where = ".".join([*attribute["path"], attribute["keyword"]])
                    found.append(f"{module}: {where} (type {attribute['type']}) {wrong}")
    return sorted(set(found))


def unknown_attributes(dataset: Dataset) -> list[str]:
    """Attributes on the first level that are in none of the object's modules."""
    attributes = _table("module_attribute_map")
    known = {
        item["keyword"]
        for module in modules_of(str(dataset.SOPClassUID))
        for item in attributes[module]
        if not item["path"]
    }
    return [element.keyword or str(element.tag) for element in dataset if element.keyword not in known]


def _items(dataset: Dataset, path: list[str]) -> list[Dataset]:
    items = [dataset]
    for keyword in path:
        items = [inner for item in items for inner in item.get(keyword) or []]
    return items


def _wrong(item: Dataset, keyword: str, kind: str, *, mandatory: bool) -> str:
    if keyword in _ONE_OF_THREE or tag_for_keyword(keyword) is None:  # or of overlays, which are never written
        return ""
    if keyword not in item:
        return "is missing" if mandatory and kind in ("1", "2") else ""
    return "is empty" if kind in ("1", "1C") and item[keyword].is_empty else ""
