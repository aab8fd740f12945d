# Read by the runs beside it: `browse URL LOG [FLAG...]` opens a page of `page.html` in a headless
# Chromium and waits until the page's backend, which writes LOG, has heard how it went. `$work` is a
# directory of the run's own.
browse() {
  local url=$1 log=$2 before now browser
  shift 2
  before=$(grep --count 'browser: done' "$log" || true)
  chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --ignore-certificate-errors --user-data-dir="$work/chromium" \
    "$@" "$url" >/dev/null 2>&1 & browser=$!
  pids+=("$browser")
  for _ in $(seq 600); do
    now=$(grep --count 'browser: done' "$log" || true)
    [ "$now" -gt "$before" ] && break
    grep -q 'browser: FAILED' "$log" && break
    sleep 0.1
  done
  kill "$browser" 2>/dev/null || true
  wait "$browser" 2>/dev/null || true
}
