#!/usr/bin/env bash
# The guard works only while the dynamic linker prefers its functions: the built server exports each hook of the list, and stands in for
# no other function of libh2o.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${STOA_BUILD:-build/release}/stoa
library=$(ldconfig -p | awk '/libh2o-evloop\.so/ && !seen++ {print $NF}') # no early exit: pipefail
hooks=$(sed -n 's/^GUARD_HOOK(\([A-Za-z0-9_]*\)).*/\1/p' edge/guard/hooks.def | sort)
exported=$(nm -D --defined-only "$program" | awk '{print $NF}' | sed 's/@.*//' | sort -u)
offered=$(nm -D --defined-only "$library" | awk '$2 == "T" {print $3}' | grep -vE '^_(init|fini)$' | sort -u)
[ -n "$hooks" ] && [ -n "$offered" ] || { echo 'edge/guard/hooks.def: no hooks found' && exit 1; }
missing=$(comm -23 <(echo "$hooks") <(echo "$exported"))
foreign=$(comm -12 <(echo "$exported") <(echo "$offered") | comm -23 - <(echo "$hooks"))
[ -z "$missing" ] || sed "s|^|$program does not export the hook |" <<<"$missing"
[ -z "$foreign" ] || sed "s|^|$program takes the place of libh2o's function, outside the guard: |" <<<"$foreign"
[ -z "$missing$foreign" ]
