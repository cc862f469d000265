/** Specs of networks that several tests apply. */

/** A network without an overlay, with nothing beside its range. */
export const mini = "kind: Network\nname: mini\nsubnet4: 10.0.0.0/24\n";

/** A network with an overlay and names, and two reservations: one with an address. */
export const blue = `kind: Network
name: blue
subnet4: 10.0.0.0/24
domain: blue.example
overlay: {}
---
kind: MemberList
net: blue
list:
- {mac: 52:54:00:00:00:05, name: db, ip4: 10.0.0.5}
- {mac: 52:54:00:00:00:06, name: web}
`;
