#!/usr/bin/env bash
# The scripts of embed/: types hold under --strict, the SDK is as small as was promised, and neither makes markup from strings.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${STOA_BUILD:-build/release}
status=0
for project in embed/sdk embed/console; do
    tsc --noEmit --strict -p $project || status=1
done
sdk=$build/embed/assets/npm/stoa-embed.js
[ -e "$sdk" ] || { echo "$sdk is not built: ./dev build" && exit 1; }
size=$(node -e 'console.log(require("zlib").brotliCompressSync(require("fs").readFileSync(process.argv[1])).length)' "$sdk")
[ "$size" -lt 6144 ] || { echo "$sdk has $size bytes with Brotli, 6144 are allowed" && status=1; }
found=$(grep -rnE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|sessionStorage|document\.cookie' \
    --include='*.ts' embed/sdk/src embed/console || true)
[ -z "$found" ] || { printf '%s\n' "$found" && status=1; }
exit $status
