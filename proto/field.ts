/** The type by which generated code describes a field of a message of nex.proto. */

/** A field: its number, name, type (a scalar's, or a message's name), and whether it is repeated. */
export type FieldDescriptor = readonly [number: number, name: string, type: string, repeated: boolean];
