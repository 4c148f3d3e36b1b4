"""A plan as nginx's configuration. Pure: text out.

Whatever users wrote stands between quotes or has been checked letter by letter: what could end a
directive must never get here. Source: https://nginx.org/en/docs/, ngx_conf_file.c for the quotes.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final

from tiphys.ingress.data_plane import Listening
from tiphys.ingress.router import NO_REDIRECT
from tiphys.ingress.table import (
    DEFAULT_HOST,
    Backend,
    Certificate,
    Host,
    Location,
    Match,
    Plan,
    certificate_of,
)

KEPT_MAX: Final = 128  # Connections to each backend, per worker.
TRIES_MAX: Final = 3  # ingress-nginx proxy-next-upstream-tries
DEFAULT_NAME: Final = "default"  # Stem of the certificate of hosts without one.

_HEADERS: Final = """
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_buffer_size 32k;
  proxy_buffers 2 32k;
  proxy_busy_buffers_size 32k;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_ssl_verify off;
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries {tries};
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $tiphys_upgrade;
  proxy_set_header Connection $tiphys_connection;
  proxy_set_header Proxy "";
  proxy_set_header X-Request-ID $tiphys_request_id;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Forwarded-Port {port};
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Scheme $scheme;
  proxy_set_header X-Scheme $scheme;
  proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
"""
_HEAD: Final = """daemon off;
worker_processes {workers};
{user}pid {directory}/nginx.pid;
error_log stderr warn;
worker_shutdown_timeout 3600s;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off;
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout 75s;
  keepalive_requests 100000;
  client_header_timeout 60s;
  client_body_timeout 60s;
  client_header_buffer_size 1k;
  large_client_header_buffers 4 8k;
  client_max_body_size 0;
  reset_timedout_connection on;
  server_names_hash_max_size 16384;
  server_names_hash_bucket_size 512;
  map_hash_bucket_size 256;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:tls:10m;
  ssl_session_timeout 10m;
  map $http_upgrade $tiphys_upgrade {{ default $http_upgrade; ~*^h2c$ ""; }}
  map $tiphys_upgrade $tiphys_connection {{ default upgrade; "" ""; }}
  map $http_x_request_id $tiphys_request_id {{ default $http_x_request_id; "" $request_id; }}
"""


def configuration(
    plan: Plan, listening: Listening, directory: str, *, workers: int, user: str = ""
) -> str:
    """The whole file. Certificates are at `certificate_path`; user: the workers', when root."""
    backends = {i.backend for host in plan.hosts.values() for i in host.locations}
    lines = [
        _HEAD.format(
            workers=workers, directory=directory, user=f"user {user};\n" if user else ""
        ).rstrip(),
        _HEADERS.format(port="$server_port", tries=TRIES_MAX).strip("\n"),
    ]
    for backend in sorted(backends, key=lambda b: b.name):
        lines += _upstream(backend)
    names = sorted({DEFAULT_HOST, *plan.hosts})
    for name in names:
        host = plan.hosts.get(name)
        certificate = certificate_of(plan.hosts, name) if host is not None else None
        lines += _server(name, host, certificate, listening, directory)
    lines.append("}")
    return "\n".join(lines) + "\n"


def certificate_stem(certificate: Certificate) -> str:
    return hashlib.sha256(certificate.chain + b"\0" + certificate.key).hexdigest()[:32]


def certificate_path(directory: str, certificate: Certificate | None) -> str:
    stem = DEFAULT_NAME if certificate is None else certificate_stem(certificate)
    return f"{directory}/certificates/{stem}.pem"


def quoted(text: str) -> str:
    r"""Between quotes, where \ and " alone are special. Raises ValueError for what has no place."""
    if any(c < " " or c == "\x7f" for c in text):
        raise ValueError(f"a control character in {text!r}")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def upstream_name(backend: Backend) -> str:
    """Backends of different Services never share one: what is no letter becomes its number."""
    return "tiphys." + re.sub(r"[^A-Za-z0-9.\-]", lambda m: f"_{ord(m[0]):x}_", backend.name)


