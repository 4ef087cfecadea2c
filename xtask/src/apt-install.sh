# Run as root by `cargo xtask setup`; the arguments are the packages to install.
# No service that comes with a package is started now or at boot.
set -eu
export DEBIAN_FRONTEND=noninteractive

apt() {
    apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

refresh() {
    apt update || {
        echo 'The package lists could not be refreshed; trying once more.' >&2
        sleep 5
        apt update || echo 'Going on with the lists at hand.' >&2
    }
}

# dpkg asks this program before it starts a service. One that is already there is the administrator's.
policy=/usr/sbin/policy-rc.d
mark='Put here by cargo xtask setup while it installs packages; safe to delete.'
if { [ ! -e "$policy" ] && [ ! -L "$policy" ]; } || grep -qsF "$mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\n# %s\ncase "$*" in *nginx* | *haproxy*) exit 101 ;; esac\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi

# A machine that is there for the tests alone may lose a package for one that cannot stand beside it.
keep=--no-remove
[ -z "${CI:-}" ] || keep=

refresh
apt install -y --no-install-recommends $keep "$@" || {
    echo 'The installation failed; trying once more with fresh package lists.' >&2
    refresh
    apt install -y --no-install-recommends $keep "$@"
}

for service in haproxy nginx; do
    case " $* " in
    *" $service "*) ;;
    *) continue ;;
    esac
    # The tests start their own.
    invoke-rc.d --quiet "$service" stop >/dev/null 2>&1 || true
    if command -v systemctl >/dev/null; then
        systemctl --quiet disable "$service.service"
    elif command -v update-rc.d >/dev/null; then
        update-rc.d "$service" disable
    fi
done
