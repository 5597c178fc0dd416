#!/bin/sh
# Packs examples/notes-spa/ into examples/notes-spa.tar.gz, the same bytes each time: sorted names,
# fixed owner, mode and time, no time in the gzip header. Says no when a hashed name is out of date.
# With --check it writes nothing and says whether the archive holds what the folder does.
set -eu
cd "$(dirname "$0")/notes-spa"
for file in assets/*-*.*; do
  name=${file%.*}
  hash=$(sha256sum "$file" | cut -c1-8)
  if [ "${name##*-}" != "$hash" ]; then
    echo "$file: rename it to carry $hash, here and in index.html" >&2
    exit 1
  fi
done
pack() {
  LC_ALL=C tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    --mtime='2026-01-01 00:00:00Z' -cf - -- assets index.html logo.svg public-config.yaml
}
if [ "${1:-}" = --check ]; then
  if [ "$(pack | sha256sum)" != "$(gzip -dc ../notes-spa.tar.gz | sha256sum)" ]; then
    echo "examples/notes-spa.tar.gz is out of date: run examples/pack-notes-spa.sh" >&2
    exit 1
  fi
else
  pack | gzip -9 -n > ../notes-spa.tar.gz
fi
