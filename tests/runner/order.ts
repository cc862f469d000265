/** In which order files begin. */

/**
 * Files that take long begin first, so that none of them is left over at the end when the others are done: many of them wait
 * most of their time. What is not here takes under 20 s, and fills the processors to the end. `./strand test --times` says
 * what each takes.
 */
export const LONGEST: readonly string[] = [
  "tests/dist/image_test.ts",
  "tests/docker/trouble_test.ts",
  "tests/deploy/systemd_test.ts",
  "tests/deploy/ansible_test.ts",
  "tests/agent/egress_test.ts",
  "tests/deploy/alerts_test.ts",
  "tests/networks/device_test.ts",
  "services", // The group unit.
  "tests/overlay_names/dhcp_test.ts",
  "tests/agent/failpoints_test.ts",
  "tests/agent/store_guard_test.ts",
  "tests/demo/demo_test.ts",
  "tests/faults/nex_clocks_test.ts",
  "tests/networks/explain_test.ts",
  "tests/overlay_names/dhcp_limits_test.ts",
  "tests/dashboard/browser_test.ts",
  "tests/cni/host_test.ts",
  "tests/faults/store_mirror_test.ts",
  "tests/agent/probes_test.ts",
  "tests/faults/dhcp_etcd_away_test.ts",
  "tests/faults/refusal_test.ts",
  "tests/faults/store_cluster_test.ts",
  "tests/agent/networks_test.ts",
  "tests/faults/store_follow_test.ts",
  "tests/agent/name_claim_test.ts",
  "tests/conformance/dhcp_clients_test.ts",
  "tests/docker/names_test.ts",
  "tests/conformance/opentelemetry_test.ts",
  "tests/agent/http_pressure_test.ts",
  "tests/agent/vtep_test.ts",
  "tests/agent/http_streams_test.ts",
  "tests/agent/drift_test.ts",
  "tests/agent/hostile_records_test.ts",
  "tests/agent/lossy_etcd_test.ts",
  "tests/dist/dist_test.ts",
  "tests/agent/reboot_test.ts",
  "tests/agent/containment_test.ts",
  "tests/faults/store_lease_test.ts",
  "tests/networks/moves_test.ts",
  "tests/networks/qemu_test.ts",
  "tests/faults/store_recovery_test.ts",
  "tests/overlay_names/dns_test.ts",
  "tests/networks/qemu_devices_test.ts",
];

/** The place of a file, or of a group's first folder, in the order in which they begin. */
export function rank(path = ""): number {
  return (LONGEST.indexOf(path) + 1) || LONGEST.length + 1;
}
