#!/usr/bin/env bash
# The README's table of settings is the one the program prints.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(grep -c '<!-- settings -->' README.md)" = 2 ] || { echo 'README.md: the table must stand between two lines <!-- settings -->' && exit 1; }
written=$(awk '/<!-- settings -->/ {inside = !inside; next} inside' README.md)
printed=$("${STOA_BUILD:-build/release}/stoa" settings --markdown)
diff <(sed '/^$/d' <<<"$written") <(sed '/^$/d' <<<"$printed") >/dev/null && exit 0
diff <(sed '/^$/d' <<<"$written") <(sed '/^$/d' <<<"$printed") | sed -n 's/^[<>]/README.md: &/p'
echo 'README.md: paste the output of `stoa settings --markdown` between the two lines'
exit 1
