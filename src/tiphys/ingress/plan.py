"""From Ingresses and what they name to what a data plane must do. Pure.

The oldest Ingress has a path that several claim. What is broken about one is told beside the plan
and leaves the others alone. Sources: https://kubernetes.io/docs/concepts/services-networking/ingress/,
ingress-nginx internal/ingress/controller/controller.go.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from tiphys.api.meta import Obj, ObjectKey, annotations_of, at, key_of, metadata
from tiphys.ingress import certificates
from tiphys.ingress.annotations import PREFIX, options_of
from tiphys.ingress.backends import Backends, NoBackend
from tiphys.ingress.certificates import BadCertificate, Loaded
from tiphys.ingress.selection import is_ours, our_classes
from tiphys.ingress.table import (
    DEFAULT_HOST,
    Backend,
    Certificate,
    Host,
    Location,
    Match,
    Options,
    Plan,
    Problem,
)

_REGEX_SIGNS: Final = re.compile(r"[()\[\]{}*+?|^$\\]")
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_AFFINITY: Final = f"{PREFIX}affinity"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the cluster holds at one moment."""

    now: datetime
    ingresses: Iterable[Obj]
    classes: Iterable[Obj] = ()
    services: Mapping[ObjectKey, Obj] = field(default_factory=dict)
    slices: Iterable[Obj] = ()
    secrets: Mapping[ObjectKey, Obj] = field(default_factory=dict)


LoadCertificate = Callable[[Obj], Loaded]
"""What a Secret holds. Raises BadCertificate."""


def plan(
    snapshot: Snapshot, load: LoadCertificate = certificates.load
) -> tuple[Plan, list[Problem]]:
    """What to do, and what is wrong with which Ingress."""
    draft = _Draft(snapshot, Backends(snapshot.services, snapshot.slices), load)
    ours = ours_of(snapshot)
    for ingress in ours:
        draft.add_rules(ingress)
    for ingress in ours:  # After everybody's paths: a default takes what is left.
        draft.add_default(ingress)
    return draft.plan(), draft.problems


def ours_of(snapshot: Snapshot) -> list[Obj]:
    """The Ingresses to serve, the oldest first."""
    classes = our_classes(snapshot.classes)
    ours = [i for i in snapshot.ingresses if is_ours(i, classes)]
    return sorted(ours, key=lambda i: (metadata(i).get("creationTimestamp") or "", key_of(i)))


