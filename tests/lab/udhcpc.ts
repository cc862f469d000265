/** busybox's DHCP client, as far as tests take it to ask for one lease. */

/** Asks on eth0 for up to a minute, prints the lease, and sets no address. */
export const udhcpc = [
  "busybox",
  "udhcpc",
  "-i",
  "eth0",
  "-f",
  "-n",
  "-q",
  "-t",
  "60",
  "-T",
  "1",
  "-s",
  "/bin/true",
];
