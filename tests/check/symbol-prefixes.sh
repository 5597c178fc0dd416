#!/usr/bin/env bash
# The noun is the prefix: external symbols of a folder's library begin with one of its nouns.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${STOA_BUILD:-build/release}
declare -A nouns=(
    [stoa_base]='str|buf|fail|fault|problem|problems|log|jsonx|json|yaml|digest|hmac|token|clock|process|secret'
    [stoa_loop]='loop|pool|snapshot|shared|lane'
    [stoa_limits]='limit|limits'
    [stoa_client]='client|http_client|origin'
    [stoa_cage]='cage|control|frame'
    [stoa_cage_child]='cage|child|frame'
    [stoa_inspect_client]='inspect|answer'
    [stoa_inspect_unpack]='unpack|zip'
    [stoa_bundle_archive]='bundle'
    [stoa_store]='db|blob|migrate|private_postgres|store'
    [stoa_http]='http|endpoint|endpoints|stream|multipart|request|reply|service|services|openapi|access_log|principal'
    [stoa_multipart]='multipart'
    [stoa_catalog]='catalog|audit|page|project|user|plugin|instance'
    [stoa_auth]='auth|principal|token|tokens|session|jose'
    [stoa_route]='route|router|host|hosts|site'
    [stoa_cli]='cli'
    [stoa_bundle_format]='bundle|pie|manifest|config|path|paths|rules|rule'
    [stoa_bundles]='bundle|bundles|pie|archive|variant|variants|ingest|deployment'
)
status=0 seen=0
while read -r library; do
    name=$(basename "$library" .a)
    name=${name#lib}
    seen=$((seen + 1))
    if [ -z "${nouns[$name]:-}" ]; then
        echo "$library: tests/check/symbol-prefixes.sh has no nouns for it"
        status=1
        continue
    fi
    while read -r symbol; do
        echo "$name: $symbol begins with none of ${nouns[$name]//|/, }"
        status=1
    done < <(nm -g --defined-only "$library" 2>/dev/null | awk 'NF == 3 {print $3}' | grep -vE "^(${nouns[$name]})(_|\$)" | grep -vE '^(__asan|__odr_asan|__ubsan|__tsan|_?schema_)' || true)
done < <(find "$build" -name 'libstoa_*.a' | sort)
[ $seen != 0 ] || { echo "$build has no libraries: ./dev build release" && exit 1; }
exit $status
