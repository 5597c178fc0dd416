#!/usr/bin/env bash
# Calls that cannot be used safely, and words that mark unfinished work.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
offences() # PATTERN WHY file…
{
    local pattern=$1 why=$2 found
    shift 2
    found=$(grep -nEH "$pattern" "$@" || true)
    [ -z "$found" ] || { printf '%s\n' "$found" | sed "s/\$/   <- $why/" && status=1; }
}
mapfile -t c < <(git ls-files -co --exclude-standard -- '*.c' '*.h' | grep -v '^tests/')
mapfile -t text < <(git ls-files -co --exclude-standard -- '*.c' '*.h' '*.mjs' '*.sh' '*.cmake' 'CMakeLists.txt' '*.md' dev .ci | grep -v '^tests/check/')
offences '(^|[^A-Za-z0-9_])(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|alloca|strtok|asctime|ctime|gethostbyname|tmpnam|mktemp|system|popen|rand|srand|atoi|atol|atof)\(' \
    'not a call for this code' "${c[@]}"
offences '^#if 0' 'code that is switched off belongs into history' "${c[@]}"
offences '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b' 'unfinished' "${text[@]}"
exit $status
