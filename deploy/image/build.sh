#!/bin/sh
# Builds Strand's image from a tarball of `deno task dist`: build.sh TARBALL [BASE]
# Without BASE, an image that a registry or this machine has, the base is made from Debian's packages by mmdebstrap,
# as root. The image is called strand:VERSION and strand:latest. DOCKER_HOST says which dockerd.
set -eu
tarball=${1:?build.sh TARBALL [BASE]}
base=${2:-}
here=$(dirname "$(readlink -f -- "$0")")
name=$(basename "$tarball" .tar.gz) # strand-VERSION-linux-ARCH
arch=${name##*-}
version=${name#strand-}
version=${version%-linux-*}
packages="ca-certificates etcd-server iproute2"
suite=bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "$base" ]; then
  base=strand-base:$suite
  command -v mmdebstrap >/dev/null || { echo "build.sh: mmdebstrap is not installed; or name a BASE" >&2; exit 1; }
  mmdebstrap --quiet --variant=essential --include="mount passwd $packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$suite" - | docker import - "$base" >/dev/null
  packages=
fi

cp "$tarball" "$here/Dockerfile" "$here/healthcheck" "$work/"
docker build --quiet --network "${BUILD_NETWORK:-none}" --build-arg BASE="$base" --build-arg PACKAGES="$packages" \
  --build-arg VERSION="$version" --build-arg ARCH="$arch" --tag "strand:$version" --tag strand:latest "$work"
