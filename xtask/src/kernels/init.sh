# Runs the two tests, says what came of each, and turns the machine off.
for module in /modules/*; do insmod "$module"; done
ip link set lo up

run() {
    what=$1
    shift
    if "$@"; then echo "== $what: passed"; else echo "== $what: failed"; fi
}
# shellcheck disable=SC2046 # each line is an argument
run programs programs --test-threads=2 $(cat /filters)
run agent sh -e /agent.sh
poweroff -f
