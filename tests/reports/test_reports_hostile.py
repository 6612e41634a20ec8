"""Text that would like to be markup: wherever it stands in a report, the page's structure stays as it was."""

from collections import Counter
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from medgan.reports.content import ReportContent
from medgan.reports.page import render

PAYLOADS = (
    "</script></title><img src=x onerror=alert(1)>",
    "\"' onload='a' {{ 7 * 7 }} ]]><!--",
)
CHOICES = {"verdict", "flag", "role"}
"""Fields that take one of a few words."""


class Structure(HTMLParser):
    """Counts the tags of a page with the names of their attributes, those inside drawings apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.page: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.all: set[str] = set()
        self.attributes: set[str] = set()
        self._drawing = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self._drawing += tag == "svg"
        if not self._drawing:
            self.page[tag, tuple(sorted(name for name, _ in attrs))] += 1

    def handle_endtag(self, tag: str) -> None:
        self._drawing -= tag == "svg"


def hostile(value: Any, payload: str) -> Any:
    """The same records with a payload behind every text."""
    if isinstance(value, str):
        return value + payload
    if is_dataclass(value) and not isinstance(value, type):
        changes = {
            field.name: hostile(getattr(value, field.name), payload)
            for field in fields(value)
            if field.name not in CHOICES
        }
        return replace(value, **changes)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(hostile(part, payload) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(hostile(part, payload) for part in value)
    if isinstance(value, dict):
        return {hostile(key, payload): hostile(part, payload) for key, part in value.items()}
    return value


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_becomes_markup(content: ReportContent, payload: str) -> None:
    page = render(hostile(content, payload))
    before, after = Structure(render(hostile(content, " harmless"))), Structure(page)
    assert after.page == before.page
    assert after.all == before.all
    assert after.attributes == before.attributes
    assert page.count("<script") == page.count("</script") == 1
    assert ("{{ 7 * 7 }}" in page) == ("{{ 7 * 7 }}" in payload)
