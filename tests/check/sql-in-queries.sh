#!/usr/bin/env bash
# SQL text sits only in a folder's queries*.c and schema/. edge/store may speak it where it is about the database itself: what was migrated,
# and how a private cluster is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
found=$(git ls-files -co --exclude-standard -- '*.c' '*.h' | grep -vE '^tests/|/queries[a-z_]*\.c$|^edge/store/' |
    xargs grep -nE '"[^"]*\b(SELECT [^"]*\b(FROM|[a-z_]+\()|INSERT INTO|UPDATE [a-z_]+ SET|DELETE FROM|CREATE (TABLE|INDEX|ROLE|DATABASE)|ALTER (TABLE|ROLE)|DROP (TABLE|ROLE|DATABASE))\b' || true)
[ -z "$found" ] || { printf '%s\n' "$found" | sed 's/$/   <- SQL belongs into queries.c/' && exit 1; }
