/** The reading thread of table_test.ts: looks names up for half a second and checks that each record is whole. */
import { hashName, ReaderEpoch, TableReader } from "./table.ts";
import { nameToWire } from "./wire.ts";

const scope = self as unknown as {
  postMessage(message: number | string): void;
  onmessage: (event: MessageEvent<Int32Array<SharedArrayBuffer> | SharedArrayBuffer>) => void;
};
const names = Array.from({ length: 100 }, (_, i) => nameToWire(`n${i}`) ?? new Uint8Array());
let epoch: ReaderEpoch | undefined;
let lookups = 0, end = 0;

scope.onmessage = ({ data }) => {
  if (data instanceof Int32Array) {
    epoch = new ReaderEpoch(data, 0);
    end = performance.now() + 500;
  } else read(new TableReader(data));
};

function read(table: TableReader): void {
  const view = new DataView(table.block);
  while (performance.now() < end) {
    for (let batch = 0; batch < 50; batch++) {
      epoch?.enter();
      for (const name of names) {
        const record = table.find(hashName(table.seed, name), name, 0, name.length);
        if (record === 0) return fail("a name was missing");
        const at = table.rrsetBytes(table.rrset(record, 1));
        const length = view.getUint16(at + 8);
        const octet = table.bytes[at + 10];
        for (let i = 0; i < length; i++) {
          if (table.bytes[at + 10 + i] !== octet) return fail(`torn at ${i} of ${length}`);
        }
        lookups++;
      }
      epoch?.leave();
    }
  }
  scope.postMessage(lookups);
}

function fail(why: string): void {
  scope.postMessage(why);
}
