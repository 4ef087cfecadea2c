#!/bin/sh
# The first process of a virtual machine: runs the two tests, says what came of each, and turns the machine off.
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
for module in /modules/*; do insmod "$module"; done
ip link set lo up

run() {
    what=$1
    shift
    if "$@"; then echo "== $what: passed"; else echo "== $what: failed"; fi
}
run programs programs --test-threads=2
run agent sh -e /agent.sh
poweroff -f
