"""Paths of files in volumes and images. Upstream: pkg/apis/core/validation/validation.go."""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj

FILE_MODE_TEXT: Final = "must be a number between 0 and 0777 (octal), both inclusive"
FILE_MODE_MAX: Final = 0o777


def no_backsteps(value: str, path: str) -> list[FieldError]:
    if ".." in value.split("/"):
        return [invalid(path, value, "must not contain '..'")]
    return []


def local_descending(value: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    return errors + no_backsteps(value, path)


def local_non_reserved(value: str, path: str) -> list[FieldError]:
    errors = local_descending(value, path)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))
    return errors


def file_mode(mode: int | None, path: str) -> list[FieldError]:
    if mode is None or 0 <= mode <= FILE_MODE_MAX:
        return []
    return [invalid(path, mode, FILE_MODE_TEXT)]


def key_to_path(item: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not item.get("key"):
        errors.append(required(f"{path}.key"))
    if not item.get("path"):
        errors.append(required(f"{path}.path"))
    errors += local_non_reserved(item.get("path", ""), f"{path}.path")
    return errors + file_mode(item.get("mode"), f"{path}.mode")
