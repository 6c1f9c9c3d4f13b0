#!/usr/bin/env bash
# The installed redis-server and valkey-server → container images, for machines where no registry can be reached.
# Prints the lines to `eval` so that setup, tests and the bare names `redis` and `valkey` use them.
set -euo pipefail

for product in redis valkey; do
  binary=$(command -v "$product-server")
  version=$("$binary" --version | sed -E 's/.* v=([^ ]+).*/\1/')
  image=cutover-test/$product:$version
  if ! docker image inspect "$image" >/dev/null 2>&1; then
    folder=$(mktemp -d)
    mkdir -p "$folder/usr/bin" "$folder/data" "$folder/tmp"
    cp -L "$binary" "$folder/usr/bin/$product-server"
    # The libraries with the dynamic linker among them, at the paths that the binary looks for.
    ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
      mkdir -p "$folder$(dirname "$library")"
      cp -L "$library" "$folder$library"
    done
    # The entry point takes arguments like that of the official images.
    tar -C "$folder" -c . | docker import \
      --change "ENTRYPOINT [\"/usr/bin/$product-server\"]" \
      --change 'WORKDIR /data' --change 'EXPOSE 6379' - "$image" >/dev/null
    rm -r "$folder"
  fi
  echo "export CUTOVER_${product^^}_IMAGE=$image"
done
