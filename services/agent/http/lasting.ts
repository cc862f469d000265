import { abortConnection } from "../../../ffi/abort.ts";
import { ConnectionEnd, type End } from "../../common/http/ends.ts";

/** A TCP connection whose other side's silent end the kernel notices. */
export function lasting(connection: Deno.TcpConn): End {
  connection.setKeepAlive(true);
  connection.setNoDelay(true);
  return new ConnectionEnd(connection, { abort: abortConnection });
}
