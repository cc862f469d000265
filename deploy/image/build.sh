#!/bin/sh
# Builds Strand's image from a tarball of `deno task dist`: build.sh TARBALL [BASE]
# BASE is an image that a registry or this machine has, or FILE.tar, a file system. Where there is no such file it is made
# from Debian's packages by mmdebstrap, as root; without BASE, it is made each time. The image is called strand:VERSION
# and strand:latest. DOCKER_HOST says which dockerd.
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

case ${base:=$work/base.tar} in
*.tar)
  if [ ! -f "$base" ]; then
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed; or name a BASE"
    # dpkg is told what to leave out by a file of its own: given to mmdebstrap, the same goes through a filter that takes
    # a third of the whole time. What was unpacked before dpkg could read that file is removed at the end.
    mmdebstrap --quiet --variant=essential --include="mount passwd $packages" \
      --extract-hook='printf "path-%s\n" "exclude=/usr/share/man/*" "exclude=/usr/share/locale/*" \
        "exclude=/usr/share/doc/*" "include=/usr/share/doc/*/copyright" >"$1/etc/dpkg/dpkg.cfg.d/documentation"' \
      --customize-hook='cd "$1/usr/share" && find man locale -mindepth 1 -delete && find doc ! -type d ! -name copyright -delete' \
      "$suite" "${base%.tar}.part.tar"
    mv "${base%.tar}.part.tar" "$base"
  fi
  docker import "$base" strand-base:$suite >/dev/null
  base=strand-base:$suite
  ;;
esac

mkdir "$work/context"
cp "$tarball" "$here/Dockerfile" "$here/healthcheck" "$work/context/"
docker build --quiet --network "${BUILD_NETWORK:-none}" --build-arg BASE="$base" --build-arg PACKAGES="$packages" \
  --build-arg VERSION="$version" --build-arg ARCH="$arch" --tag "strand:$version" --tag strand:latest "$work/context"
