#!/usr/bin/env bash
# Parts of libh2o with known holes that Stoa does without: the server calls none of them, and the library holds no HTTP/3, QUIC or picotls.
#   CVE-2018-0608 access log · CVE-2023-30847 reverse proxy and h2o_reprocess_request · CVE-2024-25622 and CVE-2023-41337 configurators and their session resumption ·
#   CVE-2021-43848, -2023-50247, -2024-45396, -45397, -45402, -45403 HTTP/3, QUIC, picotls, TCP fast open
# The file handler and the compress filter answer conditionals, q-values and ranges wrongly.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${STOA_BUILD:-build/release}/stoa
library=$(ldconfig -p | awk '/libh2o-evloop\.so/ && !seen++ {print $NF}') # no early exit: pipefail
[ -x "$program" ] && [ -n "$library" ] || { echo "$program: not built" && exit 1; }
status=0
called=$(nm -D --undefined-only "$program" | awk '{print $NF}' | sed 's/@.*//')
bad=$(grep -E '^h2o_(access_log|log_|proxy_|http1client_|socketpool_|configurator_|config_register_.*configurator|file_|compress_|reproxy|reprocess_|fastcgi|headers_|expires|redirect_register|mruby|throttle|errordoc|status_register|memcached|redis|http3|quic)' <<<"$called" || true)
[ -z "$bad" ] || { sed "s|^|$program calls |" <<<"$bad" && status=1; }
bad=$(nm -D "$library" | awk '{print $NF}' | grep -E '^(h2o_http3|h2o_quic|quicly_|ptls_)' || true)
[ -z "$bad" ] || { sed "s|^|$library holds |" <<<"$bad" && status=1; }
bad=$(grep -rnE 'TCP_FASTOPEN|ocsp_updater|h2o/(configurator|http1client|socketpool)\.h' edge bundles --include='*.[ch]' || true)
[ -z "$bad" ] || { echo "$bad" && status=1; }
exit $status
