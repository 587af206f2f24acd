"""YAML as people write it in manifests and on the command line: mappings, lists, texts, numbers; read in bounded time, or refused.

YAML can do more than a manifest needs, and each of those things has once stopped a program: tags that convert (`!!bool "x"`), aliases that
multiply, numbers without end, documents without end. None is taken here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml

MAX_NODES = 10_000
MAX_DEPTH = 32
MAX_KEY_CHARACTERS = 200
MAX_TEXT_CHARACTERS = 10_000
MAX_NUMBER_CHARACTERS = 40
_TAGS = "tag:yaml.org,2002:"
_STRING_TAG = f"{_TAGS}str"
# Control characters and lone surrogates, which a double-quoted text can hold by escapes: no name of a file or column needs them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class YamlProblem(Exception):  # noqa: N818  it becomes an error of the caller
    """Why a text is not taken; `line` counts from 1, None if it has no place."""

    problem: str
    line: int | None = None


def load_yaml(text: str) -> Any:
    """The value that `text` says; raises `YamlProblem`, and nothing else, for one that is not taken."""
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlProblem(error.problem or "it cannot be read", None if mark is None else mark.line + 1) from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise YamlProblem((str(error).splitlines() or ["it cannot be read"])[0]) from None


def flow(value: dict[str, Any]) -> str:
    """A mapping as YAML in one line, as manifests write it."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True).strip()
    return text.replace("? '' :", "'':")  # an empty key, which PyYAML writes in its long form


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that takes neither tags nor aliases, no key twice, and nothing that is without measure."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's parser has no annotations
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases are not allowed", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refusal(f"tags such as {_short(event.tag.replace(_TAGS, '!!'))} are not allowed", event.start_mark)
        if self._nodes > MAX_NODES:
            raise _refusal(f"it holds more than {MAX_NODES:,} keys and values", event.start_mark)
        if self._depth >= MAX_DEPTH:
            raise _refusal(f"it is nested deeper than {MAX_DEPTH} levels", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if len(key.value) > MAX_KEY_CHARACTERS:
                    raise _refusal(f"a key of {len(key.value):,} characters ({_short(key.value)})", key.start_mark)
                if key.value in seen:
                    raise _refusal(f"the key {key.value!r} is written twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _check_scalar(node: yaml.ScalarNode) -> None:
    text, what, most = node.value, "text", MAX_TEXT_CHARACTERS
    if node.tag != _STRING_TAG:
        what, most = "number", MAX_NUMBER_CHARACTERS
    if len(text) > most:
        raise _refusal(f"a {what} of {len(text):,} characters ({_short(text)}); at most {most:,}", node.start_mark)
    if (found := _UNPRINTABLE.search(text)) is not None:
        raise _refusal(f"a text holds the character {found[0]!r}", node.start_mark)


def _refusal(problem: str, mark: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def _short(text: str) -> str:
    return repr(text if len(text) <= 24 else f"{text[:24]}...")
