#!/usr/bin/env bash
# The noun is the prefix: external symbols of a folder's library begin with one of its nouns.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${STOA_BUILD:-build/release}
declare -A nouns=(
    [stoa_base]='str|buf|fail|fault|problem|problems|log|jsonx|json|yaml|digest|hmac|token|clock|process|directory|base64url|random|seal|unseal|ip|mapped'
    [stoa_loop]='loop|loops|pool|snapshot|shared|lane'
    [stoa_limits]='limits?|holdings|shares?|places'
    [stoa_client]='client|http_client|http_response|origin|fetch'
    [stoa_cage]='cage|control|frame'
    [stoa_cage_child]='cage|child|frame'
    [stoa_guard_pure]='guard|chunks|fields|head|hpack|budget'
    [stoa_inspect_client]='inspect|answer'
    [stoa_inspect_unpack]='inspect|unpack|zip'
    [stoa_inspect_look]='look|active|zip|pages'
    [stoa_inspect_clean]='clean'
    [stoa_test_postgres]='postgres'
    [stoa_store]='db|blob|migrate|store|faults'
    [stoa_private_postgres]='private_postgres|cluster'
    [stoa_http]='http|event_stream|endpoint|endpoints|stream|multipart|request|reply|service|services|openapi|access|principal|call|management|url|body'
    [stoa_multipart]='multipart'
    [stoa_forwarded]='http'
    [stoa_range]='range|conditional|http_date'
    [stoa_catalog]='catalog|declared|deployed|audit|platform|project|user|plugin|instance|page|files'
    [stoa_auth]='auth|principal|token|tokens|role|session|jose'
    [stoa_jose]='jose'
    [stoa_acme]='acme'
    [stoa_route]='route|router|host|hosts|site|certificate|domain_rules|embedders|embed_rules'
    [stoa_process]='settings?|listen|listeners?|data_directory|data|ready|workers|supervisor|serve'
    [stoa_cli]='cli|api|commands?|credentials|data|escape|files|help|listing|options?|output|pack|progress|prompt|ready|show|source|target|units|watch'
    [stoa_runtime]='engine|runtime|worker|web'
    [stoa_plugin]='plugin|handler|worker|workers|spares?'
    [stoa_managed_db]='managed_db|recv'
    [stoa_runs]='runs?|events?|deliver|deliveries'
    [stoa_owner_settings]='owner|owner_settings|instance_settings|secrets?'
    [stoa_upload_types]='types?'
    [stoa_domain_life]='domain'
    [stoa_domains]='domains?|proof|routing|certificates?|challenges?|caa|acme'
    [stoa_uploads]='uploads?|files?|types?|links?'
    [stoa_actions]='actions?|bridge|broker|envelope|policy|target|rates?'
    [stoa_domain_names]='hostname|dns'
    [stoa_embed]='embed|keys?|signing|exchange|claims|throttle|refusals?|platforms?|pieces?|connections?|catalogue|deployed|sdk|page'
    [stoa_embed_assets]='embed'
    [stoa_bundle_format]='bundle|pie|manifest|config|path|paths|rules|rule|section'
    [stoa_bundle_archive]='archive|bundle|paths?'
    [stoa_bundle_resolve]='resolve|site|content_type|negotiate|encoding|path|file_table|table|bundle'
    [stoa_bundles]='api|bundle|bundles|pie|archive|variants?|ingest|deployments?|address|body|cache|declaration|export|hold|living|mount|room|serve|shelf|table|site|visit'
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
