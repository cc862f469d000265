/** A service manager's socket of another program (Python): what a service under test says to it by sd_notify(3). */
import { fileURLToPath } from "node:url";
import { Process } from "../../cli/strand/process.ts";

export interface Message {
  /** The process that sent it, as the kernel says. */
  readonly pid: number;
  readonly text: string;
}

export class NotifySocket implements AsyncDisposable {
  private constructor(private readonly process: Process, private readonly socket: string) {}

  /** @param socket An absolute path, which must be free, or `@NAME`. */
  static async bound(socket: string): Promise<NotifySocket> {
    const script = fileURLToPath(new URL("./notify_socket.py", import.meta.url));
    const process = new Process(["/usr/bin/python3", script, socket]);
    await process.line(/^bound$/);
    return new NotifySocket(process, socket);
  }

  /** Resolves with all messages so far, once there is one whose text fits. */
  async until(fits: RegExp): Promise<Message[]> {
    const isMessage = (line: string) => line.startsWith("{");
    await this.process.line(new RegExp(`^{.*"text": ".*${fits.source}`, fits.flags));
    return this.process.lines.filter(isMessage).map((line) => JSON.parse(line) as Message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    if (this.socket.startsWith("/")) await Deno.remove(this.socket);
  }
}