class _Draft:
    """A plan in the making."""

    def __init__(self, snapshot: Snapshot, backends: Backends, load: LoadCertificate) -> None:
        self._snapshot = snapshot
        self._backends = backends
        self._load = load
        self._locations: dict[str, dict[tuple[Match, str], Location]] = {}
        self._certificates: dict[str, Certificate] = {}
        self.problems: list[Problem] = []

    def plan(self) -> Plan:
        hosts = {
            name: Host(in_order(found.values()), self._certificates.get(name))
            for name, found in self._locations.items()
        }
        return Plan(hosts)

    def add_rules(self, ingress: Obj) -> None:
        key = key_of(ingress)
        options, wrong = options_of(annotations_of(ingress))
        for text in wrong:
            self._tell(key, "BadAnnotation", text)
        if _AFFINITY in annotations_of(ingress):
            self._tell(key, "Unsupported", f"annotation {_AFFINITY} is left out: not served yet")
        hosts = []
        for rule in at(ingress, "spec", "rules", default=()):
            host = (rule.get("host") or DEFAULT_HOST).lower()
            hosts.append(host)
            self._locations.setdefault(host, {})
            for path in at(rule, "http", "paths", default=()):
                self._add_path(key, host, path, options)
        self._add_certificates(ingress, hosts or [DEFAULT_HOST])

    def add_default(self, ingress: Obj) -> None:
        """What no path takes, at its own hosts and at those that nobody has named."""
        wanted = at(ingress, "spec", "defaultBackend")
        if wanted is None:
            return
        key = key_of(ingress)
        options, _ = options_of(annotations_of(ingress))
        backend = self._backend(key, wanted)
        rules = at(ingress, "spec", "rules", default=())
        hosts = {(rule.get("host") or DEFAULT_HOST).lower() for rule in rules}
        everything = Location(Match.PREFIX, "", backend, key, replace(options, rewrite_target=""))
        for host in sorted({DEFAULT_HOST, *hosts}):
            own = self._locations.setdefault(host, {})
            own.setdefault((Match.PREFIX, ""), everything)

    def _add_path(self, key: ObjectKey, host: str, item: Obj, options: Options) -> None:
        path = item.get("path") or "/"
        match = match_of(path, item.get("pathType", ""), options)
        if _UNSPEAKABLE.search(path) or (match is Match.REGEX and not _compiles(path)):
            self._tell(key, "BadPath", f'path "{path}" of host "{host}" is no pattern, left out')
            return
        if match is Match.PREFIX:
            path = path.rstrip("/")
        location = Location(match, path, self._backend(key, item["backend"]), key, options)
        own = self._locations[host]
        held = own.setdefault((match, path), location)
        if held.ingress != key:
            text = f'path "{path or "/"}" of host "{host}" is already taken by {held.ingress}'
            self._tell(key, "Conflict", text)

    def _backend(self, key: ObjectKey, wanted: Obj) -> Backend:
        try:
            return self._backends.find(key.namespace, wanted)
        except NoBackend as exc:
            self._tell(key, exc.reason, str(exc))
            return Backend(f"{key.namespace}/{at(wanted, 'service', 'name', default='')}")

    def _add_certificates(self, ingress: Obj, hosts: list[str]) -> None:
        """For each of its hosts: the entry that lists it, or one without a list that covers it."""
        key = key_of(ingress)
        entries = at(ingress, "spec", "tls", default=())
        loaded = [(entry, self._loaded(key, entry)) for entry in entries]
        for host in dict.fromkeys(hosts):
            if host in self._certificates:
                continue
            for entry, found in loaded:
                listed = {name.lower() for name in entry.get("hosts") or ()}
                if found is None or (listed and host not in listed):
                    continue
                if host == DEFAULT_HOST or found.covers(host):
                    self._certificates[host] = found.certificate
                    break
                if listed:
                    secret = entry.get("secretName")
                    text = f'the certificate of Secret "{secret}" is not for host "{host}"'
                    self._tell(key, "BadCertificate", text)

    def _loaded(self, key: ObjectKey, entry: Obj) -> Loaded | None:
        name = entry.get("secretName")
        if not name:
            return None  # The certificate for everybody is wanted.
        where = ObjectKey(key.namespace, name)
        secret = self._snapshot.secrets.get(where)
        if secret is None:
            self._tell(key, "SecretNotFound", f'Secret "{where}" does not exist')
            return None
        try:
            found = self._load(secret)
        except BadCertificate as exc:
            self._tell(key, "BadCertificate", f'Secret "{where}": {exc}')
            return None
        if found.expires <= self._snapshot.now:
            text = f'the certificate of Secret "{where}" expired at {found.expires:%Y-%m-%d %H:%M}'
            self._tell(key, "BadCertificate", text)
        return found

    def _tell(self, key: ObjectKey, reason: str, message: str) -> None:
        problem = Problem(key, reason, message)
        if problem not in self.problems:
            self.problems.append(problem)


def match_of(path: str, path_type: str, options: Options) -> Match:
    """Exact and Prefix as the API says; patterns where an annotation says that paths are some."""
    if path_type == "Exact":
        return Match.EXACT
    patterns = options.use_regex or options.rewrite_target
    return Match.REGEX if patterns and _REGEX_SIGNS.search(path) else Match.PREFIX


def in_order(locations: Iterable[Location]) -> tuple[Location, ...]:
    """Exact ones, then the longest; of equal ones by text, so that a plan is always the same."""
    return tuple(
        sorted(locations, key=lambda i: (i.match is not Match.EXACT, -len(i.path), i.path))
    )


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True
