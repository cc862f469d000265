#!/bin/sh
# Builds Strand's image from a tarball of `deno task dist`: build.sh TARBALL [BASE]
# Without BASE, an image that a registry or this machine has, the base is made from Debian's packages by mmdebstrap,
# as root. The image is called strand:VERSION and strand:latest. DOCKER_HOST says which dockerd.
set -eu
fail() {
  echo "build.sh: $1" >&2
  exit 1
}
[ $# -ge 1 ] && [ $# -le 2 ] || fail "say which: build.sh TARBALL [BASE]"
tarball=$1
base=${2:-}
here=$(dirname "$(readlink -f -- "$0")")
name=$(basename "$tarball" .tar.gz) # strand-VERSION-linux-ARCH
arch=${name##*-}
version=${name#strand-}
version=${version%-linux-*}
[ "$(basename "$tarball")" = "strand-$version-linux-$arch.tar.gz" ] && [ -f "$tarball" ] ||
  fail "$tarball: not a tarball of \"deno task dist\", strand-VERSION-linux-ARCH.tar.gz"
server=$(docker version --format '{{.Server.Arch}}') || fail "no dockerd answers; DOCKER_HOST says where one is"
[ "$server" = "$(echo "$arch" | sed s/^x64$/amd64/)" ] || fail "$tarball is for $arch, and this dockerd for $server"
packages="ca-certificates etcd-server iproute2"
suite=bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "$base" ]; then
  base=strand-base:$suite
  command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed; or name a BASE"
  mmdebstrap --quiet --variant=essential --include="mount passwd $packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$suite" "$work/base.tar"
  docker import "$work/base.tar" "$base" >/dev/null
  rm "$work/base.tar"
fi

cp "$tarball" "$here/Dockerfile" "$here/healthcheck" "$work/"
docker build --quiet --network "${BUILD_NETWORK:-none}" --build-arg BASE="$base" --build-arg PACKAGES="$packages" \
  --build-arg VERSION="$version" --build-arg ARCH="$arch" --tag "strand:$version" --tag strand:latest "$work"
