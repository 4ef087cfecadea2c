#!/bin/sh
# The first process of a virtual machine: measures packets by its clock, says when it is done, and turns the machine off.
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf
bench packets --runs 1000 --rounds 1 && echo "== counted"
poweroff -f
