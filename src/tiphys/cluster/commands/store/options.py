"""What the store's commands have in common: which store is meant, and that nobody uses it."""

import argparse

from tiphys.cli.output import CommandError
from tiphys.cluster import processes
from tiphys.cluster.profile import Profile
from tiphys.cluster.store_location import Etcd, Sqlite, sqlite_of


def add_etcd(parser: argparse.ArgumentParser) -> None:
    """Upstream's names of kube-apiserver's flags."""
    parser.add_argument("--etcd-servers", default="", metavar="URL[,URL...]", help="etcd to use")
    parser.add_argument("--etcd-cafile", default="", help="the authority of its certificates")
    parser.add_argument("--etcd-certfile", default="", help="the certificate to show it")
    parser.add_argument("--etcd-keyfile", default="", help="that certificate's key")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def etcd_of(options: argparse.Namespace) -> Etcd | None:
    """The etcd that the flags name, if any. Raises CommandError."""
    servers = tuple(url for url in options.etcd_servers.split(",") if url)
    files = (options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile)
    if any(files) and not all(files):
        fix = "give --etcd-cafile, --etcd-certfile and --etcd-keyfile"
        raise CommandError(
            "etcd's authority, certificate and key belong together", fix=fix, reason="STORE_WHICH"
        )
    if not servers and any(files):
        raise CommandError(
            "which etcd is not said",
            fix="give --etcd-servers https://HOST:2379",
            reason="STORE_WHICH",
        )
    return Etcd(servers, *files) if servers else None


def store_of(profile: Profile, options: argparse.Namespace) -> Etcd | Sqlite:
    """The etcd of the flags, or else the profile's own store. Raises CommandError."""
    return etcd_of(options) or sqlite_of(profile)


def refuse_running(profile: Profile) -> None:
    """Raises CommandError when the cluster runs."""
    if processes.supervisor(profile) is not None:
        fix = f"tiphys stop -p {profile.name}"
        raise CommandError(
            f"the cluster {profile.name} runs and uses its store", fix=fix, reason="PROFILE_IN_USE"
        )