def _upstream(backend: Backend) -> Iterator[str]:
    if not backend.endpoints:
        return
    yield f"  upstream {upstream_name(backend)} {{"
    for endpoint in backend.endpoints:
        yield f"    server {endpoint.address}:{endpoint.port} max_fails=0;"
    yield f"    keepalive {KEPT_MAX};"
    yield "    keepalive_timeout 10s;"
    yield "  }"


def _server(
    name: str,
    host: Host | None,
    certificate: Certificate | None,
    listening: Listening,
    directory: str,
) -> Iterator[str]:
    default = " default_server" if name == DEFAULT_HOST else ""
    path = certificate_path(directory, certificate)
    yield "  server {"
    yield f"    listen {listening.address}:{listening.http_port}{default};"
    yield f"    listen {listening.address}:{listening.https_port} ssl{default};"
    yield f"    server_name {server_name(name)};"
    yield f"    ssl_certificate {path};"
    yield f"    ssl_certificate_key {path};"
    if host is not None:
        yield from _locations(host, listening, has_certificate=certificate is not None)
    if host is None:
        yield '    location = /healthz { return 200 "ok\\n"; }'
    if host is None or not any(i.path == "" for i in host.locations):
        yield '    location / { return 404 "default backend - 404\\n"; }'
    yield "  }"


def server_name(name: str) -> str:
    """A wildcard stands for one label, as the API says; nginx's own would stand for several."""
    if name == DEFAULT_HOST:
        return '"_"'
    if name.startswith("*."):
        return quoted(f"~^[^.]+{re.escape(name[1:])}$")
    return quoted(name)


def _locations(host: Host, listening: Listening, *, has_certificate: bool) -> Iterator[str]:
    has_regex = any(i.match is Match.REGEX for i in host.locations)
    for location in host.locations:
        body = list(_body(location, listening, has_certificate=has_certificate))
        for pattern in _patterns(location, has_regex=has_regex):
            yield f"    location {pattern} {{"
            yield from body
            yield "    }"


def _patterns(location: Location, *, has_regex: bool) -> Iterable[str]:
    """Patterns are tried in order, and before prefixes: beside one, all are patterns."""
    path = location.path
    if location.match is Match.EXACT:
        return [f"= {quoted(path)}"]
    if location.match is Match.REGEX:
        return [f"~* {quoted(f'^{path}')}"]
    if not path:
        return ["/"]
    if has_regex:
        return [f"~ {quoted(f'^{re.escape(path)}(?:/|$)')}"]
    return [f"= {quoted(path)}", f"{quoted(path + '/')}"]


def _body(location: Location, listening: Listening, *, has_certificate: bool) -> Iterator[str]:
    options = location.options
    if options.force_ssl_redirect or (options.ssl_redirect and has_certificate):
        port = "" if listening.https_port == 443 else f":{listening.https_port}"
        yield "      set $tiphys_secure $scheme;"
        yield f"      if ($request_uri ~ ^{NO_REDIRECT}) {{ set $tiphys_secure https; }}"
        yield (
            f"      if ($tiphys_secure = http) {{ return 308 https://$host{port}$request_uri; }}"
        )
    if not location.backend.endpoints:
        yield f"      return 503 {quoted(f'no endpoint of {location.backend.name} is ready')};"
        return
    if options.rewrite_target:
        pattern = f"(?i)^{location.path}" if location.match is Match.REGEX else "^"
        yield f"      rewrite {quoted(pattern)} {quoted(options.rewrite_target)} break;"
    yield f"      client_max_body_size {options.body_bytes_max};"
    yield f"      proxy_connect_timeout {options.connect_seconds}s;"
    yield f"      proxy_send_timeout {options.send_seconds}s;"
    yield f"      proxy_read_timeout {options.read_seconds}s;"
    scheme = "https" if options.backend_tls else "http"
    yield f"      proxy_pass {scheme}://{upstream_name(location.backend)};"
