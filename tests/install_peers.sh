# shellcheck shell=bash
# What the tests and benchmarks compare with, or use as a client: Debian packages, none of whose daemons is started or
# enabled, and, unpacked into .strand/, a newer etcd and podman and a kernel for virtual machines. `./strand` sources this for `test` and
# `bench --install-peers` when this file has changed since it was done last; functions and variables that are not here are
# those of `./strand`.

packages="dnsperf nsd knot knot-dnsutils unbound musl-tools gcc bind9-dnsutils ldnsutils udhcpc isc-dhcp-client dhcpcd5 dnsmasq
isc-dhcp-relay isc-dhcp-server kea-dhcp4-server kea-admin python3-grpcio python3-protobuf python3-scapy python3-dnspython
nmap tcpdump iproute2 iputils-ping iperf3 iptables nftables openssl procps bubblewrap mmdebstrap python3-spdx-tools containernetworking-plugins podman
docker.io containerd runc docker-compose busybox-static groff-base jq systemd systemd-container udev ansible-core openssh-client
ruby prometheus python3-kubernetes libnl-route-3-200 qemu-system-x86 protobuf-compiler golang-go golang-google-grpc-dev
golang-goprotobuf-dev golang-github-masterminds-sprig-dev golang-gopkg-yaml.v3-dev nodejs chromium fonts-dejavu-core pngquant"

# Debian's release with a newer etcd, and that etcd's version, and with podman 5.
suite=trixie newer_etcd=3.5

policy=/usr/sbin/policy-rc.d
policy_mark="# For the time that strand installs its tests' packages."

install_missing() {
  local wanted=() absent=() package
  for package in $packages; do
    [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || wanted+=("$package")
  done
  if ((${#wanted[@]})); then
    apt_knows "${wanted[@]}"
    for package in "${wanted[@]}"; do apt-cache show "$package" >/dev/null 2>&1 || absent+=("$package"); done
    ((${#absent[@]} == 0)) || say "this system has no package ${absent[*]}; their tests will say so"
    for package in "${absent[@]}"; do mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | grep -vxF "$package"); done
  fi
  ((${#wanted[@]})) || return 0
  # A policy that is there already is the owner's word on it, unless an earlier run was killed and left this one.
  if [[ ! -e $policy ]] || grep -qF "$policy_mark" "$policy"; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
  fi
  say "installing what the tests compare with (no service is started): ${wanted[*]}"
  apt install --no-install-recommends -y "${wanted[@]}" || fail "apt-get could not install: ${wanted[*]}"
  disable_services "${wanted[@]}"
  [[ -z $(trap -p EXIT) ]] || { trap - EXIT; as_root rm -f "$policy"; }
}

# A package enables its service for the next boot, which was not asked for.
disable_services() {
  command -v systemctl >/dev/null || return 0
  local units
  mapfile -t units < <(dpkg -L "$@" | sed -nE 's#.*/systemd/system/([^/@]*\.(service|socket|timer))$#\1#p' | sort -u)
  ((${#units[@]} == 0)) || as_root systemctl --quiet disable "${units[@]}" 2>/dev/null || true
}

# NAME FILE PACKAGE…: into .strand/NAME, unless it has FILE. From the mirror that this system has, by package lists of its own: the
# system's are left as they are.
unpack_newer() {
  local name=$1 file=$2 work=$here/apt site= options
  shift 2
  [[ ! -x $here/$name/$file ]] || return 0
  read -r site < <(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian') || true
  [[ -n $site ]] || { say "$name is in Debian's packages only: its tests are skipped"; return 0; }
  say "unpacking $name from Debian's $suite into .strand/$name"
  options=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o "Dir::Etc::SourceList=$work/sources.list"
    -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root)
  if [[ ! -e $work/updated ]]; then
    rm -rf "$work" && mkdir -p "$work/lists/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $suite main" >"$work/sources.list"
    apt-get -qq "${options[@]}" update >&2 && touch "$work/updated" || return
  fi
  unpack "$name" "$@" "${options[@]}"
}

# The kernel that virtual machines of the tests boot; installed, it would become this system's own.
unpack_linux() {
  local package
  ! compgen -G "$here/linux/boot/vmlinuz-*" >/dev/null || return 0
  apt_knows linux-image-cloud-amd64
  package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: //p' | head -n 1)
  [[ -n $package ]] || return 1
  say "unpacking $package from its Debian package into .strand/linux"
  unpack linux "$package"
}

install_missing
unpack_linux || say "Debian's kernel could not be unpacked: no virtual machine is started this time"
rm -f "$here/apt/updated"
done_all=yes
unpack_newer etcd-$newer_etcd usr/bin/etcdctl etcd-server etcd-client || done_all=no
# Its libraries are laid over the system's in a mount namespace, where this runs.
unpack_newer podman-5 usr/bin/podman podman netavark conmon libc6 libgpgme11t64 libassuan9 libgpg-error0 libsubid5 libsqlite3-0 \
  libseccomp2 libglib2.0-0t64 || done_all=no
rm -rf "$here/apt"
if [[ $done_all == yes ]]; then cp "$root/tests/install_peers.sh" "$here/install_peers.sh"
else say "etcd $newer_etcd or podman 5 could not be unpacked: its tests are skipped this time"
fi
