# Measures packets by the machine's clock, says when it is done, and turns the machine off.
bench packets --runs 1000 --rounds 1 && echo "== counted"
poweroff -f
