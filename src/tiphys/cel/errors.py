"""What goes wrong with an expression: while it is compiled, and while it is evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ISSUES_MAX: Final = 100  # cel-go common/errors.go maxErrorsToReport
SNIPPET_CHARS_MAX: Final = 16384  # cel-go common/error.go maxSnippetLength


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong at an offset of the source, counted in characters."""

    offset: int
    text: str


class CompileError(Exception):
    """An expression that is not valid. Its text is the one that cel-go gives."""

    def __init__(self, source: str, issues: Sequence[Issue]) -> None:
        super().__init__(shown(source, issues))
        self.issues = tuple(issues)


class EvaluationError(Exception):
    """An expression that has no value for its input. The text is a sentence without its place."""


class CostLimitExceeded(EvaluationError):
    """The expression was stopped. No logical operator takes this for an error of its operand."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


def shown(source: str, issues: Sequence[Issue]) -> str:
    """All issues with their lines, in the order of their places."""
    ordered = sorted(issues[:ISSUES_MAX], key=lambda issue: issue.offset)
    texts = [_shown(source, issue) for issue in ordered]
    if len(issues) > ISSUES_MAX:
        texts.append(f"{len(issues) - ISSUES_MAX} more errors were truncated")
    return "\n".join(texts)


def _shown(source: str, issue: Issue) -> str:
    if not source:  # There is no line to point into.
        return f"ERROR: <input>:1:0: {issue.text}"
    line_start = source.rfind("\n", 0, issue.offset) + 1
    line_number = source.count("\n", 0, issue.offset) + 1
    column = issue.offset - line_start
    line = source[line_start:].split("\n", 1)[0].replace("\t", " ")
    text = f"ERROR: <input>:{line_number}:{column + 1}: {issue.text}"
    if len(line.encode()) > SNIPPET_CHARS_MAX:
        return text
    return f"{text}\n | {line}\n | {_pointer(line, column)}"


def _pointer(line: str, column: int) -> str:
    """Dots up to a caret; wide ones under characters that are not ASCII."""
    dots = "".join("." if char.isascii() else "\uff0e" for char in line[:column])
    at = line[column : column + 1]
    return dots + ("\uff3e" if at and not at.isascii() else "^")
