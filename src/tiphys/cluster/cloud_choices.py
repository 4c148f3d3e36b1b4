"""Which cloud a profile has: as the user says it now, or as it was said before."""

import argparse
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from tiphys.cli.output import CommandError
from tiphys.cloud.providers import LIBCLOUD
from tiphys.cluster.profile import Profile


def chosen(profile: Profile, options: argparse.Namespace) -> Profile:
    """Checked here, before a component would say it to its log. Raises CommandError."""
    if options.load_balancer is not None:
        profile = replace(profile, load_balancer=options.load_balancer)
    provider = options.cloud_provider or profile.cloud_provider
    file = str(Path(options.cloud_config).absolute()) if options.cloud_config else ""
    file = file or profile.cloud_config
    if provider != LIBCLOUD:
        if options.cloud_config:
            raise CommandError(
                "--cloud-config is for --cloud-provider libcloud only", reason="BAD_VALUE"
            )
        waits = _kept(profile)
        return replace(profile, cloud_provider=provider, cloud_config="", external_cloud=waits)
    return replace(
        profile, cloud_provider=provider, cloud_config=file, external_cloud=_knows_machines(file)
    )


def _kept(profile: Profile) -> bool:
    """A machine that has joined was told by its cluster."""
    return profile.is_joined and profile.external_cloud


def _knows_machines(file: str) -> bool:
    """Whether kubelets must wait for the cloud. Raises CommandError."""
    from tiphys.cloud.providers.libcloud.config import CloudConfigError, load

    if not file:
        raise CommandError(
            "--cloud-provider libcloud needs --cloud-config FILE", reason="BAD_VALUE"
        )
    if find_spec("libcloud") is None:
        raise CommandError(
            "Apache Libcloud is not installed",
            fix="pip install 'tiphys[libcloud]'",
            reason="CLOUD_MISSING",
        )
    try:
        return load(Path(file)).compute is not None
    except CloudConfigError as exc:
        raise CommandError(str(exc), reason="BAD_VALUE") from exc


def check_unchanged(profile: Profile, options: argparse.Namespace) -> None:
    """Of a profile that runs. Raises CommandError."""
    if chosen(profile, options) == profile:
        return
    raise CommandError(
        f'profile "{profile.name}" runs with cloud provider {profile.cloud_provider}'
        f" and load balancers {'on' if profile.load_balancer else 'off'}",
        fix=f"stop it first: tiphys stop -p {profile.name}; load balancers are switched by"
        " `tiphys addons enable|disable load-balancer`",
        reason="PROFILE_FIXED",
    )
