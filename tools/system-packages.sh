#!/usr/bin/env bash
# Installs the Debian packages that are missing, saying which and why.
# Usage: system-packages.sh [tests]: with what only the tests need.
set -euo pipefail
missing=()
optional=()
want() { # want PACKAGE WHY TEST...
  local package=$1 why=$2; shift 2
  if ! "$@" >/dev/null 2>&1; then echo "installing Debian package $package: $why"; missing+=("$package"); fi
}
want nftables "the service proxy programs the kernel with it" test -x /usr/sbin/nft
want iptables "--proxy-mode iptables" test -x /usr/sbin/iptables-restore
want busybox-static "the bundled images are built from it" dpkg -s busybox-static
want iproute2 "network namespaces in tests and troubleshooting" test -x /usr/sbin/ip -o -x /sbin/ip -o -x /bin/ip
want etcd-server "clusters of several masters keep their objects in it" env PATH=/usr/sbin:/usr/bin:/sbin:/bin etcd --version
want python3-venv "python3 -m venv" "${PYTHON:-python3}" -c 'import ensurepip, venv'
if [ "${1:-}" = tests ]; then
  want docker-registry "images are pushed to it in tests" test -x /usr/bin/docker-registry
  want prometheus "the bundled configuration is proved with it" command -v prometheus
  want chromium "the tests of the dashboard" chromium --version
  want rsyslog "logs are sent to it in tests" test -x /usr/sbin/rsyslogd
  want rsyslog-openssl "logs are sent to it over TLS" test -e "/usr/lib/$(uname -m)-linux-gnu/rsyslog/lmnsd_ossl.so"
fi
wish() { # as want, but tiphys works without it
  local package=$1 why=$2; shift 2
  if ! "$@" >/dev/null 2>&1; then echo "installing Debian package $package: $why"; optional+=("$package"); fi
}
wish nodejs "the dashboard's pages are built with it" node --version
wish npm "the dashboard's packages come from its registry" npm --version
[ ${#missing[@]} -eq 0 ] && [ ${#optional[@]} -eq 0 ] && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "not root: install them with: apt-get install ${missing[*]} ${optional[*]}" >&2
  [ ${#missing[@]} -eq 0 ] && exit 0 || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Installed programs are for our clusters: no service of its own may start (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
[ ${#missing[@]} -eq 0 ] || apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
case " ${missing[*]} " in
  # Debian starts a server of its own, which nobody asked for.
  *" etcd-server "*) systemctl disable --now etcd.service >/dev/null 2>&1 || true ;;
esac
[ ${#optional[@]} -eq 0 ] || apt-get install -y -qq --no-install-recommends "${optional[@]}" >/dev/null ||
  echo "no ${optional[*]} to be had: tiphys works, without its dashboard" >&2
