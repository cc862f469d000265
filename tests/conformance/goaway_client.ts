/** 300 calls to ADDRESS, then one that makes it send GOAWAY, then 100 more. */
import { Buffer } from "node:buffer";
import { Client, credentials } from "@grpc/grpc-js";

const [address = ""] = Deno.args;
const client = new Client(address, credentials.createInsecure());

function call(path: string): Promise<string> {
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(
      path,
      (text: string) => Buffer.from(text),
      String,
      "ping",
      { deadline: Date.now() + 60_000 },
      (error, answer) => error ? reject(error) : resolve(answer ?? ""),
    )
  );
}

for (let i = 0; i < 300; i++) await call("/test.Echo/Say");
await call("/test.Echo/GoAway");
for (let i = 0; i < 100; i++) await call("/test.Echo/Say");
client.close();
console.log("survived");
