"""What expressions may call, one file per subject.

Upstream: cel-go common/stdlib and ext; apiserver/pkg/cel/library, environment/base.go.
"""

from tiphys.cel.declarations import Library


def all_libraries() -> tuple[Library, ...]:
    """In upstream's order: of a function's overloads the first one comes first in texts."""
    from tiphys.cel.library import (
        authorizer,
        cidr,
        conversions,
        extended_lists,
        formats,
        ip,
        json_patch,
        lists,
        maps,
        operators,
        optionals,
        quantity,
        regex,
        semver,
        sets,
        strings,
        times,
        urls,
    )

    return (
        operators.LIBRARY,
        conversions.LIBRARY,
        times.LIBRARY,
        urls.LIBRARY,
        regex.LIBRARY,
        lists.LIBRARY,
        authorizer.LIBRARY,
        optionals.LIBRARY,
        quantity.LIBRARY,
        strings.LIBRARY,
        sets.LIBRARY,
        ip.LIBRARY,
        cidr.LIBRARY,
        formats.LIBRARY,
        maps.LIBRARY,
        semver.LIBRARY,
        extended_lists.LIBRARY,
        json_patch.LIBRARY,
    )
