/** The numbers of DHCP's options, message types and ports, under their names in RFC 2131, RFC 2132 and later RFCs. */

export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;

export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;

/** The type of hardware address: Ethernet, six bytes. */
export const ETHERNET = 1;

/** In `flags`: the client cannot take unicast before it has an address. */
export const BROADCAST = 0x8000;

/** The offset of the client's hardware address in a message. */
export const CHADDR_AT = 28;
/** The offset at which the fixed fields end and the options begin, after the magic cookie. */
export const OPTIONS_AT = 240;
export const MAGIC_COOKIE = 0x63825363;

/** Values of option 53. */
export const Type = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** The options that the server itself reads or fills in. */
export const Opt = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  nameServer: 6,
  hostname: 12,
  domainName: 15,
  broadcastAddress: 28,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  type: 53,
  serverId: 54,
  parameterList: 55,
  message: 56,
  maxSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  clientId: 61,
  tftpServer: 66,
  bootFile: 67,
  /** RFC 4039. */
  rapidCommit: 80,
  /** RFC 4702. */
  fqdn: 81,
  /** RFC 3046. */
  relayAgent: 82,
  /** RFC 3011. */
  subnetSelection: 118,
  /** RFC 3397. */
  domainSearch: 119,
  end: 255,
} as const;

/** Sub-options of option 82. */
export const RelayOpt = {
  /** RFC 3046. */
  circuitId: 1,
  remoteId: 2,
  /** RFC 3527. */
  linkSelection: 5,
  /** RFC 5107. */
  serverIdOverride: 11,
} as const;
