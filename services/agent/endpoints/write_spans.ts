/** Spans of writes to etcd in the traces of endpoints, with the revision that each write has come to. */
import { inSpan, type Span } from "../../common/tracing.ts";

/** Writes an endpoint in a span of its own. */
export function writtenIn<T extends { readonly revision: number }>(
  parent: Span | undefined,
  write: () => Promise<T>,
): Promise<T> {
  return inSpan("write to etcd", { parent: parent?.spanContext() }, async (span) => {
    const written = await write();
    span?.setAttribute("strand.revision", written.revision);
    return written;
  });
}

/** Writes the deletion of one in a span of its own; undefined: another request has deleted it. */
export function writeDeletion<T extends number | undefined>(
  parent: Span | undefined,
  write: () => Promise<T>,
): Promise<T> {
  return inSpan("write to etcd", { parent: parent?.spanContext() }, async (span) => {
    const revision = await write();
    if (revision !== undefined) span?.setAttribute("strand.revision", revision);
    return revision;
  });
}
