#!/bin/sh
# From screenshots to a service: sh examples/phishing/run.sh DATA [options of opsin train]
set -eu
DATA=$1; shift
OUT=${OUT:-phishing_example}
PORT=${PORT:-8501}

opsin check "$DATA" || true
opsin train "$DATA" --out "$OUT/run" --arch mobilenet_v2 "$@"
opsin evaluate "$OUT/run" "$DATA" --precision phishing=0.95
opsin export "$OUT/run" --format saved_model --out "$OUT/models/phishing"

opsin serve "$OUT/run" --name phishing --port "$PORT" > "$OUT/access.log" &
SERVER=$!
trap 'kill $SERVER' EXIT
until curl -sf "localhost:$PORT/readyz" > /dev/null; do sleep 0.1; done

PICTURE=$(find "$DATA" -type f -path '*phishing/*' | sort | head -n 1)
echo "A whole picture:"
curl -sf -H 'Content-Type: application/octet-stream' --data-binary "@$PICTURE" "localhost:$PORT/v1/models/phishing:classify_image"
echo
echo "The same in TensorFlow Serving's JSON:"
{ printf '{"signature_name": "serve_bytes", "instances": [{"b64": "'; base64 < "$PICTURE" | tr -d '\n'; printf '"}]}'; } |
  curl -sf -d @- "localhost:$PORT/v1/models/phishing:predict"
echo
